"""What the journal holds and the tables do not yet, laid over what the tables answer (docs/adr/0010-reads-over-the-memtable.md).

A read takes the memtables first and its snapshot of the tables second. ``journal_taken`` in that snapshot says which of the
memtables the tables have by then, so every row is seen once and nothing acknowledged is missed. Conditions on pending rows are
evaluated by DuckDB itself, over an Arrow table of the columns they name: they mean the same as over the tables. What cannot be
answered this way (conditions that look into other tables) is left to a read after taking over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from twinlens.domain.score import Score
from twinlens.domain.trace import Scope, Span, TraceSummary
from twinlens.store.telemetry.duckdb import score_codec, span_codec, trace_codec
from twinlens.store.telemetry.duckdb.arrow import table_of
from twinlens.store.telemetry.duckdb.ddl import TABLES
from twinlens.store.telemetry.duckdb.fields import ALIAS
from twinlens.store.telemetry.duckdb.keys import row_key
from twinlens.store.telemetry.duckdb.memtable import PendingProject, SpanKey
from twinlens.store.telemetry.duckdb.places import KnownPlaces, named_traces
from twinlens.store.telemetry.query import Expr

if TYPE_CHECKING:
    import duckdb

#: Whether the tables may hold an earlier version of a row: view, and its 64-bit key.
MaybeStored = Callable[[str, int], bool]

_columns: dict[str, Callable[[str, Sequence[Any]], list[Any] | None]] = {
    "traces": trace_codec.column,
    "spans": span_codec.column,
    "scores": score_codec.column,
}


class Overlay:
    """The pending rows of one project as one moment has them. Later rows take the place of the tables' rows of the same key."""

    def __init__(
        self,
        project_id: str,
        parts: Sequence[PendingProject] = (),
        taken: Sequence[PendingProject] = (),
        maybe_stored: MaybeStored = lambda view, key: True,
    ) -> None:
        """``parts``, oldest first, are not in the snapshot of the tables; ``taken`` are, but perhaps nobody has noted it yet."""
        self._project = project_id
        self._taken = taken
        self._maybe_stored = maybe_stored
        self.traces: dict[str, TraceSummary] = {}
        self.spans: dict[SpanKey, Span] = {}
        self.scores: dict[str, Score] = {}
        self._replaced: set[SpanKey] = set()
        self.places = KnownPlaces(project_id)  #: of the snapshot that this lies over
        if len(parts) == 1:  # the usual case; a part is this read's own
            part = parts[0]
            self.traces, self.spans, self.scores, self._replaced = (
                part.summaries,
                part.spans,
                part.scores,
                part.replaces,
            )
            return
        for part in parts:
            for trace_id, summary in part.summaries.items():
                self.traces[trace_id] = _later(self.traces.get(trace_id), summary)
            self.spans.update(part.spans)
            self.scores.update(part.scores)
            self._replaced |= part.replaces

    def __bool__(self) -> bool:
        return bool(self.traces or self.spans or self.scores)

    def touches(self, trace_ids: Iterable[str]) -> bool:
        """Whether anything pending is, or takes the place of something that may be, about one of the traces."""
        wanted = set(trace_ids)
        return any(self.has_rows_of(view, wanted) for view in _columns)

    def has_rows_of(self, view: str, trace_ids: Iterable[str]) -> bool:
        """Whether pending rows of the view are, or take the place of some that may be, about one of the traces."""
        wanted = set(trace_ids)
        if view == "traces":
            return not wanted.isdisjoint(self.traces)
        if view == "spans":
            return any(trace_id in wanted for trace_id, _ in self.spans)
        # a score may have moved from one trace to another
        return any(score.trace_id in wanted for score in self.scores.values()) or bool(self.earlier_versions("scores"))

    def rows(self, view: str) -> Mapping[Any, Any]:
        """Pending rows of a view, by their id (of spans: trace and span id)."""
        return self.traces if view == "traces" else self.spans if view == "spans" else self.scores

    # --- rows as the tables would give them back -------------------------------------------------------------------
    def trace(self, summary: TraceSummary, with_io: bool) -> TraceSummary | None:
        """A pending summary as a read shows it; None when only the tables know its input and output."""
        if not with_io:
            return msgspec.structs.replace(summary, input=None, output=None)
        given, answer = summary.input, summary.output
        if given is None or answer is None:
            if self._earlier("traces", summary.trace_id, row_key(self._project, summary.trace_id)):
                return None
            if summary.root_span_id is not None:
                root = self.spans.get((summary.trace_id, summary.root_span_id))
                if root is None:
                    return None
                given = root.input if given is None else given
                answer = root.output if answer is None else answer
        return msgspec.structs.replace(summary, input=given, output=answer)

    def score(self, score: Score) -> Score | None:
        """A pending score as a read shows it; None when the tables may know when it was first said."""
        if not (score.created_ns and score.updated_ns and score.timestamp_ns):
            return None
        earlier = self._earlier("scores", score.score_id, row_key(self._project, score.score_id))
        return None if earlier else msgspec.structs.replace(score)

    def spans_of(self, trace_ids: Iterable[str]) -> list[Span]:
        """Pending spans of some traces, whole."""
        wanted = set(trace_ids)
        return [span for (trace_id, _), span in self.spans.items() if trace_id in wanted]

    def earlier_versions(self, view: str) -> list[Any]:
        """Ids of the pending rows of which the tables may hold an earlier version."""
        if view == "spans":
            taken = {key for part in self._taken for key in part.spans}
            return [key for key in self.spans if key in self._replaced or key in taken]
        return [each for each in self.rows(view) if self._earlier(view, each, row_key(self._project, each))]

    def _earlier(self, view: str, row_id: str, key: int) -> bool:
        if any(row_id in (part.summaries if view == "traces" else part.scores) for part in self._taken):
            return True
        return self._maybe_stored(view, key)

    # --- conditions ------------------------------------------------------------------------------------------------
    def matching(
        self, connection: duckdb.DuckDBPyConnection, view: str, where: str, params: Mapping[str, Any]
    ) -> list[Any] | None:
        """The pending rows of a view that fulfil a compiled condition; None when it needs more than the rows themselves."""
        if tables_in(where):
            return None
        rows = list(self.rows(view).values())
        if not rows or where == f"{ALIAS[view]}.project = $project":
            return rows
        pending_rows = self._table(view, _named(view, where), rows)  # found by its name in the statement
        if pending_rows is None:
            return None
        fits = connection.execute(
            f"SELECT place FROM (SELECT row_number() OVER () - 1 AS place, * FROM pending_rows) {ALIAS[view]} WHERE {where}",
            {name: params[name] for name in set(re.findall(r"\$(\w+)", where))},
        ).fetchall()
        return [rows[place] for (place,) in fits]

    def order_values(self, view: str, columns: Sequence[tuple[str, bool]], rows: Sequence[Any]) -> list[Any] | None:
        """What the rows are ordered by, a tuple for each; None when it is more than columns."""
        found: list[list[Any]] = []
        for expr, _ in columns:
            plain = re.fullmatch(rf'{ALIAS[view]}\."?(\w+)"?', expr)  # what looks into other tables is more than that
            values = self._column(view, plain[1], rows) if plain else None
            if values is None:
                return None
            found.append(values)
        return list(zip(*found, strict=True))

    def beside(self, view: str, sql: str) -> tuple[str, dict[str, Any], Any] | None:
        """For a statement over one view, what it reads from instead of the table: the table's rows and the pending ones, which the
        caller has as ``pending_rows``; the parameters that needs; and those rows. None when only the tables can answer."""
        if tables_in(sql) > 1:
            return None
        names = _named(view, sql)
        table = self._table(view, names, list(self.rows(view).values()))
        if table is None:
            return None
        columns = ", ".join(f'"{name}"' for name in names)
        gone, params = self._gone(view)
        source = f"(SELECT {columns} FROM {view}{gone} UNION ALL SELECT {columns} FROM pending_rows) {ALIAS[view]}"
        return source, params, table

    def _gone(self, view: str) -> tuple[str, dict[str, Any]]:
        """The condition that leaves out rows of the tables that pending ones take the place of."""
        earlier = self.earlier_versions(view)
        if not earlier:
            return "", {}
        if view != "spans":
            key = "tkey" if view == "traces" else "skey"
            gone = [row_key(self._project, each) for each in earlier]
            return f" WHERE {key} NOT IN (SELECT unnest($gone::BIGINT[]))", {"gone": gone}
        traces = [row_key(self._project, trace_id) for trace_id, _ in earlier]
        spans = [span_id for _, span_id in earlier]
        within = "SELECT unnest($gone_traces::BIGINT[]), unnest($gone::VARCHAR[])"
        return f" WHERE (tkey, span_id) NOT IN ({within})", {"gone_traces": traces, "gone": spans}

    def _table(self, view: str, names: Sequence[str], rows: Sequence[Any]) -> Any | None:
        """Some columns of pending rows as Arrow has them; None when one of them is not known before it is stored."""
        columns: dict[str, list[Any]] = {}
        for name in names:
            values = [self._project] * len(rows) if name == "project" else self._column(view, name, rows)
            if values is None:
                return None
            columns[name] = values
        return table_of(view, columns)

    def _column(self, view: str, name: str, rows: Sequence[Any]) -> list[Any] | None:
        if name == "tkey":
            return [None if row.trace_id is None else row_key(self._project, row.trace_id) for row in rows]
        return _columns[view](name, rows)


def tables_in(sql: str) -> int:
    """How often SQL reads one of the tables that may have pending rows. (User text is never part of SQL.)"""
    return len(re.findall(r"\bFROM (?:traces|spans|scores)\b", sql))


def concerns(pending: Overlay, view: str, where: Expr, *, others: bool) -> bool:
    """Whether the answer may be another one because of pending rows; ``others``: it also looks into other views."""
    if not pending:
        return False
    named = named_traces(where)
    if others:
        return named is None or pending.touches(named)
    return bool(pending.rows(view)) if named is None else pending.has_rows_of(view, named)


def _named(view: str, sql: str) -> list[str]:
    """The columns of the view's table that a condition names."""
    return sorted({n for n in re.findall(rf'\b{ALIAS[view]}\."?(\w+)', sql) if n in TABLES[view]} | {"project"})


def _later(before: TraceSummary | None, summary: TraceSummary) -> TraceSummary:
    """The later summary; an explicit input or output that was not handed in again stays."""
    if before is None or (summary.input is not None and summary.output is not None):
        return summary
    return msgspec.structs.replace(
        summary,
        input=before.input if summary.input is None else summary.input,
        output=before.output if summary.output is None else summary.output,
    )


def shown(span: Span, with_io: bool, with_attributes: bool) -> Span:
    """A pending span as a read shows it (see ``span_codec.decode_spans``)."""
    found = msgspec.structs.replace(
        span,
        input_preview=span_codec.preview_of(span.input, span.input_preview),
        output_preview=span_codec.preview_of(span.output, span.output_preview),
    )
    if not with_io:
        found.input = found.output = None
    if not with_attributes:
        found.attributes, found.events, found.links, found.resource, found.rules = {}, [], [], {}, {}
        found.trace_state = ""
        found.scope = Scope(name=span.scope.name)
        if not with_io:
            found.metadata, found.model_parameters, found.partial, found.given = {}, {}, False, None
    return found
