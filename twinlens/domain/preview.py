"""Short readable text for lists: what a person would quote of a span's input or output.

A chat request is previewed by its last user message, an answer by its last message, anything else by its beginning.
"""

from __future__ import annotations

from typing import Any

import msgspec

#: Characters of a preview made here. Previews that clients send themselves are kept as they are (MLflow sends 1,000).
PREVIEW = 300
_SHORT = 4_096  #: up to so many characters a list of messages is read whole, typed: a third of the time
_PEEK = 20  #: how many messages from the end are looked at for the last one of a user


class _Message(msgspec.Struct):
    role: Any = None
    content: Any = None
    parts: Any = None
    text: Any = None


class _Part(msgspec.Struct):
    text: str | None = None
    content: str | None = None


class _Usual(msgspec.Struct):
    """A message as nearly all are: content is text or a list of parts with text."""

    role: str
    content: str | list[_Part] | None = None
    parts: list[_Part] | None = None
    text: str | None = None


class _Envelope(msgspec.Struct):
    """Objects that wrap messages: requests (``messages``, ``input``), responses (``choices``), single messages."""

    role: Any = None
    content: Any = None
    parts: Any = None
    text: Any = None
    messages: msgspec.Raw = msgspec.Raw()
    choices: list[Any] | None = None


_list = msgspec.json.Decoder(list[msgspec.Raw])
_message = msgspec.json.Decoder(_Message)
_usual = msgspec.json.Decoder(list[_Usual])
_envelope = msgspec.json.Decoder(_Envelope)
_string = msgspec.json.Decoder(str)


def preview(text: str | None, limit: int = PREVIEW) -> str | None:
    """Preview of a value given as JSON text; at most ``limit`` characters; None when there is nothing to show."""
    if not text:
        return None
    first = text[0]
    try:
        if first == '"':
            return _string.decode(text)[:limit] or None
        if len(text) > 60:
            if first == "[":
                return (_of_messages(text) or text)[:limit]
            if first == "{":
                return (_of_object(text) or text)[:limit]
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        pass
    return None if text in ("null", "{}", "[]") else text[:limit]


def _of_object(text: str) -> str | None:
    envelope = _envelope.decode(text)
    if len(bytes(envelope.messages)) > 1:
        return _of_messages(envelope.messages)
    if envelope.choices:
        choice = envelope.choices[-1]
        message = choice.get("message") if isinstance(choice, dict) else None
        return _plain(message.get("content")) if isinstance(message, dict) else None
    return _of_message(envelope) if envelope.role is not None else None


def _of_messages(text: str | msgspec.Raw) -> str | None:
    if len(text if isinstance(text, str) else bytes(text)) <= _SHORT:
        try:
            return _of_usual(_usual.decode(text))
        except msgspec.ValidationError:
            pass  # some other shape: look at each message as it is
    messages = _list.decode(text)
    last: str | None = None
    for raw in reversed(messages[-_PEEK:]):
        try:
            message = _message.decode(raw)
        except msgspec.DecodeError:
            return None
        if message.role is None:
            return None
        found = _of_message(message)
        if message.role in ("user", "human") and found:
            return found
        last = last or found
    return last


def _of_usual(messages: list[_Usual]) -> str | None:
    last: str | None = None
    for message in messages[: -_PEEK - 1 : -1]:
        content = message.content
        found = content if isinstance(content, str) else _of_parts(content)
        found = found or _of_parts(message.parts) or message.text or None
        if found and message.role in ("user", "human"):
            return found
        last = last or found
    return last


def _of_parts(parts: list[_Part] | None) -> str | None:
    if not parts:
        return None
    if len(parts) == 1:
        return parts[0].text or parts[0].content or None
    texts = [p.text or p.content for p in parts]
    return "\n".join(t for t in texts if t is not None) or None


def _of_message(message: _Message | _Envelope) -> str | None:
    return _plain(message.content) or _plain(message.parts) or _plain(message.text)


def _plain(content: Any) -> str | None:
    """The text of a message's content: a string, or the text parts of a list of parts."""
    if isinstance(content, str):
        return content or None
    if isinstance(content, list):
        texts = [
            p if isinstance(p, str) else p.get("text") or p.get("content") for p in content if isinstance(p, str | dict)
        ]
        return "\n".join(t for t in texts if isinstance(t, str)) or None
    return None
