"""Scores that a run has given, which go when the run goes."""

from __future__ import annotations

from collections.abc import Sequence

from twinlens.ingest.writer import Ingest
from twinlens.store.catalog.experiments import chunks
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Cmp, Query

#: MLflow's reserved key in an assessment's metadata: the run that made it.
SOURCE_RUN = "mlflow.assessment.sourceRunId"
_PAGE = 1_000


class RunScores:
    """Deletes the scores of deleted runs (reference: MLflow 3.18, deleting a run deletes its assessments)."""

    def __init__(self, telemetry: TelemetryStore, ingest: Ingest) -> None:
        self._telemetry = telemetry
        self._ingest = ingest

    def drop(self, project_id: str, run_ids: Sequence[str]) -> None:
        """Delete every score whose metadata names one of the runs as its source."""
        for part in chunks(run_ids, 500):
            where = Cmp("metadata", "in", list(part), SOURCE_RUN)
            cursor: str | None = None
            found: list[str] = []
            while True:
                page = self._telemetry.scores(Query(project_id=project_id, where=where, limit=_PAGE, cursor=cursor))
                found += [score.score_id for score in page.rows]
                cursor = page.next_cursor
                if cursor is None:
                    break
            if found:
                self._ingest.run_sync(lambda store, ids=found: store.delete_scores(project_id, ids))
