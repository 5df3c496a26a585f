"""Tables and statements of dashboards and widgets. What they hold is read and written whole, as JSON."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import msgspec
import sqlalchemy as sa

from twinlens.domain.dashboard import Dashboard, Widget
from twinlens.store.catalog.engine import metadata, upsert

T = TypeVar("T", Dashboard, Widget)


def _table(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("project_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),  # JSON of the domain's struct
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.Index(None, "project_id", "updated_ns"),
    )


dashboards = _table("dashboards")
dashboard_widgets = _table("dashboard_widgets")


class DashboardTable:
    """Statements over one connection. Every method's scope is one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    def get(self, kind: type[T], row_id: str) -> T | None:
        """One dashboard or widget."""
        t = _of(kind)
        body = self._c.execute(sa.select(t.c.body).where(t.c.project_id == self._project, t.c.id == row_id)).scalar()
        return None if body is None else msgspec.json.decode(body, type=kind)

    def put(self, row: Dashboard | Widget) -> None:
        """Insert, or overwrite what has the id."""
        row_id = row.dashboard_id if isinstance(row, Dashboard) else row.widget_id
        values: dict[str, Any] = {"body": msgspec.json.encode(row).decode(), "updated_ns": row.updated_ns}
        insert = upsert(self._c, _of(type(row))).values(project_id=self._project, id=row_id, **values)
        self._c.execute(insert.on_conflict_do_update(index_elements=["project_id", "id"], set_=values))

    def delete(self, kind: type[Dashboard | Widget], row_id: str) -> bool:
        """Remove one; False when it was not there."""
        t = _of(kind)
        return self._c.execute(t.delete().where(t.c.project_id == self._project, t.c.id == row_id)).rowcount > 0

    def page(self, kind: type[T], limit: int | None = None, offset: int = 0) -> tuple[list[T], int]:
        """The most recently changed first, and the number of all."""
        t = _of(kind)
        mine = t.c.project_id == self._project
        total = self._c.execute(sa.select(sa.func.count()).select_from(t).where(mine)).scalar_one()
        query = sa.select(t.c.body).where(mine).order_by(t.c.updated_ns.desc(), t.c.id).limit(limit).offset(offset)
        return [msgspec.json.decode(cast("str", body), type=kind) for body in self._c.execute(query).scalars()], total

    def some_widgets(self, widget_ids: set[str]) -> dict[str, Widget]:
        """Those of these ids that exist."""
        t = dashboard_widgets.c
        query = sa.select(t.id, t.body).where(t.project_id == self._project, t.id.in_(sorted(widget_ids)))
        return {row[0]: msgspec.json.decode(row[1], type=Widget) for row in self._c.execute(query)}


def _of(kind: type[Any]) -> sa.Table:
    return dashboards if kind is Dashboard else dashboard_widgets
