"""Genkit (JavaScript, Go, Python): every action is a span with ``genkit:*`` attributes; what it is stands in its subtype.

The model call is the action of subtype ``model``; the ``generate`` spans around it repeat its answer. Token counts are part
of that answer.
"""

from __future__ import annotations

from typing import Any

from twinlens.ingest.dialects.rule import Dialect, Rule, as_object, decoded, json_text, one_of, text
from twinlens.ingest.usage import tokens

SUBTYPE = "genkit:metadata:subtype"
KINDS = {
    "model": "generation", "background-model": "generation", "embedder": "embedding", "reranker": "reranker",
    "retriever": "retriever", "evaluator": "evaluator", "tool": "tool", "tool.v2": "tool", "agent": "agent",
    "flow": "workflow", "prompt": "chain", "executable-prompt": "chain", "util": "chain", "indexer": "span",
    "resource": "span", "custom": "span",
}  # fmt: skip
TYPES = {"flow": "workflow", "flowStep": "task", "util": "chain", "promptTemplate": "chain", "userEngagement": "event"}
_MODELS = (SUBTYPE, ("model", "background-model"))
_CALLS = (SUBTYPE, ("model", "background-model", "embedder", "reranker"))


def _usage(value: Any) -> dict[str, int] | None:
    """Usage of a model's answer. Cached content is part of the input; thoughts stand beside the output where the total says so."""
    reported = as_object((as_object(value) or {}).get("usage"))
    if reported is None:
        return None
    asked, answered, thoughts, cached, total = (
        tokens(reported.get(f"{name}Tokens")) or 0 for name in ("input", "output", "thoughts", "cachedContent", "total")
    )
    if not (asked or answered or total):
        return None
    if cached > asked:
        cached = 0
    if thoughts and total < asked + answered + thoughts and thoughts <= answered:
        answered -= thoughts
    parts = {"input_cached_tokens": cached, "output_reasoning_tokens": thoughts}
    counted = {"input": asked - cached, "output": answered, **{k: n for k, n in parts.items() if n}}
    return {**counted, "total": max(total, sum(counted.values()))}


def _config(value: Any) -> dict[str, Any] | None:
    """Parameters of a model request (the only input that has both messages and a configuration)."""
    request = as_object(value) or {}
    return as_object(request.get("config")) if "messages" in request else None


DIALECT = Dialect(
    name="genkit",
    title="Genkit",
    source="Genkit's telemetry documentation, 2026",
    marks=("genkit:*",),
    rules=(
        Rule("kind", SUBTYPE, one_of(KINDS)),
        Rule("kind", "genkit:type", one_of(TYPES)),
        Rule("input", "genkit:input", json_text),
        Rule("output", "genkit:output", json_text),
        Rule("model", "genkit:name", text, where=_CALLS),
        Rule("model_parameters", "genkit:input", _config),
        Rule("usage", "genkit:output", _usage, where=_MODELS),
        Rule("tool_name", "genkit:name", text, where=(SUBTYPE, ("tool", "tool.v2"))),
        Rule("agent_name", "genkit:name", text, where=(SUBTYPE, ("agent",))),
        Rule("level", "genkit:state", one_of({"error": "ERROR"})),
        Rule("session_id", "genkit:sessionId", text),
        Rule("metadata", "genkit:metadata:*", decoded),
    ),
)
