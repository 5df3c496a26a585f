"""Evaluation runs of MLflow and runs over datasets are one thing: each kind is shown as the other.

``mlflow.genai.evaluate`` makes a run tagged ``mlflow.runType=genai_evaluate`` that names its dataset as an input (source type
``mlflow_evaluation_dataset``) and links a trace per record; it is read as a dataset run where it stands. A Langfuse run gets such a
run of its own, with the same id, when it is first told of, and its traces are linked to it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.dataset import Dataset, input_key
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.run import DEFAULT_EXPERIMENT_ID, DatasetInput, Run
from twinlens.domain.run import Dataset as RunDataset
from twinlens.domain.run_rules import check_run_id
from twinlens.domain.trace import Span, TracePatch, TraceSummary
from twinlens.features.datasets import Datasets
from twinlens.features.experiments import Experiments
from twinlens.features.runs import Runs
from twinlens.features.traces import Traces
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import And, Cmp, Expr, Order, Query, all_of

RUN_TYPE, EVALUATION = "mlflow.runType", "genai_evaluate"
SOURCE_TYPE = "mlflow_evaluation_dataset"
#: Tag of runs that stand for a dataset run of other clients.
MIRROR = "twinlens.datasetRun"

PREFIX = "langfuse.experiment."
ID, NAME, DATASET, ITEM = PREFIX + "id", PREFIX + "name", PREFIX + "dataset.id", PREFIX + "item.id"
#: Environment that Langfuse's SDKs give experiment spans: looked at before any attribute.
ENVIRONMENT = "sdk-experiment"
_REMEMBERED = 10_000
_MS = 1_000_000


class EvaluationRuns:
    """See the module's text. All methods block."""

    def __init__(
        self, runs: Runs, experiments: Experiments, datasets: Datasets, traces: Traces, telemetry: TelemetryStore,
        clock: Clock = now_ns,
    ) -> None:  # fmt: skip
        self._runs = runs
        self._experiments = experiments
        self._datasets = datasets
        self._traces = traces
        self._telemetry = telemetry
        self._clock = clock
        self._mirrored: dict[tuple[str, str], None] = {}

    # --- Langfuse's runs as MLflow's ---------------------------------------------------------------------------
    def of_spans(self, project_id: str, spans: Sequence[Span]) -> list[TracePatch]:
        """Make the runs that spans of experiments tell of; the links of their traces, to be stored with the spans."""
        links: dict[tuple[str, str], TracePatch] = {}
        for span in spans:
            run_id = span.attributes.get(ID) if span.environment == ENVIRONMENT else None
            if not isinstance(run_id, str) or (span.trace_id, run_id) in links:
                continue
            name, dataset_id = span.attributes.get(NAME), span.attributes.get(DATASET)
            if self.mirror(
                project_id, run_id, str(name or run_id), dataset_id if isinstance(dataset_id, str) else None,
                span.start_ns,
            ):  # fmt: skip
                links[span.trace_id, run_id] = TracePatch(trace_id=span.trace_id, run_ids=[run_id])
        return [*links.values()]

    def mirror(self, project_id: str, run_id: str, name: str, dataset_id: str | None, start_ns: int = 0) -> bool:
        """Make the run that stands for a dataset run, unless it is there. False: no run can have this id."""
        if (project_id, run_id) in self._mirrored:
            return True
        try:
            check_run_id(run_id)
        except InvalidArgument:
            return False
        dataset: Dataset | None = None
        if dataset_id is not None:
            try:
                dataset = self._datasets.get_by_id(project_id, dataset_id)
            except NotFound:
                dataset = None
        try:
            if self._runs.get(project_id, run_id).lifecycle == "deleted":
                self._runs.restore(project_id, run_id)  # told of anew after it was deleted
        except NotFound:
            self._make(project_id, run_id, name, dataset, start_ns or self._clock())
        if len(self._mirrored) >= _REMEMBERED:
            self._mirrored.pop(next(iter(self._mirrored)))
        self._mirrored[project_id, run_id] = None
        return True

    def _make(self, project_id: str, run_id: str, name: str, dataset: Dataset | None, start_ns: int) -> None:
        tags = [(RUN_TYPE, EVALUATION), (MIRROR, run_id)]
        try:  # in the experiment of its traces: MLflow looks for a run's traces in the run's experiment
            self._runs.create(
                project_id, DEFAULT_EXPERIMENT_ID, name=name, start_ms=start_ns // _MS, tags=tags, run_id=run_id
            )
        except AlreadyExists:  # another request was first
            return
        if dataset is not None:
            digest = hashlib.sha256(f"{dataset.name}:{dataset.updated_ns // _MS}".encode()).hexdigest()[:8]
            source = msgspec.json.encode({"dataset_id": dataset.dataset_id}).decode()
            data = RunDataset(name=dataset.name, digest=digest, source_type=SOURCE_TYPE, source=source)
            self._runs.log_inputs(project_id, run_id, [DatasetInput(dataset=data)])
        self._runs.update(project_id, run_id, status="FINISHED", end_ms=self._clock() // _MS)

    def link(self, project_id: str, run_id: str, trace_id: str) -> None:
        """Link a trace to a run. One that has not come yet stays without: its own spans may name the run."""
        with contextlib.suppress(NotFound):
            self._traces.link_run(project_id, [trace_id], run_id)

    def forget(self, project_id: str, run_id: str) -> bool:
        """Delete the run of that id, its own or a mirrored one; False if there is none."""
        self._mirrored.pop((project_id, run_id), None)
        try:
            self._runs.delete(project_id, run_id)
        except NotFound:
            return False
        return True

    def deleted(self, project_id: str) -> set[str]:
        """Ids of dataset runs that were deleted, though their traces still tell of them."""
        where = Cmp("tag", "is not null", None, MIRROR)
        found = self._runs.search(project_id, [DEFAULT_EXPERIMENT_ID], where, view="deleted", limit=10_000)
        return {run.run_id for run in found.runs}

    # --- MLflow's runs as Langfuse's ---------------------------------------------------------------------------
    def find(
        self, project_id: str, *, dataset: Dataset | None = None, start_ns: int | None = None,
        end_ns: int | None = None, ids: Sequence[str] | None = None, limit: int = 10_000,
    ) -> list[Run]:  # fmt: skip
        """Evaluation runs that MLflow made (of one dataset, when given), newest first."""
        where: Expr = all_of(
            Cmp("tag", "=", EVALUATION, RUN_TYPE),
            None if dataset is None else Cmp("dataset_name", "=", dataset.name),
            None if start_ns is None else Cmp("start_ms", ">=", start_ns // _MS),
            None if end_ns is None else Cmp("start_ms", "<", -(-end_ns // _MS)),
            None if ids is None else Cmp("run_id", "in", [*ids]),
        )
        everywhere = [each.experiment_id for each in self._experiments.list(project_id)]
        page = self._runs.search(project_id, everywhere, where, limit=limit)
        return [
            run
            for run in page.runs
            if MIRROR not in run.tags and (dataset is None or dataset_of(run) == dataset.dataset_id)
        ]

    def traces(
        self, project_id: str, run_id: str, *, limit: int, cursor: str | None = None, with_io: bool = True
    ) -> tuple[list[TraceSummary], str | None]:
        """Traces linked to a run, newest first, and the cursor of the next page."""
        page = self._telemetry.traces(
            Query(
                project_id=project_id, where=Cmp("run_ids", "any of", [run_id]), order=(Order("start_ns"),),
                limit=limit, cursor=cursor, with_io=with_io,
            )
        )  # fmt: skip
        return page.rows, page.next_cursor

    def count(self, project_id: str, run_id: str) -> int:
        """Number of traces linked to a run."""
        return self._telemetry.count(
            "traces", Query(project_id=project_id, where=And((Cmp("run_ids", "any of", [run_id]),)))
        )  # fmt: skip

    def item_ids(self, project_id: str, dataset_id: str, traces: Sequence[TraceSummary]) -> dict[str, str]:
        """Item by trace id: that whose inputs are the trace's. Traces of other inputs are left out."""
        keys = {each.trace_id: input_key(_decoded(each.input)) for each in traces}
        known = self._datasets.by_input(project_id, dataset_id, [*set(keys.values())])
        return {trace_id: known[key].item_id for trace_id, key in keys.items() if key in known}


def dataset_of(run: Run) -> str | None:
    """Id of the dataset that an evaluation run names as its input."""
    for each in run.dataset_inputs:
        if each.dataset.source_type == SOURCE_TYPE:
            found = _decoded(each.dataset.source)
            if isinstance(found, dict):
                dataset_id = cast("dict[str, Any]", found).get("dataset_id")
                return dataset_id if isinstance(dataset_id, str) else None
    return None


def _decoded(text: str | None) -> Any:
    try:
        return None if text is None else msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
