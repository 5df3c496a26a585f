"""LiveKit Agents: ``lk.*`` beside OTel GenAI attributes; since 1.7 content stands under ``lk.pii.*``.

``llm_request`` is the model call; ``llm_node`` around it repeats model and answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from twinlens.ingest.dialects.rule import Dialect, Rule, as_object, boolean, constant, decoded, json_text, text
from twinlens.ingest.usage import amount, tokens

_PREFIXES = ("lk.pii.", "lk.")  #: the newer spelling first


def _content(field: str, *names: str) -> tuple[Rule, ...]:
    return tuple(Rule(field, prefix + name, json_text) for prefix in _PREFIXES for name in names)


def _response(family: Mapping[str, Any]) -> str | None:
    """Text and function calls of an answer as one message."""
    calls = decoded(family.get("function_calls"))
    message = {
        "content": family.get("text") or None,
        "tool_calls": [decoded(call) for call in calls] if isinstance(calls, (list, tuple)) else None,
    }
    found = {name: value for name, value in message.items() if value}
    return msgspec.json.encode({"role": "assistant", **found}).decode() if found else None


def _metrics(value: Any) -> dict[str, Any] | None:
    """Counts of ``LLMMetrics`` or ``RealtimeModelMetrics`` in OpenAI's shapes."""
    reported = as_object(value) or {}
    cached = tokens(reported.get("prompt_cached_tokens"))
    names = (
        "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "input_token_details", "output_token_details",
    )  # fmt: skip
    found: dict[str, Any] = {name: reported[name] for name in names if name in reported}
    if cached:
        found["prompt_tokens_details"] = {"cached_tokens": cached}
    details = found.get("input_token_details")
    if isinstance(details, dict):  # says in more detail what is counted already
        found["input_token_details"] = {k: v for k, v in details.items() if k != "cached_tokens_details"}
    return found or None


def _error(value: Any) -> str | None:
    return "ERROR" if boolean(value) else None


DIALECT = Dialect(
    name="livekit",
    title="LiveKit Agents",
    source="livekit-agents 1.0 to 1.7, telemetry attribute names",
    scopes=("livekit-agents",),
    marks=("lk.*",),
    rules=(
        Rule("kind", "lk.function_tool.name", constant("tool")),
        Rule("kind", "lk.llm_metrics", constant("generation")),
        Rule("kind", "lk.realtime_model_metrics", constant("generation")),
        Rule("kind", "lk.pii.chat_ctx", constant("chain")),
        Rule("kind", "lk.chat_ctx", constant("chain")),
        Rule("kind", "lk.generation_id", constant("agent")),
        Rule("kind", "lk.tts_metrics", constant("span")),
        Rule("kind", "lk.tts.label", constant("span")),
        *_content("input", "chat_ctx", "function_tool.arguments", "user_input", "input_text", "instructions"),
        Rule("output", "lk.pii.response.*", _response),
        Rule("output", "lk.response.*", _response),
        *_content("output", "function_tool.output", "user_transcript"),
        Rule("usage", "lk.llm_metrics", _metrics),
        Rule("usage", "lk.realtime_model_metrics", _metrics),
        Rule("first_token_s", "lk.response.ttft", amount),
        Rule("tool_name", "lk.function_tool.name", text),
        Rule("agent_name", "lk.agent_name", text),
        Rule("agent_name", "lk.agent_label", text),
        Rule("level", "lk.function_tool.is_error", _error),
        Rule("session_id", "lk.pii.room_name", text),
        Rule("session_id", "lk.room_name", text),
        Rule("user_id", "lk.pii.participant_identity", text),
        Rule("user_id", "lk.participant_identity", text),
    ),
)
