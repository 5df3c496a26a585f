"""Protocol-buffer messages without their descriptions: fields by number. For event files of other tools."""

from __future__ import annotations

import struct
from collections.abc import Iterator

Value = int | bytes


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """The fields of a message in order: number and value. Varints and fixed numbers come as unsigned ints, the rest as bytes.

    Raises:
        ValueError: it is not a message.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
            case 1:
                yield tag >> 3, int.from_bytes(_take(data, at, 8), "little")
                at += 8
            case 2:
                size, at = _varint(data, at)
                yield tag >> 3, _take(data, at, size)
                at += size
            case 5:
                yield tag >> 3, int.from_bytes(_take(data, at, 4), "little")
                at += 4
            case other:
                raise ValueError(f"wire type {other} is not used")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise ValueError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise ValueError("a number is too long")


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError("a field is cut off")
    return data[at : at + size]


class Message:
    """A message whose fields are asked for by number."""

    def __init__(self, data: Value) -> None:
        if not isinstance(data, bytes):
            raise ValueError("a message was expected")
        self._found: dict[int, list[Value]] = {}
        for number, value in fields(data):
            self._found.setdefault(number, []).append(value)

    def __contains__(self, number: int) -> bool:
        return number in self._found

    def all(self, number: int) -> list[Value]:
        """All values of a repeated field."""
        return self._found.get(number, [])

    def messages(self, number: int) -> list[Message]:
        """All messages of a repeated field."""
        return [Message(value) for value in self.all(number)]

    def message(self, number: int) -> Message:
        """A message, empty when it is not there."""
        found = self.all(number)
        return Message(found[-1] if found else b"")

    def data(self, number: int) -> bytes:
        """Bytes, empty when they are not there."""
        found = self.all(number)
        return found[-1] if found and isinstance(found[-1], bytes) else b""

    def text(self, number: int) -> str:
        """Text, empty when it is not there."""
        return self.data(number).decode("utf-8", "replace")

    def int(self, number: int) -> int:
        """A signed whole number, 0 when it is not there."""
        found = self.all(number)
        value = found[-1] if found and isinstance(found[-1], int) else 0
        return value - (1 << 64) if value >= 1 << 63 else value

    def double(self, number: int) -> float:
        """A 64-bit float."""
        return struct.unpack("<d", self.int(number).to_bytes(8, "little", signed=True))[0]

    def float(self, number: int) -> float:
        """A 32-bit float."""
        return struct.unpack("<f", (self.int(number) & 0xFFFF_FFFF).to_bytes(4, "little"))[0]
