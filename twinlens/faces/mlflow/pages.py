"""Page tokens of lists that MLflow pages by offset: base64 of ``{"offset": 100}`` (reference: MLflow 3.17)."""

from __future__ import annotations

import base64

import msgspec

from twinlens.domain.errors import InvalidArgument


class _Token(msgspec.Struct):
    offset: int


def offset_of(token: str | None) -> int:
    """Where a page begins.

    Raises:
        InvalidArgument: not a token of ours.
    """
    if not token:
        return 0
    try:
        offset = msgspec.json.decode(base64.b64decode(token), type=_Token).offset
    except (ValueError, msgspec.DecodeError):
        offset = -1
    if not 0 <= offset < 1 << 31:
        raise InvalidArgument(f"Invalid page token, could not base64-decode: '{token[:100]}'")
    return offset


def token_behind(offset: int, shown: int, total: int) -> str | None:
    """The token of the next page; None on the last one."""
    following = offset + shown
    return base64.b64encode(msgspec.json.encode(_Token(following))).decode() if shown and following < total else None
