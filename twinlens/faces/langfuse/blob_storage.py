"""``/integrations/blob-storage``: the scheduled exports of an organization's projects."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.errors import NotFound
from twinlens.domain.scheduled_export import ScheduledExport
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.projects import managing, organization_of
from twinlens.faces.langfuse.wire import Call, Result, RouteTable, iso, time_of

routes = RouteTable()
_PATH = "/integrations/blob-storage"


class Body(msgspec.Struct, rename="camel", kw_only=True):
    """Body of the upsert. What is left out keeps its value, or gets its default in a new integration."""

    project_id: str
    type: str
    bucket_name: str
    region: str
    export_frequency: str
    enabled: bool
    force_path_style: bool
    file_type: str
    export_mode: str
    endpoint: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    prefix: str | None = None
    export_start_date: str | None = None
    compressed: bool | None = None
    export_source: str | None = None
    export_field_groups: list[str] | None = None

    def fields(self) -> dict[str, Any]:
        """What it says, by our names."""
        always = {
            "kind": self.type, "bucket": self.bucket_name, "region": self.region.strip(), "endpoint": self.endpoint or None,
            "access_key": self.access_key_id or None, "prefix": self.prefix or "", "frequency": self.export_frequency,
            "enabled": self.enabled, "path_style": self.force_path_style, "file_type": self.file_type,
            "mode": self.export_mode, "start_ns": time_of(self.export_start_date, "exportStartDate"),
        }  # fmt: skip
        given = {
            "compressed": self.compressed, "source": self.export_source, "field_groups": self.export_field_groups,
        }  # fmt: skip
        return always | {name: value for name, value in given.items() if value is not None}


def _row(project_id: str, export: ScheduledExport) -> dict[str, Any]:
    """An integration as clients read it; its secret is never shown."""
    return {
        "id": export.export_id, "projectId": project_id, "type": export.kind, "bucketName": export.bucket,
        "endpoint": export.endpoint, "region": export.region, "accessKeyId": export.access_key, "prefix": export.prefix,
        "exportFrequency": export.frequency, "enabled": export.enabled, "forcePathStyle": export.path_style,
        "fileType": export.file_type, "exportMode": export.mode, "exportStartDate": iso(export.start_ns),
        "compressed": export.compressed, "exportSource": export.source, "exportFieldGroups": export.field_groups,
        "nextSyncAt": iso(export.next_ns), "lastSyncAt": iso(export.done_ns), "lastError": export.error,
        "lastErrorAt": iso(export.error_ns), "createdAt": iso(export.created_ns), "updatedAt": iso(export.updated_ns),
    }  # fmt: skip


def _all(call: Call) -> list[tuple[str, ScheduledExport]]:
    projects = call.services.projects.list(organization_of(call))
    return call.services.exports.find(project.id for project in projects)


async def _find(call: Call) -> tuple[str, ScheduledExport]:
    for project_id, export in await in_thread(_all, call):
        if export.export_id == call.path["id"]:
            await managing(call, project_id)
            return project_id, export
    raise NotFound("Blob storage integration not found")


@routes.on("GET", _PATH, scope=None)
async def list_integrations(call: Call) -> Result:
    """Those of all projects of the organization."""
    return {"data": [_row(project_id, export) for project_id, export in await in_thread(_all, call)]}


@routes.on("PUT", _PATH, scope=None)
async def upsert(call: Call) -> Result:
    """Set up or change the integration of a project; its first files are written soon after."""
    body = await call.json(Body)
    who = await managing(call, body.project_id)
    put = call.services.exports.put
    export = await in_thread(lambda: put(who.project_id, body.secret_access_key, **body.fields()))
    return _row(who.project_id, export)


@routes.on("GET", _PATH + "/{id}", scope=None)
async def status(call: Call) -> Result:
    """How far it has come: everything before ``lastSyncAt`` is in files."""
    project_id, export = await _find(call)
    return {
        "id": export.export_id, "projectId": project_id,
        "syncStatus": call.services.exports.status(project_id, export), "enabled": export.enabled,
        "lastSyncAt": iso(export.done_ns), "nextSyncAt": iso(export.next_ns), "lastError": export.error,
        "lastErrorAt": iso(export.error_ns),
    }  # fmt: skip


@routes.on("DELETE", _PATH + "/{id}", scope=None)
async def delete(call: Call) -> Result:
    """Remove it; files stay where they are."""
    project_id, _ = await _find(call)
    await in_thread(call.services.exports.delete, project_id)
    return {"message": "Blob storage integration successfully deleted"}
