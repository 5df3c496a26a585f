"""Columns to DuckDB through Arrow. pyarrow is imported at the first write, not at start."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import duckdb

from twinlens.domain.errors import InvalidArgument
from twinlens.store.telemetry.duckdb.ddl import TABLES

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


class _Feed:
    """What a prepared INSERT reads from: hands out the rows of the moment whenever it is executed."""

    def __init__(self) -> None:
        self.rows: Any = None

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.rows.__arrow_c_stream__(requested_schema)


#: Feeds of each writing connection, by table and columns. Planning an INSERT of 50 columns costs as much as running it
#: with 400 rows, so it is done once per connection.
_feeds: WeakKeyDictionary[Any, dict[tuple[str, ...], tuple[str, _Feed]]] = WeakKeyDictionary()

_numbers = count()


def append(connection: duckdb.DuckDBPyConnection, table: str, columns: dict[str, list[Any]]) -> None:
    """Insert rows given by column.

    Raises:
        InvalidArgument: a value does not fit its column (a number beyond 64 bits).
    """
    rows = table_of(table, columns)
    statement, feed = _insert(connection, table, tuple(columns), rows)
    feed.rows = rows
    try:
        connection.execute(statement).fetchall()
    finally:
        feed.rows = rows.schema.empty_table()


def table_of(table: str, columns: dict[str, list[Any]]) -> Any:
    """Rows given by column as an Arrow table of the table's types.

    Raises:
        InvalidArgument: a value does not fit its column.
    """
    import pyarrow as pa

    types = _arrow_types(table)
    try:
        return pa.table({name: _array(values, types[name]) for name, values in columns.items()})
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError) as error:
        raise InvalidArgument(f"a value cannot be stored: {error}") from error


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """After a rollback: what the transaction had registered is gone (since DuckDB 2.0.1), so it is made anew when needed."""
    for statement, _ in _feeds.pop(connection, {}).values():
        name = statement.removeprefix("EXECUTE ")
        with suppress(duckdb.Error):
            connection.execute(f"DEALLOCATE {name}").fetchall()
        with suppress(duckdb.Error):
            connection.unregister(name.removeprefix("add_"))


def _insert(connection: duckdb.DuckDBPyConnection, table: str, names: tuple[str, ...], rows: Any) -> tuple[str, _Feed]:
    """The prepared statement for these columns, and what it reads."""
    mine = _feeds.setdefault(connection, {})
    known = mine.get((table, *names))
    if known is None:
        feed = _Feed()
        feed.rows = rows
        source = f"new_{table}_{next(_numbers)}"
        connection.register(source, feed)
        listed = ", ".join(f'"{name}"' for name in names)
        connection.execute(
            f"PREPARE add_{source} AS INSERT INTO {table} ({listed}) SELECT {listed} FROM {source}"
        ).fetchall()
        known = mine[(table, *names)] = f"EXECUTE add_{source}", feed
    return known


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
