"""How many tools a model was offered: noted on the span, so that reports need not open payloads."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.trace import Span

#: The attribute that holds the number. Ours, among those that were received.
OFFERED = "twinlens.tools.offered"
#: Attributes that list definitions, as an array or its JSON text (OTel GenAI 1.37, MLflow 3, Vercel AI 5).
_LISTS = ("gen_ai.tool.definitions", "mlflow.chat.tools", "ai.prompt.tools")
#: Families of indexed attributes, one member per definition (OpenInference, Traceloop).
_FAMILIES = ("llm.tools.", "llm.request.functions.")


class _Request(msgspec.Struct):
    """The lists of a request in OpenAI's, Anthropic's or Gemini's form, or of Langfuse's wrapper of OpenAI."""

    tools: list[msgspec.Raw] = []
    functions: list[msgspec.Raw] = []


_request = msgspec.json.Decoder(_Request)


def note(span: Span) -> None:
    """Write the number of offered tools down on a model span; nothing where there are none."""
    found = _count(span)
    if found and span.attributes.get(OFFERED) != found:
        span.attributes = {**span.attributes, OFFERED: found}


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
