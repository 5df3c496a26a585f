"""Skeletons of traces in which usage may be reported twice, kept while those traces grow.

Deciding what counts takes the whole tree (``domain.counting``). A long agent run sends its spans in hundreds of requests; with
its skeleton at hand each of them costs a walk in memory instead of a query for all that came before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from twinlens.domain.trace import Scope, Span
from twinlens.store.telemetry.interface import TelemetryStore, WriteSet

MOST_SPANS = 100_000  #: kept altogether


class Skeletons:
    """What is stored of some traces, as far as counting needs it. Writer thread only."""

    def __init__(self, store: TelemetryStore) -> None:
        self._store = store
        self._traces: OrderedDict[tuple[str, str], dict[str, Span]] = OrderedDict()
        self._size = 0

    def of(self, project_id: str, trace_id: str) -> dict[str, Span]:
        """The stored spans of a trace by id. The caller does not change the result."""
        key = (project_id, trace_id)
        known = self._traces.get(key)
        if known is None:
            found = self._store.trace_spans(project_id, [trace_id], with_io=False, with_attributes=False)
            known = self._traces[key] = {s.span_id: _bones(s) for s in found.get(trace_id, ())}
            self._size += len(known)
        self._traces.move_to_end(key)
        return known

    def committed(self, rows: WriteSet) -> None:
        """Bring in what has just been stored."""
        if not self._traces:
            return
        for project_id, of in rows.projects.items():
            self._add(project_id, of.spans)
        while self._size > MOST_SPANS and self._traces:
            _, dropped = self._traces.popitem(last=False)
            self._size -= len(dropped)

    def _add(self, project_id: str, spans: Iterable[Span]) -> None:
        for span in spans:
            known = self._traces.get((project_id, span.trace_id))
            if known is not None:
                self._size += span.span_id not in known
                known[span.span_id] = _bones(span)

    def clear(self) -> None:
        """Something else has changed the store."""
        self._traces.clear()
        self._size = 0


def _bones(span: Span) -> Span:
    return Span(
        trace_id=span.trace_id, span_id=span.span_id, parent_id=span.parent_id, kind=span.kind, start_ns=span.start_ns,
        end_ns=span.end_ns, model=span.model, usage=span.usage, usage_source=span.usage_source, cost=span.cost,
        cost_source=span.cost_source, counted=span.counted, scope=Scope(name=span.scope.name), source=span.source,
    )  # fmt: skip
