"""64-bit keys of rows, as signed integers because that is what DuckDB compares fastest."""

from __future__ import annotations

import struct
from hashlib import blake2b

_signed = struct.Struct("<q").unpack


def span_key(span_id: str) -> int:
    """64 bits of a span id: the id itself when it is OpenTelemetry's 16 hex digits, else a hash."""
    if len(span_id) == 16:
        try:
            key = int(span_id, 16)
        except ValueError:
            return row_key(span_id)
        return key - (1 << 64) if key >> 63 else key
    return row_key(span_id)


def row_key(project_id: str, *ids: str) -> int:
    """Hash of a project and the ids that name a row in it. Equal keys are checked against the ids on every read."""
    return _signed(blake2b("\0".join((project_id, *ids)).encode("utf-8", "surrogatepass"), digest_size=8).digest())[0]
