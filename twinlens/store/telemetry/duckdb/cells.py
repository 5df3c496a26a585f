"""How a large value becomes a small cell that points at payloads, and back, byte for byte.

A cell is either the value itself (JSON text, at most ``INLINE`` characters) or ``MARK`` followed by a *form* in JSON:

=====================  ==============================================================================================
form                   means
=====================  ==============================================================================================
``17``                 the text of payload 17
``"…"``                this text
``["a", sep, i…]``     a JSON array of the items, joined by ``sep``
``["o", kind, k, i…]`` a JSON object; ``kind`` 0 is written compactly, 1 with a space after comma and colon
``["t", i…]``          the items one after the other
``["j", i]``           the item's text as a JSON string
=====================  ==============================================================================================

An item is a form. A payload of kind ``CHUNK`` stands for several items of an array: 16 neighbours are stored together, so
a conversation that grows by a turn repeats a short list of chunk numbers, not its messages; k turns cost O(k).
(docs/adr/0002-payload-locators.md)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

MARK = "\x01"
INLINE = 512  #: values up to this many characters stay in their row
ITEM_INLINE = 128  #: items of a split value up to this many bytes stay in the form
SPLIT = 1024  #: values from this many bytes on are taken apart if they are JSON arrays or objects
CHUNK_ITEMS = 16
PIECE = 4096  #: long text is stored in pieces, so that a growing transcript repeats only its last piece
BIG_PIECE = 65_536
DEPTH = 4

TEXT_KIND = 0
CHUNK_KIND = 1

_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_dict = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_str = msgspec.json.Decoder(str).decode
_encode = msgspec.json.encode
_form = msgspec.json.Decoder().decode
_OBJECT = ((b",", b":"), (b", ", b": "))

Form = Any  # int | str | list of forms


class Sink(Protocol):
    """Takes payloads and says under which number they are kept."""

    def put(self, data: bytes) -> int:
        """Locator of a text, stored once."""
        ...

    def put_chunk(self, whole: bytes, make: Callable[[], Form]) -> int:
        """Locator of a chunk, known by ``whole``; ``make`` builds its items when it is new."""
        ...


def encode_cell(text: str, sink: Sink) -> str:
    """The cell of a long text (longer than ``INLINE``, or one that begins like a form)."""
    return MARK + _encode(encode_text(text.encode("utf-8", "surrogatepass"), sink)).decode()


def encode_text(data: bytes, sink: Sink, depth: int = 0) -> Form:
    """Form of a text that is too long for its row."""
    if len(data) >= SPLIT and depth < DEPTH:
        try:
            first = data[:1]
            if first == b"[":
                found = _array(data, sink, depth)
            elif first == b"{":
                found = _object(data, sink, depth)
            elif first == b'"':
                found = _string(data, sink)
            else:
                found = None
            if found is not None:
                return found
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
    return _pieces(data, sink)


def _pieces(data: bytes, sink: Sink) -> Form:
    """Long text in pieces cut at fixed places (the last one takes what is left)."""
    size = PIECE if len(data) <= 64 * PIECE else BIG_PIECE
    if len(data) <= size:
        return sink.put(data)
    return ["t", *(sink.put(data[i : i + size]) for i in range(0, len(data), size))]


def _string(data: bytes, sink: Sink) -> Form | None:
    """A JSON string shares its payload with the same text in a raw attribute."""
    text = _str(data).encode()
    if _encode(text.decode()) != data:
        return None
    return ["j", encode_text(text, sink, DEPTH - 1)]


def _array(data: bytes, sink: Sink, depth: int) -> Form | None:
    items = _list(data)
    for separator in (b",", b", "):
        if b"[" + separator.join(items) + b"]" == data:
            break
    else:
        return None
    form: list[Form] = ["a", separator.decode()]
    full = len(items) - len(items) % CHUNK_ITEMS if len(items) > CHUNK_ITEMS else 0
    for at in range(0, full, CHUNK_ITEMS):
        group = items[at : at + CHUNK_ITEMS]
        whole = b",".join(group)
        if len(whole) <= INLINE:
            form.extend(_item(item, sink, depth) for item in group)
        else:
            form.append(sink.put_chunk(whole, lambda group=group: [_item(item, sink, depth) for item in group]))
    form.extend(_item(item, sink, depth) for item in items[full:])
    return form


def _object(data: bytes, sink: Sink, depth: int) -> Form | None:
    fields = _dict(data)
    keys = [_encode(key) for key in fields]
    kind = next((kind for kind in (0, 1) if _written(kind, keys, fields.values()) == data), None)
    if kind is None:
        return None
    form: list[Form] = ["o", kind]
    for key, value in fields.items():
        form.append(key)
        form.append(_item(value, sink, depth))
    return form


def _written(kind: int, keys: Iterable[bytes], values: Iterable[Any]) -> bytes:
    comma, colon = _OBJECT[kind]
    return b"{" + comma.join([key + colon + bytes(value) for key, value in zip(keys, values, strict=True)]) + b"}"


def _item(raw: msgspec.Raw, sink: Sink, depth: int) -> Form:
    data = bytes(raw)
    if len(data) <= ITEM_INLINE:
        return data.decode()
    if len(data) >= SPLIT and (data[:1] == b"[" or (data[:1] == b"{" and depth == 0 and len(data) > 4 * SPLIT)):
        return encode_text(data, sink, depth + 1)
    return sink.put(data) if len(data) <= PIECE else _pieces(data, sink)


def form_of(cell: str) -> Form:
    """The form in a cell that begins with ``MARK``."""
    return _form(cell[1:])


def locators(form: Form, into: set[int]) -> None:
    """Collect the payload numbers a form names."""
    if isinstance(form, int):
        into.add(form)
    elif isinstance(form, list):
        tag = form[0]
        for item in form[2:] if tag in ("a", "o") else form[1:]:
            locators(item, into)


def decode_form(form: Form, texts: Mapping[int, bytes], chunks: Mapping[int, list[Form]]) -> bytes | None:
    """The bytes a form stands for, or None when one of its payloads has been dropped."""
    if isinstance(form, int):
        return texts.get(form)
    if isinstance(form, str):
        return form.encode()
    tag = form[0]
    if tag == "t":
        parts = [texts.get(i) for i in form[1:]]
        return None if None in parts else b"".join(p for p in parts if p is not None)
    if tag == "j":
        inner = decode_form(form[1], texts, chunks)
        return None if inner is None else _encode(inner.decode())
    if tag == "a":
        items: list[bytes] = []
        for item in form[2:]:
            for each in chunks.get(item, (item,)) if isinstance(item, int) else (item,):
                part = decode_form(each, texts, chunks)
                if part is None:
                    return None
                items.append(part)
        return b"[" + form[1].encode().join(items) + b"]"
    values: list[bytes] = []
    for item in form[3::2]:
        value = decode_form(item, texts, chunks)
        if value is None:
            return None
        values.append(value)
    return _written(form[1], [_encode(key) for key in form[2::2]], values)
