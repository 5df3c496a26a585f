"""Table and statements of issues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.issue import Issue
from twinlens.store.catalog.engine import Catalog, metadata

issues = sa.Table(
    "issues",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("issue_id", sa.Text, primary_key=True),
    sa.Column("experiment_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("severity", sa.Text),
    sa.Column("root_causes", sa.Text, nullable=False),  # JSON
    sa.Column("categories", sa.Text, nullable=False),  # JSON
    sa.Column("source_run_id", sa.Text),
    sa.Column("created_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "experiment_id", "created_ns"),
)
_LISTS = ("root_causes", "categories")

#: ``(column, operator, value)``; operators ``=`` and ``!=``.
Condition = tuple[str, str, str]


class IssueTable:
    """Reads and writes issues."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def add(self, project_id: str, issue: Issue) -> None:
        """Insert."""
        with self._catalog.write() as c:
            c.execute(issues.insert().values(project_id=project_id, **_columns(issue)))

    def replace(self, project_id: str, issue: Issue) -> None:
        """Overwrite the row of the same id."""
        i = issues.c
        with self._catalog.write() as c:
            c.execute(
                issues.update()
                .where(i.project_id == project_id, i.issue_id == issue.issue_id)
                .values(**_columns(issue))
            )  # fmt: skip

    def get(self, project_id: str, issue_id: str) -> Issue | None:
        """One issue."""
        i = issues.c
        with self._catalog.read() as c:
            row = (
                c.execute(sa.select(issues).where(i.project_id == project_id, i.issue_id == issue_id))
                .mappings()
                .first()
            )
        return None if row is None else _issue(row)

    def all(self, project_id: str, experiment_id: str | None, conditions: Sequence[Condition]) -> list[Issue]:
        """Those that match, newest first."""
        i = issues.c
        where = [i.project_id == project_id]
        if experiment_id is not None:
            where.append(i.experiment_id == experiment_id)
        where += [i[name] == value if op == "=" else i[name] != value for name, op, value in conditions]
        with self._catalog.read() as c:
            query = sa.select(issues).where(*where).order_by(i.created_ns.desc(), i.issue_id.desc())
            return [_issue(row) for row in c.execute(query).mappings()]


def _columns(issue: Issue) -> dict[str, Any]:
    values = msgspec.structs.asdict(issue)
    return values | {name: msgspec.json.encode(values[name]).decode() for name in _LISTS}


def _issue(row: sa.RowMapping) -> Issue:
    values: dict[str, Any] = {name: row[name] for name in Issue.__struct_fields__}
    for name in _LISTS:
        values[name] = msgspec.json.decode(row[name], type=list[str])
    return Issue(**values)
