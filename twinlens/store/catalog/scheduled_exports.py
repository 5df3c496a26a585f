"""Table and statements of scheduled exports."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.scheduled_export import ScheduledExport
from twinlens.store.catalog.engine import metadata, upsert

scheduled_exports = sa.Table(
    "scheduled_exports",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("export_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("endpoint", sa.Text),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("access_key", sa.Text),
    sa.Column("sealed", sa.Text),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("frequency", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("path_style", sa.Boolean, nullable=False),
    sa.Column("file_type", sa.Text, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("start_ns", sa.BigInteger),
    sa.Column("compressed", sa.Boolean, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("field_groups", sa.Text, nullable=False),  # JSON
    sa.Column("done_ns", sa.BigInteger),
    sa.Column("next_ns", sa.BigInteger),
    sa.Column("error", sa.Text),
    sa.Column("error_ns", sa.BigInteger),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)


class ScheduledExportTable:
    """The export of one project, on an open connection."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project_id = project_id

    def get(self) -> ScheduledExport | None:
        """The project's export."""
        query = sa.select(scheduled_exports).where(scheduled_exports.c.project_id == self._project_id)
        row = self._c.execute(query).mappings().first()
        return None if row is None else _export(row)

    def put(self, export: ScheduledExport) -> None:
        """Insert or overwrite."""
        values = msgspec.structs.asdict(export) | {"field_groups": msgspec.json.encode(export.field_groups).decode()}
        insert = upsert(self._c, scheduled_exports).values(project_id=self._project_id, **values)
        self._c.execute(insert.on_conflict_do_update(index_elements=["project_id"], set_=values))

    def progress(self, export_id: str, updated_ns: int, **values: Any) -> None:
        """Note how far an export has come, unless it was changed (it has another ``updated_ns``) or replaced meanwhile."""
        e = scheduled_exports.c
        where = (e.project_id == self._project_id, e.export_id == export_id, e.updated_ns == updated_ns)
        self._c.execute(scheduled_exports.update().where(*where).values(**values))

    def drop(self) -> bool:
        """Delete; False when there is none."""
        e = scheduled_exports.c
        return self._c.execute(scheduled_exports.delete().where(e.project_id == self._project_id)).rowcount > 0


def all_exports(connection: sa.Connection) -> list[tuple[str, ScheduledExport]]:
    """Enabled exports with their projects. Server-wide, for the worker."""
    query = sa.select(scheduled_exports).where(scheduled_exports.c.enabled)
    return [(row["project_id"], _export(row)) for row in connection.execute(query).mappings()]


def _export(row: sa.RowMapping) -> ScheduledExport:
    values: dict[str, Any] = {name: row[name] for name in ScheduledExport.__struct_fields__}
    values["field_groups"] = msgspec.json.decode(row["field_groups"], type=list[str])
    return ScheduledExport(**values)
