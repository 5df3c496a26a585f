"""The matrix: one program in the spelling of every SDK generation, all at once against one server.

Each client writes a trace (nested spans, generation with usage, event, scores, media, prompt) and runs the same experiment on
the same dataset. When all have written, each reads everybody's trace through every read API it has; all must read the same.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import PROGRAMS, api, start
from twinlens.domain.dataset import experiment_id

#: Environment -> program and the read APIs the client has. ``docs/compatibility/langfuse.md`` shows this table.
MATRIX: dict[str, tuple[str, tuple[str, ...]]] = {
    "langfuse2": ("sdk2.py", ("v1",)),
    "langfuse3": ("sdk3.py", ("v1",)),
    "langfuse4": ("sdk4.py", ("v1", "v2")),
    "langfuse5": ("sdk4.py", ("v2",)),
    "langfuse-js3": ("js3.mjs", ("v1",)),
    "langfuse-js4": ("js4.mjs", ("v1", "v2")),
    "langfuse-js5": ("js4.mjs", ("v1", "v2")),
}
OLD = ("langfuse2", "langfuse-js3")  # ids with dashes, links without project
GROUPS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
pytestmark = pytest.mark.peer
Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def told(live_server: LiveServer) -> Iterator[Told]:
    """What every program says, by environment."""
    running = {name: start(name, PROGRAMS / program, live_server.url) for name, (program, _) in MATRIX.items()}
    errors: dict[str, list[str]] = {name: [] for name in running}
    readers = [
        threading.Thread(target=errors[name].extend, args=(process.stderr,)) for name, process in running.items()
    ]
    for reader in readers:
        reader.start()
    try:
        first: dict[str, Any] = {}
        for name, process in running.items():
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"{name} ended early:\n" + "".join(errors[name])
            first[name] = json.loads(line)
        ids = json.dumps([said["trace_id"] for said in first.values()]) + "\n"
        for process in running.values():
            assert process.stdin is not None
            process.stdin.write(ids)
            process.stdin.close()
        found: Told = {}
        for name, process in running.items():
            assert process.stdout is not None
            rest = process.stdout.read()
            assert process.wait(60) == 0, f"{name} failed:\n" + "".join(errors[name])
            found[name] = json.loads(rest.splitlines()[-1])
        for reader in readers:
            reader.join()
        assert not [line for lines in errors.values() for line in lines if "Traceback" in line]
        yield found
    finally:
        for process in running.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        for reader in readers:
            reader.join()
        for process in running.values():
            for pipe in (process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()


@pytest.fixture(scope="module")
def http(live_server: LiveServer) -> Iterator[httpx.Client]:
    """The public API."""
    with api(live_server.url) as client:
        yield client


def expected(writer: str, scores: dict[str, Any]) -> dict[str, Any]:
    """How a reader sees the trace of a writer."""
    return {
        "name": "answer", "user": "alice", "session": f"session-{writer}", "tags": ["amber", "blue"], "version": "v1",
        "cost": 0.00075, "model": "gpt-4o", "tokens": [100, 50, 150], "output": "because", "level": "WARNING",
        "prompt": [f"matrix/{writer} greeting", 1], "media": True,
        "observations": [
            ["cache-miss", "EVENT", "inner"], ["completion", "GENERATION", "inner"], ["inner", "SPAN", "outer"],
            ["outer", "SPAN", None],
        ],
        "metadata": {"k": "v", "int": 7, "float": 1.5, "flag": True, "none": None, "list": [1, "a"],
                     "object": {"a": {"b": 1}}},
        "scores": scores,
    }  # fmt: skip


@pytest.mark.parametrize("reader", MATRIX)
def test_every_client_reads_what_every_client_wrote(reader: str, told: Told) -> None:
    readings = told[reader]["readings"]
    v1 = {"quality": 0.9, "verdict": 0, "passed": 1}
    v3 = {"quality": 0.9, "verdict": "good", "passed": True}
    for version in MATRIX[reader][1]:
        typed = version == "v2" and not reader.startswith("langfuse-js")  # JS reads the scores beside v2 rows as v1
        for writer, said in told.items():
            found = readings[version][said["trace_id"]]
            assert found == expected(writer, v3 if typed else v1), f"{reader} reads {writer} through {version}"
    assert set(readings["found"]) == {said["trace_id"] for said in told.values()}
    if "sessions" in readings:
        assert set(readings["sessions"]) == {f"session-{name}" for name in MATRIX}
    assert readings.get("model", "gpt-4o") == "gpt-4o"


@pytest.mark.parametrize("client", MATRIX)
def test_the_client_is_content(client: str, told: Told, live_server: LiveServer) -> None:
    said = told[client]
    assert said["auth"] is True
    assert said["compiled"] == "Hello Ada"
    url = live_server.url
    known = f"{url}/project/default/traces/{said['trace_id']}"
    assert said["url"] == (f"{url}/trace/{said['trace_id']}" if client in OLD else known)
    assert ("-" in said["trace_id"]) == (client in OLD)


@pytest.mark.parametrize("client", MATRIX)
def test_the_trace_reads_whole_through_v1(client: str, told: Told, http: httpx.Client) -> None:
    trace = http.get(f"/traces/{told[client]['trace_id']}").json()
    nested = client in (*OLD, "langfuse3")  # the others send texts only as metadata of a trace
    assert trace["metadata"] == {"team": "search"} | ({"depth": {"a": 1, "b": 2}} if nested else {})
    assert trace["output"] == {"answer": "because"}
    assert trace["input"] == ({"question": "why"} if nested else {"step": 1})
    assert trace["htmlPath"] == f"/project/default/traces/{told[client]['trace_id']}"
    rows = {row["name"]: row for row in trace["observations"]}
    generation = rows["completion"]
    assert generation["input"] == [{"role": "user", "content": "why"}]
    assert float(generation["modelParameters"]["temperature"]) == 0.5  # SDK 2 sends text
    assert generation["usageDetails"] == {"input": 100, "output": 50, "total": 150}
    assert generation["usage"]["totalCost"] == pytest.approx(0.00075)
    assert generation["promptId"]
    assert (rows["inner"]["statusMessage"], rows["cache-miss"]["metadata"]["key"]) == ("slow", "x")
    scores = {score["name"]: score for score in trace["scores"]}
    assert scores["quality"]["observationId"] == generation["id"]
    assert (scores["quality"]["value"], scores["quality"]["comment"]) == (0.9, "fine")
    assert (scores["verdict"]["stringValue"], scores["verdict"]["dataType"]) == ("good", "CATEGORICAL")
    assert (scores["passed"]["stringValue"], scores["passed"]["value"]) == ("True", 1)


@pytest.mark.parametrize("client", MATRIX)
def test_the_trace_reads_whole_through_v2_and_v3(client: str, told: Told, http: httpx.Client) -> None:
    trace_id = told[client]["trace_id"]
    rows = http.get("/v2/observations", params={"traceId": trace_id, "fields": GROUPS}).json()["data"]
    roots = http.get("/v2/observations", params={"traceId": trace_id, "isRootObservation": "true"}).json()
    scores = http.get("/v3/scores", params={"traceId": trace_id, "fields": "core,subject"}).json()["data"]
    generation = next(row for row in rows if row["name"] == "completion")
    assert json.loads(generation["input"]) == [{"role": "user", "content": "why"}]
    assert generation["model"] == generation["providedModelName"] == "gpt-4o"
    assert (generation["inputUsage"], generation["outputUsage"], generation["totalUsage"]) == (100, 50, 150)
    assert generation["totalCost"] == pytest.approx(0.00075)
    assert [row["name"] for row in roots["data"]] == ["outer"]
    assert {score["name"]: score["value"] for score in scores} == {"quality": 0.9, "verdict": "good", "passed": True}
    subjects = {score["name"]: score["subject"] for score in scores}
    assert subjects["quality"] == {"kind": "observation", "id": generation["id"], "traceId": trace_id}
    assert subjects["verdict"] == {"kind": "trace", "id": trace_id}


def test_the_experiments_of_all_meet_in_one_run(told: Told, http: httpx.Client) -> None:
    path = "/datasets/matrix%2Fquestions%20%26%20answers/runs"
    dataset = http.get("/v2/datasets/matrix%2Fquestions%20%26%20answers").json()["id"]
    run = experiment_id("default", dataset, "run / one")
    assert {name: said["run_id"] for name, said in told.items()} == dict.fromkeys(MATRIX, run)
    traces = {trace for said in told.values() for trace in said["run_traces"]}
    assert len(traces) == 2 * len(MATRIX)
    assert [(row["id"], row["name"]) for row in http.get(path).json()["data"]] == [(run, "run / one")]
    for encoded in ("run%20%2F%20one", "run%20/%20one"):  # SDK 2 leaves the slash as it is
        one = http.get(f"{path}/{encoded}").json()
        assert {item["traceId"] for item in one["datasetRunItems"]} == traces
        assert {item["datasetItemId"] for item in one["datasetRunItems"]} == {"matrix-0", "matrix-1"}
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"fromStartTime": "2020-01-01T00:00:00Z", "fields": "core,io,scores", "limit": 5}
    while True:
        page = http.get("/experiment-items", params=query).json()
        items += page["data"]
        if page["meta"].get("cursor") is None:
            break
        query["cursor"] = page["meta"]["cursor"]
    # clients without OpenTelemetry say nothing of the experiment on their spans: they are in the run only
    spoken = {trace for name, said in told.items() if name not in OLD for trace in said["run_traces"]}
    assert sorted(item["traceId"] for item in items) == sorted(spoken)
    assert {item["experimentItemId"]: item["expectedOutput"] for item in items} == {"matrix-0": 0, "matrix-1": 2}
    assert all([score["value"] for score in item["scores"]] == [1.0] for item in items)
    since = {"fromStartTime": "2020-01-01T00:00:00Z", "fields": "core,metadata,scores"}
    [experiment] = http.get("/experiments", params=since).json()["data"]
    assert (experiment["id"], experiment["itemCount"], experiment["datasetId"]) == (run, 2, dataset)
    assert experiment["metadata"] == {"model": "m"}
    assert {score["name"] for score in experiment["scores"]} == {"average"}


def test_all_uploaded_the_same_image_once(told: Told, http: httpx.Client) -> None:
    [media_id] = {said["media_id"] for said in told.values()}
    found = http.get(f"/media/{media_id}").json()
    assert found["contentType"] == "image/png"
    content = httpx.get(found["url"])
    assert content.content[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(content.content) == found["contentLength"]
    assert (content.headers["content-type"], content.headers["x-content-type-options"]) == ("image/png", "nosniff")
    part = httpx.get(found["url"], headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert httpx.get(found["url"].replace("signature=", "signature=0")).status_code == 403
