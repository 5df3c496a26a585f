"""Rows of an export as a Parquet file, one row group per page, so that memory holds one page whatever the file's size.

Times, numbers, booleans and tags are typed columns; everything nested is JSON text, because its shape differs from row to row.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_NUMBERS = frozenset({"total_cost", "value", "latency", "time_to_first_token"})
_COUNTS = frozenset({"input_usage", "output_usage", "total_usage", "prompt_version"})
_FLAGS = frozenset({"public", "bookmarked"})
_TIME_ENDS = ("_time", "_at")


class _Sink(io.RawIOBase):
    """Takes what the writer writes until somebody takes it away; positions go on counting."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def take(self) -> bytes:
        """What has been written since the last call."""
        out = b"".join(self._parts)
        self._parts.clear()
        return out


class ParquetForm:
    """The same calls as ``export_rows.Form``. All rows have the columns of the first one.

    Args:
        compressed: pages are compressed with Zstandard.
    """

    def __init__(self, *, compressed: bool) -> None:
        self._compression = "zstd" if compressed else "none"
        self._sink = _Sink()
        self._schema: Any = None
        self._writer: Any = None

    def rows(self, rows: Iterable[dict[str, Any]]) -> bytes:
        """The next rows."""
        import pyarrow as pa

        found = list(rows)
        if not found:
            return b""
        writer = self._open(found[0])
        columns = [[_value(field.name, row[field.name]) for row in found] for field in self._schema]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        return self._sink.take()

    def end(self) -> bytes:
        """The file's footer."""
        self._open(()).close()
        return self._sink.take()

    def _open(self, names: Iterable[str]) -> pq.ParquetWriter:
        """The writer; the first call decides the columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            self._schema = pa.schema([(name, _type(name)) for name in names])
            self._writer = pq.ParquetWriter(self._sink, self._schema, compression=self._compression)
        return self._writer


def _type(name: str) -> pa.DataType:
    import pyarrow as pa

    if name == "timestamp" or name.endswith(_TIME_ENDS):
        return pa.timestamp("ms", "UTC")
    if name in _NUMBERS:
        return pa.float64()
    if name in _COUNTS:
        return pa.int64()
    if name in _FLAGS:
        return pa.bool_()
    return pa.list_(pa.string()) if name == "tags" else pa.string()


def _value(name: str, value: Any) -> Any:
    if value is None or name in _NUMBERS or name in _COUNTS or name in _FLAGS or name == "tags":
        return value
    if name == "timestamp" or name.endswith(_TIME_ENDS):
        return datetime.fromisoformat(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
