"""Traces with MLflow's client 2, which tells start and end and sends its spans as a file: read by all faces, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import LiveServer
from tests.wire.mlflow.peer import MlflowPeer

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def old(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowPeer]:
    with MlflowPeer(live_server.url, tmp_path_factory.mktemp("peer2"), client="mlflow2") as peer:
        yield peer


def test_traces_of_client_2(old: MlflowPeer, live_server: LiveServer) -> None:
    made = old.run("""
    e = mlflow.set_experiment("second form").experiment_id
    with mlflow.start_span("root", span_type="AGENT", attributes={"k": 1}) as root:
        root.set_inputs({"q": "hi"})
        with mlflow.start_span("call", span_type="CHAT_MODEL") as call:
            call.add_event(mlflow.entities.SpanEvent("seen", attributes={"a": 1}))
            call.set_outputs("yo")
        root.set_outputs({"a": "yo"})
    try:
        with mlflow.start_span("broken") as broken:
            raise ValueError("no")
    except ValueError:
        pass
    mlflow.flush_trace_async_logging()
    client.set_trace_tag(root.request_id, "team", "x")
    client.set_trace_tag(root.request_id, "gone", "x")
    client.delete_trace_tag(root.request_id, "gone")
    got = client.get_trace(root.request_id)
    run = client.create_run(e)
    described = mlflow.models.Model(artifact_path="model", run_id=run.info.run_id)
    described.add_flavor("python_function", loader_module="mlflow.sklearn")
    client._record_logged_model(run.info.run_id, described)  # as every log_model of client 2 does
    import json
    model = json.loads(client.get_run(run.info.run_id).data.tags["mlflow.log-model.history"])
    model = [[m["artifact_path"], list(m["flavors"]), m["run_id"] == run.info.run_id] for m in model]
    pages = [client.search_traces([e], max_results=1)]
    pages.append(client.search_traces([e], max_results=1, page_token=pages[0].token))
    result = {
        "e": e, "ids": [root.request_id, broken.request_id], "status": [str(t.info.status) for p in pages for t in p],
        "spans": [[s.name, s.span_type, s.inputs, s.outputs, len(s.events)] for s in got.data.spans],
        "attribute": got.data.spans[0].attributes["k"], "request": got.data.request, "tag": got.info.tags.get("team"),
        "gone": "gone" in got.info.tags,
        "failed": [t.info.request_id for t in client.search_traces([e], filter_string="status = 'ERROR'")],
        "model": model,
        "tagged": [t.info.request_id for t in client.search_traces([e], filter_string="tags.team = 'x'")],
    }
    """)
    root, broken = made["ids"]
    assert made["status"] == ["TraceStatus.ERROR", "TraceStatus.OK"]
    assert made["spans"] == [
        ["root", "AGENT", {"q": "hi"}, {"a": "yo"}, 0], ["call", "CHAT_MODEL", None, "yo", 1]
    ]  # fmt: skip
    assert (made["attribute"], made["request"], made["tag"], made["gone"]) == (1, '{"q": "hi"}', "x", False)
    assert (made["failed"], made["tagged"]) == ([broken], [root])
    assert made["model"] == [["model", ["python_function"], True]]
    with live_server.client() as http:
        trace = http.get(f"/api/public/traces/{root.removeprefix('tr-')}", auth=("pk", "sk")).json()
        assert {(o["name"], o["type"]) for o in trace["observations"]} == {("root", "AGENT"), ("call", "GENERATION")}
        assert trace["output"] == {"a": "yo"}
        kept = http.get("/api/2.0/mlflow-artifacts/artifacts", params={"path": f"default/{made['e']}/traces"}).json()
        assert kept == {}  # the spans are in the store, not in a second place

        span = {
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "elsewhere",
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001000000000",
        }  # fmt: skip
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        http.post("/v1/traces", json=body, headers={"x-mlflow-experiment-id": made["e"]}).raise_for_status()
        junk = f"/api/2.0/mlflow-artifacts/artifacts/default/{made['e']}/traces/{root}/artifacts/traces.json"
        assert http.put(junk, content=b"{not spans").status_code == 200  # an artifact like any other
    read = old.run(f"""
    mine = client.get_trace("tr-0af7651916cd43dd8448eb211c80319c")
    deleted = client.delete_traces({made["e"]!r}, request_ids=[{root!r}])
    result = [[s.name for s in mine.data.spans], len(client.get_trace({broken!r}).data.spans), deleted,
              len(client.search_traces([{made["e"]!r}]))]
    """)
    assert read == [["elsewhere"], 1, 1, 2]
