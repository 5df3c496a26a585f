"""From a request body to decoded OTLP, by content type. Decompression is the faces' business (``faces.http.read_body``)."""

from __future__ import annotations

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.otlp import OtelMetricPoint, RawLog, RawSpan
from twinlens.ingest import otlp, otlp_json
from twinlens.ingest.otlp import DEFAULT_LIMITS, Limits

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


def encoding_of(content_type: str | None) -> str:
    """``application/x-protobuf`` or ``application/json``, found as a part of the header (parameters may follow).

    Raises:
        InvalidArgument: neither.
    """
    text = (content_type or "").lower()
    if "protobuf" in text:
        return PROTOBUF
    if "json" in text:
        return JSON
    raise InvalidArgument(f"Content-Type must be {PROTOBUF} or {JSON}, got {content_type or 'none'!r}")


def read_spans(body: bytes, encoding: str, limits: Limits = DEFAULT_LIMITS) -> list[RawSpan]:
    """Decode a ``/v1/traces`` body.

    Raises:
        InvalidArgument: anything wrong with it.
        TooLarge: a limit is exceeded.
    """
    return (otlp_json if encoding == JSON else otlp).decode_spans(body, limits)


def read_logs(body: bytes, encoding: str, limits: Limits = DEFAULT_LIMITS) -> list[RawLog]:
    """Decode a ``/v1/logs`` body; errors as ``read_spans``."""
    return (otlp_json if encoding == JSON else otlp).decode_logs(body, limits)


def read_metrics(body: bytes, encoding: str, limits: Limits = DEFAULT_LIMITS) -> list[OtelMetricPoint]:
    """Decode a ``/v1/metrics`` body; errors as ``read_spans``."""
    return (otlp_json if encoding == JSON else otlp).decode_metrics(body, limits)
