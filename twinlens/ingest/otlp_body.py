"""From request bytes to decoded OTLP: decompression with a hard limit, choice of encoding by content type."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeVar

from twinlens.domain.errors import InvalidArgument, TooLarge
from twinlens.domain.otlp import OtelMetricPoint, RawLog, RawSpan
from twinlens.ingest import otlp, otlp_json
from twinlens.ingest.otlp import DEFAULT_LIMITS, Limits

T = TypeVar("T")

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


def inflate(body: bytes, content_encoding: str | None, limit: int) -> bytes:
    """Undo ``Content-Encoding`` (gzip, deflate with or without zlib header, identity).

    Memory stays within ``limit`` whatever the input promises, so a decompression bomb costs no more than an honest body.

    Raises:
        InvalidArgument: unknown coding, broken or cut data, bytes behind its end.
        TooLarge: more than ``limit`` bytes.
    """
    coding = (content_encoding or "identity").strip().lower()
    if coding in ("identity", ""):
        if len(body) > limit:
            raise TooLarge(f"the body is larger than {limit} bytes")
        return body
    if coding in ("gzip", "x-gzip"):
        return _gunzip(body, limit)
    if coding == "deflate":
        # RFC 9110 means zlib data; some senders leave the zlib header off
        zlib_header = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        data, rest = _decompress(body, zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS, limit)
        if rest:
            raise InvalidArgument("deflate: bytes behind the end of the compressed data")
        return data
    raise InvalidArgument(f"Content-Encoding {content_encoding!r} is not supported; use gzip, deflate or identity")


def _gunzip(body: bytes, limit: int) -> bytes:
    """One or more gzip members, as RFC 1952 allows."""
    parts: list[bytes] = []
    left = limit
    while True:
        data, body = _decompress(body, zlib.MAX_WBITS | 16, left)
        parts.append(data)
        left -= len(data)
        if not body:
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _decompress(body: bytes, window: int, limit: int) -> tuple[bytes, bytes]:
    """Data and what follows it."""
    stream = zlib.decompressobj(window)
    try:
        data = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidArgument(f"the compressed body cannot be read: {error}") from None
    if len(data) > limit:
        raise TooLarge(f"the decompressed body is larger than {limit} bytes")
    if not stream.eof:
        raise InvalidArgument("the compressed body is cut off")
    return data, stream.unused_data


def read_spans(
    body: bytes, content_type: str | None, content_encoding: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> list[RawSpan]:
    """Decode a ``/v1/traces`` body.

    Raises:
        InvalidArgument: anything wrong with it.
        TooLarge: a limit is exceeded.
    """
    return _read(body, content_type, content_encoding, limits, otlp.decode_spans, otlp_json.decode_spans)


def read_logs(
    body: bytes, content_type: str | None, content_encoding: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> list[RawLog]:
    """Decode a ``/v1/logs`` body; errors as ``read_spans``."""
    return _read(body, content_type, content_encoding, limits, otlp.decode_logs, otlp_json.decode_logs)


def read_metrics(
    body: bytes, content_type: str | None, content_encoding: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> list[OtelMetricPoint]:
    """Decode a ``/v1/metrics`` body; errors as ``read_spans``."""
    return _read(body, content_type, content_encoding, limits, otlp.decode_metrics, otlp_json.decode_metrics)


def _read(
    body: bytes,
    content_type: str | None,
    content_encoding: str | None,
    limits: Limits,
    from_protobuf: Callable[[bytes, Limits], T],
    from_json: Callable[[bytes, Limits], T],
) -> T:
    encoding = encoding_of(content_type)
    data = inflate(body, content_encoding, limits.body)
    return from_json(data, limits) if encoding == JSON else from_protobuf(data, limits)
