"""What the live bus is told about a commit."""

from __future__ import annotations

from twinlens.domain.live import Notice
from twinlens.store.telemetry.interface import WriteSet


def notices_of(rows: WriteSet) -> list[Notice]:
    """One notice per trace (``data["summary"]`` is the stored summary) and score, one per run for metrics."""
    notices: list[Notice] = []
    for project_id, of in rows.projects.items():
        for summary in of.summaries:
            notices.append(Notice(kind="trace", project_id=project_id, id=summary.trace_id, data={"summary": summary}))
        for score in of.scores:
            data = {
                "name": score.name, "trace_id": score.trace_id, "span_id": score.span_id, "session_id": score.session_id,
                "value": score.value, "string_value": score.string_value,
            }  # fmt: skip
            notices.append(Notice(kind="score", project_id=project_id, id=score.score_id, data=data))
        runs: dict[str, set[str]] = {}
        for point in of.metrics:
            runs.setdefault(point.run_id, set()).add(point.key)
        for run_id, keys in runs.items():
            notices.append(Notice(kind="metric", project_id=project_id, id=run_id, data={"keys": sorted(keys)}))
    return notices
