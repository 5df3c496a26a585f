"""Vercel AI SDK (``experimental_telemetry``), versions 3 to 6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from twinlens.ingest.dialects.rule import Dialect, Rule, as_object, decoded, json_text, strings, text, whole
from twinlens.ingest.usage import amount, tokens

_MODEL_CALLS = (".doGenerate", ".doStream")


def _kind(value: Any) -> str | None:
    """Model calls are the ``do…`` spans; the spans around them repeat their usage."""
    if not isinstance(value, str):
        return None
    operation = value.split(" ", 1)[0]
    if operation.endswith(_MODEL_CALLS):
        return "generation"
    if operation.endswith(".doEmbed"):
        return "embedding"
    if operation == "ai.toolCall":
        return "tool"
    return "chain" if operation.startswith("ai.") else None


def _response(family: Mapping[str, Any]) -> str | None:
    """Text, tool calls, object and reasoning of a response as one message."""
    message: dict[str, Any] = {"role": "assistant"}
    for name, target in (("text", "content"), ("reasoning", "reasoning"), ("reasoningText", "reasoning")):
        if family.get(name):
            message[target] = family[name]
    if family.get("toolCalls"):
        message["tool_calls"] = decoded(family["toolCalls"])
    if family.get("object"):
        found = decoded(family["object"])
        if len(message) == 1:
            return msgspec.json.encode(found).decode()
        message["object"] = found
    return msgspec.json.encode(message).decode() if len(message) > 1 else None


def _texts(value: Any) -> str | None:
    """``ai.values``: a list of JSON texts."""
    found = decoded(value)
    return msgspec.json.encode([decoded(x) for x in found]).decode() if isinstance(found, list) and found else None


def _provider_tokens(*names: str) -> Any:
    """Counts that version 4 leaves to what the provider said: ``{"openai": {"cachedPromptTokens": 3}}``."""

    def read(value: Any) -> int | None:
        for said in (as_object(value) or {}).values():
            found = next((tokens(said[n]) for n in names if n in said), None) if isinstance(said, dict) else None
            if found is not None:
                return found
        return None

    return read


def _prompt_field(name: str) -> Any:
    """One entry of the Langfuse prompt that users pass in the telemetry metadata."""

    def read(value: Any) -> Any:
        found = as_object(value)
        return (text if name == "name" else whole)(found.get(name)) if found else None

    return read


DIALECT = Dialect(
    name="vercel",
    title="Vercel AI SDK",
    source="AI SDK telemetry documentation, ai 3 to 6",
    scopes=("ai",),
    first_token_events=("ai.stream.firstChunk",),
    marks=("ai.operationId", "ai.model.*", "ai.prompt.*"),
    rules=(
        Rule("kind", "ai.operationId", _kind),
        Rule("input", "ai.prompt.messages", json_text),
        Rule("input", "ai.prompt", json_text),
        Rule("input", "ai.toolCall.args", json_text),
        Rule("input", "ai.value", json_text),
        Rule("input", "ai.values", _texts),
        Rule("output", "ai.response.*", _response),
        Rule("output", "ai.result.*", _response),
        Rule("output", "ai.toolCall.result", json_text),
        Rule("model", "ai.response.model", text),
        Rule("model", "ai.model.id", text),
        Rule("provider", "ai.model.provider", text),
        Rule("model_parameters", "ai.settings.*", decoded),
        Rule("usage.input", "ai.usage.inputTokens", tokens),
        Rule("usage.output", "ai.usage.outputTokens", tokens),
        Rule("usage.input", "ai.usage.promptTokens", tokens),
        Rule("usage.output", "ai.usage.completionTokens", tokens),
        Rule("usage.total", "ai.usage.totalTokens", tokens),
        Rule("usage.input", "ai.usage.tokens", tokens),
        Rule("usage.input_cached_tokens", "ai.usage.cachedInputTokens", tokens),
        Rule("usage.input_cached_tokens", "ai.usage.inputTokenDetails.cacheReadTokens", tokens),
        Rule(
            "usage.input_cached_tokens",
            "ai.response.providerMetadata",
            _provider_tokens("cachedPromptTokens", "cacheReadInputTokens"),
        ),
        Rule("usage.input_cache_creation", "ai.usage.inputTokenDetails.cacheWriteTokens", tokens),
        Rule(
            "usage.input_cache_creation", "ai.response.providerMetadata", _provider_tokens("cacheCreationInputTokens")
        ),
        Rule("usage.output_reasoning_tokens", "ai.usage.reasoningTokens", tokens),
        Rule("usage.output_reasoning_tokens", "ai.usage.outputTokenDetails.reasoningTokens", tokens),
        Rule("usage.output_reasoning_tokens", "ai.response.providerMetadata", _provider_tokens("reasoningTokens")),
        Rule("first_token_ms", "ai.response.msToFirstChunk", amount),
        Rule("first_token_ms", "ai.stream.msToFirstChunk", amount),
        Rule("tool_name", "ai.toolCall.name", text),
        Rule("user_id", "ai.telemetry.metadata.userId", text),
        Rule("session_id", "ai.telemetry.metadata.sessionId", text),
        Rule("trace.tags", "ai.telemetry.metadata.tags", strings),
        Rule("prompt_name", "ai.telemetry.metadata.langfusePrompt", _prompt_field("name")),
        Rule("prompt_version", "ai.telemetry.metadata.langfusePrompt", _prompt_field("version")),
        Rule("metadata", "ai.telemetry.metadata.*", decoded),
    ),
)
