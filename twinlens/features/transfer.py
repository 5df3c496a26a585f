"""Whole projects as records, out and in: what archives and migrations are made of.

Reading pages through one kind; writing takes records in the order of ``twinlens.domain.record.KINDS``. Ids and times are
kept. Writing the same records again changes nothing, so an interrupted transfer is simply repeated.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterable, Sequence
from typing import Any

import msgspec

from twinlens.domain.artifact import proxy_path
from twinlens.domain.errors import InvalidArgument, NotFound, PermissionDenied
from twinlens.domain.record import KINDS, AnyRecord, ArtifactRecord, RecordPage, RowRecord, SpansRecord
from twinlens.domain.run_rules import experiment_number
from twinlens.features.artifacts import Artifact, Artifacts
from twinlens.features.audit import Audit
from twinlens.features.record_reader import RecordReader, Scope
from twinlens.features.record_writer import RecordWriter, Written
from twinlens.store.catalog.carried import MANAGED
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.logged_models import LoggedModelTable
from twinlens.store.catalog.runs import RunTable

#: What a project, an experiment and a trace consist of.
_OF_EXPERIMENT = frozenset({"experiment", "run", "logged_model", "metrics", "trace", "score"})
_OF_TRACE = frozenset({"trace", "score"})


class Transfer:
    """Methods without ``async`` block."""

    def __init__(self, catalog: Catalog, reader: RecordReader, writer: RecordWriter, artifacts: Artifacts) -> None:
        self._catalog = catalog
        self._reader = reader
        self._writer = writer
        self._artifacts = artifacts
        self._audit = Audit(catalog)

    def read(self, scope: Scope, kind: str, *, cursor: str | None = None, limit: int = 100) -> RecordPage:
        """A page of records of one kind (not ``artifact``, which has calls of its own).

        Raises:
            InvalidArgument: an unknown kind or a bad cursor.
        """
        if kind not in self._reader.kinds:
            raise InvalidArgument(f"kind {kind!r} is not known; known: {', '.join(KINDS)}")
        if (scope.experiment_id and kind not in _OF_EXPERIMENT) or (scope.trace_id and kind not in _OF_TRACE):
            return RecordPage(records=[])
        if scope.experiment_id is not None:
            experiment_number(scope.experiment_id)
        records, after = self._reader.kinds[kind](scope, _position(cursor), limit)
        return RecordPage(records=records, next_cursor=None if after is None else _cursor(after))

    def count(self, project_id: str, kind: str) -> int:
        """How many records of a large kind a project has: ``trace``, ``score`` or ``metrics``.

        Raises:
            InvalidArgument: another kind.
        """
        return self._reader.count(project_id, kind)

    def spans(self, project_id: str, trace_id: str, *, cursor: str | None = None, limit: int = 1_000) -> RecordPage:
        """A page of the spans of a long trace as one ``SpansRecord``."""
        first, place = _position(cursor) or (0, None)
        spans, after = self._reader.spans(project_id, trace_id, place, limit)
        record = SpansRecord(trace_id=trace_id, first=first, spans=spans)
        return RecordPage(
            records=[record], next_cursor=None if after is None else _cursor([first + len(spans), after])
        )  # fmt: skip

    def write(
        self, project_id: str, records: Sequence[AnyRecord], *, derive: bool, administers: bool = False
    ) -> Written:
        """Store records of one project; durable and readable on return.

        Args:
            administers: the caller may also set what only administrators may.
            derive: traces come from another product: price them and compute their summaries here. Else they are put
                back exactly as they are.

        Raises:
            InvalidArgument: a record breaks a rule, or refers to something that is not there. The records before it are
                stored.
            PermissionDenied: some are for administrators. Nothing is stored.
        """
        held = sorted({r.table for r in records if isinstance(r, RowRecord) and r.table in MANAGED})
        if held and not administers:
            raise PermissionDenied(
                f"importing {', '.join(held)} needs the 'manage' right, or the project's own key pair"
            )
        if held:  # before: what the records change takes several transactions, and a failure keeps the first ones
            self._audit.note("import", "project", project_id, project_id=project_id, tables=held)
        return self._writer.write(project_id, records, derive=derive)

    # --- artifacts -----------------------------------------------------------------------------------------------------
    def root(self, project_id: str, owner: str, owner_id: str) -> str:
        """The artifact URI of a run or logged model.

        Raises:
            NotFound: no such owner in this project.
        """
        with self._catalog.read() as connection:
            if owner == "run":
                found = RunTable(connection, project_id).head(owner_id)
            elif owner == "logged_model":
                found = LoggedModelTable(connection, project_id).get(owner_id, deleted=True)
            else:
                raise InvalidArgument("owner must be run or logged_model")
        if found is None:
            raise NotFound(f"No {owner.replace('_', ' ')} with id={owner_id} exists")
        return found.artifact_uri

    async def files(self, project_id: str, owner: str, owner_id: str, uri: str) -> list[ArtifactRecord] | None:
        """All files below an owner's root by path, without hashes. None: they lie where this server does not read."""
        found: list[ArtifactRecord] = []
        folders = [""]
        while folders:
            try:
                entries = await self._artifacts.list_at(project_id, uri, folders.pop())
            except PermissionDenied:
                return None
            for entry in entries:
                if entry.is_dir:
                    folders.append(entry.path)
                else:
                    found.append(ArtifactRecord(owner=owner, owner_id=owner_id, path=entry.path, size=entry.size or 0))
        return sorted(found, key=lambda record: record.path)

    async def open(self, project_id: str, uri: str, path: str) -> Artifact:
        """A file below an owner's root."""
        return await self._artifacts.open_at(project_id, uri, path)

    async def store(self, project_id: str, uri: str, path: str, chunks: AsyncIterable[bytes]) -> int:
        """Store a file below an owner's root; number of bytes.

        Raises:
            InvalidArgument: the root is one that clients write themselves.
        """
        if proxy_path(uri) is None:
            raise InvalidArgument(f"artifacts at {uri} are not kept by this server")
        return await self._artifacts.upload_at(project_id, uri, path, chunks)


def _cursor(position: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()


def _position(cursor: str | None) -> Any:
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor))
    except (ValueError, msgspec.DecodeError):
        raise InvalidArgument(f"Invalid cursor: '{cursor[:100]}'") from None
