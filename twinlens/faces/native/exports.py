"""The scheduled export of a project."""

from __future__ import annotations

from typing import Any

from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from twinlens.domain.errors import NotFound
from twinlens.domain.scheduled_export import FileType, Frequency, Mode, ScheduledExport, Source, Status, StorageKind
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native.administration import managing
from twinlens.faces.native.rows import ms
from twinlens.features.services import Services

_ONE = "/projects/{project_id:str}/scheduled-export"


class ScheduledExportFields(Struct, kw_only=True):
    """What is exported, where to, how often. Files hold what was written or changed in a period."""

    kind: StorageKind
    bucket: str
    endpoint: str | None = None
    region: str = "auto"
    access_key: str | None = None
    prefix: str = ""
    frequency: Frequency = "daily"
    enabled: bool = True
    path_style: bool = False
    file_type: FileType = "JSONL"
    mode: Mode = "FULL_HISTORY"
    compressed: bool = True
    source: Source = "LEGACY_TRACES_OBSERVATIONS"


class ScheduledExportChange(ScheduledExportFields, kw_only=True):
    """``PUT``: without ``secret`` the stored one stays. ``start_ms`` goes with mode FROM_CUSTOM_DATE."""

    secret: str | None = None
    start_ms: float | None = None


class ScheduledExportRow(ScheduledExportFields, kw_only=True):
    """The export and how it is doing; everything before ``done_ms`` is in files."""

    has_secret: bool
    status: Status
    start_ms: float | None = None
    done_ms: float | None = None
    next_ms: float | None = None
    error: str | None = None
    error_ms: float | None = None


class ScheduledExportState(Struct, kw_only=True):
    """``export`` is null where none is set up."""

    export: ScheduledExportRow | None
    folder_allowed: bool


class ExportedFiles(Struct, kw_only=True):
    """Names of the files that were written."""

    files: list[str]


def _row(app: Services, project_id: str, export: ScheduledExport) -> ScheduledExportRow:
    same: dict[str, Any] = {name: getattr(export, name) for name in ScheduledExportFields.__struct_fields__}

    def at(ns: int | None) -> float | None:
        return None if ns is None else ms(ns)

    return ScheduledExportRow(
        **same, has_secret=bool(export.sealed), status=app.exports.status(project_id, export),
        start_ms=at(export.start_ns), done_ms=at(export.done_ns), next_ms=at(export.next_ns), error=export.error,
        error_ms=at(export.error_ns),
    )  # fmt: skip


@get(_ONE, summary="The scheduled export")
async def get_scheduled_export(request: AnyRequest, project_id: FromPath[str]) -> ScheduledExportState:
    """What is set up, and whether this server has a folder for exports."""
    who, app = await managing(request, project_id), services(request)
    allowed = app.settings.export_folder is not None
    try:
        found = await in_thread(app.exports.get, who.project_id)
    except NotFound:
        return ScheduledExportState(export=None, folder_allowed=allowed)
    return ScheduledExportState(export=_row(app, who.project_id, found), folder_allowed=allowed)


@put(_ONE, summary="Set up the scheduled export")
async def put_scheduled_export(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[ScheduledExportChange]
) -> ScheduledExportRow:
    """A change of place, form or start begins anew; other changes go on where it was."""
    who, app = await managing(request, project_id), services(request)
    fields: dict[str, Any] = {name: getattr(data, name) for name in ScheduledExportFields.__struct_fields__}
    fields["start_ns"] = None if data.start_ms is None else round(data.start_ms * 1_000_000)
    found = await in_thread(lambda: app.exports.put(who.project_id, data.secret, **fields))
    return _row(app, who.project_id, found)


@delete(_ONE, summary="Remove the scheduled export")
async def delete_scheduled_export(request: AnyRequest, project_id: FromPath[str]) -> None:
    """Files stay where they are."""
    who = await managing(request, project_id)
    await in_thread(services(request).exports.delete, who.project_id)


@post(_ONE + "/run", summary="Write the period at hand now", status_code=200)
async def run_scheduled_export(request: AnyRequest, project_id: FromPath[str]) -> ExportedFiles:
    """As far as it goes; the same files are written again when the period is complete."""
    who = await managing(request, project_id)
    return ExportedFiles(files=await in_thread(services(request).export_worker.now, who.project_id))


HANDLERS = [get_scheduled_export, put_scheduled_export, delete_scheduled_export, run_scheduled_export]
