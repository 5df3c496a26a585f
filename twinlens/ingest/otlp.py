"""OTLP protobuf to the plain types of ``twinlens.domain.otlp``. All or nothing: the first error rejects the request.

Wire rules follow the OTLP specification (opentelemetry-proto 1.x): a trace id is 16 bytes and not zero, a span id 8 bytes
and not zero, a parent id is empty, zero or 8 bytes; unknown enum numbers count as unset; an ``AnyValue`` without a value
is ``None``; bytes become base64 text, because attributes are JSON from here on. ``NaN`` and the infinities, which JSON
cannot hold, become the strings the protobuf JSON mapping uses for them.

The JSON encoding lives in ``otlp_json``; both give equal results for equal data.
"""

from __future__ import annotations

import math
from base64 import b64encode
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from twinlens.domain.errors import InvalidArgument, TooLarge
from twinlens.domain.otlp import OtelMetricPoint, RawLog, RawSpan
from twinlens.domain.trace import Scope, SpanEvent, SpanLink
from twinlens.ingest.otlp_view import TraceRequest

STATUS = ("unset", "ok", "error")
MAX_NS = (1 << 63) - 1
_ZERO_TRACE = bytes(16)
_ZERO_SPAN = bytes(8)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may contain. Exceeding any is ``TooLarge``."""

    nesting: int = 100  #: levels of lists and maps inside one attribute value
    attributes: int = 1_000  #: of one span, event, link, log record or data point


DEFAULT_LIMITS = Limits()


def decode_spans(body: bytes, limits: Limits = DEFAULT_LIMITS) -> list[RawSpan]:
    """Read an ``ExportTraceServiceRequest``.

    Raises:
        InvalidArgument: not protobuf of that type, or a bad id or time.
        TooLarge: a limit is exceeded.
    """
    request = _parse(TraceRequest, body)
    found: list[RawSpan] = []
    add = found.append
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes, limits)
        for scoped in group.scope_spans:
            scope = _scope(scoped.scope, limits)
            for span in scoped.spans:
                status = span.status
                add(
                    RawSpan(
                        trace_id=_trace_id(span.trace_id),
                        span_id=_span_id(span.span_id),
                        parent_id=_parent_id(span.parent_span_id),
                        name=span.name,
                        otel_kind=span.kind,
                        start_ns=check_time(span.start_time_unix_nano),
                        end_ns=check_time(span.end_time_unix_nano) or None,
                        attributes=_span_attributes(span.attributes, limits),
                        events=[_event(e, limits) for e in span.events] if span.events else [],
                        links=[_link(x, limits) for x in span.links] if span.links else [],
                        status=STATUS[status.code] if 0 <= status.code < 3 else "unset",
                        status_message=status.message,
                        trace_state=span.trace_state,
                        resource=resource,
                        scope=scope,
                    )
                )
    return found


def decode_logs(body: bytes, limits: Limits = DEFAULT_LIMITS) -> list[RawLog]:
    """Read an ``ExportLogsServiceRequest``; records that carry nothing of GenAI are checked and left out.

    Raises:
        InvalidArgument, TooLarge: as ``decode_spans``.
    """
    request = _parse(ExportLogsServiceRequest, body)
    found: list[RawLog] = []
    for group in request.resource_logs:
        resource = _attributes(group.resource.attributes, limits)
        for scoped in group.scope_logs:
            scope = _scope(scoped.scope, limits)
            for record in scoped.log_records:
                attributes = _attributes(record.attributes, limits)
                name = record.event_name or str(attributes.get("event.name") or "")
                trace_id = _trace_id(record.trace_id) if any(record.trace_id) else None
                span_id = _span_id(record.span_id) if any(record.span_id) else None
                if not wanted_log(name):
                    continue
                found.append(
                    RawLog(
                        trace_id=trace_id,
                        span_id=span_id,
                        time_ns=check_time(record.time_unix_nano or record.observed_time_unix_nano),
                        event_name=name,
                        body=_value(record.body, limits.nesting),
                        attributes=attributes,
                        severity=record.severity_number,
                        resource=resource,
                        scope=scope,
                    )
                )
    return found


def wanted_log(event_name: str) -> bool:
    """Whether a log record of this event name carries GenAI content or an evaluation result."""
    return event_name.startswith("gen_ai.")


def decode_metrics(body: bytes, limits: Limits = DEFAULT_LIMITS) -> list[OtelMetricPoint]:
    """Read an ``ExportMetricsServiceRequest``; one result per data point.

    Raises:
        InvalidArgument, TooLarge: as ``decode_spans``.
    """
    request = _parse(ExportMetricsServiceRequest, body)
    found: list[OtelMetricPoint] = []
    for group in request.resource_metrics:
        resource = _attributes(group.resource.attributes, limits)
        for scoped in group.scope_metrics:
            scope = scoped.scope.name
            for metric in scoped.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                for point in getattr(metric, kind).data_points:
                    row = OtelMetricPoint(
                        name=metric.name,
                        unit=metric.unit,
                        kind=kind,
                        time_ns=check_time(point.time_unix_nano),
                        start_ns=check_time(point.start_time_unix_nano),
                        value=None,
                        attributes=_attributes(point.attributes, limits),
                        resource=resource,
                        scope=scope,
                    )
                    _fill_point(row, point, kind)
                    found.append(row)
    return found


def _fill_point(row: OtelMetricPoint, point: Any, kind: str) -> None:
    """Numbers of one protobuf data point."""
    if kind in ("gauge", "sum"):
        which = point.WhichOneof("value")
        row.value = None if which is None else float(getattr(point, which))
        return
    row.count = min(point.count, MAX_NS)
    if kind == "summary":
        row.sum = point.sum
        quantiles = [{"quantile": q.quantile, "value": q.value} for q in point.quantile_values]
        row.buckets = pack_buckets({"quantiles": quantiles})
        return
    row.sum = point.sum if point.HasField("sum") else None
    row.min = point.min if point.HasField("min") else None
    row.max = point.max if point.HasField("max") else None
    if kind == "histogram":
        row.buckets = pack_buckets({"bounds": list(point.explicit_bounds), "counts": list(point.bucket_counts)})
    else:
        row.buckets = pack_buckets(
            {
                "scale": point.scale,
                "zero": point.zero_count,
                "zero_threshold": point.zero_threshold,
                "positive": {"offset": point.positive.offset, "counts": list(point.positive.bucket_counts)},
                "negative": {"offset": point.negative.offset, "counts": list(point.negative.bucket_counts)},
            }
        )


def pack_buckets(buckets: dict[str, Any]) -> str:
    """JSON text of a histogram's shape."""
    return msgspec.json.encode(buckets).decode()


def check_time(value: int) -> int:
    """A time in nanoseconds that fits 63 bits.

    Raises:
        InvalidArgument: it does not.
    """
    if value > MAX_NS or value < 0:
        raise InvalidArgument(f"time {value} is out of range (nanoseconds since 1970, below 2^63)")
    return value


def plain_float(value: float) -> float | str:
    """``value``, or the protobuf JSON spelling of NaN and the infinities."""
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _parse(message: Any, body: bytes) -> Any:
    try:
        return message.FromString(body)
    except (DecodeError, UnicodeDecodeError) as error:
        name = message.DESCRIPTOR.name.replace("TraceRequest", "ExportTraceServiceRequest")
        raise InvalidArgument(f"the body is not a valid protobuf {name}: {_why(error)}") from None


def _why(error: Exception) -> str:
    """The end of protobuf's message, behind the name of the type."""
    return str(error).rsplit(": ", 1)[-1]


def _trace_id(raw: bytes) -> str:
    if len(raw) != 16 or raw == _ZERO_TRACE:
        raise InvalidArgument(f"trace_id must be 16 bytes and not all zero, got {raw.hex() or 'nothing'}")
    return raw.hex()


def _span_id(raw: bytes) -> str:
    if len(raw) != 8 or raw == _ZERO_SPAN:
        raise InvalidArgument(f"span_id must be 8 bytes and not all zero, got {raw.hex() or 'nothing'}")
    return raw.hex()


def _parent_id(raw: bytes) -> str | None:
    if not raw or raw == _ZERO_SPAN:
        return None
    if len(raw) != 8:
        raise InvalidArgument(f"parent_span_id must be 8 bytes, got {raw.hex()}")
    return raw.hex()


def _attributes(pairs: Any, limits: Limits) -> dict[str, Any]:
    """Key-value pairs as a dict; the last of equal keys wins. Most values are non-empty strings, so those come first."""
    if len(pairs) > limits.attributes:
        raise TooLarge(f"{len(pairs)} attributes on one item; at most {limits.attributes} are accepted")
    found: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        found[pair.key] = value.string_value or _value(value, limits.nesting)
    return found


#: Attributes of spans that were decoded lately, by their bytes. Small scalars only: lists would be shared by spans.
_known: dict[bytes, tuple[str, Any]] = {}
_KNOWN_BYTES = 96
_KNOWN_MAX = 16_384


def _span_attributes(pairs: Any, limits: Limits) -> dict[str, Any]:
    """``_attributes`` for attributes that are still bytes."""
    if len(pairs) > limits.attributes:
        raise TooLarge(f"{len(pairs)} attributes on one item; at most {limits.attributes} are accepted")
    found: dict[str, Any] = {}
    known = _known
    for raw in pairs:
        pair = known.get(raw)
        if pair is None:
            pair = _pair(raw, limits)
        found[pair[0]] = pair[1]
    return found


def _pair(raw: bytes, limits: Limits) -> tuple[str, Any]:
    try:
        decoded = KeyValue.FromString(raw)
    except (DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"an attribute cannot be read: {_why(error)}") from None
    value = decoded.value
    pair = decoded.key, value.string_value or _value(value, limits.nesting)
    if len(raw) <= _KNOWN_BYTES and not isinstance(pair[1], (list, dict)):
        if len(_known) >= _KNOWN_MAX:
            _known.clear()
        _known[raw] = pair
    return pair


def _value(value: Any, depth: int) -> Any:
    """One ``AnyValue`` as a Python value that JSON can hold."""
    which = value.WhichOneof("value")
    if which == "int_value":
        return value.int_value
    if which == "double_value":
        return plain_float(value.double_value)
    if which == "bool_value":
        return value.bool_value
    if which == "string_value":
        return value.string_value
    if which is None:
        return None
    if which == "bytes_value":
        return b64encode(value.bytes_value).decode()
    if depth <= 0:
        raise TooLarge("attribute values are nested too deeply")
    if which == "array_value":
        return [_value(item, depth - 1) for item in value.array_value.values]
    if which == "kvlist_value":
        return {pair.key: _value(pair.value, depth - 1) for pair in value.kvlist_value.values}
    return None  # a string table index means nothing outside profiles


def _scope(scope: Any, limits: Limits) -> Scope:
    return Scope(name=scope.name, version=scope.version, attributes=_attributes(scope.attributes, limits))


def _event(event: Any, limits: Limits) -> SpanEvent:
    return SpanEvent(
        name=event.name, time_ns=check_time(event.time_unix_nano), attributes=_attributes(event.attributes, limits)
    )


def _link(link: Any, limits: Limits) -> SpanLink:
    return SpanLink(
        trace_id=_trace_id(link.trace_id),
        span_id=_span_id(link.span_id),
        attributes=_attributes(link.attributes, limits),
    )
