"""Who came from whom, as the catalog knows it: data sets, runs, logged models, model versions, deployments.

Every method is one page of neighbours: ``(key, label, details)`` in a fixed order, and the cursor of the next page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from twinlens.store.catalog.deployments import deployment_releases, deployments
from twinlens.store.catalog.keyset import Sort, behind, decode_cursor, encode_cursor, order_by
from twinlens.store.catalog.logged_models import logged_models
from twinlens.store.catalog.registry import model_versions
from twinlens.store.catalog.runs import run_datasets, run_inputs, run_models, runs


class Neighbour(NamedTuple):
    """One row: what identifies it, and what to show."""

    key: tuple[Any, ...]
    details: dict[str, Any]


#: A select of any columns; SQLAlchemy's own type is invariant in them.
AnySelect = Any
Page = tuple[list[Neighbour], str | None]


class LineageTable:
    """Reads over one connection, of one project."""

    def __init__(self, connection: sa.Connection, project_id: str, limit: int) -> None:
        self._connection = connection
        self._project = project_id
        self._limit = limit

    # --- runs ----------------------------------------------------------------------------------------------------
    def runs_of_dataset(self, name: str, digest: str, cursor: str | None) -> Page:
        """Runs that read a data set, newest first."""
        d, i = run_datasets.c, run_inputs.c
        query = (
            self._runs()
            .join(run_inputs, i.run_no == runs.c.run_no)
            .join(run_datasets, d.dataset_no == i.dataset_no)
            .where(d.project_id == self._project, d.name == name, d.digest == digest)
        )
        return self._page(query, [(runs.c.run_no, True)], cursor, ("run", name, digest), keys=1)

    def runs_reading_model(self, model_id: str, cursor: str | None) -> Page:
        """Runs that took a logged model as input, newest first."""
        m = run_models.c
        query = self._runs().where(
            sa.exists().where(m.run_no == runs.c.run_no, m.direction == "input", m.model_id == model_id)
        )
        return self._page(query, [(runs.c.run_no, True)], cursor, ("reading", model_id), keys=1)

    def run(self, run_id: str) -> Neighbour | None:
        """One run."""
        found, _ = self._page(self._runs().where(runs.c.run_id == run_id), [(runs.c.run_no, True)], None, "", keys=1)
        return found[0] if found else None

    def _runs(self) -> AnySelect:
        r = runs.c
        return sa.select(r.run_id, r.name, r.experiment_id, r.status, r.start_ms).where(r.project_id == self._project)

    # --- what runs read and made ---------------------------------------------------------------------------------
    def datasets_of_run(self, run_id: str, cursor: str | None) -> Page:
        """Data sets that a run read."""
        d, i, r = run_datasets.c, run_inputs.c, runs.c
        query = (
            sa.select(d.name, d.digest, d.source_type, i.context, d.experiment_id)
            .join(run_inputs, i.dataset_no == d.dataset_no)
            .join(runs, r.run_no == i.run_no)
            .where(r.project_id == self._project, r.run_id == run_id)
        )
        return self._page(query, [(d.dataset_no, False)], cursor, ("datasets", run_id), keys=2)

    def models_of_run(self, run_id: str, direction: str, cursor: str | None) -> Page:
        """Logged models that a run made (``output``) or read (``input``)."""
        g, m, r = logged_models.c, run_models.c, runs.c
        listed = (
            sa.select(m.model_id)
            .join(runs, r.run_no == m.run_no)
            .where(r.project_id == self._project, r.run_id == run_id, m.direction == direction)
        )
        wanted = g.model_id.in_(listed)
        if direction == "output":
            wanted = sa.or_(wanted, g.source_run_id == run_id)
        query = self._models().where(wanted, g.lifecycle == "active")
        return self._page(query, [(g.model_id, False)], cursor, ("models", run_id, direction), keys=1)

    def model(self, model_id: str) -> Neighbour | None:
        """One logged model."""
        g = logged_models.c
        found, _ = self._page(self._models().where(g.model_id == model_id), [(g.model_id, False)], None, "", keys=1)
        return found[0] if found else None

    def _models(self) -> AnySelect:
        g = logged_models.c
        return sa.select(g.model_id, g.name, g.experiment_id, g.source_run_id).where(g.project_id == self._project)

    # --- model versions ------------------------------------------------------------------------------------------
    def versions_of_run(self, run_id: str, cursor: str | None) -> Page:
        """Model versions registered from a run."""
        return self._versions(model_versions.c.run_id == run_id, cursor, ("versions", run_id))

    def versions_of_model(self, model_id: str, cursor: str | None) -> Page:
        """Model versions registered from a logged model."""
        return self._versions(model_versions.c.model_id == model_id, cursor, ("versions", model_id))

    def version(self, name: str, version: int) -> Neighbour | None:
        """One model version."""
        v = model_versions.c
        found, _ = self._versions(sa.and_(v.name == name, v.version == version), None, "")
        return found[0] if found else None

    def named(self, model_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Registered name and version of logged models, where they have one; the newest of several."""
        v = model_versions.c
        rows = self._connection.execute(
            sa.select(v.model_id, v.name, v.version)
            .where(v.project_id == self._project, v.model_id.in_(model_ids))
            .order_by(v.created_ms, v.name, v.version)
        )
        return {row.model_id: (row.name, str(row.version)) for row in rows}

    def _versions(self, where: sa.ColumnElement[bool], cursor: str | None, asked: Any) -> Page:
        v = model_versions.c
        query = sa.select(v.name, v.version, v.stage, v.run_id, v.model_id, v.created_ms).where(
            v.project_id == self._project, where
        )
        return self._page(query, [(v.name, False), (v.version, True)], cursor, asked, keys=2)

    # --- deployments ---------------------------------------------------------------------------------------------
    def deployments_of(self, kind: str, subject: str, version: str, cursor: str | None) -> Page:
        """Where a version serves or has served."""
        d, r = deployments.c, deployment_releases.c
        return self._deployments(
            sa.and_(d.kind == kind, d.subject == subject, r.version == version),
            cursor, ("deployments", kind, subject, version),
        )  # fmt: skip

    def deployments_of_run(self, run_id: str, cursor: str | None) -> Page:
        """Where something serves or has served that a run made and no registry has numbered."""
        r = deployment_releases.c
        unregistered = sa.or_(r.model_uri.is_(None), r.model_uri.not_like("models:/%/%"))
        d = deployments.c
        return self._deployments(
            sa.and_(r.run_id == run_id, unregistered, sa.or_(d.kind != "model", r.version == run_id[:8])),
            cursor, ("deployments", run_id),
        )  # fmt: skip

    def versions_of_deployment(self, deployment_id: str, cursor: str | None) -> Page:
        """What has served there: kind, subject, version, run; the newest first."""
        d, r = deployments.c, deployment_releases.c
        query = (
            sa.select(r.number, d.kind, d.subject, r.version, r.run_id, r.model_uri, r.at_ns, r.until_ns, r.action)
            .join(deployments, sa.and_(d.project_id == r.project_id, d.deployment_id == r.deployment_id))
            .where(r.project_id == self._project, r.deployment_id == deployment_id, r.action != "retire")
        )
        return self._page(query, [(r.number, True)], cursor, ("releases", deployment_id), keys=1)

    def _deployments(self, where: sa.ColumnElement[bool], cursor: str | None, asked: Any) -> Page:
        d, r = deployments.c, deployment_releases.c
        served = sa.exists().where(
            r.project_id == d.project_id, r.deployment_id == d.deployment_id, r.action != "retire", where
        )
        query = sa.select(d.deployment_id, d.name, d.environment, d.kind, d.subject, d.health, d.retired).where(
            d.project_id == self._project, served
        )  # fmt: skip
        return self._page(query, [(d.deployment_id, False)], cursor, asked, keys=1)

    # --- pages ---------------------------------------------------------------------------------------------------
    def _page(self, query: AnySelect, sorts: list[Sort], cursor: str | None, asked: Any, keys: int) -> Page:
        if cursor:
            query = query.where(behind(sorts, decode_cursor(cursor, asked, len(sorts))))
        ordered = query.add_columns(*(sort.label(f"sort_{i}") for i, (sort, _) in enumerate(sorts)))
        rows = self._connection.execute(ordered.order_by(*order_by(sorts)).limit(self._limit + 1)).all()
        found: list[Neighbour] = []
        for row in rows[: self._limit]:
            values = dict(row._mapping)  # pyright: ignore[reportPrivateUsage] - SQLAlchemy's public name for it
            shown = {name: value for name, value in values.items() if not name.startswith("sort_")}
            found.append(Neighbour(tuple(row[:keys]), shown))
        more = len(rows) > self._limit
        last = [rows[self._limit - 1]._mapping[f"sort_{i}"] for i in range(len(sorts))] if more else []  # pyright: ignore[reportPrivateUsage]
        return found, encode_cursor(last, asked) if more else None
