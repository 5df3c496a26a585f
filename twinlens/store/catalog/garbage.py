"""What is marked as deleted and waits to be removed for good: runs, logged models, experiments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from twinlens.store.catalog.deployments import deployments
from twinlens.store.catalog.experiments import experiments
from twinlens.store.catalog.logged_models import logged_models
from twinlens.store.catalog.registry import model_versions, registered_models
from twinlens.store.catalog.runs import run_datasets, run_inputs, runs


class Doomed(NamedTuple):
    """One thing, and where its artifacts are."""

    id: str
    artifact_uri: str


class GarbageTable:
    """Reads and removes over one connection, in one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._connection = connection
        self._project = project_id

    def runs(self, before_ms: int, only: Sequence[str] | None, of: Sequence[int] | None, limit: int) -> list[Doomed]:
        """Runs deleted at or before a time; restricted to some, or to those of some experiments."""
        r = runs.c
        query = sa.select(r.run_id, r.artifact_uri).where(
            r.project_id == self._project, r.lifecycle == "deleted", sa.func.coalesce(r.deleted_ms, 0) <= before_ms
        )
        if only is not None:
            query = query.where(r.run_id.in_(only))
        if of is not None:
            query = query.where(r.experiment_id.in_(of))
        return [Doomed(*row) for row in self._connection.execute(query.order_by(r.run_no).limit(limit))]

    def models(self, before_ms: int, of: Sequence[int] | None, limit: int) -> list[Doomed]:
        """Logged models deleted at or before a time."""
        g = logged_models.c
        query = sa.select(g.model_id, g.artifact_uri).where(
            g.project_id == self._project, g.lifecycle == "deleted", g.updated_ms <= before_ms
        )
        if of is not None:
            query = query.where(g.experiment_id.in_([str(number) for number in of]))
        return [Doomed(*row) for row in self._connection.execute(query.order_by(g.model_id).limit(limit))]

    def drop_models(self, model_ids: Sequence[str]) -> None:
        """Remove logged models, with all that hangs on them."""
        g = logged_models.c
        self._connection.execute(
            logged_models.delete().where(g.project_id == self._project, g.model_id.in_(model_ids))
        )  # fmt: skip

    def experiments(self, before_ms: int, of: Sequence[int] | None) -> list[Doomed]:
        """Experiments deleted at or before a time that have no run any more. The default one stays."""
        e = experiments.c
        query = sa.select(e.experiment_id, e.artifact_location).where(
            e.project_id == self._project, e.lifecycle == "deleted", e.updated_ms <= before_ms, e.experiment_id != 0,
            ~sa.exists().where(runs.c.project_id == e.project_id, runs.c.experiment_id == e.experiment_id),
        )  # fmt: skip
        if of is not None:
            query = query.where(e.experiment_id.in_(of))
        rows = self._connection.execute(query.order_by(e.experiment_id))
        return [Doomed(str(row.experiment_id), row.artifact_location) for row in rows]

    def counts(self) -> dict[str, Any]:
        """Active things by kind, runs by status, and deleted runs."""
        r = runs.c
        by: dict[str, int] = {}
        deleted = 0
        grouped = sa.select(r.lifecycle, r.status, sa.func.count()).where(r.project_id == self._project)
        for lifecycle, status, number in self._connection.execute(grouped.group_by(r.lifecycle, r.status)):
            if lifecycle == "active":
                by[status] = number
            else:
                deleted += number
        return {
            "runs": sum(by.values()), "deleted_runs": deleted, "runs_by_status": by,
            "experiments": self._count(experiments, experiments.c.lifecycle == "active"),
            "logged_models": self._count(logged_models, logged_models.c.lifecycle == "active"),
            "registered_models": self._count(registered_models), "model_versions": self._count(model_versions),
            "deployments": self._count(deployments, deployments.c.retired.is_(False)),
        }  # fmt: skip

    def _count(self, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(table).where(table.c.project_id == self._project, *where)
        return int(self._connection.execute(query).scalar_one())

    def drop_experiment(self, experiment_id: str) -> list[str]:
        """Remove an experiment, its logged models and its data sets; the ids of the models."""
        number = int(experiment_id)
        e, g, d = experiments.c, logged_models.c, run_datasets.c
        of_it = sa.and_(g.project_id == self._project, g.experiment_id == experiment_id)
        gone = [row[0] for row in self._connection.execute(sa.select(g.model_id).where(of_it))]
        self._connection.execute(logged_models.delete().where(of_it))
        self._connection.execute(
            run_datasets.delete().where(
                d.project_id == self._project, d.experiment_id == number,
                ~sa.exists().where(run_inputs.c.dataset_no == d.dataset_no),
            )
        )  # fmt: skip
        self._connection.execute(
            experiments.delete().where(e.project_id == self._project, e.experiment_id == number)
        )  # fmt: skip
        return gone
