"""The native API over HTTP, fed through OTLP, MLflow's and Langfuse's APIs."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.servers import LiveServer
from twinlens.faces.native import run_schemas, schemas, trace_schemas

NATIVE = "/api/twinlens/v1"
P = f"{NATIVE}/projects/default"


@pytest.fixture(scope="module")
def client(live_server: LiveServer) -> Iterator[httpx.Client]:
    with live_server.client() as found:
        yield found


def send_trace(client: httpx.Client, trace_id: str, *, user: str, model: str = "gpt-4o", failed: bool = False) -> None:
    """An agent with one model call and one tool call, through OTLP."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    now = time.time_ns()
    spans: list[tuple[str, bytes, dict[str, str | int]]] = [
        ("agent", b"", {"gen_ai.operation.name": "invoke_agent", "user.id": user, "session.id": f"session-{user}"}),
        (
            "chat",
            b"\0" * 7 + b"\1",
            {
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model,
                "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
                "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": f"I am {user}"}]}]),
            },
        ),
        ("search", b"\0" * 7 + b"\1", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}),
    ]  # fmt: skip
    for index, (name, parent, attributes) in enumerate(spans):
        span = scope.spans.add(
            trace_id=bytes.fromhex(trace_id),
            span_id=(index + 1).to_bytes(8, "big"),
            parent_span_id=parent,
            name=name,
            start_time_unix_nano=now - 2_000_000_000 + index,
            end_time_unix_nano=now,
        )
        if failed and name == "search":
            span.status.code = 2
            span.status.message = "timeout"
        for key, value in attributes.items():
            held = AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
            span.attributes.append(KeyValue(key=key, value=held))
    headers = {"Content-Type": "application/x-protobuf"}
    client.post("/v1/traces", content=request.SerializeToString(), headers=headers).raise_for_status()


@pytest.fixture(scope="module")
def traces(client: httpx.Client) -> list[str]:
    """Three traces of two users, one of them failed; scores on the first."""
    ids = [f"{number:032x}" for number in (0xA1, 0xA2, 0xA3)]
    send_trace(client, ids[0], user="alice")
    send_trace(client, ids[1], user="alice", model="gpt-4o-mini")
    send_trace(client, ids[2], user="bob", failed=True)
    score = {"traceId": ids[0], "name": "quality", "value": 0.75}
    client.post("/api/public/scores", json=score).raise_for_status()
    client.post("/api/public/scores", json=score | {"name": "tone", "value": "kind"}).raise_for_status()
    return ids


def listed(client: httpx.Client, **params: Any) -> list[str]:
    """Trace ids of the list."""
    page = client.get(f"{P}/traces", params=params).raise_for_status().json()
    return [trace["trace_id"] for trace in page["traces"]]


# --- traces ----------------------------------------------------------------------------------------------------------
def test_list_has_what_a_row_shows(client: httpx.Client, traces: list[str]) -> None:
    page = client.get(f"{P}/traces", params={"filter": "user:alice", "order": "start"}).raise_for_status().json()
    row = page["traces"][0]
    assert row["trace_id"] == traces[0]
    assert (row["total_tokens"], row["input_tokens"], row["output_tokens"]) == (1100, 1000, 100)
    assert row["total_cost"] == pytest.approx(0.0035)
    assert row["models"] == ["gpt-4o"]
    assert {badge["name"]: badge["value"] or badge["string_value"] for badge in row["scores"]} == {
        "quality": 0.75,
        "tone": "kind",
    }
    assert abs(row["start_ms"] - time.time() * 1000) < 120_000
    assert row["latency_ms"] == pytest.approx(2000, abs=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {0, 1, 2}),
        ("user:alice", {0, 1}),
        ("user:alice,bob", {0, 1, 2}),
        ("-user:alice", {2}),
        ("NOT (user:alice OR user:bob)", set()),
        ("model:gpt-4o", {0, 2}),
        ("model:gpt-4o*", {0, 1, 2}),
        ("model:*mini", {1}),
        ("status:error", set()),
        ("errors>0", {2}),
        ("cost>0.001 tokens>=1100", {0, 2}),
        ("cost<0.001", {1}),
        ("latency>1.5s latency<1m", {0, 1, 2}),
        ("start>-1h", {0, 1, 2}),
        ("start<-1h", set()),
        ("session:session-bob", {2}),
        ("score.quality>=0.75", {0}),
        ("score.quality>0.75", set()),
        ("score.tone:kind", {0}),
        ("has:score", {0}),
        ("tool:search", {0, 1, 2}),
        ("span(tool:search status:error)", {2}),
        ("span(kind:generation status:error)", set()),
        ("attribute.gen_ai.usage.output_tokens:100", {0, 1, 2}),
        ("metadata.absent:x", set()),
        ("id:000000000000000000000000000000a1", {0}),
        ('name:"agent"', {0, 1, 2}),
        ("name:ag*", {0, 1, 2}),
        ("agent", {0, 1, 2}),
        ("bookmarked:false", {0, 1, 2}),
    ],
)
def test_filter(client: httpx.Client, traces: list[str], text: str, expected: set[int]) -> None:
    assert set(listed(client, filter=text)) == {traces[index] for index in expected}
    counted = client.get(f"{P}/traces/count", params={"filter": text}).raise_for_status().json()["count"]
    assert counted == len(expected)


def test_filter_errors_point_at_the_mistake(client: httpx.Client) -> None:
    answer = client.get(f"{P}/traces", params={"filter": "user:alice usr:bob"})
    assert answer.status_code == 400
    assert (answer.json()["position"], answer.json()["suggestion"]) == (11, "user")


def test_pages_follow_each_other(client: httpx.Client, traces: list[str]) -> None:
    for order in (None, "-cost", "cost", "user", "-score.quality", "latency"):
        params: dict[str, Any] = {"limit": 1} | ({"order": order} if order else {})
        seen: list[str] = []
        while True:
            page = client.get(f"{P}/traces", params=params).raise_for_status().json()
            seen += [trace["trace_id"] for trace in page["traces"]]
            if not page["next_cursor"]:
                break
            params["cursor"] = page["next_cursor"]
        assert sorted(seen) == sorted(traces), order
    assert client.get(f"{P}/traces", params={"cursor": "nonsense"}).status_code == 400
    assert client.get(f"{P}/traces", params={"order": "nonsense"}).status_code == 400
    assert client.get(f"{P}/traces", params={"limit": 0}).status_code == 400


def test_histogram_has_no_gaps(client: httpx.Client, traces: list[str]) -> None:
    now = time.time() * 1000
    params = {"from_ms": now - 3_600_000, "to_ms": now + 60_000, "buckets": 100}
    found = client.get(f"{P}/traces/histogram", params=params).raise_for_status().json()
    starts = [bar["start_ms"] for bar in found["bars"]]
    assert {b - a for a, b in itertools.pairwise(starts)} == {found["bucket_ms"]}
    assert len(starts) <= 101
    assert sum(bar["traces"] for bar in found["bars"]) == 3


def test_menus(client: httpx.Client, traces: list[str]) -> None:
    def values(field: str, **more: Any) -> dict[str, int]:
        answer = client.get(f"{P}/traces/values", params={"field": field} | more).raise_for_status().json()
        return {value["value"]: value["count"] for value in answer["values"]}

    assert values("user") == {"alice": 2, "bob": 1}
    assert values("user", prefix="BO") == {"bob": 1}
    assert values("model") == {"gpt-4o": 2, "gpt-4o-mini": 1}
    assert values("tool")["search"] == 3
    fields = client.get(f"{P}/traces/fields").raise_for_status().json()["fields"]
    for field in fields:
        assert client.get(f"{P}/traces", params={"filter": field["example"]}).status_code == 200, field
        if field["suggests"] and not field["name"].endswith("."):
            assert client.get(f"{P}/traces/values", params={"field": field["name"]}).status_code == 200, field
    assert client.get(f"{P}/traces/values", params={"field": "nope"}).status_code == 400


def test_trace_skeleton_then_payload(client: httpx.Client, traces: list[str]) -> None:
    detail = client.get(f"{P}/traces/{traces[2]}").raise_for_status().json()
    assert [span["name"] for span in detail["spans"]] == ["agent", "chat", "search"]
    assert [span["kind"] for span in detail["spans"]] == ["agent", "generation", "tool"]
    assert "attributes" not in detail["spans"][0]
    chat = client.get(f"{P}/traces/{traces[2]}/spans/0000000000000002").raise_for_status().json()
    assert chat["attributes"]["gen_ai.usage.input_tokens"] == 1000
    assert "I am bob" in chat["input"]
    assert client.get(f"{P}/traces/{traces[2]}/spans/00000000000000ff").status_code == 404
    assert client.get(f"{P}/traces/absent").status_code == 404
    assert client.get(f"{P}/traces/tr-{traces[2].upper()}").status_code == 200  # MLflow's and upper-case spelling


def test_ids_are_free_strings(client: httpx.Client) -> None:
    odd = "a/b c%2Fd?e#ü"
    event = {"id": "x", "type": "trace-create", "timestamp": "2026-01-01T00:00:00Z", "body": {"id": odd, "name": "odd"}}
    assert client.post("/api/public/ingestion", json={"batch": [event]}).json()["errors"] == []
    found = client.get(f"{P}/traces/{quote('a/b c', safe='')}")
    assert found.status_code == 404
    plain = "run/7 ü"
    event["body"] = {"id": plain, "name": "odd"}
    client.post("/api/public/ingestion", json={"batch": [event]})
    assert client.get(f"{P}/traces/{quote(plain, safe='')}").raise_for_status().json()["trace"]["trace_id"] == plain
    client.post(f"{P}/traces/delete", json={"trace_ids": [odd, plain]}).raise_for_status()


def test_edit_score_delete(client: httpx.Client) -> None:
    trace_id = f"{0xB1:032x}"
    send_trace(client, trace_id, user="carol")
    edited = client.patch(
        f"{P}/traces/{trace_id}", json={"bookmarked": True, "tags": ["a", "b"], "tag_values": {"k": "v"}}
    )
    row = edited.raise_for_status().json()
    assert (row["bookmarked"], sorted(row["tags"]), row["tag_values"]["k"]) == (True, ["a", "b"], "v")
    row = client.patch(f"{P}/traces/{trace_id}", json={"tags": ["c"]}).raise_for_status().json()
    assert (row["tags"], row["bookmarked"]) == (["c"], True)
    assert listed(client, filter="tag:c is:bookmarked") == [trace_id]

    made = client.post(
        f"{P}/scores", json={"name": "quality", "value": 1, "trace_id": trace_id, "span_id": "0" * 15 + "2"}
    )
    score = made.raise_for_status().json()
    assert (score["source"], score["data_type"], score["value"]) == ("human", "NUMERIC", 1)
    changed = (
        client.patch(f"{P}/scores/{score['score_id']}", json={"value": 0.5, "comment": "meh"}).raise_for_status().json()
    )
    assert (changed["value"], changed["comment"]) == (0.5, "meh")
    assert client.patch(f"{P}/scores/{score['score_id']}", json={"value": "text"}).status_code == 400
    span = client.get(f"{P}/traces/{trace_id}/spans/{'0' * 15}2").raise_for_status().json()
    assert [one["comment"] for one in span["scores"]] == ["meh"]
    client.delete(f"{P}/scores/{score['score_id']}").raise_for_status()
    assert client.delete(f"{P}/scores/{score['score_id']}").status_code == 404

    assert client.post(f"{P}/traces/delete", json={"trace_ids": [trace_id]}).raise_for_status().json() == {"count": 1}
    assert client.get(f"{P}/traces/{trace_id}").status_code == 404
    assert client.patch(f"{P}/traces/{trace_id}", json={"bookmarked": True}).status_code == 404


def test_overview_and_sessions(client: httpx.Client, traces: list[str]) -> None:
    found = client.get(f"{P}/overview").raise_for_status().json()
    assert found["totals"]["traces"] == sum(bucket["traces"] for bucket in found["timeline"]) == 3
    assert found["totals"]["total_tokens"] == 3300
    assert found["totals"]["users"] == found["totals"]["sessions"] == 2
    assert [(use["model"], use["calls"]) for use in found["models"]] == [("gpt-4o", 2), ("gpt-4o-mini", 1)]
    assert found["totals"]["total_cost"] == pytest.approx(sum(use["total_cost"] for use in found["models"]))
    assert {use["name"]: use["average"] for use in found["scores"]}["quality"] == 0.75
    assert found["empty"] is False
    assert found["previous"]["traces"] == 0
    sessions = client.get(f"{P}/sessions").raise_for_status().json()["sessions"]
    assert {row["session_id"]: row["traces"] for row in sessions} == {"session-alice": 2, "session-bob": 1}
    assert client.get(f"{P}/overview", params={"from_ms": 2, "to_ms": 1}).status_code == 400


# --- experiments and runs ----------------------------------------------------------------------------------------------
def test_experiments_and_runs(client: httpx.Client) -> None:
    made = client.post(f"{P}/experiments", json={"name": "native", "tags": {"team": "a"}}).raise_for_status().json()
    experiment = made["experiment_id"]
    assert client.post(f"{P}/experiments", json={"name": "native"}).status_code == 409
    mlflow = "/api/2.0/mlflow"
    runs: list[str] = []
    for rate in ("0.1", "0.2"):
        body = {"experiment_id": experiment, "run_name": f"lr-{rate}", "start_time": 1_700_000_000_000}
        run_id = client.post(f"{mlflow}/runs/create", json=body).raise_for_status().json()["run"]["info"]["run_id"]
        metrics = [
            {"key": "loss", "value": float(rate) / (step + 1), "timestamp": 1_700_000_000_000 + step, "step": step}
            for step in range(500)
        ]
        metrics.append({"key": "odd", "value": "NaN", "timestamp": 1, "step": 0})
        batch = {
            "run_id": run_id,
            "metrics": metrics,
            "params": [{"key": "lr", "value": rate}, {"key": "same", "value": "x"}],
        }
        client.post(f"{mlflow}/runs/log-batch", json=batch).raise_for_status()
        runs.append(run_id)

    page = (
        client.get(f"{P}/runs", params={"experiment_id": experiment, "order_by": "metrics.loss ASC"})
        .raise_for_status()
        .json()
    )
    assert [run["run_id"] for run in page["runs"]] == runs
    assert page["metric_keys"] == ["loss", "odd"]
    assert page["param_keys"] == ["lr", "same"]
    assert page["runs"][0]["metrics"]["odd"]["value"] == "NaN"
    some = (
        client.get(f"{P}/runs", params={"experiment_id": experiment, "filter": "params.lr = '0.2'"})
        .raise_for_status()
        .json()
    )
    assert [run["run_id"] for run in some["runs"]] == runs[1:]
    assert client.get(f"{P}/runs", params={"filter": "nonsense"}).status_code == 400

    curves = client.get(
        f"{P}/metrics/buckets", params={"run_id": runs, "key": ["loss", "odd", "absent"], "buckets": 100}
    ).raise_for_status().json()["series"]  # fmt: skip
    assert {(one["run_id"], one["key"]) for one in curves} == {(run, key) for run in runs for key in ("loss", "odd")}
    loss = next(one for one in curves if one["key"] == "loss" and one["run_id"] == runs[0])
    assert len(loss["buckets"]) <= 100
    assert sum(bucket["count"] for bucket in loss["buckets"]) == 500
    assert loss["buckets"][0]["max"] == pytest.approx(0.1)
    odd = next(one for one in curves if one["key"] == "odd")
    assert odd["buckets"][0]["nan_count"] == 1
    assert odd["buckets"][0]["mean"] is None

    compared = client.get(f"{P}/runs/compare", params={"run_id": runs}).raise_for_status().json()
    assert compared["differing_params"] == ["lr"]
    assert compared["differing_metrics"] == ["loss"]

    detail = client.get(f"{P}/runs/{runs[0]}").raise_for_status().json()
    assert detail["experiment"]["name"] == "native"
    edited = client.patch(
        f"{P}/runs/{runs[0]}", json={"name": "best", "note": "keep", "tags": {"a": "b"}}
    ).raise_for_status()
    assert (edited.json()["name"], edited.json()["tags"]["a"]) == ("best", "b")
    assert client.get(f"{P}/runs/{runs[0]}").json()["note"] == "keep"
    assert (
        client.patch(f"{P}/runs/{runs[0]}", json={"tags": {"a": None}}).raise_for_status().json()["tags"].get("a")
        is None
    )

    client.post(f"{P}/runs/delete", json={"run_ids": runs[:1]}).raise_for_status()
    assert len(client.get(f"{P}/runs", params={"experiment_id": experiment}).json()["runs"]) == 1
    client.post(f"{P}/runs/restore", json={"run_ids": runs[:1]}).raise_for_status()
    assert len(client.get(f"{P}/runs", params={"experiment_id": experiment}).json()["runs"]) == 2

    renamed = client.patch(f"{P}/experiments/{experiment}", json={"name": "renamed"}).raise_for_status()
    assert renamed.json()["name"] == "renamed"
    client.delete(f"{P}/experiments/{experiment}").raise_for_status()
    assert experiment not in [one["experiment_id"] for one in client.get(f"{P}/experiments").json()["experiments"]]
    client.post(f"{P}/experiments/{experiment}/restore").raise_for_status()
    shown = client.get(f"{P}/experiments").json()["experiments"]
    assert next(one for one in shown if one["experiment_id"] == experiment)["run_count"] == 2


# --- live ------------------------------------------------------------------------------------------------------------
def test_live_stream_tells_what_was_committed(live_server: LiveServer, client: httpx.Client) -> None:
    trace_id = f"{0xC1:032x}"
    events: list[tuple[str, dict[str, Any]]] = []
    connected, enough = threading.Event(), threading.Event()

    def listen() -> None:
        with (
            live_server.client() as own,
            own.stream("GET", f"{P}/live", params={"kinds": "trace,score,metric,run"}) as stream,
        ):
            assert stream.headers["content-type"].startswith("text/event-stream")
            kind = ""
            for line in stream.iter_lines():
                if line.startswith(": connected"):
                    connected.set()
                elif line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    events.append((kind, json.loads(line[6:])))
                    if {"trace", "score", "metric", "run"} <= {event for event, _ in events}:
                        enough.set()
                        return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert connected.wait(60)
    send_trace(client, trace_id, user="dora")
    client.post("/api/public/scores", json={"traceId": trace_id, "name": "q", "value": 1}).raise_for_status()
    run = (
        client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).raise_for_status().json()["run"]["info"]
    )
    point = {"run_id": run["run_id"], "key": "loss", "value": 1, "timestamp": 1, "step": 0}
    client.post("/api/2.0/mlflow/runs/log-metric", json=point).raise_for_status()
    assert enough.wait(60), events
    by_kind = dict(reversed(events))
    assert by_kind["trace"]["trace"]["trace_id"] == trace_id
    assert by_kind["trace"]["trace"]["total_tokens"] == 1100
    assert by_kind["score"]["trace_id"] == trace_id
    assert by_kind["metric"]["id"] == run["run_id"]
    assert by_kind["metric"]["keys"] == ["loss"]
    client.post(f"{P}/traces/delete", json={"trace_ids": [trace_id]}).raise_for_status()


def test_open_streams_do_not_hold_up_a_shutdown(start_server: Any) -> None:
    server = start_server()
    with server.client() as client, client.stream("GET", f"{P}/live") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        assert server.stop() == 0
        assert [line for line in lines if line.startswith("event:")] == []


# --- the document ------------------------------------------------------------------------------------------------------
def test_openapi_describes_every_route_and_its_answers(client: httpx.Client) -> None:
    document = client.get(f"{NATIVE}/openapi.json").raise_for_status().json()
    assert document["openapi"].startswith("3.")
    paths = document["paths"]
    assert all(path.startswith(NATIVE) for path in paths)
    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert all(operation.get("summary") and operation.get("description") for operation in operations)
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    known = document["components"]["schemas"]
    for name in (
        "TracePage",
        "TraceDetail",
        "SpanDetail",
        "Overview",
        "RunPage",
        "SeriesList",
        "ArtifactPreview",
        "LiveEvent",
    ):
        assert name in known
    assert known["Problem"]["properties"].keys() == {field.name for field in msgspec.structs.fields(schemas.Problem)}


def test_answers_have_the_described_form(client: httpx.Client, traces: list[str]) -> None:
    """Decoding is strict: a field that is missing or of another type fails."""
    for path, form in (
        (f"{NATIVE}/session", schemas.Session),
        (f"{NATIVE}/projects", schemas.ProjectList),
        (f"{NATIVE}/stats", schemas.InstanceStats),
        (f"{P}/overview", schemas.Overview),
        (f"{P}/traces", trace_schemas.TracePage),
        (f"{P}/traces/{traces[0]}", trace_schemas.TraceDetail),
        (f"{P}/traces/{traces[0]}/spans/0000000000000002", trace_schemas.SpanDetail),
        (f"{P}/experiments", run_schemas.ExperimentList),
        (f"{P}/runs", run_schemas.RunPage),
        (f"{P}/models", schemas.RegisteredModelPage),
    ):
        msgspec.json.decode(client.get(path).raise_for_status().content, type=form)


def test_issues_skills_and_mcp_servers(client: httpx.Client) -> None:
    """What the browser needs of the three registries; the faces they come from are tested with their clients."""
    traces = [f"{number:032x}" for number in range(0xB1, 0xB5)]
    for trace in traces:
        send_trace(client, trace, user="issue")

    def say(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = client.request(method, P + path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    issue = say("POST", "/issues", {"name": "Wrong tool", "severity": "high", "categories": ["tools"]}, 201)
    one = f"/issues/{issue['issue_id']}"
    assert say("POST", one + "/traces", {"trace_ids": [*traces[:2], traces[0]], "comment": "See"})["trace_count"] == 2
    assert say("POST", one + "/traces", {"trace_ids": traces[1:3]})["trace_count"] == 3
    say("POST", one + "/traces", {"trace_ids": [traces[3], "nowhere"]}, 404)
    found = client.get(P + "/traces", params={"filter": f"score.{issue['issue_id']}:1"}).json()["traces"]
    assert {row["trace_id"] for row in found} == set(traces[:3])
    assert {(score["kind"], score["count"]) for row in found for score in row["scores"]} == {("issue", 1)}
    of_mlflow = client.get(f"/api/3.0/mlflow/traces/tr-{traces[0]}").json()["trace"]["trace_info"]["assessments"]
    assert [(a["issue"]["issue_name"], a["rationale"]) for a in of_mlflow] == [(issue["issue_id"], "See")]
    assert say("PATCH", one, {"status": "resolved", "root_causes": ["prompt"]})["status"] == "resolved"
    assert say("PATCH", one, {"status": "lost"}, 400)
    [row] = say("GET", "/issues")["issues"]
    assert (row["trace_count"], row["root_causes"], row["categories"]) == (3, ["prompt"], ["tools"])

    text = "---\nname: report\ndescription: Writes one.\n---\nWrite."
    files = [{"path": "SKILL.md", "text": text}, {"path": "a.py", "text": "1"}]
    first = say("POST", "/skills", {"files": files}, 201)
    kept = {"path": "b.py", "sha256": next(f["sha256"] for f in first["files"] if f["path"] == "a.py")}
    say("POST", "/skills", {"files": [{**files[0], "text": text + "!"}, kept], "commit_message": "more"}, 201)
    say("PATCH", "/skills/report/versions/1", {"labels": ["production"]})
    say("PATCH", "/skills/report", {"tags": ["docs"]})
    [row] = say("GET", "/skills")["skills"]
    assert (row["latest_version"], row["production"], row["files"], row["tags"]) == (2, 1, 2, ["docs"])
    versions = say("GET", "/skills/report")["versions"]
    assert [(v["version"], v["commit_message"]) for v in versions] == [(2, "more"), (1, None)]
    assert say("GET", "/skills/report/versions/2/file?path=b.py")["text"] == "1"
    say("GET", "/skills/report/versions/2/file?path=a.py", None, 404)
    say("POST", "/skills", {"files": [{"path": "SKILL.md", "text": "no front matter"}]}, 400)
    say("DELETE", "/skills/report/versions/2", None, 204)
    say("DELETE", "/skills/report/versions/1", None, 204)
    say("GET", "/skills/report", None, 404)

    document = {"name": "com.example/weather", "version": "1.0.0", "description": "Forecasts."}
    say("POST", "/mcp-servers", {"server_json": {**document, "version": 1}}, 400)
    say("POST", "/mcp-servers", {"server_json": document, "tools": [{"name": "forecast"}], "status": "active"}, 201)
    say("POST", "/mcp-servers", {"server_json": {**document, "version": "1.1.0"}}, 201)
    at = "/mcp-servers/com.example%2Fweather"
    say("PUT", at + "/aliases/stable", {"version": "1.0.0"}, 204)
    say("PUT", at + "/tags/team", {"value": "a"}, 204)
    address = say("POST", at + "/endpoints", {"url": "https://x.example/mcp", "alias": "stable"}, 201)
    assert address["resolved_version"] == "1.0.0"
    assert say("PATCH", at + "/versions/1.1.0", {"status": "active"})["status"] == "active"
    say("PATCH", at + "/versions/1.1.0", {"status": "deleted"}, 400)
    detail = say("GET", at)
    assert [v["version"] for v in detail["versions"]] == ["1.1.0", "1.0.0"]
    assert (detail["server"]["latest_version"], detail["server"]["tools"], detail["server"]["tags"]) == (
        "1.1.0", None, {"team": "a"},
    )  # fmt: skip
    assert [e["url"] for e in detail["endpoints"]] == ["https://x.example/mcp"]
    say("DELETE", at + f"/endpoints/{address['endpoint_id']}", None, 204)
    say("DELETE", at + "/aliases/stable", None, 204)
    say("DELETE", at + "/tags/team", None, 204)
    say("DELETE", at + "/versions/1.0.0", None, 400)
    say("PATCH", at + "/versions/1.0.0", {"status": "deprecated"})
    say("DELETE", at + "/versions/1.0.0", None, 204)
    say("DELETE", at, None, 400)
    say("PATCH", at + "/versions/1.1.0", {"status": "draft"})
    say("DELETE", at, None, 204)
    assert say("GET", "/mcp-servers")["servers"] == []
