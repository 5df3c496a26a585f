"""The protocols of providers, as far as the gateway has to read them: chat translated between OpenAI's form and Anthropic's,
and what an answer, whole or streamed, says of text, model and tokens for the trace.

Forms: OpenAI chat completions and responses, Anthropic messages (2023-06-01), Gemini generateContent (v1beta).
"""

from __future__ import annotations

import json
from typing import Any, Literal, cast

from twinlens.domain.errors import InvalidArgument
from twinlens.ingest.usage import from_mapping, from_slots, tokens

Form = Literal["chat", "embeddings", "responses", "anthropic", "gemini", "other"]
Json = dict[str, Any]
MAX_TOKENS = 8_192  #: Anthropic wants a limit; this one is sent where the caller names none
_STOPS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}  # fmt: skip
_CHOICES = {"auto": {"type": "auto"}, "required": {"type": "any"}, "none": {"type": "none"}}
_KEPT = ("model", "temperature", "top_p", "top_k", "stream", "metadata", "thinking")


# --- OpenAI to Anthropic -------------------------------------------------------------------------------------------
def to_anthropic(body: Json) -> Json:
    """A chat request in Anthropic's form.

    Raises:
        InvalidArgument: it asks for what Anthropic's messages cannot do.
    """
    if body.get("n") not in (None, 1):
        raise InvalidArgument("'n' must be 1 for Anthropic models")
    found: Json = {name: body[name] for name in _KEPT if body.get(name) is not None}
    found["max_tokens"] = body.get("max_tokens") or body.get("max_completion_tokens") or MAX_TOKENS
    if body.get("stop") is not None:
        found["stop_sequences"] = [body["stop"]] if isinstance(body["stop"], str) else body["stop"]
    system: list[str] = []
    messages: list[Json] = []
    for message in _objects(body.get("messages"), "messages"):
        role = message.get("role")
        if role in ("system", "developer"):
            system.append(_text(message.get("content")))
        elif role == "tool":
            result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": _text(message.get("content"))}  # fmt: skip
            _append(messages, "user", [result])
        elif role == "assistant":
            _append(messages, "assistant", [*_blocks(message.get("content")), *map(_tool_use, message.get("tool_calls") or [])])  # fmt: skip
        else:
            _append(messages, "user", _blocks(message.get("content")))
    schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    if (body.get("response_format") or {}).get("type") in ("json_schema", "json_object"):
        system.append("Answer with one JSON object and nothing else." + (f" Its JSON Schema: {json.dumps(schema)}" if schema else ""))  # fmt: skip
    found["messages"] = messages
    if system:
        found["system"] = "\n".join(system)
    if body.get("tools"):
        found["tools"] = [_tool(each) for each in _objects(body["tools"], "tools")]
        choice = body.get("tool_choice")
        if isinstance(choice, dict):
            named = cast("Json", choice)
            found["tool_choice"] = {"type": "tool", "name": (named.get("function") or {}).get("name")}
        elif choice in _CHOICES:
            found["tool_choice"] = _CHOICES[choice]
    return found


def _objects(value: Any, name: str) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in cast("list[Any]", value)):
        raise InvalidArgument(f"{name} must be a list of objects")
    return cast("list[Json]", value)


def _append(messages: list[Json], role: str, blocks: list[Json]) -> None:
    """Anthropic wants roles to alternate, so what follows the same role joins it."""
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += blocks
    elif blocks:
        messages.append({"role": role, "content": blocks})


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in cast("list[Any]", content) if isinstance(part, dict))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return "" if content is None else str(content)


def _blocks(content: Any) -> list[Json]:
    if not isinstance(content, list):
        return [{"type": "text", "text": str(content)}] if content else []
    found: list[Json] = []
    for part in cast("list[Json]", content):
        url = (part.get("image_url") or {}).get("url", "")
        if part.get("type") != "image_url":
            found.append({"type": "text", "text": part.get("text") or ""})
        elif url.startswith("data:"):
            media, _, data = url.removeprefix("data:").partition(";base64,")
            found.append({"type": "image", "source": {"type": "base64", "media_type": media, "data": data}})
        else:
            found.append({"type": "image", "source": {"type": "url", "url": url}})
    return found


def _tool_use(call: Json) -> Json:
    function = call.get("function") or {}
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError:
        raise InvalidArgument("the arguments of a tool call must be JSON") from None
    return {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": arguments}


def _tool(tool: Json) -> Json:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise InvalidArgument(f"only tools of type 'function' are supported, not {tool.get('type')!r}")
    named = cast("Json", function)
    schema = named.get("parameters") or {"type": "object", "properties": {}}
    found = {"name": named.get("name"), "description": named.get("description"), "input_schema": schema}
    return {name: value for name, value in found.items() if value is not None}


# --- Anthropic to OpenAI -------------------------------------------------------------------------------------------
def from_anthropic(reply: Json, created_s: int) -> Json:
    """An answer in OpenAI's form."""
    blocks = cast("list[Json]", reply.get("content") or [])
    calls = [_call(block, json.dumps(block.get("input") or {})) for block in blocks if block.get("type") == "tool_use"]
    text = "".join(block.get("text") or "" for block in blocks if block.get("type") == "text")
    message: Json = {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})
    choice = {"index": 0, "message": message, "finish_reason": _STOPS.get(reply.get("stop_reason") or "", "stop")}
    return {
        "id": reply.get("id"), "object": "chat.completion", "created": created_s, "model": reply.get("model"),
        "choices": [choice], "usage": _openai_usage(reply.get("usage") or {}),
    }  # fmt: skip


def _call(block: Json, arguments: str) -> Json:
    return {"id": block.get("id"), "type": "function", "function": {"name": block.get("name"), "arguments": arguments}}


def _openai_usage(usage: Json) -> Json:
    """OpenAI's prompt tokens count cached ones too; Anthropic's input tokens do not."""
    read, wrote = (
        tokens(usage.get("cache_read_input_tokens")) or 0,
        tokens(usage.get("cache_creation_input_tokens")) or 0,
    )
    asked, answered = (tokens(usage.get("input_tokens")) or 0) + read + wrote, tokens(usage.get("output_tokens")) or 0
    found: Json = {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
    return found | ({"prompt_tokens_details": {"cached_tokens": read}} if read else {})


class AnthropicChunks:
    """Turns the events of an Anthropic stream into chunks of an OpenAI stream."""

    def __init__(self, created_s: int, *, with_usage: bool) -> None:
        self._base: Json = {"id": "", "object": "chat.completion.chunk", "created": created_s, "model": ""}
        self._with_usage = with_usage
        self._usage: Json = {}
        self._calls = -1

    def feed(self, event: Json) -> list[Json]:
        """The chunks that an event becomes."""
        match event.get("type"):
            case "message_start":
                message = event.get("message") or {}
                self._base |= {"id": message.get("id"), "model": message.get("model")}
                self._usage = dict(message.get("usage") or {})
                return [self._chunk({"role": "assistant", "content": ""})]
            case "content_block_start" if (event.get("content_block") or {}).get("type") == "tool_use":
                self._calls += 1
                return [self._chunk({"tool_calls": [{"index": self._calls, **_call(event["content_block"], "")}]})]
            case "content_block_delta":
                delta = event.get("delta") or {}
                if delta.get("type") == "text_delta":
                    return [self._chunk({"content": delta.get("text") or ""})]
                if delta.get("type") == "input_json_delta":
                    part = {"index": self._calls, "function": {"arguments": delta.get("partial_json") or ""}}
                    return [self._chunk({"tool_calls": [part]})]
                return []
            case "message_delta":
                self._usage |= event.get("usage") or {}
                return [self._chunk({}, _STOPS.get((event.get("delta") or {}).get("stop_reason") or "", "stop"))]
            case "message_stop" if self._with_usage:
                return [self._base | {"choices": [], "usage": _openai_usage(self._usage)}]
            case "error":
                return [{"error": event.get("error")}]
            case _:
                return []

    def _chunk(self, delta: Json, finish: str | None = None) -> Json:
        return self._base | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


# --- server-sent events --------------------------------------------------------------------------------------------
class Events:
    """Cuts a stream of server-sent events; each comes with its bytes as they were sent."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[tuple[bytes, Json | None]]:
        """The events that are complete now: raw bytes, and the data if it is a JSON object."""
        *complete, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
        return [(block + b"\n\n", _data(block)) for block in complete if block]

    def rest(self) -> list[tuple[bytes, Json | None]]:
        """What the stream ended with, if it forgot the empty line."""
        block, self._rest = self._rest, b""
        return [(block + b"\n\n", _data(block))] if block.strip() else []


def _data(block: bytes) -> Json | None:
    lines = [line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:")]
    if not lines:
        return None
    try:
        found = json.loads(b"\n".join(lines))
    except ValueError:
        return None
    return cast("Json", found) if isinstance(found, dict) else None


def event_bytes(data: Json | str) -> bytes:
    """One server-sent event."""
    return b"data: " + (data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)).encode() + b"\n\n"


# --- reading answers -----------------------------------------------------------------------------------------------
class Reading:
    """What an answer says, for the trace: feed it the whole answer, or each event of a stream."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.model: str | None = None
        self.usage: dict[str, int] = {}
        self.error: str | None = None  #: a stream may fail after it has begun
        self._whole: Json | None = None
        self._text: list[str] = []
        self._calls: dict[int, Json] = {}
        self._finish: str | None = None
        self._reported: Json = {}

    @property
    def output(self) -> Any:
        """The answer as JSON value; a streamed one put together."""
        if self._whole is not None:
            return self._whole
        text = "".join(self._text)
        if self.form == "anthropic":
            return {"role": "assistant", "content": [{"type": "text", "text": text}, *self._calls.values()], "stop_reason": self._finish}  # fmt: skip
        message: Json = {"role": "assistant", "content": text or None}
        if self._calls:
            message["tool_calls"] = list(self._calls.values())
        return {"choices": [{"index": 0, "message": message, "finish_reason": self._finish}]}

    def whole(self, reply: Json) -> None:
        """An answer that came in one piece."""
        self._whole = reply
        self.model = self._named(reply)
        self._count(reply.get("usageMetadata") if self.form == "gemini" else reply.get("usage"))

    def event(self, data: Json) -> None:
        """One event of a stream."""
        self.model = self.model or self._named(data)
        if isinstance(data.get("error"), dict):
            self.error = str(data["error"].get("message") or data["error"])
        match self.form:
            case "anthropic":
                self._anthropic(data)
            case "gemini":
                self._gemini(data)
            case "responses":
                if data.get("type") in ("response.completed", "response.incomplete", "response.failed"):
                    self.whole(data.get("response") or {})
            case _:
                self._openai(data)

    def _named(self, data: Json) -> str | None:
        inner = data.get("message") if isinstance(data.get("message"), dict) else data.get("response")
        found = data.get("model") or data.get("modelVersion") or (inner or {}).get("model")
        return found if isinstance(found, str) and found else None

    def _count(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        reported = cast("Json", usage)
        if self.form == "gemini":
            thought = tokens(reported.get("thoughtsTokenCount")) or 0
            self.usage = from_slots(
                {
                    "input": tokens(reported.get("promptTokenCount")) or 0,
                    "output": (tokens(reported.get("candidatesTokenCount")) or 0) + thought,
                    "input_cached_tokens": tokens(reported.get("cachedContentTokenCount")) or 0,
                    "output_reasoning_tokens": thought,
                }
            )
        else:
            self.usage = from_mapping(reported)

    def _openai(self, data: Json) -> None:
        self._count(data.get("usage"))
        for choice in cast("list[Json]", data.get("choices") or [])[:1]:
            delta = choice.get("delta") or {}
            self._text.append(delta.get("content") or "")
            self._finish = choice.get("finish_reason") or self._finish
            for part in cast("list[Json]", delta.get("tool_calls") or []):
                function = part.get("function") or {}
                call = self._calls.setdefault(part.get("index") or 0, {"id": part.get("id"), "type": "function", "function": {"name": function.get("name"), "arguments": ""}})  # fmt: skip
                call["function"]["arguments"] += function.get("arguments") or ""

    def _anthropic(self, data: Json) -> None:
        kind, delta = data.get("type"), data.get("delta") or {}
        reported = data.get("usage") or (data.get("message") or {}).get("usage")
        if isinstance(reported, dict):
            self._reported |= cast("Json", reported)
            self._count(self._reported)
        if kind == "content_block_start" and (data.get("content_block") or {}).get("type") == "tool_use":
            self._calls[data.get("index") or 0] = {**data["content_block"], "input": ""}
        elif kind == "content_block_delta":
            self._text.append(delta.get("text") or "")
            if delta.get("type") == "input_json_delta" and (data.get("index") or 0) in self._calls:
                self._calls[data.get("index") or 0]["input"] += delta.get("partial_json") or ""
        elif kind == "message_delta":
            self._finish = delta.get("stop_reason") or self._finish

    def _gemini(self, data: Json) -> None:
        self._count(data.get("usageMetadata"))
        for candidate in cast("list[Json]", data.get("candidates") or [])[:1]:
            self._finish = candidate.get("finishReason") or self._finish
            for part in cast("list[Json]", (candidate.get("content") or {}).get("parts") or []):
                self._text.append(part.get("text") or "")
