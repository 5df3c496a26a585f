"""Runs over one dataset side by side: totals of each, and for every item what each run answered, with scores, time and cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from twinlens.domain.dataset import Dataset, DatasetItem, DatasetRun, DatasetRunItem
from twinlens.domain.errors import NotFound
from twinlens.domain.score import Score
from twinlens.domain.trace import TraceSummary
from twinlens.features.assessments import value_of
from twinlens.features.dataset_experiments import DatasetExperiments
from twinlens.features.datasets import Datasets
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Cmp, Query, all_of

MAX_RUNS = 8
MAX_ITEMS = 10_000
_PAGE = 500


class Cell(msgspec.Struct, kw_only=True):
    """What one run did for one item."""

    trace_id: str
    observation_id: str | None
    output: str | None  #: JSON or text
    latency_ns: int | None
    cost: float
    error: bool
    scores: dict[str, Any]


class RunTotals(msgspec.Struct, kw_only=True):
    """One run with means over its items; numbers and truth values only."""

    run: DatasetRun
    items: int
    errors: int
    latency_ns: float | None
    cost: float
    scores: dict[str, float]


class ItemRow(msgspec.Struct, kw_only=True):
    """One item with a cell per run, in the runs' order; None where a run has none."""

    item: DatasetItem | None
    item_id: str
    cells: list[Cell | None]


class Comparison(msgspec.Struct, kw_only=True):
    """Runs side by side, items in the order of the dataset."""

    dataset: Dataset
    runs: list[RunTotals]
    rows: list[ItemRow]


class DatasetComparisons:
    """All methods block."""

    def __init__(self, datasets: Datasets, experiments: DatasetExperiments, telemetry: TelemetryStore) -> None:
        self._datasets = datasets
        self._experiments = experiments
        self._telemetry = telemetry

    def runs(self, project_id: str, dataset_id: str) -> list[RunTotals]:
        """All runs of a dataset with their totals, newest first.

        Raises:
            NotFound: no such dataset.
        """
        dataset = self._datasets.get_by_id(project_id, dataset_id)
        found: list[RunTotals] = []
        for run in self._experiments.runs(project_id, dataset.name):
            cells = self._cells(project_id, self._experiments.links(project_id, run))
            found.append(self._totals(project_id, run, cells))
        return found

    def compare(self, project_id: str, dataset_id: str, run_ids: Sequence[str]) -> Comparison:
        """Some runs side by side.

        Raises:
            NotFound: no such dataset or run.
        """
        dataset = self._datasets.get_by_id(project_id, dataset_id)
        totals: list[RunTotals] = []
        columns: list[dict[str, Cell]] = []
        for run_id in run_ids[:MAX_RUNS]:
            run, links = self._experiments.run(project_id, dataset.name, run_id)
            cells = self._cells(project_id, links)
            columns.append(cells)
            totals.append(self._totals(project_id, run, cells))
        items, _ = self._datasets.items(project_id, dataset_name=dataset.name, limit=MAX_ITEMS, offset=0)
        known = {item.item_id: item for item in reversed(items)}
        order = list(dict.fromkeys([*known, *(item_id for column in columns for item_id in column)]))
        rows = [
            ItemRow(item=known.get(item_id), item_id=item_id, cells=[column.get(item_id) for column in columns])
            for item_id in order
        ]
        return Comparison(dataset=dataset, runs=totals, rows=[row for row in rows if any(row.cells)])

    def dataset_of(self, project_id: str, run_id: str) -> str:
        """Id of the dataset that a run (experiment) went over.

        Raises:
            NotFound: no such run, or it went over local data.
        """
        registered = self._datasets.run_by_id(project_id, run_id)
        if registered is not None:
            return registered.dataset_id
        for experiment in self._experiments.list(project_id, 0, ids=[run_id]):
            if experiment.dataset_id is not None:
                return experiment.dataset_id
        raise NotFound("No experiment over a dataset has this id")

    def _cells(self, project_id: str, links: Sequence[DatasetRunItem]) -> dict[str, Cell]:
        """Cell by item id; of several traces for one item the newest."""
        newest: dict[str, DatasetRunItem] = {}
        for link in sorted(links, key=lambda each: each.created_ns):
            newest[link.item_id] = link
        ids = list({link.trace_id for link in newest.values()})
        traces: dict[str, TraceSummary] = {}
        scores: dict[str, list[Score]] = {}
        for start in range(0, len(ids), _PAGE):
            part = ids[start : start + _PAGE]
            query = Query(project_id=project_id, where=Cmp("trace_id", "in", part), limit=_PAGE, with_io=True)
            traces |= {trace.trace_id: trace for trace in self._telemetry.traces(query).rows}
            scores |= self._telemetry.scores_for(project_id, part)
        found: dict[str, Cell] = {}
        for item_id, link in newest.items():
            trace = traces.get(link.trace_id)
            if trace is None:
                continue
            given = [s for s in scores.get(link.trace_id, []) if s.valid and s.kind == "feedback"]
            found[item_id] = Cell(
                trace_id=link.trace_id, observation_id=link.observation_id, output=trace.output,
                latency_ns=trace.latency_ns, cost=trace.total_cost, error=trace.status == "error",
                scores={score.name: value_of(score) for score in given},
            )  # fmt: skip
        return found

    def _totals(self, project_id: str, run: DatasetRun, cells: dict[str, Cell]) -> RunTotals:
        values: dict[str, list[float]] = {}
        for cell in cells.values():
            for name, value in cell.scores.items():
                if isinstance(value, bool | int | float):
                    values.setdefault(name, []).append(float(value))
        means = {name: sum(each) / len(each) for name, each in sorted(values.items())}
        own = all_of(Cmp("dataset_run_id", "=", run.run_id), Cmp("valid", "=", True))
        for score in self._telemetry.scores(Query(project_id=project_id, where=own, limit=50)).rows:
            if score.value is not None:
                means.setdefault(score.name, score.value)
        times = [cell.latency_ns for cell in cells.values() if cell.latency_ns is not None]
        return RunTotals(
            run=run, items=len(cells), errors=sum(cell.error for cell in cells.values()),
            latency_ns=sum(times) / len(times) if times else None, cost=sum(cell.cost for cell in cells.values()),
            scores=means,
        )  # fmt: skip
