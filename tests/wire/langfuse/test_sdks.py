"""One program in the spelling of every major of the Python SDK; then the same trace is read through every API version."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import PROGRAMS, api, run_json

MAJORS = {"langfuse2": "sdk2", "langfuse3": "sdk3", "langfuse4": "sdk4", "langfuse5": "sdk4"}
pytestmark = pytest.mark.peer


@pytest.fixture(scope="module", params=MAJORS)
def told(request: pytest.FixtureRequest, live_server: LiveServer) -> dict[str, Any]:
    """What the program says it did, with the environment's name."""
    name = request.param
    return run_json(name, PROGRAMS / f"{MAJORS[name]}.py", live_server.url) | {"client": name}


def test_the_client_is_content(told: dict[str, Any], live_server: LiveServer) -> None:
    assert told["auth"] is True
    url = live_server.url
    known = f"{url}/project/default/traces/{told['trace_id']}"
    assert told["url"] == (f"{url}/trace/{told['trace_id']}" if told["client"] == "langfuse2" else known)
    read = told["read"]
    assert read["name"] == "answer"
    assert read["observations"] == ["cache-miss", "completion", "inner", "outer"]
    assert read["scores"] == ["passed", "quality", "verdict"]
    assert read["tokens"] == 150
    assert read["observation"] == "gpt-4o"
    assert read["cost"] == pytest.approx(0.00075)
    assert told["trace_id"] in read["found"]
    if "sessions" in read:
        assert f"session-{told['client'][-1]}" in read["sessions"]


def test_the_trace_reads_the_same_through_v1(told: dict[str, Any], live_server: LiveServer) -> None:
    with api(live_server.url) as http:
        trace = http.get(f"/traces/{told['trace_id']}").json()
    assert trace["userId"] == "alice"
    assert trace["sessionId"] == f"session-{told['client'][-1]}"
    assert trace["tags"] == ["amber", "blue"]
    assert trace["version"] == "v1"
    depth = {} if told["client"] in ("langfuse4", "langfuse5") else {"depth": {"a": 1, "b": 2}}
    assert trace["metadata"] == {"team": "search", **depth}
    assert trace["output"] == {"answer": "because"}
    assert trace["totalCost"] == pytest.approx(0.00075)
    assert trace["htmlPath"] == f"/project/default/traces/{told['trace_id']}"
    by_name = {row["name"]: row for row in trace["observations"]}
    assert {name: row["type"] for name, row in by_name.items()} == {
        "outer": "SPAN", "inner": "SPAN", "completion": "GENERATION", "cache-miss": "EVENT",
    }  # fmt: skip
    assert by_name["inner"]["parentObservationId"] == by_name["outer"]["id"]
    assert by_name["completion"]["parentObservationId"] == by_name["inner"]["id"]
    assert (by_name["inner"]["level"], by_name["inner"]["statusMessage"]) == ("WARNING", "slow")
    assert by_name["outer"]["metadata"]["k"] == "v"
    generation = by_name["completion"]
    assert generation["input"] == [{"role": "user", "content": "why"}]
    assert generation["output"] == "because"
    assert float(generation["modelParameters"]["temperature"]) == 0.5  # SDK 2 sends text
    assert generation["usageDetails"] == {"input": 100, "output": 50, "total": 150}
    assert generation["usage"]["totalCost"] == pytest.approx(0.00075)
    scores = {score["name"]: score for score in trace["scores"]}
    assert scores["quality"]["observationId"] == generation["id"]
    assert (scores["quality"]["value"], scores["quality"]["comment"]) == (0.9, "fine")
    assert (scores["verdict"]["stringValue"], scores["verdict"]["dataType"]) == ("good", "CATEGORICAL")
    assert (scores["passed"]["stringValue"], scores["passed"]["value"]) == ("True", 1)


def test_the_trace_reads_the_same_through_v2_and_v3(told: dict[str, Any], live_server: LiveServer) -> None:
    groups = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
    with api(live_server.url) as http:
        rows = http.get("/v2/observations", params={"traceId": told["trace_id"], "fields": groups}).json()["data"]
        roots = http.get("/v2/observations", params={"traceId": told["trace_id"], "isRootObservation": "true"}).json()
        of_user = http.get("/v2/observations", params={"userId": "alice", "limit": 1000}).json()["data"]
        scores = http.get("/v3/scores", params={"traceId": told["trace_id"], "fields": "core,subject"}).json()["data"]
    by_name = {row["name"]: row for row in rows}
    generation = by_name["completion"]
    assert json.loads(generation["input"]) == [{"role": "user", "content": "why"}]
    assert generation["output"] == "because"
    assert generation["model"] == generation["providedModelName"] == "gpt-4o"
    assert (generation["inputUsage"], generation["outputUsage"], generation["totalUsage"]) == (100, 50, 150)
    assert generation["totalCost"] == pytest.approx(0.00075)
    assert (generation["traceName"], generation["userId"], generation["tags"]) == ("answer", "alice", ["amber", "blue"])
    assert generation["sessionId"] == f"session-{told['client'][-1]}"
    assert [row["name"] for row in roots["data"]] == ["outer"]
    assert told["trace_id"] in {row["traceId"] for row in of_user}
    assert {score["name"]: score["value"] for score in scores} == {"quality": 0.9, "verdict": "good", "passed": True}
    subjects = {score["name"]: score["subject"] for score in scores}
    assert subjects["quality"] == {"kind": "observation", "id": generation["id"], "traceId": told["trace_id"]}
    assert subjects["verdict"] == {"kind": "trace", "id": told["trace_id"]}
