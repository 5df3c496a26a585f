"""Keyset cursors: the order values and ids of a page's last row, sealed against use with another order."""

from __future__ import annotations

import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.store.telemetry.duckdb.compiler import Compiler


def _seal(view: str, columns: Sequence[tuple[str, bool]]) -> bytes:
    return blake2b(repr((view, [(c, d) for c, d in columns])).encode(), digest_size=6).digest()


def encode_cursor(view: str, columns: Sequence[tuple[str, bool]], values: Sequence[Any]) -> str:
    """Opaque text for the position behind a row."""
    return urlsafe_b64encode(_seal(view, columns) + msgspec.msgpack.encode(list(values))).decode().rstrip("=")


def decode_cursor(view: str, columns: Sequence[tuple[str, bool]], cursor: str) -> list[Any]:
    """The values of a cursor.

    Raises:
        InvalidArgument: not a cursor, or one of another query.
    """
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        values = msgspec.msgpack.decode(raw[6:], type=list[Any])
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidArgument("Invalid page token, could not base64-decode the page cursor") from error
    if raw[:6] != _seal(view, columns) or len(values) != len(columns):
        raise InvalidArgument("the page cursor belongs to a query with another order")
    return values


def after(compiler: Compiler, columns: Sequence[tuple[str, bool]], values: Sequence[Any]) -> str:
    """SQL condition for rows behind the position; missing values come last in both directions."""
    steps: list[str] = []
    equal: list[str] = []
    for (expr, descending), value in zip(columns, values, strict=True):
        if value is None:
            equal.append(f"{expr} IS NULL")
            continue
        bound = compiler.bind(value)
        number = f"{bound}::DOUBLE" if isinstance(value, float) and not math.isfinite(value) else bound
        step = f"({expr} {'<' if descending else '>'} {number} OR {expr} IS NULL)"
        steps.append(" AND ".join([*equal, step]))
        equal.append(f"{expr} = {number}")
    return f"({' OR '.join(f'({s})' for s in steps)})" if steps else "false"
