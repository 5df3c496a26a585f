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
from twinlens.domain.trace import Span
from twinlens.features.assessments import value_of
from twinlens.features.datasets import Datasets
from twinlens.features.evaluation_runs import DATASET, ENVIRONMENT, ID, ITEM, NAME, PREFIX, EvaluationRuns, dataset_of
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Aggregate, Cmp, Dimension, Expr, Measure, Order, Query, all_of

ROOT = PREFIX + "item.root_observation_id"
MAX_RUNS = 10_000
UNCOUNTED = -1  #: ``item_count`` until ``describe`` has looked
_PAGES = 20
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


class ExperimentItem(msgspec.Struct, kw_only=True):
    """What a run did for one item: its task span, and what the attributes say beside."""

    span: Span
    experiment_id: str
    experiment_name: str
    item_id: str
    dataset_id: str | None
    item_version: str | None
    expected_output: Any
    item_metadata: dict[str, Any] | None
    experiment_metadata: dict[str, Any] | None
    description: str | None


class DatasetExperiments:
    """All methods block."""

    def __init__(self, datasets: Datasets, telemetry: TelemetryStore, evaluations: EvaluationRuns) -> None:
        self._datasets = datasets
        self._telemetry = telemetry
        self._evaluations = evaluations

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
                _one_of(ID, ids),
                _one_of(NAME, names),
                _one_of(DATASET, dataset_ids),
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
                project_id=project_id, view="spans", where=all_of(*_of_experiments(), where), limit=MAX_RUNS,
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
                        *_of_experiments(), Cmp("attribute", "=", experiment.id, ID),
                        Cmp("start_ns", ">=", experiment.start_ns), further,
                    ),
                )
            )  # fmt: skip
            for span in page.rows:
                experiment.metadata = experiment.metadata or _object(span.attributes, PREFIX + "metadata")
                experiment.description = experiment.description or _text(span.attributes, PREFIX + "description")
                return

    def items(
        self, project_id: str, start_ns: int, end_ns: int | None = None, *, ids: Sequence[str] | None = None,
        names: Sequence[str] | None = None, item_ids: Sequence[str] | None = None,
        dataset_ids: Sequence[str] | None = None, limit: int = 50, cursor: str | None = None,
    ) -> tuple[list[ExperimentItem], str | None]:  # fmt: skip
        """Items of runs, newest first, and the cursor of the next page. A page may hold fewer than ``limit``.

        MLflow's evaluation runs have to be asked for by id, one at a time.
        """
        if ids is not None and len(ids) == 1 and (runs := self._evaluations.find(project_id, ids=ids)):
            return self._evaluated(project_id, runs[0], item_ids, limit, cursor)
        where = all_of(
            *_of_experiments(), Cmp("start_ns", ">=", start_ns), Cmp("attribute", "is not null", None, ROOT),
            None if end_ns is None else Cmp("start_ns", "<", end_ns),
            _one_of(ID, ids), _one_of(NAME, names), _one_of(ITEM, item_ids), _one_of(DATASET, dataset_ids),
        )  # fmt: skip
        found: list[ExperimentItem] = []
        for _ in range(_PAGES):
            page = self._telemetry.spans(
                Query(
                    project_id=project_id, where=where, order=(Order("start_ns"),), limit=limit, cursor=cursor,
                    with_io=True, with_attributes=True,
                )
            )  # fmt: skip
            found += [_item(span) for span in page.rows if span.attributes.get(ROOT) == span.span_id]
            cursor = page.next_cursor
            if cursor is None or found:
                break
        return found, cursor

    def _evaluated(
        self, project_id: str, run: Run, item_ids: Sequence[str] | None, limit: int, cursor: str | None
    ) -> tuple[list[ExperimentItem], str | None]:
        """Items of one evaluation run of MLflow. A trace whose inputs are no item's has its own id as item id."""
        traces, cursor = self._evaluations.traces(project_id, run.run_id, limit=limit, cursor=cursor)
        dataset_id = dataset_of(run)
        matched = {} if dataset_id is None else self._evaluations.item_ids(project_id, dataset_id, traces)
        spans = self._telemetry.trace_spans(project_id, [each.trace_id for each in traces], with_attributes=False)
        scores = self._telemetry.scores_for(project_id, [each.trace_id for each in traces])
        found: list[ExperimentItem] = []
        for trace in traces:
            item_id = matched.get(trace.trace_id, trace.trace_id)
            own = spans.get(trace.trace_id, [])
            root = next((span for span in own if span.span_id == trace.root_span_id), own[0] if own else None)
            if root is None or (item_ids is not None and item_id not in item_ids):
                continue
            expected = {
                score.name: value_of(score)
                for score in scores.get(trace.trace_id, [])
                if score.kind == "expectation" and score.valid
            }
            found.append(
                ExperimentItem(
                    span=root, experiment_id=run.run_id, experiment_name=run.name, item_id=item_id,
                    dataset_id=dataset_id, item_version=None, expected_output=expected or None, item_metadata=None,
                    experiment_metadata=_metadata(run), description=None,
                )
            )  # fmt: skip
        return found, cursor

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
                    metadata=_metadata(run), created_ns=start, updated_ns=end,
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
            told, cursor = self.items(project_id, 0, ids=[run.run_id], limit=1_000, cursor=cursor)
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
        item = self._datasets.get_item(project_id, item_id)
        if self._evaluations.mirror(project_id, made.run_id, run_name, item.dataset_id, made.created_ns):
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
        dataset_id=dataset_of(run), metadata=_metadata(run),
    )  # fmt: skip


def _metadata(run: Run) -> dict[str, Any]:
    """Parameters and the tags that are not MLflow's own."""
    return {**run.params, **{key: value for key, value in run.tags.items() if not key.startswith("mlflow.")}}


def _of_experiments() -> tuple[Expr, ...]:
    return Cmp("environment", "=", ENVIRONMENT), Cmp("attribute", "is not null", None, ID)


def _one_of(key: str, values: Sequence[str] | None) -> Expr | None:
    return None if values is None else Cmp("attribute", "in", [*values], key)


def _text(attributes: dict[str, Any], key: str) -> str | None:
    value = attributes.get(key)
    return value if isinstance(value, str) and value else None


def _decoded(attributes: dict[str, Any], key: str) -> Any:
    value = attributes.get(key)
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def _object(attributes: dict[str, Any], key: str) -> dict[str, Any] | None:
    """One JSON text (SDK 5), or dotted keys (SDK 4)."""
    whole = _decoded(attributes, key)
    if isinstance(whole, dict):
        return whole
    dotted = {name[len(key) + 1 :]: value for name, value in attributes.items() if name.startswith(key + ".")}
    return dotted or None


def _item(span: Span) -> ExperimentItem:
    attributes = span.attributes
    return ExperimentItem(
        span=span,
        experiment_id=str(attributes.get(ID)),
        experiment_name=str(attributes.get(NAME) or attributes.get(ID)),
        item_id=str(attributes.get(ITEM) or span.span_id),
        dataset_id=_text(attributes, DATASET),
        item_version=_text(attributes, PREFIX + "item.version"),
        expected_output=_decoded(attributes, PREFIX + "item.expected_output"),
        item_metadata=_object(attributes, PREFIX + "item.metadata"),
        experiment_metadata=_object(attributes, PREFIX + "metadata"),
        description=_text(attributes, PREFIX + "description"),
    )
