"""Pages by keyset: the next page starts behind the last row's sort values, so page 1,000 costs what page 1 costs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument

#: A sort expression that is never NULL, and whether it descends. The last one of a list must be unique.
Sort = tuple[sa.ColumnElement[Any], bool]


def order_by(sorts: Sequence[Sort]) -> list[sa.ColumnElement[Any]]:
    """The ``ORDER BY`` of a list of sorts."""
    return [expression.desc() if descending else expression.asc() for expression, descending in sorts]


def behind(sorts: Sequence[Sort], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """The rows that come after the row with these sort values."""
    branches: list[sa.ColumnElement[bool]] = []
    for index, (expression, descending) in enumerate(sorts):
        equal = [sorts[i][0] == values[i] for i in range(index)]
        beyond = expression < values[index] if descending else expression > values[index]
        branches.append(sa.and_(*equal, beyond))
    return sa.or_(*branches)


def encode_cursor(values: Sequence[Any], query: Any) -> str:
    """An opaque cursor that only continues the ``query`` (anything JSON) it was made for."""
    return base64.urlsafe_b64encode(msgspec.json.encode([_digest(query), list(values)])).decode()


def decode_cursor(cursor: str, query: Any, length: int) -> list[Any]:
    """The sort values in a cursor.

    Raises:
        InvalidArgument: garbage, or made for another query.
    """
    try:
        digest, values = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[str, list[Any]])
    except (ValueError, msgspec.DecodeError):
        raise InvalidArgument(f"Invalid page token, could not base64-decode: '{cursor[:100]}'") from None
    if digest != _digest(query) or len(values) != length:
        raise InvalidArgument("Invalid page token: it belongs to a search with other conditions or another order")
    return values


def _digest(query: Any) -> str:
    return hashlib.blake2s(msgspec.json.encode(query), digest_size=6).hexdigest()
