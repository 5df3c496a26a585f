"""What one client writes, the other's client reads: traces, scores and prompts, both ways, with the real clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import PROGRAMS, api, run_json
from tests.wire.mlflow.peer import MlflowPeer

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def mlflow(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowPeer]:
    """MLflow's client."""
    with MlflowPeer(live_server.url, tmp_path_factory.mktemp("peer")) as peer:
        yield peer


@pytest.fixture(scope="module")
def http(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Langfuse's API."""
    with api(live_server.url) as client:
        yield client


@pytest.mark.parametrize(("client", "program"), [("langfuse2", "sdk2"), ("langfuse3", "sdk3"), ("langfuse5", "sdk4")])
def test_a_langfuse_trace_is_found_by_mlflow(
    client: str, program: str, live_server: LiveServer, mlflow: MlflowPeer
) -> None:
    told = run_json(client, PROGRAMS / f"{program}.py", live_server.url)
    found: dict[str, Any] = mlflow.run(
        f"""
        traces = mlflow.search_traces(locations=["0"], return_type="list", max_results=50)
        found = [t for t in traces if t.info.trace_id == "tr-{told["trace_id"]}"]
        result = None
        if found:
            [t] = found
            result = {{
                "state": t.info.state.value,
                "spans": {{s.name: [s.span_type, s.outputs] for s in t.data.spans}},
                "tokens": t.info.token_usage,
                "assessments": {{a.name: [a.value, a.span_id is not None] for a in t.info.assessments}},
                "session": t.info.trace_metadata.get("mlflow.trace.session"),
                "user": t.info.trace_metadata.get("mlflow.trace.user"),
            }}
        """
    )
    assert found, "not among the traces that MLflow finds"
    assert found["state"] == "OK"
    assert set(found["spans"]) == {"outer", "inner", "completion", "cache-miss"}
    assert found["spans"]["completion"][1] == "because"
    assert (found["tokens"]["input_tokens"], found["tokens"]["output_tokens"]) == (100, 50)
    assert found["assessments"]["quality"] == [0.9, True]
    assert found["assessments"]["verdict"] == ["good", False]
    assert found["assessments"]["passed"][0] in (True, 1)
    assert (found["session"], found["user"]) == ("session-client", "alice")


def test_an_mlflow_trace_is_found_by_langfuse(mlflow: MlflowPeer, http: httpx.Client, live_server: LiveServer) -> None:
    trace_id: str = mlflow.run(
        """
        from mlflow.entities import SpanType
        with mlflow.start_span("outer", span_type=SpanType.AGENT) as outer:
            mlflow.update_current_trace(tags={"team": "search"}, metadata={"mlflow.trace.user": "bob", "mlflow.trace.session": "s9"})
            outer.set_inputs({"q": "why"})
            with mlflow.start_span("model", span_type=SpanType.CHAT_MODEL) as span:
                span.set_inputs({"messages": [{"role": "user", "content": "why"}]})
                span.set_attribute("mlflow.llm.model", "gpt-4o")
                span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150})
                span.set_outputs("because")
            outer.set_outputs({"a": "because"})
        mlflow.flush_trace_async_logging()
        mlflow.log_feedback(trace_id=outer.trace_id, name="good", value=True, rationale="well put")
        mlflow.log_expectation(trace_id=outer.trace_id, name="expected", value="because")
        result = outer.trace_id
        """
    )
    for id in (trace_id, trace_id.removeprefix("tr-")):
        trace = http.get(f"/traces/{id}").json()
        assert trace["name"] == "outer"
    assert (trace["userId"], trace["sessionId"]) == ("bob", "s9")
    assert trace["input"] == {"q": "why"}
    assert trace["output"] == {"a": "because"}
    assert trace["metadata"]["team"] == "search"
    spans = {row["name"]: row for row in trace["observations"]}
    assert (spans["outer"]["type"], spans["model"]["type"]) == ("AGENT", "GENERATION")
    assert spans["model"]["parentObservationId"] == spans["outer"]["id"]
    assert (spans["model"]["model"], spans["model"]["usage"]["total"]) == ("gpt-4o", 150)
    assert trace["totalCost"] == pytest.approx(0.00075)
    scores = {score["name"]: score for score in trace["scores"]}
    assert (scores["good"]["dataType"], scores["good"]["value"], scores["good"]["comment"]) == (
        "BOOLEAN",
        1,
        "well put",
    )
    assert scores["expected"]["stringValue"] == "because"
    assert trace["id"] in {row["id"] for row in http.get("/traces", params={"userId": "bob"}).json()["data"]}
    read = run_json(
        "langfuse4",
        "import json\nfrom langfuse import get_client\n"
        f"rows = get_client().api.observations.get_many(trace_id={trace['id']!r}, fields='core,basic,usage').data\n"
        "print(json.dumps({row.name: row.total_cost for row in rows}))",
        live_server.url,
    )
    assert read["model"] == pytest.approx(0.00075)


def test_a_prompt_registered_through_mlflow_is_fetched_by_langfuse(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    mlflow.run(
        """
        mlflow.genai.register_prompt("from-mlflow", "Hello {{name}}", commit_message="first")
        second = mlflow.genai.register_prompt("from-mlflow", "Hi {{name}}")
        mlflow.genai.set_prompt_alias("from-mlflow", alias="production", version=2)
        mlflow.genai.register_prompt("chat-from-mlflow", [{"role": "user", "content": "{{q}}"}])
        """
    )
    read = run_json(
        "langfuse5",
        "import json\nfrom langfuse import get_client\nlangfuse = get_client()\n"
        "by_label = langfuse.get_prompt('from-mlflow')\nfirst = langfuse.get_prompt('from-mlflow', version=1)\n"
        "chat = langfuse.get_prompt('chat-from-mlflow', label='latest', type='chat')\n"
        "print(json.dumps([by_label.version, by_label.compile(name='Ada'), first.commit_message, "
        "[m['content'] for m in chat.compile(q='why')]]))",
        live_server.url,
    )
    assert read == [2, "Hi Ada", "first", ["why"]]


def test_a_prompt_made_by_langfuse_is_loaded_by_mlflow(mlflow: MlflowPeer, http: httpx.Client) -> None:
    for text in ("one {{x}}", "two {{x}}"):
        body = {"name": "from-langfuse", "prompt": text, "commitMessage": text[:3], "labels": ["production"]}
        assert http.post("/v2/prompts", content=json.dumps(body)).status_code == 201
    loaded = mlflow.run(
        """
        p = mlflow.genai.load_prompt("prompts:/from-langfuse@production")
        q = mlflow.genai.load_prompt("from-langfuse", version=1)
        result = [p.version, p.format(x="!"), q.template, q.commit_message, [x.name for x in mlflow.genai.search_prompts()]]
        """
    )
    assert loaded[:4] == [2, "two !", "one {{x}}", "one"]
    assert "from-langfuse" in loaded[4]
