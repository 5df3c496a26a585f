"""One moment of a running instance, held for the program that copies it (``twinlens.backup``).

The moment is between two commits of the ingest writer: the catalog's snapshot and the telemetry's are taken there, so
everything acknowledged before is in both, and nothing later is in either.
"""

from __future__ import annotations

import hmac
from contextlib import ExitStack
from pathlib import Path

import msgspec

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, PermissionDenied, StoreUnavailable
from twinlens.features.secrets import Hasher
from twinlens.ingest.writer import Ingest
from twinlens.settings import Settings
from twinlens.store.catalog.copy import CatalogSnapshot, open_snapshot
from twinlens.store.catalog.engine import Catalog
from twinlens.store.telemetry.interface import TelemetrySnapshot, TelemetryStore

CATALOG = "catalog.db"  #: name of the catalog's copy in the folder


class HeldFile(msgspec.Struct, frozen=True):
    """A file to copy, and how many bytes from its start."""

    path: str
    bytes: int


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What is held."""

    time_ns: int
    catalog_revision: str
    telemetry: list[HeldFile]
    artifact_store: str | None  #: None: the folder ``blobs`` of the data folder


class Held:
    """Until ``close``. ``save_catalog`` blocks; call it once."""

    def __init__(
        self, stack: ExitStack, catalog: CatalogSnapshot, telemetry: TelemetrySnapshot, moment: Moment
    ) -> None:
        self.moment = moment
        self._stack = stack
        self._catalog = catalog
        self._telemetry = telemetry

    @property
    def valid(self) -> bool:
        """Whether the telemetry files still are those of the moment."""
        return self._telemetry.valid

    def save_catalog(self, folder: Path) -> int:
        """Write the catalog's copy; its size in bytes."""
        path = folder / CATALOG
        try:
            self._catalog.save(path)
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be written: {error.strerror}") from error
        return path.stat().st_size

    def close(self) -> None:
        """Let go. Safe to call twice."""
        self._stack.close()


class Backups:
    """Only for who can read the instance's own key: a backup holds every project and every secret."""

    def __init__(self, settings: Settings, catalog: Catalog, ingest: Ingest, hasher: Hasher) -> None:
        self._settings = settings
        self._catalog = catalog
        self._ingest = ingest
        self._proof = owner_proof(hasher)

    def admit(self, proof: str) -> None:
        """Check a caller.

        Raises:
            PermissionDenied: the proof is not made with this instance's key.
        """
        if not hmac.compare_digest(proof.encode("utf-8", "surrogatepass"), self._proof.encode()):
            raise PermissionDenied(
                "only who can read the data folder's key may make a backup: run `twinlens backup` there"
            )

    async def hold(self, folder: str) -> Held:
        """Hold this moment for a copy into an existing empty folder of this machine.

        Raises:
            InvalidArgument: the server does not see the folder. AlreadyExists: it is not empty. Conflict: another backup is
            being made.
        """
        return await self._ingest.run(lambda store: self._take(store, Path(folder)))

    def _take(self, store: TelemetryStore, folder: Path) -> Held:
        if not folder.is_absolute() or not folder.is_dir():
            raise InvalidArgument(f"the server sees no folder {folder}: make the backup on the server's machine")
        if (folder / CATALOG).exists():
            raise AlreadyExists(f"{folder} holds a backup already")
        with ExitStack() as stack:
            catalog = stack.enter_context(open_snapshot(self._catalog))
            telemetry = store.snapshot()
            stack.callback(telemetry.release)
            moment = Moment(
                time_ns=now_ns(), catalog_revision=catalog.revision, artifact_store=self._settings.artifact_store,
                telemetry=[HeldFile(str(path), size) for path, size in telemetry.files],
            )  # fmt: skip
            return Held(stack.pop_all(), catalog, telemetry, moment)


def owner_proof(hasher: Hasher) -> str:
    """What only a holder of the instance's key can say."""
    return hasher.hash("twinlens/owner/1")
