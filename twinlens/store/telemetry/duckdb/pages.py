"""Pages of rows. First the keys of the page are selected, then only those rows are read whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.store.telemetry.duckdb import score_codec, trace_codec
from twinlens.store.telemetry.duckdb.compiler import Compiler
from twinlens.store.telemetry.duckdb.cursor import after, decode_cursor, encode_cursor
from twinlens.store.telemetry.duckdb.engine import one_row
from twinlens.store.telemetry.duckdb.fields import ALIAS, DEFAULT_ORDER, IDS, alias_of
from twinlens.store.telemetry.duckdb.payloads import PayloadSource
from twinlens.store.telemetry.duckdb.places import narrow
from twinlens.store.telemetry.duckdb.reader import add_io
from twinlens.store.telemetry.duckdb.recent import RecentWindows
from twinlens.store.telemetry.duckdb.span_codec import columns_for, decode_spans
from twinlens.store.telemetry.query import Order, Page, Query

if TYPE_CHECKING:
    import duckdb

    from twinlens.store.telemetry.duckdb.engine import Engine


class Pages:
    """Reads on any thread; each call sees one snapshot."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recent = RecentWindows()

    def traces(self, query: Query) -> Page:
        """See ``TelemetryStore.traces``."""

        def load(connection: duckdb.DuckDBPyConnection, rowids: list[int]) -> dict[int, TraceSummary]:
            extra = ", input, output, tkey, min_seq, max_seq" if query.with_io else ""
            rows = connection.execute(
                _at("traces", f"{', '.join(trace_codec.ROW)}{extra}, traces.rowid", rowids)
            ).fetchall()
            found = {row[-1]: trace_codec.decode_summary(row) for row in rows}
            if query.with_io:
                add_io(connection, query.project_id, [(found[r[-1]], r[-6:-1]) for r in rows])
            return found

        return self._page("traces", query, load)

    def spans(self, query: Query) -> Page:
        """See ``TelemetryStore.spans``."""
        columns = columns_for(query.with_io, query.with_attributes)

        def load(connection: duckdb.DuckDBPyConnection, rowids: list[int]) -> dict[int, Span]:
            rows = connection.execute(_at("spans", f"spans.rowid, {', '.join(columns)}", rowids)).fetchall()
            source = PayloadSource(connection, query.project_id)
            spans = decode_spans([r[1:] for r in rows], source, query.with_io, query.with_attributes)
            return {row[0]: span for row, span in zip(rows, spans, strict=True)}

        return self._page("spans", query, load)

    def scores(self, query: Query) -> Page:
        """See ``TelemetryStore.scores``."""

        def load(connection: duckdb.DuckDBPyConnection, rowids: list[int]) -> dict[int, Score]:
            rows = connection.execute(_at("scores", f"{', '.join(score_codec.ROW)}, scores.rowid", rowids)).fetchall()
            return {row[-1]: score_codec.decode_score(row) for row in rows}

        return self._page("scores", query, load)

    def _page(
        self, view: str, query: Query, load: Callable[[duckdb.DuckDBPyConnection, list[int]], dict[int, Any]]
    ) -> Page:
        if query.limit <= 0:
            return Page(rows=[])
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
        selected = ", ".join(f"{expr} AS k{i}" for i, (expr, _) in enumerate(columns))
        ordered = ", ".join(f"k{i} {'DESC' if down else 'ASC'} NULLS LAST" for i, (_, down) in enumerate(columns))
        head = f"SELECT {alias}.rowid, {selected} FROM {view} {alias} WHERE {where}"
        tail = f"ORDER BY {ordered} LIMIT {query.limit + 1} OFFSET {max(0, query.offset)}"
        time_column = f'{alias}."{DEFAULT_ORDER[view]}"'
        with self._engine.read() as connection:
            keys: list[tuple[Any, ...]] = []
            since: list[int | None] = [None]
            narrowed = narrow(connection, view, query.project_id, query.where)
            if narrowed is not None:
                head += f" AND {narrowed}"
            elif columns[0] == (time_column, True):
                since = [*self._recent.windows(connection, view, query, position[0] if position else None), None]
            for start in since:
                window = "" if start is None else f"AND {time_column} >= {start} "
                keys = connection.execute(f"{head} {window}{tail}", compiler.params).fetchall()
                if len(keys) > query.limit:
                    break
            more = len(keys) > query.limit
            keys = keys[: query.limit]
            found = load(connection, [k[0] for k in keys]) if keys else {}
        cursor = encode_cursor(view, columns, keys[-1][1:]) if more else None
        return Page(rows=[found[k[0]] for k in keys], next_cursor=cursor)

    def count(self, view: str, query: Query) -> int:
        """See ``TelemetryStore.count``."""
        compiler = Compiler(query.project_id)
        alias = alias_of(view)
        where = compiler.where(view, query.where)
        with self._engine.read() as connection:
            narrowed = narrow(connection, view, query.project_id, query.where)
            if narrowed is not None:
                where += f" AND {narrowed}"
            return int(one_row(connection, f"SELECT count(*) FROM {view} {alias} WHERE {where}", compiler.params)[0])


def _at(table: str, columns: str, rowids: Sequence[int]) -> str:
    """SQL for the rows at these places. A join makes DuckDB look only into the vectors that hold them; for
    ``rowid IN (…)`` with more than five numbers it reads every column of every row group in between."""
    return (
        f"SELECT {columns} FROM (VALUES {','.join(f'({n})' for n in rowids)}) wanted(place) "
        f"JOIN {table} ON {table}.rowid = wanted.place"
    )
