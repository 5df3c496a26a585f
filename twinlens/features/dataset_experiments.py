"""Runs over datasets as span attributes tell of them, and united with the runs that clients registered item by item.

Langfuse's early SDK 3 registers run items, 3.15 and 4 also write ``langfuse.experiment.*`` attributes, SDK 5 writes only those. All
have the same id (``domain.dataset.experiment_id``), so the two sources are two views of one run. An item's row is the
span that ``…item.root_observation_id`` names; its siblings and children carry the attributes too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from twinlens.domain.dataset import DatasetRun, DatasetRunItem
from twinlens.domain.errors import NotFound
from twinlens.domain.trace import Span
from twinlens.features.datasets import Datasets
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Aggregate, Cmp, Dimension, Expr, Measure, Order, Query, all_of

PREFIX = "langfuse.experiment."
ID, NAME, DATASET, ITEM = PREFIX + "id", PREFIX + "name", PREFIX + "dataset.id", PREFIX + "item.id"
ROOT = PREFIX + "item.root_observation_id"
#: Environment that SDKs give experiment spans: narrows every query here before an attribute is looked at.
ENVIRONMENT = "sdk-experiment"
MAX_RUNS = 10_000
_PAGES = 20


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

    def __init__(self, datasets: Datasets, telemetry: TelemetryStore) -> None:
        self._datasets = datasets
        self._telemetry = telemetry

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
        return {
            row["id"]: Experiment(
                id=row["id"], name=row["name"] or row["id"], dataset_id=row["dataset"], start_ns=int(row["start"]),
                end_ns=int(row["end"] or row["start"]), item_count=int(row["items"]),
            )
            for row in rows
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
        """Fill description and metadata from the newest span that has them, where no registered run said them."""
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
        """Items of runs, newest first, and the cursor of the next page. A page may hold fewer than ``limit``."""
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
        return sorted(runs, key=lambda run: (-run.created_ns, run.run_id))

    def run(self, project_id: str, dataset_name: str, run_name: str) -> tuple[DatasetRun, list[DatasetRunItem]]:
        """One run with what it did for each item, newest first.

        Raises:
            NotFound: no such dataset or run.
        """
        run = next((run for run in self.runs(project_id, dataset_name) if run.name == run_name), None)
        if run is None:
            raise NotFound("Dataset run not found")
        items, _ = self._datasets.run_items(project_id, run)
        linked = {(item.item_id, item.trace_id) for item in items}
        cursor: str | None = None
        while True:
            told, cursor = self.items(project_id, 0, ids=[run.run_id], limit=1_000, cursor=cursor)
            for item in told:
                if (item.item_id, item.span.trace_id) not in linked:
                    items.append(
                        DatasetRunItem(
                            run_item_id=f"{run.run_id}-{item.span.span_id}", run_id=run.run_id, run_name=run.name,
                            item_id=item.item_id, trace_id=item.span.trace_id, observation_id=item.span.span_id,
                            created_ns=item.span.start_ns, updated_ns=item.span.start_ns,
                        )
                    )  # fmt: skip
            if cursor is None:
                break
        return run, sorted(items, key=lambda item: (-item.created_ns, item.run_item_id))


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
