"""Table and statements of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.job import ENDED, Job
from twinlens.store.catalog.engine import metadata

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("params", sa.Text, nullable=False),  # JSON
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("result", sa.Text),  # JSON
    sa.Column("error", sa.Text),
    sa.Column("creator", sa.Text),
    sa.Column("completed", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "created_ns"),
)


class JobTable:
    """Jobs of one project, on an open connection."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project_id = project_id

    def add(self, job: Job) -> None:
        """Insert."""
        self._c.execute(jobs.insert().values(project_id=self._project_id, **_columns(job)))

    def put(self, job: Job) -> bool:
        """Overwrite the row of the same id unless it has ended, by cancellation for instance; whether it was there."""
        j = jobs.c
        where = (j.project_id == self._project_id, j.job_id == job.job_id, j.status.not_in(ENDED))
        return self._c.execute(jobs.update().where(*where).values(**_columns(job))).rowcount > 0

    def get(self, job_id: str) -> Job | None:
        """One job."""
        j = jobs.c
        query = sa.select(jobs).where(j.project_id == self._project_id, j.job_id == job_id)
        row = self._c.execute(query).mappings().first()
        return None if row is None else _job(row)

    def all(self, name: str | None, statuses: Sequence[str] | None, limit: int) -> list[Job]:
        """Newest first."""
        j = jobs.c
        query = sa.select(jobs).where(j.project_id == self._project_id)
        if name is not None:
            query = query.where(j.name == name)
        if statuses is not None:
            query = query.where(j.status.in_(statuses))
        rows = self._c.execute(query.order_by(j.created_ns.desc(), j.job_id).limit(limit)).mappings()
        return [_job(row) for row in rows]


def all_unfinished(connection: sa.Connection) -> list[tuple[str, str]]:
    """Project and id of every job that has not ended, oldest first. Server-wide, for the worker."""
    j = jobs.c
    query = sa.select(j.project_id, j.job_id).where(j.status.not_in(ENDED)).order_by(j.created_ns)
    return [(project_id, job_id) for project_id, job_id in connection.execute(query)]


def _columns(job: Job) -> dict[str, Any]:
    values = msgspec.structs.asdict(job)
    return values | {name: msgspec.json.encode(values[name]).decode() for name in ("params", "result")}


def _job(row: sa.RowMapping) -> Job:
    values: dict[str, Any] = {name: row[name] for name in Job.__struct_fields__}
    for name in ("params", "result"):
        values[name] = msgspec.json.decode(row[name]) if row[name] is not None else None
    return Job(**values)
