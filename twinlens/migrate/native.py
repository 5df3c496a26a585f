"""Twinlens as source and target, through the bulk calls of its native API (``docs/archive.md``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from twinlens.domain.record import (
    KINDS,
    AnyRecord,
    ArtifactRecord,
    DatasetRecord,
    LoggedModelRecord,
    MediaRecord,
    RecordPage,
    RowRecord,
    RunRecord,
    ScoreConfigRecord,
    SpansRecord,
    TraceRecord,
)
from twinlens.migrate.http import Http
from twinlens.migrate.system import Content, Page, Source

API = "/api/twinlens/v1"
_PAGE = {"trace": 50, "score": 500, "metrics": 50, "row": 500, "dataset_item": 200, "dataset_run_item": 500}
_PAGES = msgspec.json.Decoder(RecordPage)
_BODY = 8 << 20


class TwinlensSource:
    """One project of a running server, or one experiment or trace of it."""

    def __init__(
        self, http: Http, project: str, *, experiment: str | None = None, trace: str | None = None
    ) -> None:  # fmt: skip
        self._http = http
        self._root = f"{API}/projects/{quote(project, safe='')}"
        self._scope = {"experiment_id": experiment, "trace_id": trace}
        self.kinds = KINDS
        self._trace = trace

    def count(self, kind: str) -> int | None:
        """The server counts large kinds; small ones are read."""
        if kind == "artifact" or (kind in ("metrics", "score", "trace") and any(self._scope.values())):
            return None
        if kind in ("metrics", "score", "trace"):
            answer = self._http.get(f"{self._root}/records/{kind}/count", allow=(404,)) or {}
            return answer.get("count")
        return sum(len(page.records) for page in self.read(kind))

    def read(self, kind: str, after: Any = None) -> Iterator[Page]:
        """See ``Source.read``."""
        if kind == "artifact":
            yield from self._artifacts(after)
            return
        for page in self._pages(kind, after, _PAGE.get(kind, 100), self._scope):
            if kind == "trace":
                yield from self._with_long_ones(page)
            else:
                yield Page(page.records, page.next_cursor)

    def _pages(self, kind: str, after: Any, limit: int, scope: dict[str, Any]) -> Iterator[RecordPage]:
        while True:
            params = {"cursor": after, "limit": limit, **scope}
            answer = self._http.request("GET", f"{self._root}/records/{kind}", params=params)
            page = _PAGES.decode(answer.content)
            yield page
            after = page.next_cursor
            if after is None:
                return

    def _with_long_ones(self, page: RecordPage) -> Iterator[Page]:
        """The page; the spans of its long traces in pages of their own, before the position moves on."""
        long = [
            record
            for record in page.records
            if isinstance(record, TraceRecord) and record.trace.span_count > len(record.spans)
        ]
        held = Page(page.records, page.next_cursor)
        if not long:
            yield held
            return
        yield Page(page.records, part=True)
        for record in long:
            for more in self._pages("spans", None, 500, {"trace_id": record.trace.trace_id}):
                yield Page(more.records, part=True)
        yield Page([], page.next_cursor)

    def _artifacts(self, after: Any) -> Iterator[Page]:
        if self._trace is not None:
            return
        position: list[Any] = after or ["logged_model", None]
        for owner in ("logged_model", "run"):
            if owner < position[0]:
                continue
            start = position[1] if owner == position[0] else None
            for page in self._pages(owner, start, 100, self._scope):
                for record in page.records:
                    path = f"{self._root}/files/{owner}/{quote(record.key, safe='')}"
                    files = msgspec.convert(self._http.get(path)["files"], list[ArtifactRecord])
                    if files:
                        yield Page(list[AnyRecord](files), part=True)
                if page.next_cursor is not None:
                    yield Page([], [owner, page.next_cursor])

    def content(self, record: Content) -> Iterator[bytes]:
        """See ``Source.content``."""
        if isinstance(record, MediaRecord):
            return self._http.stream(f"{self._root}/media/{quote(record.key, safe='')}/content")
        path = f"{self._root}/files/{record.owner}/{quote(record.owner_id, safe='')}/content"
        return self._http.stream(path, params={"path": record.path})


class TwinlensTarget:
    """One project of a running server.

    Args:
        derive: the source is another product: the server prices its traces and computes their summaries.
    """

    def __init__(self, http: Http, project: str, *, derive: bool = False) -> None:
        self._http = http
        self._project = project
        self._root = f"{API}/projects/{quote(project, safe='')}"
        self._derive = derive
        self.kinds = KINDS
        self.experiments: dict[str, str] = {}

    def write(self, records: list[AnyRecord]) -> None:
        """See ``Target.write``; large pages are sent in parts."""
        body: list[bytes] = []
        size = 0
        for record in records:
            for part in _split(self._mapped(record)):
                line = msgspec.json.encode(part)
                if body and size + len(line) > _BODY:
                    self._send(body)
                    body, size = [], 0
                body.append(line)
                size += len(line)
        if body:
            self._send(body)

    def _send(self, lines: list[bytes]) -> None:
        params = {"derive": "true"} if self._derive else None
        headers = {"Content-Type": "application/x-ndjson"}
        answer = self._http.request(
            "POST", f"{self._root}/records", params=params, data=b"\n".join(lines), headers=headers
        )  # fmt: skip
        self.experiments.update(msgspec.json.decode(answer.content).get("experiments", {}))

    def _mapped(self, record: AnyRecord) -> AnyRecord:
        """With experiments as they are called here."""
        if not self.experiments:
            return record
        thing: Any = None
        if isinstance(record, TraceRecord):
            thing = record.trace
        elif isinstance(record, RunRecord):
            thing = record.run
        elif isinstance(record, LoggedModelRecord):
            thing = record.model
        elif isinstance(record, DatasetRecord):
            used = record.dataset.experiment_ids
            record.dataset.experiment_ids = [self.experiments.get(each, each) for each in used]
        elif isinstance(record, ScoreConfigRecord):
            thing = record.config
        elif isinstance(record, RowRecord):
            self._map_row(record.values)
            if record.table == "evaluation_rules":  # says it in its body
                body = msgspec.json.decode(str(record.values.get("body") or "{}"))
                self._map_row(body)
                record.values["body"] = msgspec.json.encode(body).decode()
        if thing is not None:
            thing.experiment_id = self.experiments.get(thing.experiment_id, thing.experiment_id)
        return record

    def _map_row(self, values: dict[str, Any]) -> None:
        known = values.get("experiment_id")
        here = self.experiments.get(str(known))
        if here is not None:
            values["experiment_id"] = int(here) if isinstance(known, int) else here

    def store(self, record: Content, chunks: Iterable[bytes]) -> None:
        """See ``Target.store``."""
        if isinstance(record, MediaRecord):
            self._http.upload(f"{self._root}/media/{quote(record.key, safe='')}/content", chunks)
            return
        path = f"{self._root}/files/{record.owner}/{quote(record.owner_id, safe='')}/content"
        self._http.upload(path, chunks, params={"path": record.path})

    def reader(self) -> Source:
        """See ``Target.reader``."""
        return TwinlensSource(self._http, self._project)

    def close(self) -> None:
        """Nothing to do."""


def _split(record: AnyRecord) -> Iterator[AnyRecord]:
    """A trace with many spans as several records."""
    if isinstance(record, TraceRecord) and len(record.spans) > 200:
        yield msgspec.structs.replace(record, spans=record.spans[:200])
        for first in range(200, len(record.spans), 200):
            yield SpansRecord(trace_id=record.trace.trace_id, first=first, spans=record.spans[first : first + 200])
    else:
        yield record


def projects(http: Http) -> list[dict[str, Any]]:
    """The projects that the key opens, oldest first: ``id`` and ``name``."""
    found: list[dict[str, Any]] = http.get(f"{API}/projects")["projects"]
    return found


def ensure_project(http: Http, project_id: str, name: str) -> None:
    """Create a project unless it is there.

    Raises:
        MigrationError: it is not there, and the key may not create one.
    """
    if all(project["id"] != project_id for project in projects(http)):
        http.post(f"{API}/projects", {"id": project_id, "name": name})
