"""Traces, spans and scores by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.store.telemetry.duckdb import score_codec, trace_codec
from twinlens.store.telemetry.duckdb.keys import row_key, span_key
from twinlens.store.telemetry.duckdb.payloads import PayloadSource
from twinlens.store.telemetry.duckdb.places import by_trace, csv, find_places, within
from twinlens.store.telemetry.duckdb.span_codec import columns_for, decode_spans

if TYPE_CHECKING:
    import duckdb

    from twinlens.store.telemetry.duckdb.engine import Engine


class Reader:
    """Reads on any thread; each call sees one snapshot."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def trace(self, project_id: str, trace_id: str, with_io: bool) -> TraceSummary | None:
        """See ``TelemetryStore.trace``."""
        with self._engine.read() as connection:
            found = connection.execute(
                f"SELECT {', '.join(trace_codec.ROW)}, input, output, tkey, min_seq, max_seq FROM traces "
                f"WHERE {by_trace('traces', [row_key(project_id, trace_id)])} AND project = ? AND trace_id = ?",
                [project_id, trace_id],
            ).fetchall()
            if not found:
                return None
            row = found[0]
            summary = trace_codec.decode_summary(row)
            if with_io:
                add_io(connection, project_id, [(summary, row[-5:])])
        return summary

    def trace_spans(
        self, project_id: str, trace_ids: Sequence[str], with_io: bool, with_attributes: bool
    ) -> dict[str, list[Span]]:
        """See ``TelemetryStore.trace_spans``."""
        spans: dict[str, list[Span]] = {trace_id: [] for trace_id in trace_ids}
        if not spans:
            return {}
        with self._engine.read() as connection:
            for where in within(find_places(connection, project_id, list(spans))):
                for span in self.fetch_spans(
                    connection, project_id, f"{where} AND project = ?", [project_id], with_io, with_attributes
                ):
                    if span.trace_id in spans:
                        spans[span.trace_id].append(span)
        for each in spans.values():
            each.sort(key=lambda s: (s.start_ns, s.span_id))
        return {trace_id: found for trace_id, found in spans.items() if found}

    def span_ids(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[str]]:
        """See ``TelemetryStore.span_ids``."""
        wanted = set(trace_ids)
        found: dict[str, list[str]] = {}
        if not wanted:
            return found
        with self._engine.read() as connection:
            conditions = within(find_places(connection, project_id, list(wanted)))
            rows = [
                row
                for where in conditions
                for row in connection.execute(
                    f"SELECT trace_id, start_ns, span_id FROM spans WHERE {where} AND project = ?", [project_id]
                ).fetchall()
            ]
        for trace_id, _, span_id in sorted(rows):
            if trace_id in wanted:
                found.setdefault(trace_id, []).append(span_id)
        return found

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
            where = "skey = ? AND span_id = ? AND project = ?"
            params: list[Any] = [span_key(span_id), span_id, project_id]
            if trace_id is not None:
                places = find_places(connection, project_id, [trace_id])
                if not places:
                    return None
                where = f"{within(places)[0]} AND {where} AND trace_id = ?"
                params.append(trace_id)
            found = self.fetch_spans(connection, project_id, where, params, True, True)
        return max(found, key=lambda s: (s.start_ns, s.trace_id), default=None)

    def scores_for(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[Score]]:
        """See ``TelemetryStore.scores_for``."""
        if not trace_ids:
            return {}
        tkeys = [row_key(project_id, t) for t in trace_ids]
        with self._engine.read() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(score_codec.ROW)} FROM scores WHERE {by_trace('scores', tkeys)} AND project = ? "
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


def add_io(
    connection: duckdb.DuckDBPyConnection, project_id: str,
    traces: Sequence[tuple[TraceSummary, tuple[str | None, str | None, int, int, int]]],
) -> None:  # fmt: skip
    """Explicit input and output, else those of the root span."""
    cells: dict[str, tuple[str | None, str | None]] = {}
    roots = [(s, row) for s, row in traces if s.root_span_id is not None and (row[0] is None or row[1] is None)]
    if roots:
        low, high = min(r[3] for _, r in roots), max(r[4] for _, r in roots)
        wanted = {(s.trace_id, s.root_span_id) for s, _ in roots}
        places = connection.execute(  # keys first: the rows of a list may lie far apart, and their cells are wide
            f"SELECT rowid FROM spans WHERE seq BETWEEN {low} AND {high} "
            f"AND tkey IN ({csv([r[2] for _, r in roots])}) AND span_id IN ({_marks(roots)}) AND project = ?",
            [*(s.root_span_id for s, _ in roots), project_id],
        ).fetchall()
        at = ",".join(f"({place})" for (place,) in places)
        found = (
            connection.execute(
                f"SELECT trace_id, span_id, input, output FROM (VALUES {at}) wanted(place) "
                "JOIN spans ON spans.rowid = wanted.place"
            ).fetchall()
            if places
            else []
        )
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


def _marks(items: Sequence[Any]) -> str:
    return ",".join("?" * len(items))
