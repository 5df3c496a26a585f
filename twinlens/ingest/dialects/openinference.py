"""OpenInference (Arize Phoenix and about 35 instrumentation packages)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from twinlens.ingest.dialects.rule import (
    Dialect,
    Rule,
    as_object,
    constant,
    decoded,
    json_text,
    nested,
    one_of,
    strings,
    text,
    whole,
)  # fmt: skip
from twinlens.ingest.usage import amount, tokens

KINDS = {
    "LLM": "generation", "CHAIN": "chain", "AGENT": "agent", "TOOL": "tool", "RETRIEVER": "retriever",
    "EMBEDDING": "embedding", "RERANKER": "reranker", "GUARDRAIL": "guardrail", "EVALUATOR": "evaluator",
    "PROMPT": "span", "DECISION": "span", "UNKNOWN": "unknown",
}  # fmt: skip


def _unwrap(node: Any) -> Any:
    """Drop the singular level of OpenInference lists: ``[{"message": {…}}]`` → ``[{…}]``."""
    if isinstance(node, list):
        return [_unwrap(x) for x in node]
    if isinstance(node, dict):
        if len(node) == 1:
            name, inner = next(iter(node.items()))
            if name in ("message", "tool_call", "message_content", "document", "embedding", "image"):
                return _unwrap(inner)
        return {k: _unwrap(v) for k, v in node.items()}
    return node


def flat_list(family: Mapping[str, Any]) -> str | None:
    """``0.message.role``, ``0.message.tool_calls.0.tool_call.function.name`` … as JSON text of a plain list."""
    found = _unwrap(nested({name: decoded(v) if name.endswith("arguments") else v for name, v in family.items()}))
    return msgspec.json.encode(found).decode() if found else None


def _texts(family: Mapping[str, Any]) -> str | None:
    """The texts that were embedded; their vectors are no content."""
    found = {name: value for name, value in family.items() if name.endswith(".embedding.text")}
    if not found:
        return None
    ordered = sorted(found.items(), key=lambda entry: int(entry[0].split(".", 1)[0]))
    return msgspec.json.encode([value for _, value in ordered]).decode()


DIALECT = Dialect(
    name="openinference",
    title="OpenInference",
    source="openinference-semantic-conventions",
    marks=("openinference.span.kind", "llm.token_count.*", "llm.input_messages.*", "llm.output_messages.*"),
    scopes=("openinference.",),
    first_token_events=("First Token Stream Event",),
    rules=(
        Rule("kind", "openinference.span.kind", one_of(KINDS)),
        Rule("input", "input.value", json_text),
        Rule("output", "output.value", json_text),
        Rule("input", "llm.input_messages.*", flat_list),
        Rule("output", "llm.output_messages.*", flat_list),
        Rule("output", "retrieval.documents.*", flat_list),
        Rule("output", "reranker.output_documents.*", flat_list),
        Rule("input", "reranker.query", json_text),
        Rule("input", "embedding.embeddings.N.*", _texts),
        Rule("input", "tool.parameters", json_text),
        Rule("model", "llm.response.model_name", text),
        Rule("model", "llm.model_name", text),
        Rule("model", "llm.request.model_name", text),
        Rule("model", "embedding.model_name", text),
        Rule("model", "reranker.model_name", text),
        Rule("provider", "llm.provider", text),
        Rule("provider", "llm.system", text),
        Rule("model_parameters", "llm.invocation_parameters", as_object),
        Rule("model_parameters", "embedding.invocation_parameters", as_object),
        Rule("usage.input", "llm.token_count.prompt", tokens),
        Rule("usage.output", "llm.token_count.completion", tokens),
        Rule("usage.total", "llm.token_count.total", tokens),
        Rule("usage.input_cached_tokens", "llm.token_count.prompt_details.cache_read", tokens),
        Rule("usage.input_cached_tokens", "llm.token_count.prompt_details.cache_input", tokens),
        Rule("usage.input_cache_creation", "llm.token_count.prompt_details.cache_write", tokens),
        Rule("usage.input_audio_tokens", "llm.token_count.prompt_details.audio", tokens),
        Rule("usage.output_reasoning_tokens", "llm.token_count.completion_details.reasoning", tokens),
        Rule("usage.output_audio_tokens", "llm.token_count.completion_details.audio", tokens),
        Rule("cost.input", "llm.cost.prompt", amount),
        Rule("cost.output", "llm.cost.completion", amount),
        Rule("cost.total", "llm.cost.total", amount),
        Rule("prompt_name", "llm.prompt_template.name", text),
        Rule("prompt_version", "llm.prompt_template.version", whole),
        Rule("prompt_name", "prompt.id", text),
        Rule("agent_name", "agent.name", text),
        Rule("tool_name", "tool.name", text),
        Rule("metadata", "metadata", decoded),
        Rule("trace.tags", "tag.tags", strings),
        Rule("kind", "llm.model_name", constant("generation")),
    ),
)
