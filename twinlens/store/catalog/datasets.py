"""Tables and statements of datasets, items and runs. Rules live in ``features.datasets``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.dataset import Dataset, DatasetItem, input_key
from twinlens.store.catalog.engine import metadata
from twinlens.store.catalog.keyset import behind, order_by

datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("dataset_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("metadata", sa.Text),  # JSON, as the next two
    sa.Column("input_schema", sa.Text),
    sa.Column("expected_output_schema", sa.Text),
    sa.Column("fields", sa.Text),  # JSON
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "name", unique=True),
    sa.Index(None, "project_id", "created_ns"),
)

#: Which experiments use a dataset.
dataset_experiments = sa.Table(
    "dataset_experiments",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("dataset_id", sa.Text, primary_key=True),
    sa.Column("experiment_id", sa.Text, primary_key=True),
)

#: One row per state of an item. ``valid_to_ns`` is NULL for the current one; a deleted item has none.
dataset_items = sa.Table(
    "dataset_items",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("item_id", sa.Text, primary_key=True),
    sa.Column("valid_from_ns", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("valid_to_ns", sa.BigInteger),
    sa.Column("dataset_id", sa.Text, nullable=False),
    sa.Column("input", sa.Text),  # JSON, as the next four
    sa.Column("expected_output", sa.Text),
    sa.Column("output", sa.Text),
    sa.Column("metadata", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("source_trace_id", sa.Text),
    sa.Column("source_observation_id", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("input_key", sa.Text, nullable=False),  # domain.dataset.input_key
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "dataset_id", "valid_to_ns", "created_ns"),
    sa.Index(None, "project_id", "source_trace_id"),
    sa.Index(None, "project_id", "dataset_id", "input_key"),
)

_DATASET_JSON = ("metadata", "input_schema", "expected_output_schema", "fields")
ITEM_JSON = ("input", "expected_output", "output", "metadata", "source")
_CHUNK = 500  # values of one IN


def encode_json(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Columns of JSON text from values; None stays NULL."""
    for name in names:
        if values[name] is not None:
            values[name] = msgspec.json.encode(values[name]).decode()
    return values


def decode_json(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Values from columns of JSON text."""
    for name in names:
        if values[name] is not None:
            values[name] = msgspec.json.decode(values[name])
    return values


#: Where a row stands in a list: creation time (nanoseconds) and id.
Place = tuple[int, str]


class DatasetTable:
    """Datasets and items over one connection. Every method's scope is one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    # --- datasets ----------------------------------------------------------------------------------------------
    def dataset(self, *, name: str | None = None, dataset_id: str | None = None, lock: bool = False) -> Dataset | None:
        """One dataset by name or id. ``lock`` makes other writers of its items wait until this transaction ends."""
        d = datasets.c
        own = d.name == name if name is not None else d.dataset_id == dataset_id
        query = sa.select(datasets).where(d.project_id == self._project, own)
        row = self._c.execute(query.with_for_update() if lock else query).mappings().first()
        return None if row is None else self._with_experiments([_dataset(row)])[0]

    def put_dataset(self, row: Dataset, *, new: bool) -> None:
        """Insert or overwrite."""
        values = encode_json(msgspec.structs.asdict(row), _DATASET_JSON)
        del values["experiment_ids"]
        if new:
            self._c.execute(datasets.insert().values(project_id=self._project, **values))
            return
        d = datasets.c
        own = (d.project_id == self._project) & (d.dataset_id == row.dataset_id)
        self._c.execute(datasets.update().where(own).values(**values))

    def page(self, limit: int, offset: int = 0, after: Place | None = None) -> tuple[list[Dataset], int]:
        """Newest first, and the number of all. ``after``: behind the dataset of this creation time and id."""
        own = datasets.c.project_id == self._project
        total = self._c.execute(sa.select(sa.func.count()).select_from(datasets).where(own)).scalar_one()
        sorts = [(datasets.c.created_ns, True), (datasets.c.dataset_id, False)]
        query = sa.select(datasets).where(own).order_by(*order_by(sorts))
        if after is not None:
            query = query.where(behind(sorts, after))
        found = [_dataset(row) for row in self._c.execute(query.limit(limit).offset(offset)).mappings()]
        return self._with_experiments(found), total

    def all(self) -> list[Dataset]:
        """Every dataset, newest first."""
        query = sa.select(datasets).where(datasets.c.project_id == self._project)
        rows = self._c.execute(query.order_by(datasets.c.created_ns.desc(), datasets.c.dataset_id)).mappings()
        return self._with_experiments([_dataset(row) for row in rows])

    def _with_experiments(self, found: list[Dataset]) -> list[Dataset]:
        e = dataset_experiments.c
        query = sa.select(e.dataset_id, e.experiment_id).where(e.project_id == self._project)
        if len(found) <= _CHUNK:
            query = query.where(e.dataset_id.in_([row.dataset_id for row in found]))
        used: dict[str, list[str]] = {}
        for dataset_id, experiment_id in self._c.execute(query.order_by(e.experiment_id)):
            used.setdefault(dataset_id, []).append(experiment_id)
        for row in found:
            row.experiment_ids = used.get(row.dataset_id, [])
        return found

    def set_experiments(self, dataset_id: str, experiment_ids: Iterable[str]) -> None:
        """Replace the experiments that use a dataset."""
        e = dataset_experiments.c
        self._c.execute(dataset_experiments.delete().where(e.project_id == self._project, e.dataset_id == dataset_id))
        rows = [
            {"project_id": self._project, "dataset_id": dataset_id, "experiment_id": each}
            for each in sorted(set(experiment_ids))
        ]
        if rows:
            self._c.execute(dataset_experiments.insert(), rows)

    def delete_dataset(self, dataset_id: str) -> None:
        """Remove a dataset with all states of its items."""
        self.set_experiments(dataset_id, ())
        for table in (dataset_items, datasets):
            own = (table.c.project_id == self._project) & (table.c.dataset_id == dataset_id)
            self._c.execute(table.delete().where(own))

    # --- items -------------------------------------------------------------------------------------------------
    def _own(self) -> sa.ColumnElement[bool]:
        return dataset_items.c.project_id == self._project

    def item(self, item_id: str) -> DatasetItem | None:
        """The current state, archived ones too."""
        i = dataset_items.c
        where = (self._own(), i.item_id == item_id, i.valid_to_ns.is_(None))
        return next(iter(self._items(sa.select(dataset_items).where(*where))), None)

    def newest_state(self, item_id: str) -> DatasetItem | None:
        """The current state, or the last one of an item that was deleted."""
        i = dataset_items.c
        query = sa.select(dataset_items).where(self._own(), i.item_id == item_id)
        return next(iter(self._items(query.order_by(i.valid_from_ns.desc()).limit(1))), None)

    def last_time(self, item_id: str) -> int:
        """Start (or end) of the newest state an item ever had; 0 for a new id."""
        i = dataset_items.c
        newest = sa.func.max(sa.func.coalesce(i.valid_to_ns, i.valid_from_ns))
        query = sa.select(newest).where(self._own(), i.item_id == item_id)
        return self._c.execute(query).scalar() or 0

    def close_item(self, item_id: str, at: int) -> int:
        """End the current state; 1 if there was one."""
        i = dataset_items.c
        return self._c.execute(
            dataset_items.update()
            .where(self._own(), i.item_id == item_id, i.valid_to_ns.is_(None))
            .values(valid_to_ns=at)
        ).rowcount

    def settle_item(self, item_id: str) -> None:
        """End each state that is open beside a newer one where the newer one begins: of an item one state is current."""
        i = dataset_items.c
        own = (self._own(), i.item_id == item_id)
        query = sa.select(i.valid_from_ns, i.valid_to_ns).where(*own).order_by(i.valid_from_ns)
        states = self._c.execute(query).all()
        for state, newer in pairwise(states):
            if state.valid_to_ns is None:
                where = (*own, i.valid_from_ns == state.valid_from_ns)
                self._c.execute(dataset_items.update().where(*where).values(valid_to_ns=newer.valid_from_ns))

    def add_item(self, row: DatasetItem) -> None:
        """Insert a state as the current one."""
        self.add_items([row])

    def add_items(self, rows: Sequence[DatasetItem]) -> None:
        """Insert states as the current ones."""
        found: list[dict[str, Any]] = []
        for row in rows:
            values = encode_json(msgspec.structs.asdict(row), ITEM_JSON)
            del values["dataset_name"]
            values |= {"project_id": self._project, "valid_to_ns": None, "input_key": input_key(row.input)}
            found.append(values)
        if found:
            self._c.execute(dataset_items.insert(), found)

    def by_input(self, dataset_id: str, keys: Sequence[str]) -> dict[str, DatasetItem]:
        """Active items by ``input_key``; of several with one input the newest."""
        i = dataset_items.c
        found: dict[str, DatasetItem] = {}
        for start in range(0, len(keys), _CHUNK):
            query = sa.select(dataset_items).where(
                self._own(), i.dataset_id == dataset_id, i.input_key.in_(keys[start : start + _CHUNK]),
                i.valid_to_ns.is_(None), i.status == "ACTIVE",
            )  # fmt: skip
            for item in self._items(query.order_by(i.created_ns, i.item_id)):
                found[input_key(item.input)] = item
        return found

    def first_items(
        self, dataset_id: str, limit: int, after: tuple[int, str] | None = None, at: int | None = None
    ) -> list[DatasetItem]:
        """Active items of now or of the time ``at``, oldest first, behind a (``created_ns``, ``item_id``)."""
        i = dataset_items.c
        query = sa.select(dataset_items).where(
            self._own(), i.dataset_id == dataset_id, i.status == "ACTIVE", *_current(at)
        )
        sorts = [(i.created_ns, False), (i.item_id, False)]
        if after is not None:
            query = query.where(behind(sorts, after))
        return self._items(query.order_by(*order_by(sorts)).limit(limit))

    def states(self, dataset_id: str, item_id: str) -> list[DatasetItem]:
        """Every state of an item, newest first."""
        i = dataset_items.c
        own = (self._own(), i.dataset_id == dataset_id, i.item_id == item_id)
        return self._items(sa.select(dataset_items).where(*own).order_by(i.valid_from_ns.desc()))

    def versions(self, dataset_id: str, limit: int) -> list[tuple[int, int]]:
        """Times at which states began, newest first, and how many."""
        i = dataset_items.c
        query = (
            sa.select(i.valid_from_ns, sa.func.count())
            .where(self._own(), i.dataset_id == dataset_id)
            .group_by(i.valid_from_ns)
            .order_by(i.valid_from_ns.desc())
        )
        return [(row[0], row[1]) for row in self._c.execute(query.limit(limit))]

    def counts(self, dataset_ids: Sequence[str] | None = None) -> dict[str, int]:
        """Number of active items, of the given datasets or all; those without items are left out."""
        i = dataset_items.c
        query = sa.select(i.dataset_id, sa.func.count()).where(
            self._own(), i.valid_to_ns.is_(None), i.status == "ACTIVE"
        )
        if dataset_ids is not None and len(dataset_ids) <= _CHUNK:
            query = query.where(i.dataset_id.in_(dataset_ids))
        return {row[0]: row[1] for row in self._c.execute(query.group_by(i.dataset_id))}

    def items(
        self, *, dataset_id: str | None, source_trace_id: str | None, source_observation_id: str | None,
        at: int | None, limit: int, offset: int = 0, after: Place | None = None,
    ) -> tuple[list[DatasetItem], int]:  # fmt: skip
        """Active items, newest first, in the state of now or of the time ``at``, and the number of all.

        ``after``: behind the item of this creation time and id.
        """
        i = dataset_items.c
        where = [self._own(), i.status == "ACTIVE", *_current(at)]
        for column, value in (
            (i.dataset_id, dataset_id), (i.source_trace_id, source_trace_id),
            (i.source_observation_id, source_observation_id),
        ):  # fmt: skip
            if value is not None:
                where.append(column == value)
        total = self._c.execute(sa.select(sa.func.count()).select_from(dataset_items).where(*where)).scalar_one()
        sorts = [(i.created_ns, True), (i.item_id, True)]
        query = sa.select(dataset_items).where(*where).order_by(*order_by(sorts))
        if after is not None:
            query = query.where(behind(sorts, after))
        return self._items(query.limit(limit).offset(offset)), total

    def _items(self, query: sa.Select[Any]) -> list[DatasetItem]:
        rows = [dict(row) for row in self._c.execute(query).mappings()]
        ids = {row["dataset_id"] for row in rows}
        d = datasets.c
        named = sa.select(d.dataset_id, d.name).where(d.project_id == self._project, d.dataset_id.in_(ids))
        names = {row[0]: row[1] for row in self._c.execute(named)} if ids else {}
        found: list[DatasetItem] = []
        for row in rows:
            del row["project_id"], row["valid_to_ns"], row["input_key"]
            decode_json(row, ITEM_JSON)
            found.append(DatasetItem(**row, dataset_name=names.get(row["dataset_id"], "")))
        return found


def _current(at: int | None) -> list[sa.ColumnElement[bool]]:
    """States that are valid now, or were at a time."""
    i = dataset_items.c
    if at is None:
        return [i.valid_to_ns.is_(None)]
    return [i.valid_from_ns <= at, i.valid_to_ns.is_(None) | (i.valid_to_ns > at)]


def _dataset(row: sa.RowMapping) -> Dataset:
    values = dict(row)
    del values["project_id"]
    return Dataset(**decode_json(values, _DATASET_JSON))
