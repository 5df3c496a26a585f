"""What the live bus is told about a commit."""

from __future__ import annotations

from typing import Any

from twinlens.domain.live import Notice
from twinlens.domain.trace import TraceSummary
from twinlens.store.telemetry.interface import WriteSet

_ROW = (
    "experiment_id", "name", "start_ns", "end_ns", "latency_ns", "status", "level", "input_preview", "output_preview",
    "user_id", "session_id", "environment", "release", "version", "service", "bookmarked", "tags", "models", "run_ids",
    "span_count", "error_count", "total_tokens", "total_cost", "updated_ns",
)  # fmt: skip


def trace_row(summary: TraceSummary) -> dict[str, Any]:
    """The fields of a list row."""
    return {name: getattr(summary, name) for name in _ROW}


def notices_of(rows: WriteSet) -> list[Notice]:
    """One notice per trace and score, one per run for metrics."""
    notices: list[Notice] = []
    for project_id, of in rows.projects.items():
        for summary in of.summaries:
            notices.append(Notice(kind="trace", project_id=project_id, id=summary.trace_id, data=trace_row(summary)))
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
