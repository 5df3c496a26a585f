"""Where the rows of a trace lie: its key, and the range of commits that wrote its spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from twinlens.store.telemetry.duckdb.keys import row_key
from twinlens.store.telemetry.query import And, Cmp, Expr

if TYPE_CHECKING:
    import duckdb

#: tkey, first and last commit that wrote spans of the trace.
Place = tuple[int, int, int]

_NEAR = 500  #: commits between two traces that are read together
_CLOSE = 1  #: the same for narrow columns
_MOST_RANGES = 64
_MOST_ROWS = 5_000  #: that are read by their places
#: Rows whose places are given as the parameter ``$places``. A join makes DuckDB look only into the vectors that hold them; for
#: ``rowid IN (…)`` with more than five numbers it reads every column of every row group in between. A parameter, because planning
#: five hundred numbers as text takes twice as long as reading the rows.
_WANTED = "(SELECT unnest($places::BIGINT[]) AS place) wanted"


class KnownPlaces:
    """Places that reads of one snapshot have met, so that further reads of it need not look them up: by trace id."""

    def __init__(self, project_id: str) -> None:
        self._project = project_id
        self._places: dict[str, Place] = {}
        self._spans: dict[int, list[tuple[int, int]]] = {}

    def note(self, trace_id: str, place: Place) -> None:
        """What the row of a trace says."""
        self._places[trace_id] = place

    def find(self, connection: duckdb.DuckDBPyConnection, trace_ids: Sequence[str]) -> list[Place]:
        """Places of those of the traces that have spans."""
        missing = [row_key(self._project, t) for t in trace_ids if t not in self._places]
        found = [place for t in trace_ids if (place := self._places.get(t)) is not None and place[2]]
        if missing:
            found += connection.execute(
                f"SELECT tkey, min_seq, max_seq FROM traces WHERE tkey IN ({csv(missing)}) AND project = ? AND max_seq > 0",
                [self._project],
            ).fetchall()
        return found

    def spans(self, connection: duckdb.DuckDBPyConnection, places: Sequence[Place]) -> dict[int, list[tuple[int, int]]]:
        """Where the spans of traces are, and their keys: by the key of the trace."""
        if missing := [place for place in places if place[0] not in self._spans]:
            self._spans.update((tkey, []) for tkey, _, _ in missing)
            for tkey, rowid, skey in connection.execute(
                f"SELECT tkey, rowid, skey FROM spans WHERE {within(missing)}"
            ).fetchall():
                self._spans[tkey].append((rowid, skey))
        return {tkey: self._spans[tkey] for tkey, _, _ in places}

    def rows(
        self, connection: duckdb.DuckDBPyConnection, columns: str, places: Sequence[Place], *, few_columns: bool = False
    ) -> list[tuple[Any, ...]]:
        """Columns of all spans of some traces. Of several traces the places of their spans are looked up first and alone: the other
        columns are ten times wider, and only the vectors that hold the rows are looked at. ``few_columns``: they are so narrow that
        they may be read whole where the traces are neighbours."""
        if not places:
            return []
        unmet = any(tkey not in self._spans for tkey, _, _ in places)
        if unmet and (len(places) == 1 or (few_columns and len(_ranges(places, _CLOSE)) == 1)):
            sql = f"SELECT {columns} FROM spans WHERE {within(places)} AND project = ?"
            return connection.execute(sql, [self._project]).fetchall()
        found = self.spans(connection, places)
        return rows_at(connection, "spans", columns, self._project, [rowid for of in found.values() for rowid, _ in of])


def _ranges(places: Sequence[Place], near: int = _NEAR) -> list[tuple[int, int]]:
    """Ranges of commits that hold the spans of the traces; those that are near to each other are one."""
    ranges: list[tuple[int, int]] = []
    for _, low, high in sorted(places, key=lambda p: p[1]):
        if ranges and low - ranges[-1][1] <= near:
            ranges[-1] = ranges[-1][0], max(ranges[-1][1], high)
        else:
            ranges.append((low, high))
    if len(ranges) > _MOST_RANGES:
        ranges = [(ranges[0][0], max(high for _, high in ranges))]
    return ranges


def within(places: Sequence[Place]) -> str:
    """Condition that finds the spans of traces through the zone maps of ``seq``: neighbours share a range."""
    if not places:
        return "false"
    between = " OR ".join(f"seq BETWEEN {low} AND {high}" for low, high in _ranges(places))
    keys = f"tkey = {places[0][0]}" if len(places) == 1 else f"tkey IN ({csv([p[0] for p in places])})"
    return f"({between}) AND {keys}"


class Source(NamedTuple):
    """What a statement reads from: a FROM clause, one more condition, and the parameters they need."""

    tables: str
    condition: str = "true"
    params: Mapping[str, list[int]] = MappingProxyType({})


def narrow(
    connection: duckdb.DuckDBPyConnection, view: str, alias: str, known: KnownPlaces, project_id: str, where: Expr
) -> Source | None:
    """For a query that names its traces, what to read from; None when it names none. Where rows may lie far apart their keys
    are looked up alone, see ``span_rows``."""
    trace_ids = named_traces(where)
    if trace_ids is None:
        return None
    whole = f"{view} {alias}"
    if not trace_ids:
        return Source(whole, "false")
    if view == "spans":
        places = known.find(connection, trace_ids)
        condition = within(places)
        if len(places) < 2:
            return Source(whole, condition)
    else:
        condition = f"tkey IN ({csv([row_key(project_id, t) for t in trace_ids])})"
    found = connection.execute(f"SELECT rowid FROM {view} WHERE {condition} LIMIT {_MOST_ROWS + 1}").fetchall()
    if len(found) > _MOST_ROWS:
        return Source(whole, condition)
    if not found:
        return Source(whole, "false")
    return Source(f"{_WANTED} JOIN {whole} ON {alias}.rowid = wanted.place", params={"places": [n for (n,) in found]})


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


def rows_at(
    connection: duckdb.DuckDBPyConnection, table: str, columns: str, project_id: str, places: Sequence[int]
) -> list[tuple[Any, ...]]:
    """Columns of those of the rows at these places that are the project's, in any order. So whoever finds the places by a key alone
    need not ask for the project there: a second column doubles the cost of looking through a million rows."""
    if not places:
        return []
    sql = f"SELECT {columns} FROM {_WANTED} JOIN {table} ON {table}.rowid = wanted.place WHERE project = $project"
    return connection.execute(sql, {"places": list(places), "project": project_id}).fetchall()


def csv(numbers: Sequence[int]) -> str:
    """Whole numbers as SQL."""
    return ",".join(map(str, numbers))
