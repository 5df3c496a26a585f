"""Langfuse API → Twinlens → Langfuse API, on data that the real clients made."""

from __future__ import annotations

from collections.abc import Callable
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
