"""The instance to copy: one that runs, through its API, or a stopped one, by its folder."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import Conflict, InvalidState, NotFound
from twinlens.features.backups import HeldFile, Moment, owner_proof
from twinlens.features.secrets import Hasher
from twinlens.settings import Settings
from twinlens.store.catalog.copy import open_snapshot
from twinlens.store.catalog.engine import Catalog
from twinlens.store.lock import FolderLock, read_holder

_API = "/api/twinlens/v1/backup"


class Held:
    """A moment of an instance. ``confirm`` is asked after everything has been copied."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment

    def confirm(self) -> None:
        """Wait for the catalog's copy and make sure that the telemetry files were those of the moment.

        Raises:
            Conflict: they were not, or the server went away: the copy is worth nothing.
        """


@contextmanager
def hold(settings: Settings, folder: Path) -> Generator[Held]:
    """Hold the instance's state; its catalog is written into ``folder``.

    Raises:
        NotFound: no data there. Conflict: the server is just starting, or went away.
    """
    data = settings.data.resolve()
    if not (data / "lock").exists():
        raise NotFound(f"there is no data folder {data}: name it with --data")
    holder = read_holder(data)
    if holder is None:
        with _stopped(settings, folder) as held:
            yield held
        return
    url = holder.get("url")
    if not isinstance(url, str):
        raise Conflict(f"process {holder.get('pid')} uses {data} but does not answer yet: try again in a moment")
    with _Running(url, _proof(settings), folder) as held:
        yield held


def _proof(settings: Settings) -> str:
    try:
        key = settings.secret or (settings.data / "secret").read_text("ascii").strip()
    except OSError as error:
        raise InvalidState(
            f"the key of the instance cannot be read ({error.strerror}: {settings.data / 'secret'}): run this as the server's "
            "user, or set TWINLENS_SECRET as the server has it"
        ) from error
    return owner_proof(Hasher(key))


@contextmanager
def _stopped(settings: Settings, folder: Path) -> Generator[Held]:
    data = settings.data.resolve()
    lock = FolderLock(data)
    try:
        catalog = Catalog(settings.catalog_url or data / "catalog.db")
        try:
            with open_snapshot(catalog) as snapshot:
                snapshot.save(folder / "catalog.db")
                revision = snapshot.revision
        finally:
            catalog.close()
        names = ("telemetry.duckdb", "telemetry.duckdb.wal", "telemetry.duckdb.journal", "telemetry.duckdb.journal2")
        files = [HeldFile(str(data / name), (data / name).stat().st_size) for name in names if (data / name).exists()]
        yield Held(
            Moment(
                time_ns=now_ns(), catalog_revision=revision, artifact_store=settings.artifact_store,
                telemetry=[file for file in files if file.bytes],
            )
        )  # fmt: skip
    finally:
        lock.release()


class _Running(Held):
    """A server's answer, read line by line on a thread of its own."""

    def __init__(self, url: str, proof: str, folder: Path) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "localhost", parts.port or 80, timeout=600)
        self._changed = threading.Condition()
        self._catalog = False
        self._valid = 0  #: confirmations so far
        self._failure: str | None = None
        headers = {"x-twinlens-owner": proof, "Content-Type": "application/json"}
        try:
            self._connection.request("POST", _API, msgspec.json.encode({"folder": str(folder)}), headers)
            self._answer = self._connection.getresponse()
            if self._answer.status != 200:
                raise Conflict(f"the running server refused: {_message(self._answer.read())}")
            first = self._answer.readline()
        except OSError as error:
            raise Conflict(f"the running server at {url} does not answer: {error}") from error
        try:
            super().__init__(msgspec.json.decode(first, type=Moment))
        except msgspec.DecodeError:
            raise Conflict(f"the running server refused: {_message(first)}") from None
        self._thread = threading.Thread(target=self._listen, name="twinlens-backup", daemon=True)

    def __enter__(self) -> _Running:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        sock = self._connection.sock
        if sock is not None:
            import contextlib
            import socket

            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._connection.close()

    def _listen(self) -> None:
        try:
            while line := self._answer.readline():
                self._hear(msgspec.json.decode(line))
        except (OSError, ValueError, http.client.HTTPException, msgspec.DecodeError) as error:
            self._fail(str(error))
        else:
            self._fail("the server stopped")

    def _hear(self, said: dict[str, Any]) -> None:
        with self._changed:
            if "error" in said:
                self._failure = said["error"]
            self._catalog = self._catalog or "catalog" in said
            if said.get("valid") is True:
                self._valid += 1
            elif said.get("valid") is False:
                self._failure = "the telemetry store had to be opened again meanwhile"
            self._changed.notify_all()

    def _fail(self, why: str) -> None:
        with self._changed:
            self._failure = self._failure or why
            self._changed.notify_all()

    def confirm(self) -> None:
        with self._changed:
            seen = self._valid
            self._changed.wait_for(lambda: self._failure is not None or (self._catalog and self._valid > seen + 1))
            if self._failure is not None:
                raise Conflict(f"the backup could not be finished: {self._failure}. Run it again.")


def _message(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body)
        return str(found.get("message") or found.get("error"))
    except (msgspec.DecodeError, AttributeError):
        return body.decode("utf-8", "replace")[:200]
