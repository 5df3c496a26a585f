"""Columns to DuckDB through Arrow. pyarrow is imported at the first write, not at start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twinlens.domain.errors import InvalidArgument
from twinlens.store.telemetry.duckdb.ddl import TABLES

if TYPE_CHECKING:
    import duckdb

_types: dict[str, dict[str, Any]] = {}


def _arrow_types(table: str) -> dict[str, Any]:
    import pyarrow as pa

    known = _types.get(table)
    if known is None:
        of = {
            "BIGINT": pa.int64(), "INTEGER": pa.int32(), "TINYINT": pa.int8(), "DOUBLE": pa.float64(),
            "BOOLEAN": pa.bool_(), "VARCHAR": pa.string(), "BLOB": pa.binary(), "BIGINT[]": pa.list_(pa.int64()),
            "VARCHAR[]": pa.list_(pa.string()),
        }  # fmt: skip
        known = _types[table] = {name: of[kind] for name, kind in TABLES[table].items()}
    return known


def append(connection: duckdb.DuckDBPyConnection, table: str, columns: dict[str, list[Any]]) -> None:
    """Insert rows given by column.

    Raises:
        InvalidArgument: a value does not fit its column (a number beyond 64 bits).
    """
    import pyarrow as pa

    types = _arrow_types(table)
    try:
        arrays = {name: _array(values, types[name]) for name, values in columns.items()}
        rows = pa.table(arrays)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError) as error:
        raise InvalidArgument(f"a value cannot be stored: {error}") from error
    connection.register("new_rows", rows)
    try:
        names = ", ".join(f'"{name}"' for name in columns)
        connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM new_rows")
    finally:
        connection.unregister("new_rows")


def _array(values: list[Any], kind: Any) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # half a surrogate pair in some client's text
        return pa.array([_clean(v) for v in values], kind)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(v) for v in value]
    return value
