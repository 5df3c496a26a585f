"""Prompts, experiments and media through real clients."""

from __future__ import annotations

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import PROGRAMS, api, run_json
from twinlens.domain.dataset import experiment_id

pytestmark = pytest.mark.peer
MODERN = ["langfuse3", "langfuse4", "langfuse5"]


@pytest.mark.parametrize("client", MODERN)
def test_prompts(client: str, live_server: LiveServer) -> None:
    with api(live_server.url) as http:
        for name in ("chat", "folder%2Fgreeting%20one"):
            http.delete(f"/v2/prompts/{name}")
    read = run_json(client, PROGRAMS / "prompts.py", live_server.url)
    assert read["default"] == "Hello Ada"
    assert read["staging"] == "Hi Ada"
    assert read["latest"] == 2
    assert read["v1"] == {"temperature": 0.1}
    assert read["message"] == "first"
    assert read["moved"] == "Hi {{name}}"
    assert [(m["role"], m["content"]) for m in read["chat"]] == [("system", "Hi Ada"), ("user", "x")]
    assert read["fallback"] is True
    assert read["listed"] == [
        ["chat", [1], ["latest", "production"]],
        ["folder/greeting one", [1, 2], ["latest", "production", "staging"]],
    ]


def test_experiments_of_all_majors_meet_in_one_run(live_server: LiveServer) -> None:
    told = [run_json(client, PROGRAMS / "experiment.py", live_server.url) for client in MODERN]
    dataset = told[0]["dataset_id"]
    run = experiment_id("default", dataset, "run / one")
    traces: set[str] = set()
    for said in told:
        assert said["items"] == [["item-2", {"n": 2}, 4], ["item-1", {"n": 1}, 2], ["item-0", {"n": 0}, 0]]
        assert said["run_id"] == run
        traces.update(said["traces"])
    with api(live_server.url) as http:
        runs = http.get("/datasets/folder%2Fquestions%20%26%20answers/runs").json()
        assert [(row["id"], row["name"]) for row in runs["data"]] == [(run, "run / one")]
        one = http.get("/datasets/folder%2Fquestions%20%26%20answers/runs/run%20%2F%20one").json()
        assert {item["traceId"] for item in one["datasetRunItems"]} == traces
        assert len(one["datasetRunItems"]) == 9
        listed = http.get("/dataset-run-items", params={"datasetId": dataset, "runName": "run / one"}).json()
        assert listed["meta"]["totalItems"] == 9
        since = {"fromStartTime": "2020-01-01T00:00:00Z"}
        [experiment] = http.get("/experiments", params={**since, "fields": "core,metadata,scores"}).json()["data"]
        assert (experiment["id"], experiment["itemCount"], experiment["datasetId"]) == (run, 3, dataset)
        assert experiment["metadata"] == {"model": "m"}
        assert {score["name"] for score in experiment["scores"]} == {"average"}
        items, cursor = [], None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = http.get(
                "/experiment-items", params={**since, "fields": "core,io,scores", "limit": 2, **more}
            ).json()
            items += page["data"]
            cursor = page["meta"].get("cursor")
            if cursor is None:
                break
        assert len(items) == 9
        assert {item["expectedOutput"] for item in items} == {0, 2, 4}
        assert all([score["value"] for score in item["scores"]] == [1.0] for item in items)
        assert http.get("/experiments").status_code == 400


@pytest.mark.parametrize("client", MODERN)
def test_media(client: str, live_server: LiveServer) -> None:
    told = run_json(client, PROGRAMS / "media.py", live_server.url)
    assert told["url"].startswith(f"{live_server.url}/api/public/media/{told['media_id']}/content?")
    content = httpx.get(told["url"])
    assert content.status_code == 200
    assert content.content[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(content.content) == told["length"]
    assert content.headers["content-type"] == "image/png"
    assert content.headers["x-content-type-options"] == "nosniff"
    part = httpx.get(told["url"], headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert httpx.get(told["url"].replace("signature=", "signature=0")).status_code == 403
    with api(live_server.url) as http:
        row = http.get(f"/observations/{told['span_id']}").json()
    assert f"id={told['media_id']}" in row["input"]["image"]


def test_sdk_2(live_server: LiveServer) -> None:
    told = run_json("langfuse2", PROGRAMS / "sdk2_features.py", live_server.url)
    assert told == {
        "prompt": ["hi 1", {"k": 1}],
        "items": [["two-1", {"q": 1}]],
        "linked": [["two-1", True]],
        "cost": pytest.approx(0.0025),
        "used": ["two/greeting 2", 1],
    }
