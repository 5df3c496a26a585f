"""Dataset runs at an MLflow server: each is shown as a run with its dataset, its traces and the mean of each score.

The dataset run itself and its items are in the ledger, from which they come back; the run that shows it does not.
"""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.dataset import DatasetRun, DatasetRunItem, tags_of
from twinlens.domain.record import CARRIED, DatasetRunItemRecord, DatasetRunRecord
from twinlens.migrate import mlflow_wire as wire
from twinlens.migrate.http import Http
from twinlens.migrate.mlflow_ledger import LedgerWriter
from twinlens.migrate.mlflow_reader import API, RestReader
from twinlens.migrate.mlflow_source import SHOWN
from twinlens.migrate.notes import Notes

_MS = 1_000_000
#: Traces of one call.
_LINKS = 100


class EvaluationWriter:
    """Makes the runs that show dataset runs."""

    def __init__(self, http: Http, reader: RestReader, ledger: LedgerWriter, notes: Notes) -> None:
        self._http = http
        self._reader = reader
        self._ledger = ledger
        self._notes = notes

    def run(self, run: DatasetRun, *, seen: bool) -> None:
        """Remember a dataset run and show it, unless it is ``seen``: the source had a run of its own for it."""
        self._ledger.keep([DatasetRunRecord(run=run)])
        if seen:
            return
        quoted = run.run_id.replace("'", "''")
        body: dict[str, Any] = {
            "experiment_ids": ["0"], "filter": f"tags.`{SHOWN}` = '{quoted}'", "max_results": 1, "run_view_type": "ALL",
        }  # fmt: skip
        found = self._http.post(f"{API}/runs/search", body).get("runs")
        here = found[0]["info"]["run_id"] if found else self._made(run)
        self._notes.put("shown", [(run.run_id, here.encode())])

    def _made(self, run: DatasetRun) -> str:
        start = run.created_ns // _MS
        tags = {
            **tags_of(run.metadata), SHOWN: run.run_id, f"{CARRIED}dataset": run.dataset_name, "mlflow.runName": run.name,
            "mlflow.runType": "genai_evaluate", **({"mlflow.note.content": run.description} if run.description else {}),
        }  # fmt: skip
        body = {"experiment_id": "0", "run_name": run.name, "start_time": start, "tags": wire.pairs_of(tags)}
        here = str(self._http.post(f"{API}/runs/create", body)["run"]["info"]["run_id"])
        data = {
            "name": run.dataset_name,
            "digest": wire.hex_id(run.dataset_id, 8),
            "source_type": "twinlens",
            "source": "{}",
        }
        self._http.post(f"{API}/runs/log-inputs", {"run_id": here, "datasets": [{"dataset": data, "tags": []}]})
        end = {"run_id": here, "status": "FINISHED", "end_time": max(start, run.updated_ns // _MS)}
        self._http.post(f"{API}/runs/update", end)
        return here

    def item(self, item: DatasetRunItem) -> None:
        """Remember what a run made of an item; its trace is linked at the end."""
        self._ledger.keep([DatasetRunItemRecord(item=item)])
        self._notes.put(f"traces of {item.run_id}", [(wire.hex_id(item.trace_id, 32), b"")])

    def flush(self) -> None:
        """Link traces to the runs, and log the mean of each score of them as a metric."""
        for run_id, here in self._notes.all("shown"):
            trace_ids = [f"tr-{trace_id}" for trace_id, _ in self._notes.all(f"traces of {run_id}")]
            for first in range(0, len(trace_ids), _LINKS):
                body = {"run_id": here.decode(), "trace_ids": trace_ids[first : first + _LINKS]}
                self._http.post(f"{API}/traces/link-to-run", body)
            kept = self._notes.get("ledger dataset_run", run_id)
            if trace_ids and kept is not None:
                at = msgspec.json.decode(kept, type=DatasetRunRecord).run.updated_ns // _MS
                metrics = [
                    {"key": f"{name}/mean", "value": value, "timestamp": at, "step": 0}
                    for name, value in sorted(self._means(trace_ids).items())
                ]
                for first in range(0, len(metrics), 1000):
                    body = {"run_id": here.decode(), "metrics": metrics[first : first + 1000]}
                    self._http.post(f"{API}/runs/log-batch", body)
        for kind in ("shown", *self._notes.kinds("traces of ")):
            self._notes.drop(kind)

    def _means(self, trace_ids: list[str]) -> dict[str, float]:
        """Means of the numbers (and of yes as 1, no as 0) that traces were scored with, by name."""
        found: dict[str, list[float]] = {}
        for part in self._reader.whole(trace_ids):
            for said in part:
                for assessment in said["trace_info"].get("assessments") or []:
                    score = wire.score_of(assessment, "")
                    if score.value is not None and score.data_type in ("NUMERIC", "BOOLEAN"):
                        found.setdefault(score.name, []).append(score.value)
        return {name: sum(values) / len(values) for name, values in found.items()}
