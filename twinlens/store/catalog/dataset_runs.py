"""Tables and statements of dataset runs and their items."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.dataset import DatasetRun, DatasetRunItem
from twinlens.store.catalog.datasets import datasets, decode_json, encode_json
from twinlens.store.catalog.engine import metadata, upsert

dataset_runs = sa.Table(
    "dataset_runs",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("dataset_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("metadata", sa.Text),  # JSON
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "dataset_id", "name", unique=True),
    sa.Index(None, "project_id", "created_ns"),
)

dataset_run_items = sa.Table(
    "dataset_run_items",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("run_item_id", sa.Text, primary_key=True),
    sa.Column("item_id", sa.Text, nullable=False),
    sa.Column("trace_id", sa.Text, nullable=False),
    sa.Column("observation_id", sa.Text),
    sa.Column("dataset_version_ns", sa.BigInteger),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "run_id", "created_ns"),
    sa.Index(None, "project_id", "trace_id"),
)


class DatasetRunTable:
    """Runs and run items over one connection. Every method's scope is one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    def _own(self) -> sa.ColumnElement[bool]:
        return dataset_runs.c.project_id == self._project

    def put(self, row: DatasetRun) -> None:
        """Insert, or refresh description, metadata and time of the run of that id."""
        values = encode_json(msgspec.structs.asdict(row), ("metadata",))
        del values["dataset_name"]
        insert = upsert(self._c, dataset_runs).values(project_id=self._project, **values)
        changed = {"updated_ns": row.updated_ns}
        changed |= {name: values[name] for name in ("description", "metadata") if values[name] is not None}
        self._c.execute(insert.on_conflict_do_update(index_elements=["project_id", "run_id"], set_=changed))

    def get(self, run_id: str) -> DatasetRun | None:
        """One run."""
        return next(iter(self._runs([dataset_runs.c.run_id == run_id], 1, 0)), None)

    def page(self, dataset_id: str, limit: int, offset: int) -> tuple[list[DatasetRun], int]:
        """Runs of a dataset, newest first, and the number of all."""
        where = [dataset_runs.c.dataset_id == dataset_id]
        total = self._c.execute(
            sa.select(sa.func.count()).select_from(dataset_runs).where(self._own(), *where)
        ).scalar_one()
        return self._runs(where, limit, offset), total

    def between(self, start_ns: int, end_ns: int | None, dataset_ids: list[str] | None) -> list[DatasetRun]:
        """Runs updated in a time range, newest first."""
        r = dataset_runs.c
        where = [r.updated_ns >= start_ns]
        if end_ns is not None:
            where.append(r.created_ns < end_ns)
        if dataset_ids is not None:
            where.append(r.dataset_id.in_(dataset_ids))
        return self._runs(where, 10_000, 0)

    def _runs(self, where: list[sa.ColumnElement[bool]], limit: int, offset: int) -> list[DatasetRun]:
        r, d = dataset_runs.c, datasets.c
        query = (
            sa.select(dataset_runs, d.name.label("dataset_name"))
            .join_from(dataset_runs, datasets, (r.project_id == d.project_id) & (r.dataset_id == d.dataset_id))
            .where(self._own(), *where)
            .order_by(r.created_ns.desc(), r.run_id)
        )
        found: list[DatasetRun] = []
        for row in self._c.execute(query.limit(limit).offset(offset)).mappings():
            values = dict(row)
            del values["project_id"]
            found.append(DatasetRun(**decode_json(values, ("metadata",))))
        return found

    def delete(self, run_id: str) -> int:
        """Remove a run with its links; 1 if there was one."""
        items = dataset_run_items.c
        own = (items.project_id == self._project) & (items.run_id == run_id)
        self._c.execute(dataset_run_items.delete().where(own))
        return self._c.execute(dataset_runs.delete().where(self._own(), dataset_runs.c.run_id == run_id)).rowcount

    def put_item(self, row: DatasetRunItem) -> None:
        """Insert, or refresh the link of that id."""
        values: dict[str, Any] = msgspec.structs.asdict(row)
        del values["run_name"]
        insert = upsert(self._c, dataset_run_items).values(project_id=self._project, **values)
        keys = ["project_id", "run_id", "run_item_id"]
        self._c.execute(insert.on_conflict_do_update(index_elements=keys, set_={"updated_ns": row.updated_ns}))

    def items(self, run: DatasetRun, limit: int, offset: int) -> tuple[list[DatasetRunItem], int]:
        """Links of a run, newest first, and the number of all."""
        i = dataset_run_items.c
        own = (i.project_id == self._project) & (i.run_id == run.run_id)
        total = self._c.execute(sa.select(sa.func.count()).select_from(dataset_run_items).where(own)).scalar_one()
        query = sa.select(dataset_run_items).where(own).order_by(i.created_ns.desc(), i.run_item_id)
        found: list[DatasetRunItem] = []
        for row in self._c.execute(query.limit(limit).offset(offset)).mappings():
            values = dict(row)
            del values["project_id"]
            found.append(DatasetRunItem(**values, run_name=run.name))
        return found, total

    def links(
        self, start_ns: int, end_ns: int | None, *, run_ids: list[str] | None, names: list[str] | None,
        item_ids: list[str] | None, dataset_ids: list[str] | None, limit: int, after: tuple[int, str] | None,
    ) -> list[tuple[DatasetRunItem, DatasetRun]]:  # fmt: skip
        """Links of any run made in a time range, newest first, behind the one with time and id ``after``."""
        i, r = dataset_run_items.c, dataset_runs.c
        where = [i.project_id == self._project, i.created_ns >= start_ns]
        if end_ns is not None:
            where.append(i.created_ns < end_ns)
        if after is not None:
            at, id = after
            where.append((i.created_ns < at) | ((i.created_ns == at) & (i.run_item_id > id)))
        chosen = ((i.run_id, run_ids), (r.name, names), (i.item_id, item_ids), (r.dataset_id, dataset_ids))
        where += [column.in_(values) for column, values in chosen if values is not None]
        query = (
            sa.select(dataset_run_items)
            .join_from(dataset_run_items, dataset_runs, (i.project_id == r.project_id) & (i.run_id == r.run_id))
            .where(*where)
            .order_by(i.created_ns.desc(), i.run_item_id)
            .limit(limit)
        )
        rows = [dict(row) for row in self._c.execute(query).mappings()]
        ids = {row["run_id"] for row in rows}
        runs = {run.run_id: run for run in self._runs([r.run_id.in_(ids)], len(ids), 0)} if ids else {}
        found: list[tuple[DatasetRunItem, DatasetRun]] = []
        for row in rows:
            run = runs[row["run_id"]]
            del row["project_id"]
            found.append((DatasetRunItem(**row, run_name=run.name), run))
        return found
