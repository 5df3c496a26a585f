"""How many tools a model was offered and which it called: noted on the span, so that reports need not open payloads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from twinlens.domain.trace import Span

#: The attributes that hold the number, and the names in order. Ours, among those that were received.
OFFERED = "twinlens.tools.offered"
CALLED = "twinlens.tools.called"
#: Attributes that list definitions, as an array or its JSON text (OTel GenAI 1.37, MLflow 3, Vercel AI 5).
_LISTS = ("gen_ai.tool.definitions", "mlflow.chat.tools", "ai.prompt.tools")
#: Families of indexed attributes, one member per definition (OpenInference, Traceloop).
_FAMILIES = ("llm.tools.", "llm.request.functions.")


class _Request(msgspec.Struct):
    """The lists of a request in OpenAI's, Anthropic's or Gemini's form, or of Langfuse's wrapper of OpenAI."""

    tools: list[msgspec.Raw] = []
    functions: list[msgspec.Raw] = []


_request = msgspec.json.Decoder(_Request)


#: What the answers with a call in them contain, in the spelling of some provider.
_SIGNS = ("tool_call", "toolCall", "tool_use", "toolUse", "function_call", "functionCall", "toolRequest", "tool-call")
#: Types of parts that are calls: OpenAI's responses, Anthropic, OTel GenAI, Vercel.
_PARTS = frozenset({"function_call", "tool_use", "tool_call", "tool-call"})
#: Names of objects that are calls: OpenAI's first form, Gemini, Bedrock, Genkit.
_OBJECTS = frozenset({"function_call", "functionCall", "toolUse", "toolRequest"})
_LISTED = frozenset({"tool_calls", "toolCalls"})
#: What holds copies of calls that stand elsewhere too (LangChain).
_COPIES = frozenset({"additional_kwargs", "invalid_tool_calls", "tool_call_chunks"})
MAX_CALLS = 1_000


def note(span: Span) -> None:
    """Write down on a model span how many tools it was offered and the names of those called; nothing where there are none."""
    found: dict[str, Any] = {OFFERED: _count(span) or None, CALLED: _called(span.output) or None}
    if any(value is not None and span.attributes.get(name) != value for name, value in found.items()):
        span.attributes = {**span.attributes, **{name: value for name, value in found.items() if value is not None}}


def _called(text: str | None) -> list[str]:
    """Names of the tools that an answer calls, in order, each call once."""
    if text is None or not any(sign in text for sign in _SIGNS):
        return []
    try:
        answer = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return []
    names: list[str] = []
    seen: set[str] = set()
    for call in _calls(answer):
        inner = call.get("function")
        said = call | cast("dict[str, Any]", inner) if isinstance(inner, dict) else call
        name, id = (
            _first(said, "name", "toolName", "tool_name"),
            _first(said, "id", "call_id", "toolCallId", "toolUseId"),
        )
        if name is None or id in seen or len(names) >= MAX_CALLS:
            continue
        if id is not None:
            seen.add(id)
        names.append(name)
    return names


def _calls(node: Any) -> Iterator[dict[str, Any]]:
    """Objects that are calls, told by their place or their type."""
    if isinstance(node, list):
        for one in cast("list[Any]", node):
            yield from _calls(one)
    elif isinstance(node, dict):
        found = cast("dict[str, Any]", node)
        kind = found.get("type")
        if isinstance(kind, str) and kind in _PARTS:
            yield found
            return
        for key, value in found.items():
            if key in _LISTED and isinstance(value, list):
                yield from (cast("dict[str, Any]", call) for call in cast("list[Any]", value) if isinstance(call, dict))
            elif key in _OBJECTS:
                if isinstance(value, dict):
                    yield cast("dict[str, Any]", value)
            elif key not in _COPIES:
                yield from _calls(value)


def _first(said: dict[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := said.get(name), str) and value), None)


def _count(span: Span) -> int:
    attributes = span.attributes
    for name in _LISTS:
        if name in attributes:
            return _length(attributes[name])
    members = {
        key[len(family) :].split(".", 1)[0] for family in _FAMILIES for key in attributes if key.startswith(family)
    }
    if members:
        return len(members)
    text = span.input
    if text is not None and text[:1] == "{" and ('"tools"' in text or '"functions"' in text):
        try:
            request = _request.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return 0
        return len(request.tools) or len(request.functions)
    return len(offered) if isinstance(offered := span.model_parameters.get("tools"), list) else 0


def _length(value: Any) -> int:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return 0
    return len(value) if isinstance(value, list) else 0  # pyright: ignore[reportUnknownArgumentType]
