"""The decoded, not yet interpreted form of OTLP: what the wire said, with ids as hex and values as Python values.

``ingest.otlp`` makes these from protobuf or JSON; the dialect tables turn them into ``Span``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.trace import Scope, SpanEvent, SpanLink


class RawSpan(msgspec.Struct, kw_only=True, gc=False):
    """One OTLP span. ``resource`` and ``scope`` objects are shared by all spans of their group: do not change them."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    otel_kind: int
    start_ns: int
    end_ns: int | None
    attributes: dict[str, Any]
    events: list[SpanEvent]
    links: list[SpanLink]
    status: str
    status_message: str
    trace_state: str
    resource: dict[str, Any]
    scope: Scope


class RawLog(msgspec.Struct, kw_only=True):
    """One OTLP log record. Only records that carry GenAI content or evaluation results are kept."""

    trace_id: str | None
    span_id: str | None
    time_ns: int
    event_name: str
    body: Any
    attributes: dict[str, Any]
    severity: int
    resource: dict[str, Any]
    scope: Scope


class OtelMetricPoint(msgspec.Struct, kw_only=True):
    """One data point of an OTLP metric. Histograms keep ``count``, ``sum``, ``min``, ``max`` and their buckets."""

    name: str
    unit: str
    kind: str  #: gauge | sum | histogram | exponential_histogram | summary
    time_ns: int
    start_ns: int
    value: float | None
    count: int | None = None
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    buckets: str | None = None  #: JSON text of bounds and counts
    attributes: dict[str, Any] = {}
    resource: dict[str, Any] = {}
    scope: str = ""
