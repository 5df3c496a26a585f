"""Runs over datasets as span attributes tell of them, and united with the runs that clients registered item by item.

Langfuse's early SDK 3 registers run items, 3.15 and 4 also write ``langfuse.experiment.*`` attributes, SDK 5 writes only those. All
have the same id (``domain.dataset.experiment_id``), so the two sources are two views of one run. An item's row is the
span that ``…item.root_observation_id`` names; its siblings and children carry the attributes too.

MLflow's evaluation runs are the third source (``features.evaluation_runs``): their id is the run's, an item's row is the root span
of a trace that is linked to the run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec

from twinlens.domain.dataset import DatasetRun, DatasetRunItem
from twinlens.domain.errors import NotFound
from twinlens.domain.run import Run
from twinlens.features.datasets import Datasets
from twinlens.features.evaluation_runs import DATASET, ID, ITEM, NAME, PREFIX, EvaluationRuns, dataset_of
from twinlens.features.experiment_items import (
    ExperimentItems,
    attribute_in,
    metadata_of,
    object_attribute,
    of_experiments,
    text_attribute,
)
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Aggregate, Cmp, Dimension, Expr, Measure, Query, all_of

MAX_RUNS = 10_000
UNCOUNTED = -1  #: ``item_count`` until ``describe`` has looked
_MS = 1_000_000


class Experiment(msgspec.Struct, kw_only=True):
    """One run over a dataset (or over local data: then ``dataset_id`` is None)."""

    id: str
    name: str
    start_ns: int
    end_ns: int
    item_count: int
    dataset_id: str | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None


class DatasetExperiments:
    """All methods block."""

    def __init__(self, datasets: Datasets, telemetry: TelemetryStore, evaluations: EvaluationRuns) -> None:
        self._datasets = datasets
        self._telemetry = telemetry
        self._evaluations = evaluations
        self.items = ExperimentItems(datasets, telemetry, evaluations)

    def list(
        self, project_id: str, start_ns: int, end_ns: int | None = None, *, ids: Sequence[str] | None = None,
        names: Sequence[str] | None = None, dataset_ids: Sequence[str] | None = None,
    ) -> list[Experiment]:  # fmt: skip
        """Runs with activity in a time range, latest activity first."""
        found = self._traced(
            project_id,
            all_of(
                Cmp("start_ns", ">=", start_ns),
                None if end_ns is None else Cmp("start_ns", "<", end_ns),
                attribute_in(ID, ids),
                attribute_in(NAME, names),
                attribute_in(DATASET, dataset_ids),
            ),
        )
        wanted = None if dataset_ids is None else [*dataset_ids]
        for run in self._datasets.runs_between(project_id, start_ns, end_ns, wanted):
            if (ids is None or run.run_id in ids) and (names is None or run.name in names):
                self._join(project_id, found, run)
        for run in self._evaluations.find(project_id, start_ns=start_ns, end_ns=end_ns, ids=ids):
            experiment = _evaluation(run)
            if (names is None or run.name in names) and (dataset_ids is None or experiment.dataset_id in dataset_ids):
                found[run.run_id] = experiment
        return sorted(found.values(), key=lambda e: (-e.end_ns, e.id))

    def _traced(self, project_id: str, where: Expr) -> dict[str, Experiment]:
        attribute = "attribute"
        rows = self._telemetry.aggregate(
            Aggregate(
                project_id=project_id, view="spans", where=all_of(*of_experiments(), where), limit=MAX_RUNS,
                dimensions=(
                    Dimension("id", attribute, ID), Dimension("name", attribute, NAME),
                    Dimension("dataset", attribute, DATASET),
                ),
                measures=(
                    Measure("start", "min", "start_ns"), Measure("end", "max", "end_ns"),
                    Measure("items", "uniq", attribute, ITEM),
                ),
            )
        )  # fmt: skip
        gone = self._evaluations.deleted(project_id) if rows else set[str]()
        return {
            row["id"]: Experiment(
                id=row["id"], name=row["name"] or row["id"], dataset_id=row["dataset"], start_ns=int(row["start"]),
                end_ns=int(row["end"] or row["start"]), item_count=int(row["items"]),
            )
            for row in rows
            if row["id"] not in gone
        }  # fmt: skip

    def _join(self, project_id: str, found: dict[str, Experiment], run: DatasetRun) -> None:
        """Bring a registered run in."""
        known = found.get(run.run_id)
        items, _ = self._datasets.run_items(project_id, run)
        count = len({item.item_id for item in items})
        if known is None:
            known = found[run.run_id] = Experiment(
                id=run.run_id, name=run.name, start_ns=run.created_ns, end_ns=run.updated_ns, item_count=count,
                dataset_id=run.dataset_id,
            )  # fmt: skip
        known.item_count = max(known.item_count, count)
        known.end_ns = max(known.end_ns, run.updated_ns)
        known.description = run.description
        known.metadata = run.metadata if isinstance(run.metadata, dict) else None

    def describe(self, project_id: str, experiment: Experiment) -> None:
        """Fill description and metadata from the newest span that has them, where no registered run said them; count the
        items of MLflow's evaluation runs."""
        if experiment.item_count == UNCOUNTED:
            experiment.item_count = self._evaluations.count(project_id, experiment.id)
            return
        if experiment.metadata is not None and experiment.description is not None:
            return
        described = Cmp("attribute", "is not null", None, PREFIX + "description")  # task spans only, not their children
        for further in (described, None):
            page = self._telemetry.spans(
                Query(
                    project_id=project_id, limit=1, with_attributes=True,
                    where=all_of(
                        *of_experiments(), Cmp("attribute", "=", experiment.id, ID),
                        Cmp("start_ns", ">=", experiment.start_ns), further,
                    ),
                )
            )  # fmt: skip
            for span in page.rows:
                experiment.metadata = experiment.metadata or object_attribute(span.attributes, PREFIX + "metadata")
                experiment.description = experiment.description or text_attribute(
                    span.attributes, PREFIX + "description"
                )
                return

    # --- runs of a dataset -------------------------------------------------------------------------------------
    def runs(self, project_id: str, dataset_name: str) -> list[DatasetRun]:
        """All runs of a dataset, newest first, registered or only told by attributes.

        Raises:
            NotFound: no such dataset.
        """
        dataset = self._datasets.get(project_id, dataset_name)
        runs, _ = self._datasets.runs(project_id, dataset_name, limit=MAX_RUNS, offset=0)
        known = {run.run_id for run in runs}
        for experiment in self._traced(project_id, Cmp("attribute", "=", dataset.dataset_id, DATASET)).values():
            if experiment.id not in known:
                self.describe(project_id, experiment)
                runs.append(
                    DatasetRun(
                        run_id=experiment.id, dataset_id=dataset.dataset_id, dataset_name=dataset.name,
                        name=experiment.name, description=experiment.description, metadata=experiment.metadata,
                        created_ns=experiment.start_ns, updated_ns=experiment.end_ns,
                    )
                )  # fmt: skip
        for run in self._evaluations.find(project_id, dataset=dataset):
            start, end = (run.start_ms or 0) * _MS, (run.end_ms or run.start_ms or 0) * _MS
            runs.append(
                DatasetRun(
                    run_id=run.run_id, dataset_id=dataset.dataset_id, dataset_name=dataset.name, name=run.name,
                    metadata=metadata_of(run), created_ns=start, updated_ns=end,
                )
            )  # fmt: skip
        return sorted(runs, key=lambda run: (-run.created_ns, run.run_id))

    def run(self, project_id: str, dataset_name: str, run_name: str) -> tuple[DatasetRun, list[DatasetRunItem]]:
        """One run, by name or id, with what it did for each item, newest first.

        Raises:
            NotFound: no such dataset or run.
        """
        run = next((run for run in self.runs(project_id, dataset_name) if run_name in (run.name, run.run_id)), None)
        if run is None:
            raise NotFound("Dataset run not found")
        return run, self.links(project_id, run)

    def links(self, project_id: str, run: DatasetRun) -> list[DatasetRunItem]:
        """What a run of ``runs`` did for each item, newest first."""
        items, _ = self._datasets.run_items(project_id, run)
        linked = {(item.item_id, item.trace_id) for item in items}
        cursor: str | None = None
        while True:
            told, cursor = self.items.page(project_id, 0, ids=[run.run_id], limit=1_000, cursor=cursor)
            for item in told:
                # A trace of MLflow's run whose inputs are no item's is not about an item.
                if item.item_id != item.span.trace_id and (item.item_id, item.span.trace_id) not in linked:
                    items.append(
                        DatasetRunItem(
                            run_item_id=f"{run.run_id}-{item.span.span_id}", run_id=run.run_id, run_name=run.name,
                            item_id=item.item_id, trace_id=item.span.trace_id, observation_id=item.span.span_id,
                            created_ns=item.span.start_ns, updated_ns=item.span.start_ns,
                        )
                    )  # fmt: skip
            if cursor is None:
                break
        return sorted(items, key=lambda item: (-item.created_ns, item.run_item_id))

    def link(
        self, project_id: str, run_name: str, item_id: str, trace_id: str, **more: Any
    ) -> DatasetRunItem:  # fmt: skip
        """``Datasets.link``; the run is one of MLflow's evaluation runs too, and a trace that is there is linked to it.

        Raises:
            NotFound, InvalidArgument: as ``Datasets.link``.
        """
        made = self._datasets.link(project_id, run_name, item_id, trace_id, **more)
        dataset_id = self._datasets.dataset_of(project_id, item_id)
        if self._evaluations.mirror(project_id, made.run_id, run_name, dataset_id, made.created_ns):
            self._evaluations.link(project_id, made.run_id, trace_id)
        return made

    def delete_run(self, project_id: str, dataset_name: str, run_name: str) -> None:
        """Delete a run and its links, whoever made it; traces stay.

        Raises:
            NotFound: no such dataset or run.
        """
        run, _ = self.run(project_id, dataset_name, run_name)
        with contextlib.suppress(NotFound):  # only told by attributes, or MLflow's
            self._datasets.delete_run(project_id, dataset_name, run.name)
        self._evaluations.forget(project_id, run.run_id)


def _evaluation(run: Run) -> Experiment:
    start = (run.start_ms or 0) * _MS
    return Experiment(
        id=run.run_id, name=run.name, start_ns=start, end_ns=(run.end_ms or 0) * _MS or start, item_count=UNCOUNTED,
        dataset_id=dataset_of(run), metadata=metadata_of(run),
    )  # fmt: skip
