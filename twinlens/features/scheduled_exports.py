"""Scheduled exports: set up, change, remove, and how each is doing. ``export_worker`` writes the files."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import new_uuid
from twinlens.domain.scheduled_export import ScheduledExport, Status
from twinlens.features.audit import Audit
from twinlens.features.webhook_client import is_public
from twinlens.store.blobs.folder import FolderBlobStore
from twinlens.store.blobs.interface import BlobStore
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.scheduled_exports import ScheduledExportTable
from twinlens.store.secrets import Sealer

_DAY_NS = 86_400_000_000_000
#: Fields whose change means other files: the export begins anew.
_ELSEWHERE = ("kind", "bucket", "endpoint", "prefix", "file_type", "mode", "start_ns", "source")


class ScheduledExports:
    """See the module's text. All methods block.

    Args:
        folder: below it exports of kind FOLDER may write; None: there are none of that kind.
        anywhere: endpoints may be private addresses and plain HTTP.
        secured: whether the server is; then nobody may use the server's own cloud credentials.
    """

    def __init__(
        self, catalog: Catalog, sealer: Sealer, *, folder: Path | None, anywhere: bool, secured: Callable[[], bool],
        clock: Clock = now_ns,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._sealer = sealer
        self._folder = folder
        self._anywhere = anywhere
        self._secured = secured
        self._audit = Audit(catalog)
        self._clock = clock
        self.wake = threading.Event()  #: set when something may be due
        self.running: set[str] = set()  #: projects whose export is being written

    def get(self, project_id: str) -> ScheduledExport:
        """The project's export.

        Raises:
            NotFound: it has none.
        """
        with self._catalog.read() as connection:
            found = ScheduledExportTable(connection, project_id).get()
        if found is None:
            raise NotFound("Blob storage integration not found")
        return found

    def find(self, project_ids: Iterable[str]) -> list[tuple[str, ScheduledExport]]:
        """The exports of some projects."""
        with self._catalog.read() as connection:
            found = ((project_id, ScheduledExportTable(connection, project_id).get()) for project_id in project_ids)
            return [(project_id, export) for project_id, export in found if export is not None]

    def put(self, project_id: str, secret: str | None, **fields: Any) -> ScheduledExport:
        """Set the export up, or change it; what is not given stays.

        Args:
            secret: the secret access key, account key or service account; None keeps the one that is stored.
            fields: of ``ScheduledExport``.

        Raises:
            InvalidArgument: what is wrong with it.
        """
        now = self._clock()
        with self._catalog.write() as connection:
            table = ScheduledExportTable(connection, project_id)
            old = table.get()
            if old is None:
                export = ScheduledExport(export_id=new_uuid(), created_ns=now, **fields)
            else:
                export = msgspec.structs.replace(old, **fields)
            if secret:
                export = msgspec.structs.replace(export, sealed=self._sealer.seal(secret, _place(project_id)))
            elif old is not None and old.kind != export.kind:
                export = msgspec.structs.replace(export, sealed=None)
            export.check()
            self._check_place(export)
            if old is None or any(getattr(old, name) != getattr(export, name) for name in _ELSEWHERE):
                start = now // _DAY_NS * _DAY_NS if export.mode == "FROM_TODAY" else export.start_ns
                export = msgspec.structs.replace(
                    export, done_ns=None, start_ns=None if export.mode == "FULL_HISTORY" else start
                )
            export = msgspec.structs.replace(export, updated_ns=now, next_ns=now, error=None, error_ns=None)
            table.put(export)
            self._audit.record(
                "update" if old else "create", "scheduled_export", export.export_id, project_id=project_id,
                bucket=export.bucket, enabled=export.enabled,
            )  # fmt: skip
        self.wake.set()
        return export

    def delete(self, project_id: str) -> None:
        """Remove the export; files stay where they are.

        Raises:
            NotFound: there is none.
        """
        with self._catalog.write() as connection:
            if not ScheduledExportTable(connection, project_id).drop():
                raise NotFound("Blob storage integration not found")
            self._audit.record("delete", "scheduled_export", project_id, project_id=project_id)

    def status(self, project_id: str, export: ScheduledExport) -> Status:
        """What clients are told of an export."""
        return export.status(self._clock(), running=project_id in self.running)

    def open(self, project_id: str, export: ScheduledExport) -> BlobStore:
        """The place the files go to.

        Raises:
            InvalidArgument: it may not be used (any more), or its configuration is incomplete.
            InvalidState: its secret was sealed with another key.
        """
        self._check_place(export)
        if export.kind == "FOLDER":
            assert self._folder is not None
            return FolderBlobStore(self._folder.resolve() / export.bucket)
        from twinlens.store.blobs.object import open_bucket

        secret = None if export.sealed is None else self._sealer.open(export.sealed, _place(project_id))
        return open_bucket(
            export.kind, export.bucket, endpoint=export.endpoint, region=export.region, access_key=export.access_key,
            secret=secret, path_style=export.path_style,
        )  # fmt: skip

    def _check_place(self, export: ScheduledExport) -> None:
        if export.kind == "FOLDER":
            if self._folder is None:
                raise InvalidArgument(
                    "type: this server has no folder for exports; start it with TWINLENS_EXPORT_FOLDER=/a/folder"
                )
            return
        if export.sealed is None and self._secured():
            raise InvalidArgument("secretAccessKey: required; the server's own credentials are not lent to projects")
        if export.endpoint and not self._anywhere:
            _check_public(export.endpoint)


def _place(project_id: str) -> str:
    return f"scheduled-export/{project_id}"


def _check_public(endpoint: str) -> None:
    how = "Start the server with TWINLENS_EXPORT_ADDRESSES=any to allow it."
    parts = urlsplit(endpoint)
    if parts.scheme != "https" or not parts.hostname:
        raise InvalidArgument(f"endpoint: must be https://… {how}")
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(parts.hostname, 443, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise InvalidArgument(f"endpoint: the host '{parts.hostname}' cannot be found ({error})") from None
    private = sorted(address for address in found if not is_public(address))
    if private:
        raise InvalidArgument(f"endpoint: '{parts.hostname}' leads to {private[0]}, which is not public. {how}")
