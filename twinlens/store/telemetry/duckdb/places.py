"""Where the rows of a trace lie: its key, and the range of commits that wrote its spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twinlens.store.telemetry.duckdb.keys import row_key
from twinlens.store.telemetry.query import And, Cmp, Expr

if TYPE_CHECKING:
    import duckdb

#: tkey, first and last commit that wrote spans of the trace.
Place = tuple[int, int, int]

_NEAR = 500  #: commits between two traces that are read together
_MOST_RANGES = 64
_MOST_ROWS = 5_000  #: that are read by their places


def find_places(connection: duckdb.DuckDBPyConnection, project_id: str, trace_ids: Sequence[str]) -> list[Place]:
    """Places of those of the traces that have spans."""
    tkeys = [row_key(project_id, t) for t in trace_ids]
    return connection.execute(
        f"SELECT tkey, min_seq, max_seq FROM traces WHERE tkey IN ({csv(tkeys)}) AND project = ? AND max_seq > 0",
        [project_id],
    ).fetchall()


def within(places: Sequence[Place]) -> str:
    """Condition that finds the spans of traces through the zone maps of ``seq``: neighbours share a range."""
    if not places:
        return "false"
    ranges: list[tuple[int, int]] = []
    for _, low, high in sorted(places, key=lambda p: p[1]):
        if ranges and low - ranges[-1][1] <= _NEAR:
            ranges[-1] = ranges[-1][0], max(ranges[-1][1], high)
        else:
            ranges.append((low, high))
    if len(ranges) > _MOST_RANGES:
        ranges = [(ranges[0][0], max(high for _, high in ranges))]
    between = " OR ".join(f"seq BETWEEN {low} AND {high}" for low, high in ranges)
    keys = f"tkey = {places[0][0]}" if len(places) == 1 else f"tkey IN ({csv([p[0] for p in places])})"
    return f"({between}) AND {keys}"


def span_rows(
    connection: duckdb.DuckDBPyConnection, columns: str, project_id: str, places: Sequence[Place]
) -> list[tuple[Any, ...]]:
    """Columns of all spans of some traces. Of traces that may lie far apart the keys are read first and alone: the other columns
    are ten times wider, and only the vectors that hold the rows are looked at."""
    if len(places) < 2:
        where = f"{within(places)} AND project = ?"
        return (
            connection.execute(f"SELECT {columns} FROM spans WHERE {where}", [project_id]).fetchall() if places else []
        )
    found = connection.execute(f"SELECT rowid FROM spans WHERE {within(places)}").fetchall()
    if not found:
        return []
    sql = at("spans", columns, [place for (place,) in found])
    return connection.execute(f"{sql} WHERE project = ?", [project_id]).fetchall()


def narrow(
    connection: duckdb.DuckDBPyConnection, view: str, alias: str, project_id: str, where: Expr
) -> tuple[str, str] | None:
    """For a query that names its traces, what to read from (as a FROM clause gives it) and one more condition; None when it
    names none. Where rows may lie far apart their keys are looked up alone, see ``span_rows``."""
    trace_ids = named_traces(where)
    if trace_ids is None:
        return None
    whole = f"{view} {alias}"
    if not trace_ids:
        return whole, "false"
    if view == "spans":
        places = find_places(connection, project_id, trace_ids)
        condition = within(places)
        if len(places) < 2:
            return whole, condition
    else:
        condition = f"tkey IN ({csv([row_key(project_id, t) for t in trace_ids])})"
    found = connection.execute(f"SELECT rowid FROM {view} WHERE {condition} LIMIT {_MOST_ROWS + 1}").fetchall()
    if len(found) > _MOST_ROWS:
        return whole, condition
    if not found:
        return whole, "false"
    return (
        f"(VALUES {','.join(f'({n})' for (n,) in found)}) wanted(place) JOIN {whole} ON {alias}.rowid = wanted.place",
        "true",
    )


def named_traces(where: Expr) -> list[str] | None:
    """The trace ids outside of which nothing can fulfil the expression; None when it names none."""
    if isinstance(where, And):
        return next((ids for ids in map(named_traces, where.items) if ids is not None), None)
    if isinstance(where, Cmp) and where.field == "trace_id":
        if where.op == "=" and isinstance(where.value, str):
            return [where.value]
        if where.op == "in" and isinstance(where.value, list | tuple) and all(isinstance(v, str) for v in where.value):
            return list(where.value)
    return None


def at(table: str, columns: str, rowids: Sequence[int]) -> str:
    """SQL for the rows at these places, of which there is at least one. A join makes DuckDB look only into the vectors that
    hold them; for ``rowid IN (…)`` with more than five numbers it reads every column of every row group in between."""
    return (
        f"SELECT {columns} FROM (VALUES {','.join(f'({n})' for n in rowids)}) wanted(place) "
        f"JOIN {table} ON {table}.rowid = wanted.place"
    )


def csv(numbers: Sequence[int]) -> str:
    """Whole numbers as SQL."""
    return ",".join(map(str, numbers))
