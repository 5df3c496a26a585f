"""Time as whole nanoseconds since the epoch, UTC. The only place that asks the system for the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

#: Replaceable in tests: every module takes time from ``now_ns``.
Clock = Callable[[], int]


def now_ns() -> int:
    """Nanoseconds since 1970-01-01T00:00Z."""
    return time.time_ns()


def now_ms() -> int:
    """Milliseconds since 1970-01-01T00:00Z."""
    return time.time_ns() // 1_000_000


def iso_ms(ns: int) -> str:
    """Format nanoseconds as ISO-8601 UTC with milliseconds and ``Z``, the form Langfuse clients parse."""
    seconds, ms = divmod(ns // 1_000_000, 1_000)
    return f"{_iso_seconds(seconds)}.{ms:03d}Z"


@lru_cache(maxsize=8_192)  # the spans of a trace share their seconds; ``strftime`` takes ten times as long as the rest
def _iso_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_iso(text: str) -> int:
    """Read an ISO-8601 time (zone optional, UTC assumed) to nanoseconds, exact to the microsecond.

    Raises:
        ValueError: not a time.
    """
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000
