"""Traces and assessments with the unmodified MLflow client."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.mlflow.peer import ClientError, MlflowPeer

pytestmark = pytest.mark.peer

AGENT = """
import uuid
mlflow.set_experiment("agents")

@mlflow.trace(span_type="TOOL", name="search")
def search(query):
    return [{"page_content": "Paris is the capital", "metadata": {"doc": 1}}]

@mlflow.trace(span_type="LLM", name="chat")
def chat(messages):
    span = mlflow.get_current_active_span()
    span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 120, "output_tokens": 30, "total_tokens": 150})
    span.set_attribute("mlflow.llm.model", "gpt-4o-mini")
    span.set_attribute("mlflow.llm.provider", "openai")
    span.set_attribute("temperature", 0.5)
    return {"role": "assistant", "content": "Paris"}

@mlflow.trace(span_type="AGENT", name="agent")
def agent(question, user, fail=False):
    mlflow.update_current_trace(
        tags={"team": "geo", "kind": "demo"}, metadata={"mlflow.trace.user": user, "mlflow.trace.session": "s-" + user},
        client_request_id="req-" + user)
    search(question)
    if fail:
        raise ValueError("no answer")
    return chat([{"role": "user", "content": question}])["content"]
"""


@pytest.fixture(scope="module")
def traced(mlflow: MlflowPeer) -> dict[str, Any]:
    """One agent trace, one of another user that failed."""
    return mlflow.run(
        AGENT
        + """
agent("What is the capital of France?", "ada")
first = mlflow.get_last_active_trace_id()
try:
    agent("What is the capital of Atlantis?", "bob", fail=True)
except ValueError:
    pass
second = mlflow.get_last_active_trace_id()
mlflow.flush_trace_async_logging()
experiment = mlflow.get_experiment_by_name("agents").experiment_id
result = {"first": first, "second": second, "experiment": experiment}
"""
    )


def search(mlflow: MlflowPeer, traced: dict[str, Any], filter_string: str, **options: Any) -> list[str]:
    return mlflow.run(f"""
    found = mlflow.search_traces(locations=[{traced["experiment"]!r}], filter_string={filter_string!r},
        return_type="list", include_spans=False, **{options!r})
    result = [t.info.trace_id for t in found]
    """)


def test_trace_comes_back_whole(mlflow: MlflowPeer, traced: dict[str, Any]) -> None:
    found = mlflow.run(f"""
    t = mlflow.get_trace({traced["first"]!r})
    spans = {{s.name: s for s in t.data.spans}}
    result = {{
        "state": str(t.info.state), "tags": t.info.tags, "metadata": t.info.trace_metadata, "usage": t.info.token_usage,
        "request": t.info.request_preview, "response": t.info.response_preview, "client": t.info.client_request_id,
        "duration": t.info.execution_duration, "experiment": t.info.experiment_id, "cost": t.info.cost,
        "names": sorted(spans), "types": {{n: s.span_type for n, s in spans.items()}},
        "parents": {{n: s.parent_id for n, s in spans.items()}}, "root": spans["agent"].span_id,
        "inputs": spans["chat"].inputs, "outputs": spans["search"].outputs, "temperature": spans["chat"].get_attribute("temperature"),
        "model": spans["chat"].model_name, "status": str(spans["chat"].status.status_code), "ids": {{s.trace_id for s in t.data.spans}} == {{t.info.trace_id}},
        "span_usage": spans["chat"].get_attribute("mlflow.chat.tokenUsage"),
    }}
    """)
    assert found["state"] == "OK"
    assert found["tags"]["team"] == "geo"
    assert found["tags"]["mlflow.traceName"] == "agent"
    assert found["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert found["tags"]["mlflow.artifactLocation"].endswith(f"/traces/{traced['first']}/artifacts")
    assert found["metadata"]["mlflow.trace.user"] == "ada"
    assert found["metadata"]["mlflow.trace.session"] == "s-ada"
    assert found["usage"] == {"input_tokens": 120, "output_tokens": 30, "total_tokens": 150}
    assert found["cost"]["total_cost"] == pytest.approx(120 * 0.15e-6 + 30 * 0.6e-6)
    assert "capital of France" in found["request"]
    assert json.loads(found["response"]) == "Paris"
    assert found["client"] == "req-ada"
    assert found["duration"] >= 0
    assert found["experiment"] == traced["experiment"]
    assert found["names"] == ["agent", "chat", "search"]
    assert found["types"] == {"agent": "AGENT", "chat": "LLM", "search": "TOOL"}
    assert found["parents"] == {"agent": None, "chat": found["root"], "search": found["root"]}
    assert found["inputs"] == {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
    assert found["outputs"] == [{"page_content": "Paris is the capital", "metadata": {"doc": 1}}]
    assert found["temperature"] == 0.5
    assert found["model"] == "gpt-4o-mini"
    assert found["ids"] is True
    assert found["span_usage"] == {"input_tokens": 120, "output_tokens": 30, "total_tokens": 150}


def test_failed_trace(mlflow: MlflowPeer, traced: dict[str, Any]) -> None:
    found = mlflow.run(f"""
    t = mlflow.get_trace({traced["second"]!r})
    root = t.data.spans[0] if t.data.spans[0].parent_id is None else next(s for s in t.data.spans if s.parent_id is None)
    result = [str(t.info.state), str(root.status.status_code), [e.name for e in root.events],
              root.events[0].attributes["exception.message"]]
    """)
    assert found[0] == "ERROR"
    assert "ERROR" in found[1]
    assert found[2:] == [["exception"], "no answer"]


def test_client_uploads_no_spans_file(live_server: LiveServer, traced: dict[str, Any]) -> None:
    location = f"/api/2.0/mlflow-artifacts/artifacts?path=default/{traced['experiment']}/traces"
    assert httpx.get(live_server.url + location).json() == {}


@pytest.mark.parametrize(("filter_string", "which"), [
    ("", ["second", "first"]),
    ("trace.status = 'OK'", ["first"]),
    ("status != 'OK'", ["second"]),
    ("attributes.name = 'agent'", ["second", "first"]),
    ("trace.client_request_id = 'req-bob'", ["second"]),
    ("tag.team = 'geo' AND metadata.`mlflow.trace.user` = 'ada'", ["first"]),
    ("tags.team != 'geo'", []),
    ("tags.team IS NULL", []),
    ("metadata.`mlflow.trace.session` LIKE 's-%'", ["second", "first"]),
    ("trace.text ILIKE '%atlantis%'", ["second"]),
    ("span.name = 'chat'", ["first"]),
    ("span.type = 'TOOL'", ["second", "first"]),
    ("span.name = 'chat' AND span.type = 'TOOL'", []),
    ("span.name = 'chat' AND span.type = 'LLM'", ["first"]),
    ("span.status = 'ERROR' AND span.name = 'agent'", ["second"]),
    ("span.attributes.temperature = '0.5'", ["first"]),
    ("span.attributes.mlflow.llm.model LIKE 'gpt-4%'", ["first"]),
    ("trace.execution_time_ms >= 0", ["second", "first"]),
    ("trace.timestamp_ms > 4102444800000", []),
    ("status = 'OK' OR tags.kind = 'nope'", ["first"]),
])  # fmt: skip
def test_search(mlflow: MlflowPeer, traced: dict[str, Any], filter_string: str, which: list[str]) -> None:
    known = [traced["first"], traced["second"]]
    found = [each for each in search(mlflow, traced, filter_string) if each in known]
    assert found == [traced[name] for name in which]


def test_search_by_id_and_order(mlflow: MlflowPeer, traced: dict[str, Any]) -> None:
    assert search(mlflow, traced, f"trace.request_id = '{traced['first']}'") == [traced["first"]]
    ids = [traced["first"], traced["second"]]
    found = search(mlflow, traced, "name = 'agent'", order_by=["timestamp_ms ASC"])
    assert [each for each in found if each in ids] == ids


def test_search_pages(mlflow: MlflowPeer, traced: dict[str, Any]) -> None:
    pages = mlflow.run(f"""
    page = client.search_traces(locations=[{traced["experiment"]!r}], max_results=1)
    rest = client.search_traces(locations=[{traced["experiment"]!r}], max_results=1, page_token=page.token)
    result = [[t.info.trace_id for t in page], [t.info.trace_id for t in rest]]
    """)
    assert len(pages[0]) == len(pages[1]) == 1
    assert pages[0] != pages[1]


def test_many_at_once_and_what_goes_together(mlflow: MlflowPeer, traced: dict[str, Any]) -> None:
    wanted = [traced["first"], traced["second"]]
    found = mlflow.run(f"""
    from mlflow.tracing.client import TracingClient
    tracing, e = TracingClient(), {traced["experiment"]!r}
    whole = tracing.batch_get_traces({wanted!r})
    both = tracing.calculate_trace_filter_correlation([e], "status = 'OK'", "name = 'agent'")
    apart = tracing.calculate_trace_filter_correlation([e], "status = 'OK'", "status = 'ERROR'", base_filter="name = 'agent'")
    n = len(client.search_traces(locations=[e], max_results=500))
    result = [sorted(t.info.trace_id for t in whole), min(len(t.data.spans) for t in whole), n,
              [both.total_count, both.joint_count <= both.filter1_count], [apart.joint_count, apart.npmi]]
    """)
    ids, spans, total, both, apart = found
    assert ids == sorted(wanted) and spans >= 1
    assert both == [total, True]
    assert apart[0] == 0 and apart[1] in (-1, None)


def test_dataframe_has_spans(mlflow: MlflowPeer, traced: dict[str, Any]) -> None:
    found = mlflow.run(f"""
    frame = mlflow.search_traces(locations=[{traced["experiment"]!r}], filter_string="trace.request_id = '{traced["first"]}'")
    row = frame.iloc[0]
    result = [row["trace_id"], row["request"], row["response"], len(row["spans"])]
    """)
    assert found == [
        traced["first"],
        {"question": "What is the capital of France?", "user": "ada", "fail": False},
        "Paris",
        3,
    ]


@pytest.mark.parametrize(
    "bad", ["nope.x = 'a'", "status = 'MAYBE'", "span.foo = 'x'", "tags.a > 'b'", "prompt = 'x'", "name ="]
)
def test_bad_filters(mlflow: MlflowPeer, traced: dict[str, Any], bad: str) -> None:
    with pytest.raises(ClientError) as caught:
        search(mlflow, traced, bad)
    assert caught.value.code == "INVALID_PARAMETER_VALUE"


def test_tags(mlflow: MlflowPeer, traced: dict[str, Any]) -> None:
    found = mlflow.run(f"""
    client.set_trace_tag({traced["first"]!r}, "verdict", "good / fine")
    before = client.get_trace({traced["first"]!r}).info.tags.get("verdict")
    client.delete_trace_tag({traced["first"]!r}, "verdict")
    result = [before, client.get_trace({traced["first"]!r}).info.tags.get("verdict")]
    """)
    assert found == ["good / fine", None]
    with pytest.raises(ClientError) as caught:
        mlflow.run(f"client.delete_trace_tag({traced['first']!r}, 'verdict')")
    assert caught.value.code == "RESOURCE_DOES_NOT_EXIST"


def test_unknown_trace(mlflow: MlflowPeer) -> None:
    with pytest.raises(ClientError) as caught:
        mlflow.run("client.get_trace('tr-00000000000000000000000000000000')")
    assert caught.value.code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


def test_links(mlflow: MlflowPeer, traced: dict[str, Any]) -> None:
    found = mlflow.run(f"""
    with mlflow.start_run() as run:
        pass
    client.link_traces_to_run([{traced["first"]!r}], run.info.run_id)
    client._tracing_client.link_prompt_versions_to_trace  # exists
    result = [t.info.trace_id for t in mlflow.search_traces(locations=[{traced["experiment"]!r}], run_id=run.info.run_id, return_type="list")]
    """)
    assert found == [traced["first"]]


def test_feedback_and_expectations(mlflow: MlflowPeer, traced: dict[str, Any]) -> None:
    found = mlflow.run(f"""
    from mlflow.entities import AssessmentSource, AssessmentSourceType
    tid = {traced["first"]!r}
    human = AssessmentSource(source_type=AssessmentSourceType.HUMAN, source_id="ada@example.com")
    a = mlflow.log_feedback(trace_id=tid, name="correct", value=True, source=human, rationale="it is Paris", metadata={{"k": "v"}})
    b = mlflow.log_feedback(trace_id=tid, name="score", value=0.75)
    c = mlflow.log_feedback(trace_id=tid, name="labels", value=["a", "b"])
    d = mlflow.log_feedback(trace_id=tid, name="tone", value="friendly")
    e = mlflow.log_expectation(trace_id=tid, name="expected", value={{"city": "Paris"}}, source=human)
    f = mlflow.log_expectation(trace_id=tid, name="answer", value="Paris")
    g = mlflow.log_feedback(trace_id=tid, name="broken", error=ValueError("judge failed"))
    got = {{x.name: x for x in client.get_trace(tid).info.assessments}}
    one = mlflow.get_assessment(tid, a.assessment_id)
    result = {{
        "values": {{n: (x.feedback.value if x.feedback else x.expectation.value) for n, x in got.items()}},
        "source": [str(one.source.source_type), one.source.source_id], "rationale": one.rationale, "metadata": one.metadata,
        "error": got["broken"].feedback.error.error_message, "valid": [x.valid is not False for x in got.values()], "id": a.assessment_id,
    }}
    """)
    assert found["values"] == {
        "correct": True, "score": 0.75, "labels": ["a", "b"], "tone": "friendly", "expected": {"city": "Paris"},
        "answer": "Paris", "broken": None,
    }  # fmt: skip
    assert found["source"] == ["HUMAN", "ada@example.com"]
    assert found["rationale"] == "it is Paris"
    assert found["metadata"] == {"k": "v"}
    assert found["error"] == "judge failed"
    assert all(found["valid"])
    assert search(mlflow, traced, "feedback.correct = 'true'") == [traced["first"]]
    assert search(mlflow, traced, "feedback.score > 0.7 AND feedback.tone = 'friendly'") == [traced["first"]]
    assert search(mlflow, traced, "feedback.score > 0.8") == []
    assert search(mlflow, traced, "expectation.answer = 'Paris'") == [traced["first"]]
    assert traced["first"] not in search(mlflow, traced, "feedback.correct IS NULL")


def test_assessment_update_override_delete(mlflow: MlflowPeer, traced: dict[str, Any]) -> None:
    found = mlflow.run(f"""
    from mlflow.entities import Feedback
    tid = {traced["second"]!r}
    first = mlflow.log_feedback(trace_id=tid, name="grade", value="bad")
    mlflow.update_assessment(tid, first.assessment_id, Feedback(name="grade", value="poor", rationale="no answer"))
    updated = mlflow.get_assessment(tid, first.assessment_id)
    second = mlflow.override_feedback(trace_id=tid, assessment_id=first.assessment_id, value="awful")
    old = mlflow.get_assessment(tid, first.assessment_id)
    new = mlflow.get_assessment(tid, second.assessment_id)
    mlflow.delete_assessment(tid, second.assessment_id)
    back = mlflow.get_assessment(tid, first.assessment_id)
    result = [updated.feedback.value, updated.rationale, old.valid, new.feedback.value, new.overrides == first.assessment_id, back.valid]
    """)
    assert found == ["poor", "no answer", False, "awful", True, True]
    with pytest.raises(ClientError) as caught:
        mlflow.run(f"mlflow.get_assessment({traced['second']!r}, 'a-nope')")
    assert caught.value.code == "RESOURCE_DOES_NOT_EXIST"


def test_delete_traces(mlflow: MlflowPeer) -> None:
    found = mlflow.run(
        AGENT
        + """
mlflow.set_experiment("deletions")
ids = []
for user in ("u1", "u2", "u3"):
    agent("q", user)
    ids.append(mlflow.get_last_active_trace_id())
mlflow.flush_trace_async_logging()
e = mlflow.get_experiment_by_name("deletions").experiment_id
one = client.delete_traces(e, trace_ids=[ids[0]])
left = len(mlflow.search_traces(locations=[e], return_type="list"))
import time
rest = client.delete_traces(e, max_timestamp_millis=int(time.time() * 1000) + 1000, max_traces=10)
result = [one, left, rest, len(mlflow.search_traces(locations=[e], return_type="list"))]
mlflow.set_experiment("agents")
"""
    )
    assert found == [1, 2, 2, 0]


def test_manual_spans_and_async_context(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    mlflow.set_experiment("manual")
    root = mlflow.start_span_no_context("root", inputs={"x": 1}, tags={"a": "b"}, metadata={"m": "n"})
    child = mlflow.start_span_no_context("child", parent_span=root, span_type="MY_OWN_TYPE")
    child.set_outputs([1, 2.5, None, {"deep": {"er": True}}])
    child.end()
    root.end(outputs="done")
    mlflow.flush_trace_async_logging()
    t = client.get_trace(root.trace_id)
    spans = {s.name: s for s in t.data.spans}
    result = [t.info.tags["a"], t.info.trace_metadata["m"], spans["child"].outputs, spans["child"].span_type, spans["root"].inputs,
              spans["root"].outputs]
    """)
    assert found == ["b", "n", [1, 2.5, None, {"deep": {"er": True}}], "MY_OWN_TYPE", {"x": 1}, "done"]


# --- other dialects through MLflow's eyes ----------------------------------------------------------------------------


def langfuse_batch(server: LiveServer, events: list[dict[str, Any]]) -> None:
    reply = httpx.post(
        server.url + "/api/public/ingestion",
        json={
            "batch": [
                {"id": f"e{n}", "timestamp": "2026-11-23T10:00:00.000Z", **event} for n, event in enumerate(events)
            ]
        },
        auth=("pk-lf-1", "sk-lf-1"),
    )
    assert reply.status_code == 207, reply.text
    assert reply.json()["errors"] == []


def test_langfuse_trace_looks_right(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    langfuse_batch(live_server, [
        {"type": "trace-create", "body": {
            "id": "my-own-trace-id", "name": "lf-chat", "userId": "carol", "sessionId": "s9", "tags": ["prod", "beta"],
            "input": {"q": "hi"}, "output": "hello", "metadata": {"plan": {"tier": 2}}, "timestamp": "2026-11-23T10:00:00.000Z"}},
        {"type": "generation-create", "body": {
            "id": "gen-1", "traceId": "my-own-trace-id", "name": "llm", "model": "gpt-4o-mini", "startTime": "2026-11-23T10:00:00.000Z",
            "endTime": "2026-11-23T10:00:01.500Z", "input": [{"role": "user", "content": "hi"}], "output": {"role": "assistant", "content": "hello"},
            "usage": {"input": 10, "output": 5}, "modelParameters": {"temperature": 0.1}}},
        {"type": "span-create", "body": {
            "id": "span-1", "traceId": "my-own-trace-id", "parentObservationId": "gen-1", "name": "inner",
            "startTime": "2026-11-23T10:00:00.500Z", "endTime": "2026-11-23T10:00:01.000Z"}},
        {"type": "score-create", "body": {"id": "sc-1", "traceId": "my-own-trace-id", "name": "quality", "value": 0.9, "comment": "nice"}},
        {"type": "score-create", "body": {
            "id": "sc-2", "traceId": "my-own-trace-id", "observationId": "gen-1", "name": "tone", "value": "warm", "dataType": "CATEGORICAL"}},
    ])  # fmt: skip
    found = mlflow.run("""
    traces = mlflow.search_traces(locations=["0"], filter_string="name = 'lf-chat'", return_type="list")
    t = traces[0]
    again = client.get_trace(t.info.trace_id)
    spans = {s.name: s for s in t.data.spans}
    result = {
        "n": len(traces), "id": t.info.trace_id, "same": again.info.trace_id == t.info.trace_id, "state": str(t.info.state),
        "tags": t.info.tags, "metadata": t.info.trace_metadata, "usage": t.info.token_usage, "cost": t.info.cost,
        "request": t.info.request_preview, "response": t.info.response_preview, "duration": t.info.execution_duration,
        "type": spans["llm"].span_type, "inputs": spans["llm"].inputs, "outputs": spans["llm"].outputs, "model": spans["llm"].model_name,
        "parent": spans["inner"].parent_id == spans["llm"].span_id, "llm": spans["llm"].span_id,
        "assessments": {a.name: [a.feedback.value, a.rationale, a.span_id] for a in t.info.assessments},
        "by_tag": len(mlflow.search_traces(locations=["0"], filter_string="tags.prod = 'true'", return_type="list")),
        "by_id": len(mlflow.search_traces(locations=["0"], filter_string=f"request_id = '{t.info.trace_id}'", return_type="list")),
        "by_score": len(mlflow.search_traces(locations=["0"], filter_string="feedback.quality > 0.8", return_type="list")),
    }
    client.set_trace_tag(t.info.trace_id, "seen", "by mlflow")
    mlflow.log_feedback(trace_id=t.info.trace_id, name="from_mlflow", value=True, span_id=spans["llm"].span_id)
    """)
    assert found["n"] == 1
    assert found["same"]
    assert found["id"] == "tr-my-own-trace-id"
    assert found["state"] == "OK"
    assert found["tags"]["prod"] == found["tags"]["beta"] == "true"
    assert found["tags"]["mlflow.traceName"] == "lf-chat"
    assert found["metadata"]["mlflow.trace.user"] == "carol"
    assert found["metadata"]["mlflow.trace.session"] == "s9"
    assert json.loads(found["metadata"]["plan"]) == {"tier": 2}
    assert found["usage"] == {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    assert found["cost"]["total_cost"] == pytest.approx(10 * 0.15e-6 + 5 * 0.6e-6)
    assert found["response"] == "hello"
    assert found["duration"] == 1500
    assert found["type"] == "LLM"
    assert found["inputs"] == [{"role": "user", "content": "hi"}]
    assert found["outputs"] == {"role": "assistant", "content": "hello"}
    assert found["model"] == "gpt-4o-mini"
    assert found["parent"]
    assert found["assessments"]["quality"] == [0.9, "nice", None]
    assert found["assessments"]["tone"] == ["warm", None, found["llm"]]
    assert (found["by_tag"], found["by_id"], found["by_score"]) == (1, 1, 1)
    seen = httpx.get(live_server.url + "/api/public/traces/my-own-trace-id", auth=("pk-lf-1", "sk-lf-1")).json()
    scores = {score["name"]: score for score in seen["scores"]}
    assert scores["from_mlflow"]["value"] in (1, 1.0, True)
    assert scores["from_mlflow"]["observationId"] == "gen-1"


def test_langfuse_finds_the_mlflow_trace(live_server: LiveServer, traced: dict[str, Any]) -> None:
    trace_id = traced["first"].removeprefix("tr-")
    found = httpx.get(live_server.url + f"/api/public/traces/{trace_id}", auth=("pk-lf-1", "sk-lf-1")).json()
    assert found["name"] == "agent"
    assert found["userId"] == "ada"
    assert sorted(each["name"] for each in found["observations"]) == ["agent", "chat", "search"]


# --- the wire itself -------------------------------------------------------------------------------------------------


def info(trace_id: str, spans: int, **fields: Any) -> dict[str, Any]:
    return {"trace": {"trace_info": {
        "trace_id": trace_id, "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2026-11-23T10:00:00.123Z", "execution_duration": "0.250s", "state": "OK",
        "trace_metadata": {"mlflow.trace.sizeStats": json.dumps({"num_spans": spans})}, **fields,
    }}}  # fmt: skip


def otlp(trace_id: str, span_id: str) -> dict[str, Any]:
    span = {"traceId": trace_id, "spanId": span_id, "name": "s", "startTimeUnixNano": "1795514400123000000",
            "endTimeUnixNano": "1795514400373000000"}  # fmt: skip
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def test_get_waits_for_spans_that_are_on_their_way(live_server: LiveServer) -> None:
    trace_id = "ab" * 16
    with live_server.client() as http:
        reply = http.post("/api/3.0/mlflow/traces", json=info("tr-" + trace_id, 1))
        assert reply.status_code == 200, reply.text
        stored = reply.json()["trace"]["trace_info"]
        assert stored["request_time"] == "2026-11-23T10:00:00.123Z"
        assert stored["execution_duration"] == "0.250s"
        partial = http.get("/api/3.0/mlflow/traces/get", params={"trace_id": "tr-" + trace_id, "allow_partial": "true"})
        assert partial.json()["trace"].get("spans", []) == []

        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(
                httpx.get,
                live_server.url + "/api/3.0/mlflow/traces/get",
                params={"trace_id": "tr-" + trace_id},
                timeout=60,
            )
            time.sleep(0.2)
            assert not waiting.done()
            sent = http.post("/v1/traces", json=otlp(trace_id, "cd" * 8), headers={"x-mlflow-experiment-id": "0"})
            assert sent.status_code == 200, sent.text
            spans = waiting.result(60).json()["trace"]["spans"]
        assert base64.b64decode(spans[0]["trace_id"]).hex() == trace_id
        assert base64.b64decode(spans[0]["span_id"]).hex() == "cd" * 8


def test_trace_info_wins_over_spans_in_either_order(live_server: LiveServer) -> None:
    with live_server.client() as http:
        for trace_id, info_first in (("11" * 16, True), ("22" * 16, False)):
            calls = [
                lambda t=trace_id: http.post(
                    "/api/3.0/mlflow/traces", json=info("tr-" + t, 1, state="ERROR", request_preview="Q")
                ),
                lambda t=trace_id: http.post(
                    "/v1/traces", json=otlp(t, "ef" * 8), headers={"x-mlflow-experiment-id": "0"}
                ),
            ]
            for send in calls if info_first else reversed(calls):
                assert send().status_code == 200
            found = http.get(f"/api/3.0/mlflow/traces/tr-{trace_id}").json()["trace"]["trace_info"]
            assert (found["state"], found["request_preview"], found["execution_duration"]) == ("ERROR", "Q", "0.250s")


@pytest.mark.parametrize("change", [
    {"trace_location": None}, {"trace_id": ""}, {"state": "FINE"}, {"execution_duration": "soon"}, {"request_time": "today"},
    {"trace_metadata": [1]}, {"trace_id": "x" * 801}, {"assessments": [{"assessment_name": "x"}]},
])  # fmt: skip
def test_bad_trace_info_is_refused(live_server: LiveServer, change: dict[str, Any]) -> None:
    body = info("tr-" + "33" * 16, 1)
    body["trace"]["trace_info"].update(change)
    with live_server.client() as http:
        reply = http.post("/api/3.0/mlflow/traces", json=body)
        assert reply.status_code == 400, reply.text
        assert reply.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        assert http.get("/api/3.0/mlflow/traces/tr-" + "33" * 16).status_code == 404


def test_unknown_experiment_is_refused(live_server: LiveServer) -> None:
    body = info("tr-" + "44" * 16, 1, trace_location={"mlflow_experiment": {"experiment_id": "987654"}})
    with live_server.client() as http:
        assert http.post("/api/3.0/mlflow/traces", json=body).status_code == 404


def test_v2_calls(live_server: LiveServer) -> None:
    with live_server.client() as http:
        started = http.post("/api/2.0/mlflow/traces", json={
            "experiment_id": "0", "timestamp_ms": 1795514400000, "tags": [{"key": "mlflow.traceName", "value": "old"}],
            "request_metadata": [{"key": "mlflow.trace.user", "value": "dora"}],
        }).json()["trace_info"]  # fmt: skip
        assert started["status"] == "IN_PROGRESS"
        trace_id = started["request_id"]
        ended = http.patch(f"/api/2.0/mlflow/traces/{trace_id}", json={
            "timestamp_ms": 1795514401000, "status": "OK", "tags": [{"key": "x", "value": "y"}],
        }).json()["trace_info"]  # fmt: skip
        assert ended["execution_time_ms"] == 1000
        assert ended["status"] == "OK"
        found = http.get(f"/api/2.0/mlflow/traces/{trace_id}/info").json()["trace_info"]
        assert {"key": "x", "value": "y"} in found["tags"]
        listed = http.get("/api/2.0/mlflow/traces", params={"experiment_ids": "0", "filter": "name = 'old'"}).json()
        assert [each["request_id"] for each in listed["traces"]] == [trace_id]


def test_genai_evaluate(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    from mlflow.genai.scorers import scorer
    from mlflow.entities import Feedback
    e = mlflow.set_experiment("evaluated").experiment_id

    @scorer
    def exact(outputs, expectations):
        return outputs == expectations["expected_response"]

    @scorer
    def length(outputs):
        return Feedback(value=len(outputs), rationale="counted")

    data = [
        {"inputs": {"question": "2+2"}, "expectations": {"expected_response": "4"}},
        {"inputs": {"question": "2+3"}, "expectations": {"expected_response": "6"}},
    ]
    done = mlflow.genai.evaluate(data=data, predict_fn=lambda question: str(eval(question)), scorers=[exact, length])
    traces = mlflow.search_traces(locations=[e], run_id=done.run_id, return_type="list")
    result = {
        "metrics": done.metrics, "run": client.get_run(done.run_id).data.metrics, "n": len(traces),
        "names": sorted({a.name for t in traces for a in t.info.assessments}),
        "exact": sorted(a.feedback.value for t in traces for a in t.info.assessments if a.name == "exact"),
        "rows": len(done.result_df) if done.result_df is not None else None,
    }
    mlflow.set_experiment(experiment_id="0")
    """)
    assert found["metrics"]["exact/mean"] == 0.5
    assert found["run"]["exact/mean"] == 0.5
    assert found["n"] == 2
    assert found["names"] == ["exact", "expected_response", "length"]
    assert found["exact"] == [False, True]
    assert found["rows"] == 2


def test_attachments_and_live_updates(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    mlflow.set_experiment("updates")
    @mlflow.trace
    def work(x):
        with mlflow.start_span("inner", span_type="CHAIN") as span:
            span.set_inputs({"x": x})
            span.set_attributes({"n": 1, "f": 1.5, "b": True, "l": ["a", "b"], "d": {"k": [1, {"z": None}]}})
            mlflow.update_current_trace(tags={"stage": "inner"})
        return {"text": "é" * 2000}
    work("y")
    tid = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()
    t = client.get_trace(tid)
    inner = next(s for s in t.data.spans if s.name == "inner")
    result = [t.info.tags["stage"], {k: inner.attributes[k] for k in ("n", "f", "b", "l", "d")}, len(t.info.response_preview),
              t.data.spans[0].outputs if t.data.spans[0].name == "work" else t.data.spans[1].outputs]
    mlflow.set_experiment(experiment_id="0")
    """)
    assert found[0] == "inner"
    assert found[1] == {"n": 1, "f": 1.5, "b": True, "l": ["a", "b"], "d": {"k": [1, {"z": None}]}}
    assert found[2] <= 1000
    assert found[3] == {"text": "é" * 2000}


def test_trace_metrics(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    experiment = mlflow.run(
        AGENT
        + """
mlflow.set_experiment("measured")
for user in ("a", "b", "b"):
    agent("q", user)
    tid = mlflow.get_last_active_trace_id()
mlflow.flush_trace_async_logging()
mlflow.log_feedback(trace_id=tid, name="stars", value=4)
result = mlflow.get_experiment_by_name("measured").experiment_id
mlflow.set_experiment(experiment_id="0")
"""
    )

    def ask(view: str, metric: str, aggregations: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
        body = {"experiment_ids": [experiment], "view_type": view, "metric_name": metric, "aggregations": aggregations}
        reply = httpx.post(live_server.url + "/api/3.0/mlflow/traces/metrics", json=body | more)
        assert reply.status_code == 200, reply.text
        return reply.json().get("data_points", [])

    count = [{"aggregation_type": "COUNT"}]
    assert ask("TRACES", "trace_count", count)[0]["values"] == {"COUNT": 3}
    assert ask("TRACES", "session_count", count)[0]["values"] == {"COUNT": 2}
    by_status = ask("TRACES", "trace_count", count, dimensions=["trace_status"])
    assert by_status == [{"metric_name": "trace_count", "dimensions": {"trace_status": "OK"}, "values": {"COUNT": 3}}]
    assert ask("TRACES", "total_tokens", [{"aggregation_type": "SUM"}])[0]["values"] == {"SUM": 450}
    latency = ask(
        "TRACES", "latency", [{"aggregation_type": "PERCENTILE", "percentile_value": 95.0}, {"aggregation_type": "MAX"}]
    )
    assert set(latency[0]["values"]) == {"P95.0", "MAX"}
    types = ask("SPANS", "span_count", count, dimensions=["span_type"])
    assert {p["dimensions"]["span_type"]: p["values"]["COUNT"] for p in types} == {"AGENT": 3, "LLM": 3, "TOOL": 3}
    models = ask("SPANS", "total_cost", [{"aggregation_type": "SUM"}], dimensions=["span_model_name"])
    assert models[0]["dimensions"] == {"span_model_name": "gpt-4o-mini"}
    assert ask("SPANS", "span_count", count, filters=["span.name = 'chat'"])[0]["values"] == {"COUNT": 3}
    now = int(time.time() * 1000)
    series = ask(
        "TRACES",
        "trace_count",
        count,
        time_interval_seconds=3600,
        start_time_ms=now - 3_600_000,
        end_time_ms=now + 60_000,
    )
    assert sum(p["values"]["COUNT"] for p in series) == 3
    assert "T" in series[0]["dimensions"]["time_bucket"]
    stars = ask("ASSESSMENTS", "assessment_value", [{"aggregation_type": "AVG"}], dimensions=["assessment_name"])
    assert stars == [
        {"metric_name": "assessment_value", "dimensions": {"assessment_name": "stars"}, "values": {"AVG": 4.0}}
    ]
    bad = httpx.post(
        live_server.url + "/api/3.0/mlflow/traces/metrics",
        json={"experiment_ids": ["0"], "view_type": "TRACES", "metric_name": "nope", "aggregations": count},
    )
    assert bad.json()["error_code"] == "INVALID_PARAMETER_VALUE"
