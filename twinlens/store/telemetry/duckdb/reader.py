"""Pages and single rows. First the keys of the page are selected, then only those rows are read whole."""

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
from twinlens.store.telemetry.duckdb.keys import row_key
from twinlens.store.telemetry.duckdb.payloads import PayloadSource
from twinlens.store.telemetry.duckdb.recent import RecentWindows
from twinlens.store.telemetry.duckdb.span_codec import columns_for, decode_spans
from twinlens.store.telemetry.query import Order, Page, Query

if TYPE_CHECKING:
    import duckdb

    from twinlens.store.telemetry.duckdb.engine import Engine

_SPAN_AT = ("trace_id", "span_id")


class Reader:
    """Reads on any thread; each call sees one snapshot."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recent = RecentWindows()

    # --- pages -----------------------------------------------------------------------------------------------------
    def traces(self, query: Query) -> Page:
        """See ``TelemetryStore.traces``."""

        def load(connection: duckdb.DuckDBPyConnection, rowids: list[int]) -> dict[int, TraceSummary]:
            extra = ", input, output, tkey, min_seq, max_seq" if query.with_io else ""
            rows = connection.execute(
                _at("traces", f"{', '.join(trace_codec.ROW)}{extra}, traces.rowid", rowids)
            ).fetchall()
            found = {row[-1]: trace_codec.decode_summary(row) for row in rows}
            if query.with_io:
                self._add_io(connection, query.project_id, [(found[r[-1]], r[-6:-1]) for r in rows])
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
            if columns[0] == (time_column, True):
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
            row = one_row(connection, f"SELECT count(*) FROM {view} {alias} WHERE {where}", compiler.params)
        return int(row[0])

    # --- single rows -----------------------------------------------------------------------------------------------
    def trace(self, project_id: str, trace_id: str, with_io: bool) -> TraceSummary | None:
        """See ``TelemetryStore.trace``."""
        with self._engine.read() as connection:
            found = connection.execute(
                f"SELECT {', '.join(trace_codec.ROW)}, input, output, tkey, min_seq, max_seq FROM traces "
                "WHERE tkey = ? AND project = ? AND trace_id = ?",
                [row_key(project_id, trace_id), project_id, trace_id],
            ).fetchall()
            if not found:
                return None
            row = found[0]
            summary = trace_codec.decode_summary(row)
            if with_io:
                self._add_io(connection, project_id, [(summary, row[-5:])])
        return summary

    def _add_io(
        self, connection: duckdb.DuckDBPyConnection, project_id: str,
        traces: Sequence[tuple[TraceSummary, tuple[str | None, str | None, int, int, int]]],
    ) -> None:  # fmt: skip
        """Explicit input and output, else those of the root span."""
        cells: dict[str, tuple[str | None, str | None]] = {}
        roots = [(s, row) for s, row in traces if s.root_span_id is not None and (row[0] is None or row[1] is None)]
        if roots:
            low, high = min(r[3] for _, r in roots), max(r[4] for _, r in roots)
            wanted = {(s.trace_id, s.root_span_id) for s, _ in roots}
            found = connection.execute(
                f"SELECT trace_id, span_id, input, output FROM spans WHERE seq BETWEEN {low} AND {high} "
                f"AND tkey IN ({_csv([r[2] for _, r in roots])}) AND span_id IN ({_marks(roots)}) AND project = ?",
                [*(s.root_span_id for s, _ in roots), project_id],
            ).fetchall()
            cells = {row[0]: (row[2], row[3]) for row in found if (row[0], row[1]) in wanted}
        source = PayloadSource(connection, project_id)
        chosen = []
        for summary, row in traces:
            of_root = cells.get(summary.trace_id, (None, None))
            chosen.append(
                (summary, row[0] if row[0] is not None else of_root[0], row[1] if row[1] is not None else of_root[1])
            )
        source.load_cells([cell for _, i, o in chosen for cell in (i, o)])
        for summary, given, answer in chosen:
            summary.input, summary.output = source.text(given), source.text(answer)

    def trace_spans(
        self, project_id: str, trace_ids: Sequence[str], with_io: bool, with_attributes: bool
    ) -> dict[str, list[Span]]:
        """See ``TelemetryStore.trace_spans``."""
        spans: dict[str, list[Span]] = {trace_id: [] for trace_id in trace_ids}
        if not spans:
            return {}
        with self._engine.read() as connection:
            places = self._places(connection, project_id, list(spans))
            if places:
                found = self.fetch_spans(
                    connection,
                    project_id,
                    f"({self._within(places)}) AND project = ?",
                    [project_id],
                    with_io,
                    with_attributes,
                )
                for span in found:
                    if span.trace_id in spans:
                        spans[span.trace_id].append(span)
        for each in spans.values():
            each.sort(key=lambda s: (s.start_ns, s.span_id))
        return {trace_id: found for trace_id, found in spans.items() if found}

    def _places(
        self, connection: duckdb.DuckDBPyConnection, project_id: str, trace_ids: list[str]
    ) -> list[tuple[int, int, int]]:
        """(tkey, min_seq, max_seq) of traces that have spans."""
        tkeys = [row_key(project_id, t) for t in trace_ids]
        return connection.execute(
            f"SELECT tkey, min_seq, max_seq FROM traces WHERE tkey IN ({_csv(tkeys)}) AND project = ? AND max_seq > 0",
            [project_id],
        ).fetchall()

    def _within(self, places: Sequence[tuple[int, int, int]]) -> str:
        """Condition that finds the spans of traces through the zone maps of ``seq``."""
        if len(places) == 1:
            tkey, low, high = places[0]
            return f"seq BETWEEN {low} AND {high} AND tkey = {tkey}"
        low, high = min(p[1] for p in places), max(p[2] for p in places)
        return f"seq BETWEEN {low} AND {high} AND tkey IN ({_csv([p[0] for p in places])})"

    def fetch_spans(
        self, connection: duckdb.DuckDBPyConnection, project_id: str, where: str, params: Sequence[Any],
        with_io: bool, with_attributes: bool,
    ) -> list[Span]:  # fmt: skip
        """Spans of one project that a raw condition selects."""
        columns = columns_for(with_io, with_attributes)
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM spans WHERE {where}", list(params)).fetchall()
        return decode_spans(rows, PayloadSource(connection, project_id), with_io, with_attributes)

    def span(self, project_id: str, trace_id: str | None, span_id: str) -> Span | None:
        """See ``TelemetryStore.span``."""
        with self._engine.read() as connection:
            if trace_id is None:
                found = self.fetch_spans(
                    connection, project_id, "span_id = ? AND project = ?", [span_id, project_id], True, True
                )
            else:
                places = self._places(connection, project_id, [trace_id])
                if not places:
                    return None
                found = self.fetch_spans(
                    connection, project_id, f"{self._within(places)} AND span_id = ? AND project = ? AND trace_id = ?",
                    [span_id, project_id, trace_id], True, True,
                )  # fmt: skip
        return max(found, key=lambda s: (s.start_ns, s.trace_id), default=None)

    def scores_for(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[Score]]:
        """See ``TelemetryStore.scores_for``."""
        if not trace_ids:
            return {}
        tkeys = [row_key(project_id, t) for t in trace_ids]
        with self._engine.read() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(score_codec.ROW)} FROM scores WHERE tkey IN ({_csv(tkeys)}) AND project = ? "
                "ORDER BY timestamp_ns, score_id",
                [project_id],
            ).fetchall()
        found: dict[str, list[Score]] = {}
        wanted = set(trace_ids)
        for row in rows:
            score = score_codec.decode_score(row)
            if score.trace_id in wanted:
                found.setdefault(str(score.trace_id), []).append(score)
        return found


def _at(table: str, columns: str, rowids: Sequence[int]) -> str:
    """SQL for the rows at these places. A join makes DuckDB look only into the vectors that hold them; for
    ``rowid IN (…)`` with more than five numbers it reads every column of every row group in between."""
    return (
        f"SELECT {columns} FROM (VALUES {','.join(f'({n})' for n in rowids)}) wanted(place) "
        f"JOIN {table} ON {table}.rowid = wanted.place"
    )


def _csv(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def _marks(items: Sequence[Any]) -> str:
    return ",".join("?" * len(items))
