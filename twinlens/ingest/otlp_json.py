"""OTLP JSON to the plain types of ``twinlens.domain.otlp``.

What senders really write is accepted: ids as hex in any case, 64-bit numbers as strings, numbers or ``{low, high}``
pairs (JavaScript's Long), enums by number or name, field names in camelCase and snake_case. Fields nobody knows are
ignored, as the specification asks.
"""

from __future__ import annotations

import binascii
import math
import re
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument, TooLarge
from twinlens.domain.json_body import mended
from twinlens.domain.otlp import OtelMetricPoint, RawLog, RawSpan
from twinlens.domain.trace import Scope, SpanEvent, SpanLink
from twinlens.ingest.otlp import (
    DEFAULT_LIMITS,
    MAX_NS,
    STATUS,
    Limits,
    check_time,
    pack_buckets,
    plain_float,
    wanted_log,
)

_SPAN_KINDS = {
    "SPAN_KIND_UNSPECIFIED": 0, "SPAN_KIND_INTERNAL": 1, "SPAN_KIND_SERVER": 2, "SPAN_KIND_CLIENT": 3,
    "SPAN_KIND_PRODUCER": 4, "SPAN_KIND_CONSUMER": 5,
}  # fmt: skip
_STATUS_CODES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_HEX = frozenset("0123456789abcdef")
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}\Z")


def decode_spans(body: bytes, limits: Limits = DEFAULT_LIMITS) -> list[RawSpan]:
    """Read the JSON form of an ``ExportTraceServiceRequest``.

    Raises:
        InvalidArgument: not JSON of that shape, or a bad id, number or time.
        TooLarge: a limit is exceeded.
    """
    found: list[RawSpan] = []
    for group in _list(_object(body), "resourceSpans", "resource_spans"):
        resource = _resource(group, limits)
        for scoped in _list(group, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
            scope = _scope(scoped, limits)
            for span in _list(scoped, "spans"):
                found.append(_span(_dict(span, "span"), resource, scope, limits))
    return found


def _span(span: dict[str, Any], resource: dict[str, Any], scope: Scope, limits: Limits) -> RawSpan:
    status = _dict(span.get("status") or {}, "status")
    code = _enum(status.get("code"), _STATUS_CODES)
    return RawSpan(
        trace_id=_id(_get(span, "traceId", "trace_id"), 32, "trace_id"),
        span_id=_id(_get(span, "spanId", "span_id"), 16, "span_id"),
        parent_id=_optional_id(_get(span, "parentSpanId", "parent_span_id"), 16, "parent_span_id"),
        name=_text(span.get("name"), "name"),
        otel_kind=_enum(span.get("kind"), _SPAN_KINDS),
        start_ns=_time(span, "startTimeUnixNano", "start_time_unix_nano"),
        end_ns=_time(span, "endTimeUnixNano", "end_time_unix_nano") or None,
        attributes=_attributes(span.get("attributes"), limits),
        events=[_event(_dict(e, "event"), limits) for e in _list(span, "events")],
        links=[_link(_dict(x, "link"), limits) for x in _list(span, "links")],
        status=STATUS[code] if 0 <= code < 3 else "unset",
        status_message=_text(status.get("message"), "status.message"),
        trace_state=_text(_get(span, "traceState", "trace_state"), "trace_state"),
        resource=resource,
        scope=scope,
    )


def decode_logs(body: bytes, limits: Limits = DEFAULT_LIMITS) -> list[RawLog]:
    """Read the JSON form of an ``ExportLogsServiceRequest``; see ``otlp.decode_logs``.

    Raises:
        InvalidArgument, TooLarge: as ``decode_spans``.
    """
    found: list[RawLog] = []
    for group in _list(_object(body), "resourceLogs", "resource_logs"):
        resource = _resource(group, limits)
        for scoped in _list(group, "scopeLogs", "scope_logs"):
            scope = _scope(scoped, limits)
            for item in _list(scoped, "logRecords", "log_records"):
                record = _dict(item, "log record")
                attributes = _attributes(record.get("attributes"), limits)
                name = _text(_get(record, "eventName", "event_name"), "event_name")
                name = name or str(attributes.get("event.name") or "")
                trace_id = _optional_id(_get(record, "traceId", "trace_id"), 32, "trace_id")
                span_id = _optional_id(_get(record, "spanId", "span_id"), 16, "span_id")
                time_ns = _time(record, "timeUnixNano", "time_unix_nano") or _time(
                    record, "observedTimeUnixNano", "observed_time_unix_nano"
                )
                if not wanted_log(name):
                    continue
                found.append(
                    RawLog(
                        trace_id=trace_id,
                        span_id=span_id,
                        time_ns=time_ns,
                        event_name=name,
                        body=_value(record.get("body"), limits.nesting),
                        attributes=attributes,
                        severity=_severity(_get(record, "severityNumber", "severity_number")),
                        resource=resource,
                        scope=scope,
                    )
                )
    return found


_METRIC_KINDS = {
    "gauge": "gauge", "sum": "sum", "histogram": "histogram", "exponentialHistogram": "exponential_histogram",
    "exponential_histogram": "exponential_histogram", "summary": "summary",
}  # fmt: skip


def decode_metrics(body: bytes, limits: Limits = DEFAULT_LIMITS) -> list[OtelMetricPoint]:
    """Read the JSON form of an ``ExportMetricsServiceRequest``; one result per data point.

    Raises:
        InvalidArgument, TooLarge: as ``decode_spans``.
    """
    found: list[OtelMetricPoint] = []
    for group in _list(_object(body), "resourceMetrics", "resource_metrics"):
        resource = _resource(group, limits)
        for scoped in _list(group, "scopeMetrics", "scope_metrics"):
            scope = _scope(scoped, limits)
            for item in _list(scoped, "metrics"):
                metric = _dict(item, "metric")
                field = next((name for name in _METRIC_KINDS if metric.get(name) is not None), None)
                if field is None:
                    continue
                for entry in _list(_dict(metric[field], field), "dataPoints", "data_points"):
                    point = _dict(entry, "data point")
                    row = OtelMetricPoint(
                        name=_text(metric.get("name"), "name"),
                        unit=_text(metric.get("unit"), "unit"),
                        kind=_METRIC_KINDS[field],
                        time_ns=_time(point, "timeUnixNano", "time_unix_nano"),
                        start_ns=_time(point, "startTimeUnixNano", "start_time_unix_nano"),
                        value=None,
                        attributes=_attributes(point.get("attributes"), limits),
                        resource=resource,
                        scope=scope.name,
                    )
                    _fill_point(row, point)
                    found.append(row)
    return found


def _fill_point(row: OtelMetricPoint, point: dict[str, Any]) -> None:
    """Numbers of one JSON data point."""
    if row.kind in ("gauge", "sum"):
        whole = _get(point, "asInt", "as_int")
        real = _get(point, "asDouble", "as_double")
        row.value = float(_integer(whole)) if whole is not None else None if real is None else _real(real)
        return
    row.count = min(_integer(point.get("count") or 0), MAX_NS)
    row.sum = None if point.get("sum") is None else _real(point["sum"])
    if row.kind == "summary":
        row.sum = row.sum or 0.0
        quantiles = [
            {"quantile": _real(_dict(q, "quantile").get("quantile") or 0.0), "value": _real(q.get("value") or 0.0)}
            for q in _list(point, "quantileValues", "quantile_values")
        ]
        row.buckets = pack_buckets({"quantiles": quantiles})
        return
    row.min = None if point.get("min") is None else _real(point["min"])
    row.max = None if point.get("max") is None else _real(point["max"])
    if row.kind == "histogram":
        bounds = [_real(x) for x in _list(point, "explicitBounds", "explicit_bounds")]
        row.buckets = pack_buckets({"bounds": bounds, "counts": _counts(point)})
        return
    sides = {side: _dict(point.get(side) or {}, side) for side in ("positive", "negative")}
    row.buckets = pack_buckets(
        {
            "scale": _integer(point.get("scale") or 0),
            "zero": _integer(_get(point, "zeroCount", "zero_count") or 0),
            "zero_threshold": _real(_get(point, "zeroThreshold", "zero_threshold") or 0.0),
            **{k: {"offset": _integer(v.get("offset") or 0), "counts": _counts(v)} for k, v in sides.items()},
        }
    )


def _counts(value: dict[str, Any]) -> list[int]:
    return [_integer(x) for x in _list(value, "bucketCounts", "bucket_counts")]


# --- shapes ----------------------------------------------------------------------------------------------------------


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(mended(body))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise InvalidArgument(f"the body is not valid JSON: {error}") from None
    except RecursionError:
        raise TooLarge("the JSON is nested too deeply") from None
    return _dict(data, "the body")


def _dict(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidArgument(f"{what} must be a JSON object")
    return value


def _list(owner: Any, *names: str) -> list[Any]:
    value = _get(_dict(owner, "a group"), *names)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidArgument(f"{names[0]} must be a list")
    return value


def _get(owner: dict[str, Any], *names: str) -> Any:
    for name in names:
        value = owner.get(name)
        if value is not None:
            return value
    return None


def _text(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidArgument(f"{what} must be a string")
    return check_text(value)


def check_text(text: str) -> str:
    """``text`` if it is Unicode that UTF-8 can hold.

    Raises:
        InvalidArgument: it holds half of a surrogate pair (JSON escapes can spell one).
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidArgument("a string is not valid Unicode (lone surrogate)") from None
    return text


def _id(value: Any, digits: int, what: str) -> str:
    text = value.lower() if isinstance(value, str) else ""
    if len(text) != digits or not _HEX.issuperset(text) or text.count("0") == digits:
        raise InvalidArgument(f"{what} must be {digits} hex digits and not all zero, got {value!r}")
    return text


def _optional_id(value: Any, digits: int, what: str) -> str | None:
    if value is None or value == "" or (isinstance(value, str) and not value.strip("0") and len(value) == digits):
        return None
    return _id(value, digits, what)


def _enum(value: Any, names: dict[str, int]) -> int:
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(1 << 31) <= value < 1 << 31 else 0
    if isinstance(value, str):
        return names[value] if value in names else int(value) if value.isdecimal() and len(value) < 10 else 0
    raise InvalidArgument(f"an enum must be a number or a name, got {value!r}")


def _severity(value: Any) -> int:
    # names are SEVERITY_NUMBER_INFO, SEVERITY_NUMBER_INFO2 …: blocks of four from TRACE = 1
    if isinstance(value, str) and value.startswith("SEVERITY_NUMBER_"):
        level = value.removeprefix("SEVERITY_NUMBER_")
        base = level.rstrip("234")
        blocks = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
        return blocks.index(base) * 4 + int(level[len(base) :] or 1) if base in blocks else 0
    return _enum(value, {})


def _integer(value: Any) -> int:
    """A 64-bit number in any of its JSON spellings."""
    if isinstance(value, bool):
        raise InvalidArgument("expected a whole number, got a boolean")
    if isinstance(value, int):
        number = value
    elif (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and _WHOLE.match(value)):
        number = int(value)
    elif isinstance(value, dict) and isinstance(value.get("low"), int) and isinstance(value.get("high"), int):
        number = (value["high"] & 0xFFFFFFFF) << 32 | (value["low"] & 0xFFFFFFFF)
        if not value.get("unsigned") and number >> 63:
            number -= 1 << 64
    else:
        raise InvalidArgument(f"expected a whole number, got {value!r}")
    if not -(1 << 63) <= number < 1 << 64:
        raise InvalidArgument(f"{number} does not fit 64 bits")
    return number


def _real(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    raise InvalidArgument(f"expected a number, got {value!r}")


def _time(owner: dict[str, Any], *names: str) -> int:
    value = _get(owner, *names)
    return 0 if value is None else check_time(_integer(value))


def _attributes(pairs: Any, limits: Limits) -> dict[str, Any]:
    if pairs is None:
        return {}
    if not isinstance(pairs, list):
        raise InvalidArgument("attributes must be a list of {key, value}")
    if len(pairs) > limits.attributes:
        raise TooLarge(f"{len(pairs)} attributes on one item; at most {limits.attributes} are accepted")
    found: dict[str, Any] = {}
    for pair in pairs:
        if not isinstance(pair, dict) or not isinstance(pair.get("key", ""), str):
            raise InvalidArgument("attributes must be a list of {key, value}")
        found[check_text(pair.get("key", ""))] = _value(pair.get("value"), limits.nesting)
    return found


def _value(value: Any, depth: int) -> Any:
    """One JSON ``AnyValue`` as a plain value."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidArgument('an attribute value must be an object such as {"stringValue": "…"}')
    for name, inner in value.items():
        if inner is None:
            continue
        match name:
            case "stringValue" | "string_value":
                return _text(inner, "stringValue")
            case "intValue" | "int_value":
                number = _integer(inner)
                return number - (1 << 64) if number >> 63 == 1 else number
            case "doubleValue" | "double_value":
                return plain_float(_real(inner))
            case "boolValue" | "bool_value":
                if not isinstance(inner, bool):
                    raise InvalidArgument("boolValue must be true or false")
                return inner
            case "bytesValue" | "bytes_value":
                return _bytes(inner)
            case "arrayValue" | "array_value" | "kvlistValue" | "kvlist_value":
                if depth <= 0:
                    raise TooLarge("attribute values are nested too deeply")
                items = _list(_dict(inner, name), "values")
                if name.startswith("array"):
                    return [_value(item, depth - 1) for item in items]
                pairs = [_dict(item, "a pair") for item in items]
                return {_text(p.get("key"), "key"): _value(p.get("value"), depth - 1) for p in pairs}
            case _:
                continue
    return None


def _bytes(value: Any) -> str:
    """Base64 text, re-written to the standard alphabet with padding."""
    text = _text(value, "bytesValue").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        raw = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument("bytesValue must be base64") from None
    return binascii.b2a_base64(raw, newline=False).decode()


def _resource(group: Any, limits: Limits) -> dict[str, Any]:
    resource = _dict(_dict(group, "a group").get("resource") or {}, "resource")
    return _attributes(resource.get("attributes"), limits)


def _scope(scoped: Any, limits: Limits) -> Scope:
    scope = _dict(_get(_dict(scoped, "a group"), "scope", "instrumentationLibrary") or {}, "scope")
    return Scope(
        name=_text(scope.get("name"), "scope.name"),
        version=_text(scope.get("version"), "scope.version"),
        attributes=_attributes(scope.get("attributes"), limits),
    )


def _event(event: dict[str, Any], limits: Limits) -> SpanEvent:
    return SpanEvent(
        name=_text(event.get("name"), "event name"),
        time_ns=_time(event, "timeUnixNano", "time_unix_nano"),
        attributes=_attributes(event.get("attributes"), limits),
    )


def _link(link: dict[str, Any], limits: Limits) -> SpanLink:
    return SpanLink(
        trace_id=_id(_get(link, "traceId", "trace_id"), 32, "trace_id"),
        span_id=_id(_get(link, "spanId", "span_id"), 16, "span_id"),
        attributes=_attributes(link.get("attributes"), limits),
    )
