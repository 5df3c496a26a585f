"""Langfuse API → Twinlens → Langfuse API, on data that the real clients made."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import api
from tests.wire.migrate.conftest import Filled
from twinlens.cli.migrate import run

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def place(system: str, server: LiveServer) -> str:
    """A server as an address."""
    host = server.url.removeprefix("http://")
    return f"langfuse+http://pk-lf-1:sk-lf-1@{host}" if system == "langfuse" else f"{system}+{server.url}"


def seen(http: httpx.Client, trace_id: str) -> dict[str, Any]:
    """A trace as Langfuse's API tells of it, without what servers add by themselves and what we carry."""
    said = http.get(f"/traces/{trace_id}").json()
    spans = [
        {name: o.get(name) for name in ("id", "type", "name", "startTime", "endTime", "input", "output", "level", "model", "usageDetails", "parentObservationId")}
        for o in said["observations"]
    ]  # fmt: skip
    scores = [
        [s["id"], s["name"], s.get("value"), s.get("stringValue"), s["dataType"], s["comment"]] for s in said["scores"]
    ]
    kept = {
        name: said[name]
        for name in ("id", "timestamp", "name", "userId", "sessionId", "input", "output", "tags", "version")
    }
    return kept | {"spans": sorted(spans, key=lambda s: s["id"]), "scores": sorted(scores), "cost": said["totalCost"]}


def test_round_trip(
    filled: Filled, start_server: Callable[..., LiveServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours, last = start_server(), start_server()
    run(place("langfuse", filled), place("twinlens", ours))  # each compares both sides and raises when they differ
    run(place("twinlens", ours), place("langfuse", last))
    run(place("langfuse", filled), place("langfuse", last))
    with api(filled.url) as there, api(last.url) as here:
        for name in ("langfuse", "langfuse5"):
            assert seen(here, filled.made[name]) == seen(there, filled.made[name])
        assert seen(here, "my%20own%20trace%2F1") == seen(there, "my%20own%20trace%2F1")
        for path in ("/traces", "/v2/scores", "/v2/datasets", "/score-configs", "/comments"):
            totals = [client.get(path).json()["meta"]["totalItems"] for client in (there, here)]
            assert totals[0] == totals[1] or (path == "/v2/datasets" and totals[1] == totals[0] + 1), path  # the ledger
        items = [
            client.get("/dataset-items", params={"datasetName": "questions"}).json()["data"] for client in (there, here)
        ]
        assert [[i["id"], i["input"], i["expectedOutput"]] for i in items[0]] == [
            [i["id"], i["input"], i["expectedOutput"]] for i in items[1]
        ]
        runs = [
            client.get("/datasets/questions/runs/first%20try").json()["datasetRunItems"] for client in (there, here)
        ]
        assert sorted(i["traceId"] for i in runs[0]) == sorted(i["traceId"] for i in runs[1])
    with api(ours.url) as http:  # what has changed since comes too
        config = next(c for c in http.get("/score-configs").json()["data"] if c["name"] == "grade")
        for answer in (
            http.patch("/v2/prompts/lf%2Fchat/versions/1", json={"newLabels": ["moved"]}),
            http.patch(f"/score-configs/{config['id']}", json={"description": "how good"}),
            http.post("/dataset-items", json={"datasetName": "questions", "id": "item-2", "input": "changed"}),
        ):
            assert answer.status_code in (200, 201), answer.text
    run(place("langfuse", ours), place("langfuse", last))
    run(place("langfuse", last), place("twinlens", ours))
    for server in (ours, last):
        with api(server.url) as http:
            items = http.get("/dataset-items", params={"datasetName": "questions"}).json()["data"]
            assert sorted(item["id"] for item in items) == ["item-1", "item-2"]
            assert "moved" in http.get("/v2/prompts/lf%2Fchat", params={"version": 1}).json()["labels"]


class V4Gate(BaseHTTPRequestHandler):
    """Stands before a server and answers as Langfuse 4 does: its lists of version 3 are gone, of events it takes scores only."""

    behind = ""
    client = httpx.Client(timeout=60, trust_env=False)
    gone = re.compile(
        r"/api/public/(traces|observations|sessions|scores|v2/scores|metrics|datasets/[^/]+/runs)([/?]|$)"
    )
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "GET" and self.gone.match(self.path):
            status, kind, body = 404, "application/json", b'{"message":"not available","error":"LangfuseNotFoundError"}'
        elif self.path == "/api/public/ingestion" and (refused := self._refused(sent)):
            status, kind, body = 207, "application/json", json.dumps({"successes": [], "errors": refused}).encode()
        else:
            passed = (
                "authorization",
                "content-type",
                "x-langfuse-ingestion-version",
                "x-langfuse-sdk-name",
                "x-langfuse-sdk-version",
            )
            kept = {name: value for name, value in self.headers.items() if name.lower() in passed}
            answer = self.client.request(self.command, self.behind + self.path, headers=kept, content=sent)
            status, body = answer.status_code, answer.content
            kind = answer.headers.get("content-type", "application/json")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    @staticmethod
    def _refused(sent: bytes) -> list[dict[str, Any]]:
        events = json.loads(sent)["batch"]
        return [{"id": e["id"], "status": 400} for e in events if e["type"] not in ("score-create", "sdk-log")]

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def v4(langfuse_filled: Filled) -> Iterator[str]:
    with gate(langfuse_filled.url) as address:
        yield address


@contextmanager
def gate(url: str) -> Generator[str]:
    """Address of the server as one of version 4."""
    V4Gate.behind = url
    with ThreadingHTTPServer(("127.0.0.1", 0), V4Gate) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"langfuse+http://pk-lf-1:sk-lf-1@127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_forms_of_version_4(
    v4: str,
    langfuse_filled: Filled,
    start_server: Callable[..., LiveServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same traces, scores, datasets and runs come through the lists of version 4; twice is once."""
    monkeypatch.chdir(tmp_path)
    ours = start_server()
    for _ in range(2):
        run(v4, place("twinlens", ours))
    with api(langfuse_filled.url) as there, api(ours.url) as here:
        for name in ("langfuse", "langfuse5"):
            sides = [seen(client, langfuse_filled.made[name]) for client in (there, here)]
            if name == "langfuse":  # version 4 has no input of a trace beside its root's
                assert sides[0].pop("input") == {"question": "why"} and sides[1].pop("input") == {"step": 1}
            assert sides[0] == sides[1]
        for path in ("/traces", "/v2/scores", "/v2/datasets", "/score-configs", "/comments", "/v2/prompts"):
            assert len({client.get(path).json()["meta"]["totalItems"] for client in (there, here)}) == 1, path
        runs = [client.get("/datasets/questions/runs/first%20try").json() for client in (there, here)]
        for side in runs:
            assert side["description"] == "a try"
        assert len({tuple(sorted(i["traceId"] for i in side["datasetRunItems"])) for side in runs}) == 1


def test_version_4_as_a_target(
    filled: Filled, start_server: Callable[..., LiveServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything goes there over OTLP, is read back by its lists, and comes back with the ids it had."""
    monkeypatch.chdir(tmp_path)
    there, last = start_server(), start_server()
    with gate(there.url) as address:
        run(place("twinlens", filled), address)
        run(address, place("twinlens", last))
    with api(filled.url) as before, api(there.url) as shown, api(last.url) as after:
        for name in (filled.made["langfuse"], filled.made["langfuse5"], "my%20own%20trace%2F1"):
            assert seen(after, name) == seen(before, name)
        names = {trace["name"] for trace in shown.get("/traces", params={"limit": 100}).json()["data"]}
        assert names >= {trace["name"] for trace in before.get("/traces", params={"limit": 100}).json()["data"]}
        kinds = {row["type"] for row in shown.get("/v2/observations", params={"limit": 100}).json()["data"]}
        assert kinds >= {"GENERATION", "SPAN"}
        totals = [side.get("/v2/scores").json()["meta"]["totalItems"] for side in (before, after)]
        assert totals[0] == totals[1]
