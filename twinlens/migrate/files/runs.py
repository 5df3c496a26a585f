"""What trackers have in common: params, metrics, and values that are neither."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from twinlens.migrate.files.reading import plain

_KEY = re.compile(r"[^/\w.\- :]")
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def key(name: str) -> str:
    """A name as metrics and params may have it: other characters become ``_``."""
    return _KEY.sub("_", name)[:250] or "_"


def params(config: Mapping[str, Any]) -> dict[str, str]:
    """A config as params: nested objects as ``a.b``, other values as text or JSON; names that begin with ``_`` are the tool's own."""
    return {key(name): value[:6_000] for name, value in _flat(config, "")}


def _flat(config: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if not before and str(name).startswith("_"):
            continue
        if isinstance(value, dict) and value:
            yield from _flat(cast("dict[str, Any]", value), f"{before}{name}.")
        else:
            yield f"{before}{name}", value if isinstance(value, str) else msgspec.json.encode(plain(value)).decode()


def number(value: Any) -> float | None:
    """The number that a value is (``NaN`` and infinities also as text); None when it is none."""
    if isinstance(value, str):
        return _NUMBERS.get(value)
    return float(value) if isinstance(value, bool | int | float) else None


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    """Rows as a file."""
    return b"".join(msgspec.json.encode(plain(row)) + b"\n" for row in rows)
