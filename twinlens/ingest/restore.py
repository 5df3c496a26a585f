"""Puts whole traces back as another instance (or this one, earlier) had stored them: no pricing, no merging of reports.

What an archive holds is already the result of all that; running it through the write path again would lose who said what.
"""

from __future__ import annotations

from collections.abc import Sequence

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.trace import Span, TraceSummary
from twinlens.domain.usage import add_usage
from twinlens.ingest.seen import SeenSpans
from twinlens.store.telemetry.interface import ProjectRows, TelemetryStore, WriteSet


def restore_traces(
    store: TelemetryStore, seen: SeenSpans, project_id: str, traces: Sequence[TraceSummary], spans: Sequence[Span]
) -> int:
    """Store traces and spans as they are; number of rows written. Writer thread only.

    What is there already stays when it was updated later than, or at the same time as, what is put back. So doing it again
    changes nothing, and news is never overwritten by an old archive. Spans must belong to traces that are there or given.
    """
    rows = ProjectRows(
        summaries=[], spans=[], replaces=set(), scores=[], metrics=[], otel_metrics=[], usage={}, logs=[], logs_done=[]
    )
    wanted: dict[str, list[str]] = {}
    for span in spans:
        wanted.setdefault(span.trace_id, []).append(span.span_id)
    known = store.lookup_traces([(project_id, trace_id) for trace_id in {t.trace_id for t in traces} | set(wanted)])
    for trace in traces:
        old = known.get((project_id, trace.trace_id))
        if old is None or old.updated_ns < trace.updated_ns:
            rows.summaries.append(trace)
    stored = store.lookup_spans(project_id, {t: ids for t, ids in wanted.items() if (project_id, t) in known})
    for span in spans:
        before = stored.get((span.trace_id, span.span_id))
        if before is not None and before.updated_ns >= span.updated_ns:
            continue
        if before is not None:
            rows.replaces.add((span.trace_id, span.span_id))
            add_usage(rows.usage, before, -1)
        rows.spans.append(span)
        add_usage(rows.usage, span, 1)
        seen.add(project_id, span.trace_id, [span.span_id])
    # an engine finds the spans of a trace through its summary, so every commit with spans holds the summary too
    given = {trace.trace_id for trace in rows.summaries}
    for trace_id in {span.trace_id for span in rows.spans} - given:
        summary = known.get((project_id, trace_id))
        if summary is None:
            raise InvalidArgument(f"there is no trace {trace_id} here: write traces before their spans")
        rows.summaries.append(summary)
    if rows.summaries or rows.spans:
        store.commit(WriteSet(projects={project_id: rows}))
    return len(rows.summaries) + len(rows.spans)
