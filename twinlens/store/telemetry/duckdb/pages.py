"""Pages of rows. First the keys of the page are selected, then only those rows are read whole."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.store.telemetry.duckdb import score_codec, trace_codec
from twinlens.store.telemetry.duckdb.compiler import Compiler
from twinlens.store.telemetry.duckdb.cursor import after, decode_cursor, encode_cursor
from twinlens.store.telemetry.duckdb.engine import one_row
from twinlens.store.telemetry.duckdb.fields import ALIAS, DEFAULT_ORDER, IDS, alias_of
from twinlens.store.telemetry.duckdb.overlay import Overlay, concerns, shown, tables_in
from twinlens.store.telemetry.duckdb.payloads import PayloadSource
from twinlens.store.telemetry.duckdb.places import KnownPlaces, Source, narrow, rows_at
from twinlens.store.telemetry.duckdb.reader import add_io
from twinlens.store.telemetry.duckdb.recent import RecentWindows
from twinlens.store.telemetry.duckdb.span_codec import columns_for, decode_spans
from twinlens.store.telemetry.query import Order, Page, Query

if TYPE_CHECKING:
    import duckdb

    from twinlens.store.telemetry.duckdb.engine import Engine


#: Rows by their place in the table.
Load = Callable[["duckdb.DuckDBPyConnection", Overlay, list[int]], dict[int, Any]]
#: A pending row as the list shows it; None when that needs the tables.
Show = Callable[[Overlay, Any], Any]
#: What a row is ordered by; its place in the tables, or the pending row.
_Entry = tuple[tuple[Any, ...], int | None, Any]
_DEEPEST = 1_000  #: rows to skip up to which pages are put together from tables and pending rows


class _Plan(msgspec.Struct):
    """A compiled list query. ``columns`` are what it is ordered by, at last the ids: expression, and whether descending."""

    view: str
    query: Query
    where: str
    params: dict[str, Any]
    columns: list[tuple[str, bool]]
    position: list[Any] | None


class Pages:
    """Reads on any thread; each call sees one snapshot."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recent = RecentWindows()

    def traces(self, query: Query) -> Page:
        """See ``TelemetryStore.traces``."""

        def load(connection: duckdb.DuckDBPyConnection, pending: Overlay, rowids: list[int]) -> dict[int, TraceSummary]:
            io = "input, output, " if query.with_io else ""
            columns = f"{', '.join(trace_codec.ROW)}, {io}tkey, min_seq, max_seq, traces.rowid"
            rows = rows_at(connection, "traces", columns, query.project_id, rowids)
            found = {row[-1]: trace_codec.decode_summary(row) for row in rows}
            for row in rows:
                pending.places.note(row[0], row[-4:-1])
            if query.with_io:
                add_io(connection, pending, query.project_id, [(found[r[-1]], r[-6:-4], r[-4:-1]) for r in rows])
            return found

        return self._page("traces", query, load, lambda pending, row: pending.trace(row, query.with_io))

    def spans(self, query: Query) -> Page:
        """See ``TelemetryStore.spans``."""
        columns = columns_for(query.with_io, query.with_attributes)

        def load(connection: duckdb.DuckDBPyConnection, _: Overlay, rowids: list[int]) -> dict[int, Span]:
            rows = rows_at(connection, "spans", f"spans.rowid, {', '.join(columns)}", query.project_id, rowids)
            source = PayloadSource(connection, query.project_id)
            spans = decode_spans([r[1:] for r in rows], source, query.with_io, query.with_attributes)
            return {row[0]: span for row, span in zip(rows, spans, strict=True)}

        return self._page("spans", query, load, lambda _, row: shown(row, query.with_io, query.with_attributes))

    def scores(self, query: Query) -> Page:
        """See ``TelemetryStore.scores``."""

        def load(connection: duckdb.DuckDBPyConnection, _: Overlay, rowids: list[int]) -> dict[int, Score]:
            rows = rows_at(
                connection, "scores", f"{', '.join(score_codec.ROW)}, scores.rowid", query.project_id, rowids
            )
            return {row[-1]: score_codec.decode_score(row) for row in rows}

        return self._page("scores", query, load, lambda pending, row: pending.score(row))

    def _page(self, view: str, query: Query, load: Load, show: Show) -> Page:
        if query.limit <= 0:
            return Page(rows=[])
        plan = _plan(view, query)
        with self._engine.read_over(query.project_id) as (connection, pending):
            if not concerns(pending, view, query.where, others=bool(tables_in(plan.where + str(plan.columns)))):
                return self._stored_page(connection, pending, plan, load)
            if (page := self._merged_page(connection, pending, plan, load, show)) is not None:
                return page
        with self._engine.read_all(query.project_id) as (connection, nothing):
            return self._stored_page(connection, nothing, plan, load)

    def _stored_page(self, connection: duckdb.DuckDBPyConnection, pending: Overlay, plan: _Plan, load: Load) -> Page:
        limit = plan.query.limit
        keys = self._keys(connection, pending, plan, limit + 1, max(0, plan.query.offset))
        found = load(connection, pending, [k[0] for k in keys[:limit]])
        cursor = encode_cursor(plan.view, plan.columns, keys[limit - 1][1:]) if len(keys) > limit else None
        return Page(rows=[found[k[0]] for k in keys[:limit]], next_cursor=cursor)

    def _keys(
        self, connection: duckdb.DuckDBPyConnection, pending: Overlay, plan: _Plan, limit: int, offset: int
    ) -> list[tuple[Any, ...]]:
        """Places of the first rows in the tables, and what they are ordered by."""
        view, query, columns = plan.view, plan.query, plan.columns
        alias = ALIAS[view]
        selected = ", ".join(f"{expr} AS k{i}" for i, (expr, _) in enumerate(columns))
        ordered = ", ".join(f"k{i} {'DESC' if down else 'ASC'} NULLS LAST" for i, (_, down) in enumerate(columns))
        tail = f"ORDER BY {ordered} LIMIT {limit} OFFSET {offset}"
        time_column = f'{alias}."{DEFAULT_ORDER[view]}"'
        windows: Generator[int, int] | None = None
        source = narrow(connection, view, alias, pending.places, query.project_id, query.where)
        if source is None:
            source = Source(f"{view} {alias}")
            if columns[0] == (time_column, True):
                position = plan.position
                windows = self._recent.windows(connection, view, query, position[0] if position else None)
        head = f"SELECT {alias}.rowid, {selected} FROM {source.tables} WHERE {plan.where} AND {source.condition}"
        params = {**plan.params, **source.params}
        start = next(windows, None) if windows else None
        while True:
            window = "" if start is None else f"AND {time_column} >= {start} "
            keys = connection.execute(f"{head} {window}{tail}", params).fetchall()
            if len(keys) >= limit or start is None or windows is None:
                return keys
            try:
                start = windows.send(len(keys))
            except StopIteration:
                start = None

    def _merged_page(
        self, connection: duckdb.DuckDBPyConnection, pending: Overlay, plan: _Plan, load: Load, show: Show
    ) -> Page | None:
        """The page out of the tables and the pending rows; None when they have to be brought together first."""
        query, skip = plan.query, max(0, plan.query.offset)
        if skip > _DEEPEST:
            return None
        fresh = pending.matching(connection, plan.view, plan.where, plan.params)
        values = None if fresh is None else pending.order_values(plan.view, plan.columns, fresh)
        if fresh is None or values is None:
            return None
        wanted = skip + query.limit + 1
        keys = self._keys(connection, pending, plan, wanted, 0)
        own, ids = pending.rows(plan.view), len(IDS[plan.view])
        entries: list[_Entry] = [
            (key[1:], key[0], None) for key in keys if (key[-1] if ids == 1 else key[-ids:]) not in own
        ]
        entries += [(value, None, row) for value, row in zip(values, fresh, strict=True)]
        if len(keys) == wanted:  # behind the last of them there may be others in the tables
            end: _Entry = (keys[-1][1:], None, None)
            entries.append(end)
            _sort(plan.columns, entries)
            del entries[entries.index(end) :]
            if len(entries) < wanted:
                return None
        else:
            _sort(plan.columns, entries)
        page = entries[skip : skip + query.limit]
        shown_rows = {id(row): show(pending, row) for _, place, row in page if place is None}
        if None in shown_rows.values():
            return None
        stored = load(connection, pending, [place for _, place, _ in page if place is not None])
        rows = [shown_rows[id(row)] if place is None else stored[place] for _, place, row in page]
        cursor = encode_cursor(plan.view, plan.columns, page[-1][0]) if len(entries) >= wanted else None
        return Page(rows=rows, next_cursor=cursor)

    def count(self, view: str, query: Query) -> int:
        """See ``TelemetryStore.count``."""
        compiler = Compiler(query.project_id)
        alias = alias_of(view)
        where = compiler.where(view, query.where)

        def stored(connection: duckdb.DuckDBPyConnection, places: KnownPlaces) -> int:
            source = narrow(connection, view, alias, places, query.project_id, query.where) or Source(f"{view} {alias}")
            counted = f"SELECT count(*) FROM {source.tables} WHERE {where} AND {source.condition}"
            return int(one_row(connection, counted, {**compiler.params, **source.params})[0])

        with self._engine.read_over(query.project_id) as (connection, pending):
            if not concerns(pending, view, query.where, others=bool(tables_in(where))):
                return stored(connection, pending.places)
            if not pending.earlier_versions(view):
                fresh = pending.matching(connection, view, where, compiler.params)
                if fresh is not None:
                    return stored(connection, pending.places) + len(fresh)
        with self._engine.read_all(query.project_id) as (connection, nothing):
            return stored(connection, nothing.places)


def _plan(view: str, query: Query) -> _Plan:
    compiler = Compiler(query.project_id)
    alias = ALIAS[view]
    columns: list[tuple[str, bool]] = []
    for order in query.order or (Order(DEFAULT_ORDER[view]),):
        expr, _ = compiler.value(view, order.field, order.key)
        columns.append((expr, order.descending))
    columns.extend((f"{alias}.{name}", False) for name in IDS[view])
    where = compiler.where(view, query.where)
    position = decode_cursor(view, columns, query.cursor) if query.cursor is not None else None
    if position is not None:
        where += f" AND {after(compiler, columns, position)}"
    return _Plan(view, query, where, compiler.params, columns, position)


def _sort(columns: Sequence[tuple[str, bool]], entries: list[_Entry]) -> None:
    """As the tables do: missing values last both ways, NaN above all numbers."""
    for index in range(len(columns) - 1, -1, -1):
        down = columns[index][1]

        def rank(entry: _Entry, index: int = index, down: bool = down) -> tuple[bool, bool, Any]:
            value = entry[0][index]
            odd = value is None or value != value
            return (value is None) != down, odd, 0 if odd else value

        entries.sort(key=rank, reverse=down)
