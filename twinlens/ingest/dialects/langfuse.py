"""Langfuse SDKs 3, 4 and 5 (Python) and 4 to 6 (JavaScript): what they write on spans of scope ``langfuse-sdk``."""

from __future__ import annotations

from twinlens.ingest.dialects.rule import (
    Dialect,
    Rule,
    Source,
    as_object,
    boolean,
    constant,
    decoded,
    iso_time,
    json_text,
    one_of,
    strings,
    text,
    whole,
)  # fmt: skip

KINDS = {
    k: k
    for k in (
        "span", "generation", "event", "agent", "tool", "chain", "retriever", "evaluator", "embedding", "guardrail",
    )
}  # fmt: skip
LEVELS = {k: k for k in ("DEBUG", "DEFAULT", "WARNING", "ERROR")}


def _span_means_generation(source: Source) -> bool:
    """Python SDKs up to 3.3 wrote type ``span`` on generations; their model attributes give them away."""
    return source.sdk_language != "nodejs" and (3, 0) <= source.version[:2] <= (3, 3)


DIALECT = Dialect(
    name="langfuse",
    title="Langfuse SDK",
    source="attribute constants of langfuse 3.15, 4.18 and 5.0",
    scopes=("langfuse-sdk",),
    marks=("langfuse.observation.*", "langfuse.trace.*", "langfuse.internal.*"),
    rules=(
        Rule("kind", "langfuse.observation.model.name", constant("generation"), when=_span_means_generation),
        Rule("kind", "langfuse.observation.type", one_of(KINDS)),
        Rule("input", "langfuse.observation.input", json_text),
        Rule("output", "langfuse.observation.output", json_text),
        # SDK 4 and older keep scalars native and later reads decode what parses; 5 encodes every value once: one rule fits
        Rule("metadata", "langfuse.observation.metadata", decoded),
        Rule("metadata", "langfuse.observation.metadata.*", decoded),
        Rule("level", "langfuse.observation.level", one_of(LEVELS)),
        Rule("status_message", "langfuse.observation.status_message", text),
        Rule("completion_start_ns", "langfuse.observation.completion_start_time", iso_time),
        Rule("model", "langfuse.observation.model.name", text),
        Rule("model_parameters", "langfuse.observation.model.parameters", as_object),
        Rule("usage", "langfuse.observation.usage_details", as_object),
        Rule("cost", "langfuse.observation.cost_details", as_object),
        Rule("prompt_name", "langfuse.observation.prompt.name", text),
        Rule("prompt_version", "langfuse.observation.prompt.version", whole),
        Rule("is_app_root", "langfuse.internal.as_root", boolean),
        Rule("is_app_root", "langfuse.internal.is_app_root", boolean),
        Rule("user_id", "langfuse.user.id", text),
        Rule("session_id", "langfuse.session.id", text),
        Rule("environment", "langfuse.environment", text),
        Rule("release", "langfuse.release", text),
        Rule("version", "langfuse.version", text),
        Rule("trace.name", "langfuse.trace.name", text),
        Rule("trace.public", "langfuse.trace.public", boolean),
        Rule("trace.input", "langfuse.trace.input", json_text),
        Rule("trace.output", "langfuse.trace.output", json_text),
        Rule("trace.metadata", "langfuse.trace.metadata", decoded),
        Rule("trace.metadata", "langfuse.trace.metadata.*", decoded),
        Rule("trace.tags", "langfuse.trace.tags", strings),
        Rule("trace.tags", "langfuse.tags", strings),
        Rule("user_id", "langfuse.observation.metadata.langfuse_user_id", text),
        Rule("session_id", "langfuse.observation.metadata.langfuse_session_id", text),
        Rule("trace.tags", "langfuse.observation.metadata.langfuse_tags", strings),
    ),
)
