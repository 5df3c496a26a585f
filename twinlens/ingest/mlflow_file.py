"""Spans as MLflow's clients before version 3 send them: a file ``traces.json`` (schema version 2), attributes as JSON text.

The file's spans name an OpenTelemetry trace id that nobody else knows; the trace they belong to is that of the file's path.
"""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.otlp import RawSpan
from twinlens.domain.trace import Scope, SpanEvent

_SCOPE = Scope(name="mlflow")
_STATUSES = {"OK": "ok", "ERROR": "error"}
#: Events of these clients are stamped in microseconds; anything below is no time in nanoseconds since 1973.
_MICRO_BELOW = 100_000_000_000_000_000


class _Context(msgspec.Struct):
    span_id: str


class _Event(msgspec.Struct):
    name: str
    timestamp: int = 0
    attributes: dict[str, Any] | None = None


class _Span(msgspec.Struct):
    name: str
    context: _Context
    start_time: int
    parent_id: str | None = None
    end_time: int | None = None
    status_code: str = "UNSET"
    status_message: str | None = None
    attributes: dict[str, Any] | None = None
    events: list[_Event] = []


class _File(msgspec.Struct):
    spans: list[_Span]


_decode = msgspec.json.Decoder(_File).decode


def decode_trace_file(body: bytes, trace_id: str) -> list[RawSpan]:
    """Read a file.

    Args:
        trace_id: canonical id of the trace that all spans belong to.

    Raises:
        InvalidArgument: not such a file.
    """
    try:
        spans = _decode(body).spans
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"not a file of spans: {error}") from None
    resource: dict[str, Any] = {}
    return [
        RawSpan(
            trace_id=trace_id, span_id=_hex(span.context.span_id), name=span.name, otel_kind=1,
            parent_id=_hex(span.parent_id) if span.parent_id else None,
            start_ns=_time(span.start_time), end_ns=None if span.end_time is None else _time(span.end_time),
            attributes={k: v if isinstance(v, str) else msgspec.json.encode(v).decode() for k, v in (span.attributes or {}).items()},
            events=[
                SpanEvent(
                    name=event.name, attributes=event.attributes or {},
                    time_ns=_time(event.timestamp * (1_000 if event.timestamp < _MICRO_BELOW else 1)),
                )
                for event in span.events
            ],
            links=[], status=_STATUSES.get(span.status_code, "unset"), status_message=span.status_message or "",
            trace_state="", resource=resource, scope=_SCOPE,
        )
        for span in spans
    ]  # fmt: skip


def _hex(span_id: str) -> str:
    found = span_id.removeprefix("0x").lower()
    if len(found) != 16 or not all(c in "0123456789abcdef" for c in found):
        raise InvalidArgument(f"'{span_id[:50]}' is not the id of a span")
    return found


def _time(value: int) -> int:
    if not 0 <= value < 1 << 63:
        raise InvalidArgument(f"{value} is not a time in nanoseconds")
    return value
