"""Traces of a Langfuse server in few requests, several at once: order, gaps, refusals, and going on after a failure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from twinlens.domain.clock import iso_ms, parse_iso
from twinlens.domain.record import KINDS, AnyRecord
from twinlens.migrate.checkpoint import Checkpoint
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.http import Http
from twinlens.migrate.langfuse_source import LangfuseSource
from twinlens.migrate.langfuse_v3 import V3
from twinlens.migrate.langfuse_v4 import V4
from twinlens.migrate.runner import Migration
from twinlens.migrate.system import Content, Page

TRACES, SPANS = 250, 4
_BEGIN = parse_iso("2026-01-01T00:00:00Z")
_S = 1_000_000_000
STRAY = 7  # this trace has an observation of a much later time
NAMES = [f"t{n:03}" for n in range(TRACES)]


def _observations() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for n, trace_id in enumerate(NAMES):
        for k in range(SPANS):
            at = _BEGIN + (n * 10 + k) * _S + (86_400 * _S if (n, k) == (STRAY, 1) else 0)
            found.append({
                "id": f"{trace_id}-{k}", "traceId": trace_id, "type": "SPAN", "startTime": iso_ms(at), "endTime": iso_ms(at + _S),
                "metadata": {"long": "x" * 200},
            })  # fmt: skip
    return sorted(found, key=lambda o: o["startTime"], reverse=True)


OBSERVATIONS = _observations()
BY_TRACE = {name: [o for o in OBSERVATIONS if o["traceId"] == name][::-1] for name in NAMES}


class Langfuse(BaseHTTPRequestHandler):
    """Lists of one project, as its API has them. ``fail``: a request that is refused so many times."""

    protocol_version = "HTTP/1.1"
    asked: list[str] = []  # noqa: RUF012 (set by the fixture)
    fail: tuple[str, int] = ("", 0)
    filters: bool | str = True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = parts.path.removeprefix("/api/public"), {k: v[0] for k, v in parse_qs(parts.query).items()}
        asked = f"{path}?{unquote(parts.query)}"
        self.asked.append(asked)
        status, body = 200, self._answer(path, query)
        if body is None:
            status, body = 400, {"message": "no such filter"}
        if self.fail[1] and self.fail[0] in asked:
            type(self).fail = (self.fail[0], self.fail[1] - 1)
            status, body = 500, {"message": "broken"}
        sent = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def _answer(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        if path == "/traces":
            return _page([_trace(n, ids=True) for n in range(TRACES)], query)
        if path.startswith("/traces/"):
            return _trace(NAMES.index(path.removeprefix("/traces/")), ids=False)
        if path == "/observations":
            return self._observations(query)
        if path == "/v2/observations":
            if "filter" in query and not self.filters:
                return None
            wanted = {query["traceId"]} if "traceId" in query else set(NAMES)
            if "filter" in query:
                wanted = set(json.loads(query["filter"])[0]["value"])
            start, limit = int(query.get("cursor", 0)), int(query["limit"])
            kept = [o for o in OBSERVATIONS if o["traceId"] in wanted]
            if "expandMetadata" in query:
                kept = [o | {"metadata": {"long": "x" * 300}} for o in kept]
            more = {"cursor": str(start + limit)} if start + limit < len(kept) else {}
            return {"data": kept[start : start + limit], "meta": more}
        return _page([], query)

    def _observations(self, query: dict[str, str]) -> dict[str, Any] | None:
        """``filter`` takes the place of the times; a server that does not know it shows what the others select."""
        kept = OBSERVATIONS
        if "filter" in query and not self.filters:
            return None
        if "filter" in query and self.filters != "ignored":
            wanted, since, until = (each["value"] for each in json.loads(query["filter"]))
            kept = [o for o in kept if o["traceId"] in wanted and since <= o["startTime"] < until]
        elif "fromStartTime" in query:
            kept = [o for o in kept if query["fromStartTime"] <= o["startTime"] < query["toStartTime"]]
        return _page(kept, query)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _trace(n: int, *, ids: bool) -> dict[str, Any]:
    own: list[Any] = BY_TRACE[NAMES[n]]
    shown = [o["id"] for o in own] if ids else own
    at = iso_ms(_BEGIN + n * 10 * _S)
    return {"id": NAMES[n], "timestamp": at, "name": "x", "latency": float(SPANS), "observations": shown}


def _page(items: list[Any], query: dict[str, str]) -> dict[str, Any]:
    page, limit = int(query["page"]), int(query["limit"])
    meta = {"totalItems": len(items), "totalPages": max(1, -(-len(items) // limit))}
    return {"data": items[(page - 1) * limit : page * limit], "meta": meta}


@pytest.fixture
def http() -> Iterator[Http]:
    Langfuse.asked, Langfuse.fail, Langfuse.filters = [], ("", 0), True
    with ThreadingHTTPServer(("127.0.0.1", 0), Langfuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Http(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.mark.parametrize("filters", [True, False, "ignored"])
def test_neighbours_are_asked_for_together(http: Http, filters: bool | str) -> None:
    """In order, with all observations; only the trace that has one outside its time is asked for by itself.

    So with the filter, and with windows of time where a server refuses it or does not know it.
    """
    Langfuse.filters = filters
    found = [said for part, _ in V3(http).traces(None) for said in part]
    assert [said["id"] for said in found] == NAMES
    assert all({o["id"] for o in said["observations"]} == {f"{said['id']}-{k}" for k in range(SPANS)} for said in found)
    alone = [path for path in Langfuse.asked if path.startswith("/traces/")]
    assert alone == [f"/traces/{NAMES[STRAY]}?"]
    assert len(Langfuse.asked) < 40
    tried = sum("filter=" in path for path in Langfuse.asked)
    assert tried > 5 if filters is True else 0 < tried <= 5  # by each worker once, at most


def test_crowded_times_are_given_up(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where windows show little of what is wanted, they are asked for a few times only."""
    Langfuse.filters = False
    monkeypatch.setattr("twinlens.migrate.langfuse_v3._OTHERS", 0)
    monkeypatch.setattr("twinlens.migrate.langfuse_v3._WINDOW", 120)
    assert [said["id"] for part, _ in V3(http).traces(None) for said in part] == NAMES
    assert sum("fromStartTime=" in path for path in Langfuse.asked) <= 6


@pytest.mark.parametrize("filters", [True, False])
def test_version_4_with_and_without_its_filter(http: Http, filters: bool) -> None:
    """Newest first, each once, with whole metadata; a server that refuses the filter is asked trace by trace."""
    Langfuse.filters = filters
    found = [said for part, _ in V4(http).traces(None) for said in part]
    assert [said["id"] for said in found] == [NAMES[STRAY], *(n for n in reversed(NAMES) if n != NAMES[STRAY])]
    assert {len(o["metadata"]["long"]) for said in found for o in said["observations"]} == {300}
    assert (len(Langfuse.asked) < 30) is filters


class Memory:
    """A target that keeps records by key and counts what it is given."""

    kinds = KINDS

    def __init__(self) -> None:
        self.records: dict[str, AnyRecord] = {}
        self.lock = threading.Lock()

    def write(self, records: list[AnyRecord]) -> None:
        with self.lock:
            self.records |= {record.key: record for record in records}

    def store(self, record: Content, chunks: Iterable[bytes]) -> None:
        raise AssertionError("there are no files")

    def reader(self) -> Memory:
        return self

    def count(self, kind: str) -> int | None:
        return None

    def read(self, kind: str, after: Any = None) -> Iterator[Page]:
        if kind == "trace":
            yield Page(list(self.records.values()))

    def content(self, record: Content) -> Iterator[bytes]:
        raise AssertionError("there are no files")

    def close(self) -> None:
        """Nothing to do."""


@pytest.mark.parametrize("failing", ["/traces?page=3", "page=2&limit=100&filter", f"/traces/{NAMES[STRAY]}?"])
def test_goes_on_after_a_page_that_failed(http: Http, tmp_path: Path, failing: str) -> None:
    """Each trace is counted once on both sides, and what was done before is not asked for again."""
    target = Memory()

    def migrate() -> list[tuple[str, int, int, int]]:
        checkpoint = Checkpoint(tmp_path / "checkpoint.db", "test")
        try:
            migration = Migration(LangfuseSource(http), target, checkpoint)
            migration.run()
            return [(t.kind, t.carried, t.found, t.missing + t.different) for t in migration.compare().totals]
        finally:
            checkpoint.close()

    Langfuse.fail = (failing, 1)
    with pytest.raises(MigrationError, match="500"):
        migrate()
    Langfuse.asked = []
    assert migrate() == [("span", TRACES * SPANS, TRACES * SPANS, 0), ("trace", TRACES, TRACES, 0)]
    first = next(path for path in Langfuse.asked if "orderBy" in path)
    assert first.startswith("/traces?page=1&") is not failing.startswith("/traces?")
