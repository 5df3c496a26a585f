"""The ledger: records of kinds MLflow has no place for, as files of one run, one record per line."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice
from urllib.parse import quote

import msgspec

from twinlens.domain.record import CARRIED, AnyRecord
from twinlens.migrate import mlflow_wire as wire
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.http import Http
from twinlens.migrate.mlflow_reader import API, MlflowReader
from twinlens.migrate.notes import Notes

LEDGER = f"{CARRIED}ledger"
_RECORD = msgspec.json.Decoder(AnyRecord)
_PAGE = 500


class Ledger:
    """The ledger of a server, database or folder, to read."""

    def __init__(self, reader: MlflowReader) -> None:
        self._reader = reader

    @cached_property
    def run(self) -> tuple[str, str] | None:
        """Id and artifact URI of its run."""
        for runs, _ in self._reader.runs("0", None):
            for said in runs:
                active = said["info"].get("lifecycle_stage", "active") == "active"
                if active and LEDGER in wire.tags_of(said.get("data", {}).get("tags")):
                    return said["info"]["run_id"], said["info"]["artifact_uri"]
        return None

    @cached_property
    def files(self) -> dict[str, int]:
        """Sizes of its files."""
        return dict(self._reader.files("run", *self.run)) if self.run else {}

    def has(self, kind: str) -> bool:
        """Whether there are records of a kind."""
        return f"{kind}.jsonl" in self.files

    def pages(self, kind: str) -> Iterator[list[AnyRecord]]:
        """Its records of a kind, some at a time."""
        lines = self.lines(kind)
        while found := [_RECORD.decode(line) for line in islice(lines, _PAGE)]:
            yield found

    def lines(self, kind: str) -> Iterator[bytes]:
        """Its records of a kind as JSON."""
        if not self.has(kind):
            return
        rest = b""
        for chunk in self.open(f"{kind}.jsonl"):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line for line in lines if line)
        if rest:
            yield rest

    def open(self, path: str) -> Iterator[bytes]:
        """The bytes of a file."""
        assert self.run is not None
        return self._reader.open("run", *self.run, path)


class LedgerWriter:
    """Gathers records in the notes; ``flush`` joins them with what the ledger of a server holds."""

    def __init__(self, http: Http, reader: MlflowReader, notes: Notes) -> None:
        self._http = http
        self._reader = reader
        self._notes = notes

    def keep(self, records: Iterable[AnyRecord]) -> None:
        """Remember some."""
        by_kind: dict[str, list[tuple[str, bytes]]] = {}
        for record in records:
            kind = str(record.__struct_config__.tag)
            by_kind.setdefault(kind, []).append((record.key, msgspec.json.encode(record)))
        for kind, rows in by_kind.items():
            self._notes.put(f"ledger {kind}", rows)

    @cached_property
    def _run(self) -> tuple[str, str]:
        known = Ledger(self._reader).run
        if known is not None:
            return known
        tags = wire.pairs_of({LEDGER: "true", "mlflow.runName": "twinlens ledger"})
        info = self._http.post(f"{API}/runs/create", {"experiment_id": "0", "tags": tags})["run"]["info"]
        self._http.post(f"{API}/runs/update", {"run_id": info["run_id"], "status": "FINISHED"})
        return str(info["run_id"]), str(info["artifact_uri"])

    def put(self, path: str, chunks: Iterable[bytes]) -> None:
        """Store a file in it."""
        put_file(self._http, self._run[1], path, chunks)

    def flush(self) -> None:
        """Write what was kept; a record of the same key takes the place of the one that is there."""
        for name in self._notes.kinds("ledger "):
            kind = name.removeprefix("ledger ")
            with tempfile.TemporaryFile() as whole:  # first all is read, then written: it is the same file
                for line in Ledger(self._reader).lines(kind):
                    if self._notes.get(name, _RECORD.decode(line).key) is None:
                        whole.write(line + b"\n")
                for _, value in self._notes.all(name):
                    whole.write(value + b"\n")
                whole.seek(0)
                self.put(f"{kind}.jsonl", iter(lambda: whole.read(1 << 18), b""))


def put_file(http: Http, uri: str, path: str, chunks: Iterable[bytes]) -> None:
    """Store a file below an artifact URI of a server.

    Raises:
        MigrationError: the server does not take artifacts there.
    """
    root = wire.proxied(uri)
    if root is None:
        raise MigrationError(
            f"the target keeps artifacts at {uri}, which only its clients can write: start it with --serve-artifacts"
        )
    http.upload(f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{root}/{path}')}", chunks)
