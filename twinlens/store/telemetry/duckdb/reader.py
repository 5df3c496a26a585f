"""Traces, spans and scores by id."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.store.telemetry.duckdb import score_codec, trace_codec
from twinlens.store.telemetry.duckdb.keys import row_key, span_key
from twinlens.store.telemetry.duckdb.overlay import Overlay, shown
from twinlens.store.telemetry.duckdb.payloads import PayloadSource
from twinlens.store.telemetry.duckdb.places import Place, csv, rows_at, within
from twinlens.store.telemetry.duckdb.span_codec import COLUMN_OF, columns_for, decode_spans, field_values

if TYPE_CHECKING:
    import duckdb

    from twinlens.store.telemetry.duckdb.engine import Engine


_WHOLE = ", ".join(columns_for(True, True))


class Reader:
    """Reads on any thread; each call sees one snapshot."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def trace(self, project_id: str, trace_id: str, with_io: bool) -> TraceSummary | None:
        """See ``TelemetryStore.trace``."""
        with self._engine.read_over(project_id) as (connection, pending):
            summary = pending.traces.get(trace_id)
            if summary is None:
                return self._stored_trace(connection, pending, project_id, trace_id, with_io)
            if (found := pending.trace(summary, with_io)) is not None:
                return found
        with self._engine.read_all(project_id) as (connection, nothing):
            return self._stored_trace(connection, nothing, project_id, trace_id, with_io)

    def _stored_trace(
        self, connection: duckdb.DuckDBPyConnection, pending: Overlay, project_id: str, trace_id: str, with_io: bool
    ) -> TraceSummary | None:
        places = connection.execute(  # alone: one column instead of three is looked through
            f"SELECT rowid FROM traces WHERE tkey = {row_key(project_id, trace_id)}"
        ).fetchall()
        if not places:
            return None
        columns = f"{', '.join(trace_codec.ROW)}, input, output, tkey, min_seq, max_seq"
        found = connection.execute(
            f"SELECT {columns} FROM traces WHERE rowid IN ({csv([n for (n,) in places])}) AND project = ? AND trace_id = ?",
            [project_id, trace_id],
        ).fetchall()
        if not found:
            return None
        row = found[0]
        summary = trace_codec.decode_summary(row)
        pending.places.note(trace_id, row[-3:])
        if with_io:
            add_io(connection, pending, project_id, [(summary, row[-5:-3], row[-3:])])
        return summary

    def trace_table(
        self, project_id: str, trace_ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, tuple[Any, ...]]:
        """See ``TelemetryStore.trace_table``."""
        if unknown := [name for name in fields if name not in trace_codec.PLAIN]:
            raise InvalidArgument(f"{unknown[0]!r} is not a field of traces that can be read alone")
        wanted = set(trace_ids)
        if not wanted:
            return {}
        with self._engine.read_over(project_id) as (connection, pending):
            read = attrgetter(*fields, "trace_id")
            found = {row.trace_id: read(row)[:-1] for t in wanted if (row := pending.traces.get(t)) is not None}
            if missing := wanted - found.keys():
                places = connection.execute(
                    f"SELECT rowid FROM traces WHERE tkey IN ({csv([row_key(project_id, t) for t in missing])})"
                ).fetchall()
                columns = ", ".join(f'"{name}"' for name in ("trace_id", *fields))
                rows = rows_at(connection, "traces", columns, project_id, [place for (place,) in places])
                found |= {row[0]: row[1:] for row in rows if row[0] in missing}
        return found

    def trace_spans(
        self, project_id: str, trace_ids: Sequence[str], with_io: bool, with_attributes: bool
    ) -> dict[str, list[Span]]:
        """See ``TelemetryStore.trace_spans``."""
        spans: dict[str, list[Span]] = {trace_id: [] for trace_id in trace_ids}
        if not spans:
            return {}
        with self._engine.read_over(project_id) as (connection, pending):
            places = pending.places.find(connection, list(spans))
            rows = pending.places.rows(connection, ", ".join(columns_for(with_io, with_attributes)), places)
            for span in decode_spans(rows, PayloadSource(connection, project_id), with_io, with_attributes):
                if span.trace_id in spans and (span.trace_id, span.span_id) not in pending.spans:
                    spans[span.trace_id].append(span)
            for span in pending.spans_of(spans):
                spans[span.trace_id].append(shown(span, with_io, with_attributes))
        for each in spans.values():
            each.sort(key=lambda s: (s.start_ns, s.span_id))
        return {trace_id: found for trace_id, found in spans.items() if found}

    def span_columns(self, project_id: str, trace_id: str, fields: Sequence[str]) -> list[list[Any]]:
        """See ``TelemetryStore.span_columns``."""
        if unknown := [name for name in fields if name not in COLUMN_OF]:
            raise InvalidArgument(f"{unknown[0]!r} is not a field of spans that can be read alone")
        with self._engine.read_over(project_id) as (connection, pending):
            own = ("start_ns", "span_id")
            columns = ", ".join(COLUMN_OF[name] for name in (*own, *fields))
            # by column and through Arrow: most columns say the same in every row, and no row becomes an object of its own
            cells = [
                column.to_pylist()
                for column in connection.sql(
                    f"SELECT {columns} FROM spans WHERE {within(pending.places.find(connection, [trace_id]))} "
                    "AND trace_id = ? AND project = ? ORDER BY start_ns, span_id",
                    params=[trace_id, project_id],
                )
                .to_arrow_table()
                .columns
            ]
        starts, ids = cells[:2]
        table = [field_values(name, column) for name, column in zip(fields, cells[2:], strict=True)]
        fresh = [shown(span, False, False) for span in pending.spans_of([trace_id])]
        if not fresh:
            return table
        kept = [n for n, span_id in enumerate(ids) if (trace_id, span_id) not in pending.spans]
        places = [(starts[n], ids[n]) for n in kept] + [(span.start_ns, span.span_id) for span in fresh]
        order = sorted(range(len(places)), key=places.__getitem__)
        for at, name in enumerate(fields):
            column = [table[at][n] for n in kept] + [getattr(span, name) for span in fresh]
            table[at] = [column[n] for n in order]
        return table

    def span_ids(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[str]]:
        """See ``TelemetryStore.span_ids``."""
        wanted = set(trace_ids)
        found: dict[str, list[str]] = {}
        if not wanted:
            return found
        with self._engine.read_over(project_id) as (connection, pending):
            places = pending.places.find(connection, list(wanted))
            rows = [
                row
                for row in pending.places.rows(connection, "trace_id, start_ns, span_id", places, few_columns=True)
                if row[0] in wanted and (row[0], row[2]) not in pending.spans
            ]
        rows += [(span.trace_id, span.start_ns, span.span_id) for span in pending.spans_of(wanted)]
        for trace_id, _, span_id in sorted(rows):
            found.setdefault(trace_id, []).append(span_id)
        return found

    def fetch_spans(
        self, connection: duckdb.DuckDBPyConnection, project_id: str, where: str, params: Sequence[Any]
    ) -> list[Span]:
        """Whole spans of one project that a raw condition selects."""
        rows = connection.execute(f"SELECT {_WHOLE} FROM spans WHERE {where}", list(params)).fetchall()
        return self._whole(connection, project_id, rows)

    def _whole(
        self, connection: duckdb.DuckDBPyConnection, project_id: str, rows: Sequence[tuple[Any, ...]]
    ) -> list[Span]:
        return decode_spans(rows, PayloadSource(connection, project_id), True, True)

    def span(self, project_id: str, trace_id: str | None, span_id: str) -> Span | None:
        """See ``TelemetryStore.span``."""
        with self._engine.read_over(project_id) as (connection, pending):
            fresh = [s for s in pending.spans.values() if s.span_id == span_id and trace_id in (None, s.trace_id)]
            found = [shown(span, True, True) for span in fresh]
            if trace_id is None or not found:
                stored = self._stored_span(connection, pending, project_id, trace_id, span_id)
                found += [s for s in stored if (s.trace_id, s.span_id) not in pending.spans]
        return max(found, key=lambda s: (s.start_ns, s.trace_id), default=None)

    def _stored_span(
        self,
        connection: duckdb.DuckDBPyConnection,
        pending: Overlay,
        project_id: str,
        trace_id: str | None,
        span_id: str,
    ) -> list[Span]:
        where = f"skey = {span_key(span_id)}"
        if trace_id is not None:
            where = f"{within(pending.places.find(connection, [trace_id]))} AND {where}"
        found = connection.execute(  # alone: one column instead of fifty is looked through
            f"SELECT rowid FROM spans WHERE {where}"
        ).fetchall()
        rows = rows_at(connection, "spans", _WHOLE, project_id, [place for (place,) in found])
        spans = self._whole(connection, project_id, rows)
        return [span for span in spans if span.span_id == span_id and trace_id in (None, span.trace_id)]

    def scores_for(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[Score]]:
        """See ``TelemetryStore.scores_for``."""
        wanted = set(trace_ids)
        if not wanted:
            return {}
        with self._engine.read_over(project_id) as (connection, pending):
            fresh = [pending.score(score) for score in pending.scores.values() if score.trace_id in wanted]
            whole = [score for score in fresh if score is not None]
            if len(whole) == len(fresh):
                stored = self._stored_scores(connection, project_id, wanted)
                return _by_trace([s for s in stored if s.score_id not in pending.scores] + whole)
        with self._engine.read() as connection:
            return _by_trace(self._stored_scores(connection, project_id, wanted))

    def _stored_scores(
        self, connection: duckdb.DuckDBPyConnection, project_id: str, trace_ids: set[str]
    ) -> list[Score]:
        places = connection.execute(  # most traces have none, and then their many columns are not looked at
            f"SELECT rowid FROM scores WHERE tkey IN ({csv([row_key(project_id, t) for t in trace_ids])})"
        ).fetchall()
        rows = rows_at(connection, "scores", ", ".join(score_codec.ROW), project_id, [place for (place,) in places])
        return [score for row in rows if (score := score_codec.decode_score(row)).trace_id in trace_ids]


def _by_trace(scores: list[Score]) -> dict[str, list[Score]]:
    found: dict[str, list[Score]] = {}
    for score in sorted(scores, key=lambda s: (s.timestamp_ns, s.score_id)):
        found.setdefault(str(score.trace_id), []).append(score)
    return found


#: Spans of a page's traces that are all looked up for their roots: what shows inputs mostly shows the spans' ids too.
_MOST_SPANS = 5_000


def add_io(
    connection: duckdb.DuckDBPyConnection, pending: Overlay, project_id: str,
    traces: Sequence[tuple[TraceSummary, tuple[str | None, str | None], Place]],
) -> None:  # fmt: skip
    """Explicit input and output, given as cells, else those of the root span."""
    cells: dict[str, tuple[str | None, str | None]] = {}
    roots = {
        (place[0], span_key(str(s.root_span_id))): (s.trace_id, s.root_span_id)
        for s, own, place in traces
        if s.root_span_id is not None and None in own
    }
    if roots:
        places = [place for s, own, place in traces if s.root_span_id is not None and None in own]
        if sum(s.span_count for s, _, _ in traces) <= _MOST_SPANS:
            found = pending.places.spans(connection, places)
            rowids = [rowid for tkey, of in found.items() for rowid, skey in of if (tkey, skey) in roots]
        else:
            rows = connection.execute(
                f"SELECT rowid FROM spans WHERE {within(places)} AND skey IN ({csv([k for _, k in roots])})"
            ).fetchall()
            rowids = [rowid for (rowid,) in rows]
        wanted = set(roots.values())
        for row in rows_at(connection, "spans", "trace_id, span_id, input, output", project_id, rowids):
            if (row[0], row[1]) in wanted:
                cells[row[0]] = row[2], row[3]
    source = PayloadSource(connection, project_id)
    chosen: list[tuple[TraceSummary, str | None, str | None]] = []
    for summary, (given, answer), _ in traces:
        of_root = cells.get(summary.trace_id, (None, None))
        chosen.append((summary, of_root[0] if given is None else given, of_root[1] if answer is None else answer))
    source.load_cells([cell for _, i, o in chosen for cell in (i, o)])
    for summary, given, answer in chosen:
        summary.input, summary.output = source.text(given), source.text(answer)
