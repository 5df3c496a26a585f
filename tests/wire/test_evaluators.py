"""Evaluators that judge what arrives: made by Langfuse's API or MLflow's scorers, run by the server against a model on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.judge_stub import JudgeStub
from tests.servers import LiveServer, eventually
from tests.wire.langfuse.clients import api, run_json
from tests.wire.mlflow.peer import ClientError, MlflowPeer
from tests.wire.mlflow.recording import proven_routes, routes_of_test  # noqa: F401 - fixtures for every test here

JUDGE = {
    "name": "helpful", "type": "llm_as_judge", "prompt": "Question {{question}} Answer {{answer}} Is it helpful?",
    "modelConfig": {"provider": "openai", "model": "judge-1"},
    "variableMapping": [
        {"variable": "question", "source": "input", "jsonPath": "$.messages[0].content"},
        {"variable": "answer", "source": "output"},
    ],
    "outputDefinition": {"dataType": "NUMERIC", "minValue": 0, "maxValue": 1},
}  # fmt: skip
RULES = [("good answer", {"reasoning": "clear", "score": 0.9}), ("polite one", {"result": True, "rationale": "kind"})]


@pytest.fixture(scope="module")
def judge() -> Iterator[JudgeStub]:
    with JudgeStub(RULES) as stub:
        yield stub


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, judge: JudgeStub) -> Iterator[LiveServer]:
    env = {"TWINLENS_JUDGE_BASE_URL": judge.url, "TWINLENS_JUDGE_API_KEY": "sk-judge"}
    with LiveServer(tmp_path_factory.mktemp("judged"), env=env) as running:
        yield running


@pytest.fixture
def http(server: LiveServer) -> Iterator[httpx.Client]:
    with api(server.url) as client:
        yield client


def send(http: httpx.Client, trace_id: str, answer: str, **more: Any) -> None:
    body = {
        "id": trace_id + "-g", "traceId": trace_id, "name": "chat", "startTime": "2026-11-25T10:00:00Z",
        "endTime": "2026-11-25T10:00:01Z", "input": {"messages": [{"role": "user", "content": "why?"}]},
        "output": answer, **more,
    }  # fmt: skip
    events = [{"id": trace_id, "type": "generation-create", "timestamp": "2026-11-25T10:00:00Z", "body": body}]
    assert http.post("/ingestion", json={"batch": events}).json()["errors"] == []


def scores(http: httpx.Client, **query: str) -> list[dict[str, Any]]:
    return http.get("/v3/scores", params={"fields": "details,subject", **query}).json()["data"]


def made(http: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_judge_runs_on_what_a_rule_matches(http: httpx.Client, judge: JudgeStub) -> None:
    send(http, "before", "good answer")
    evaluator = made(http, "/v2/evaluators", JUDGE)
    assert (evaluator["variables"], evaluator["status"], evaluator["version"]) == (["question", "answer"], "active", 1)
    wanted = [{"type": "stringOptions", "column": "name", "operator": "any of", "value": ["chat"]}]
    rule = made(http, "/v2/evaluation-rules", {
        "name": "all chats", "enabled": True, "filter": wanted, "evaluatorAssignments": [{"evaluatorId": evaluator["id"]}],
    })  # fmt: skip
    send(http, "t-good", "good answer")
    send(http, "t-other", "good answer", name="other")
    (score,) = eventually(lambda: scores(http, traceId="t-good"))
    assert (score["name"], score["value"], score["source"]) == ("helpful", 0.9, "EVAL")
    assert score["comment"] == "clear"
    assert score["subject"] == {"kind": "observation", "id": "t-good-g", "traceId": "t-good"}
    (asked,) = judge.asked
    assert (asked["model"], judge.keys[-1]) == ("judge-1", "Bearer sk-judge")
    assert asked["messages"][0]["content"] == "Question why? Answer good answer Is it helpful?"
    assert asked["response_format"]["json_schema"]["schema"]["properties"]["score"] == {"type": "number"}
    assert scores(http, traceId="t-other") == scores(http, traceId="before") == []
    whole = http.get(f"/v2/evaluators/{evaluator['id']}").json()
    assert [a["evaluationRuleId"] for a in whole["evaluationRuleAssignments"]] == [rule["id"]]
    changed = http.patch(
        f"/v2/evaluators/{evaluator['id']}", json={"prompt": "Rate {{question}} {{answer}} now"}
    ).json()
    assert changed["version"] == 2
    versions = http.get(f"/v2/evaluators/{evaluator['id']}/versions").json()["data"]
    assert [v["version"] for v in versions] == [2, 1]
    send(http, "t-again", "good answer")
    eventually(lambda: scores(http, traceId="t-again"))
    assert judge.asked[-1]["messages"][0]["content"] == "Rate why? good answer now"
    assert http.patch(f"/v2/evaluation-rules/{rule['id']}", json={"enabled": False}).json()["enabled"] is False
    assert http.delete(f"/v2/evaluators/{evaluator['id']}").json() == {"id": evaluator["id"]}
    assert http.get(f"/v2/evaluation-rules/{rule['id']}").json()["evaluatorAssignments"] == []


def test_a_refused_key_pauses_and_a_restart_goes_on(tmp_path: Path) -> None:
    rules: list[tuple[str, Any]] = [("good answer", 401)]
    with JudgeStub(rules) as judge:
        env = {"TWINLENS_JUDGE_BASE_URL": judge.url}
        with LiveServer(tmp_path, env=env) as server, api(server.url) as http:
            evaluator = made(http, "/v2/evaluators", JUDGE)
            made(http, "/v2/evaluation-rules", {
                "name": "all", "enabled": True, "evaluatorAssignments": [{"evaluatorId": evaluator["id"]}],
            })  # fmt: skip
            send(http, "t-1", "good answer")
            path = f"/v2/evaluators/{evaluator['id']}"
            eventually(lambda: http.get(path).json()["status"] == "paused")
            assert "401" in http.get(path).json()["pausedMessage"]
            native = f"{server.url}/api/twinlens/v1/projects/default/evaluators"
            (row,) = httpx.get(native).json()["evaluators"]
            assert (row["paused"], row["failed"], row["done"], row["rules"][0]["enabled"]) == (True, 1, 0, True)
            (failed,) = httpx.get(f"{native}/{row['id']}/evaluations?status=failed").json()["evaluations"]
            assert (failed["trace_id"], failed["attempts"]) == ("t-1", 1)
            assert "401" in failed["error"]
            server.kill()
        judge.rules[:] = [("good answer", {"reasoning": "at last", "score": 1})]
        with LiveServer(tmp_path, env=env) as server, api(server.url) as http:
            assert http.get(path).json()["status"] == "paused"
            http.patch(path, json={"modelConfig": {"provider": "openai", "model": "judge-2"}})
            (score,) = eventually(lambda: scores(http, traceId="t-1"))
            assert (score["value"], score["comment"], judge.asked[-1]["model"]) == (1, "at last", "judge-2")
            assert http.get(path).json()["status"] == "active"
            judge.rules[:] = [("good answer", 404)]
            send(http, "t-2", "good answer")
            eventually(lambda: http.get(path).json()["status"] == "paused")
            judge.rules[:] = [("good answer", {"reasoning": "back", "score": 0})]
            resumed = httpx.post(f"{server.url}/api/twinlens/v1/projects/default/evaluators/{evaluator['id']}/resume")
            assert resumed.json()["paused"] is False
            (score,) = eventually(lambda: scores(http, traceId="t-2"))
            assert (score["value"], score["comment"]) == (0, "back")


@pytest.mark.peer
def test_mlflow_scorers_are_the_same_judges(
    server: LiveServer, http: httpx.Client, judge: JudgeStub, tmp_path: Path
) -> None:
    with MlflowPeer(server.url, tmp_path) as mlflow:
        found = mlflow.run("""
        from mlflow.genai.judges import make_judge
        from mlflow.genai.scorers import list_scorers, get_scorer, delete_scorer, RelevanceToQuery, scorer
        from mlflow.genai.scorers.registry import list_scorer_versions
        from mlflow.tracking._tracking_service.utils import _get_store
        e = mlflow.set_experiment("judged").experiment_id
        def kind(text):
            return make_judge(name="kind", instructions=text, model="openai:/judge-1", feedback_value_type=bool)
        first = kind("Is {{ outputs }} kind?").register(experiment_id=e)
        kind("Is {{ outputs }} kind, polite one?").register(experiment_id=e)
        RelevanceToQuery().register(experiment_id=e)
        store = _get_store()
        stored = {s.scorer_name: s for s in store.list_scorers(e)}
        config = store.upsert_online_scoring_config(e, "kind", 1.0, "tags.team = 'geo'")
        @mlflow.trace
        def answer(question, team):
            mlflow.update_current_trace(tags={"team": team})
            return "polite one to " + question
        answer("ada", "geo"); one = mlflow.get_last_active_trace_id()
        answer("bob", "sea"); two = mlflow.get_last_active_trace_id()
        mlflow.flush_trace_async_logging()
        result = {
            "names": sorted(s.name for s in list_scorers(experiment_id=e)), "traces": [one, two],
            "versions": {v: s.instructions for s, v in list_scorer_versions(name="kind", experiment_id=e)},
            "instructions": [get_scorer(name="kind", experiment_id=e, version=v).instructions for v in (1, 2)],
            "configs": [c.to_dict() for c in store.get_online_scoring_configs([stored["kind"].scorer_id])],
            "id": stored["kind"].scorer_id, "config": config.to_dict(),
        }
        """)
        assert found["names"] == ["kind", "relevance_to_query"]
        made(http, "/v2/evaluators", JUDGE | {"name": "foreign"})
        made(
            http,
            "/v2/evaluators",
            {"name": "foreign code", "type": "code", "sourceCode": "x", "sourceCodeLanguage": "PYTHON"},
        )
        foreign = mlflow.run("""
        result = {s.name: (s.instructions, s.model) for s in list_scorers(experiment_id="0") if s.name.startswith("foreign")}
        """)
        assert foreign == {
            "foreign": ["Question {{ inputs }} Answer {{ outputs }} Is it helpful?", "openai:/judge-1"]
        }  # fmt: skip
        assert found["instructions"] == ["Is {{ outputs }} kind?", "Is {{ outputs }} kind, polite one?"]
        assert found["versions"] == dict(zip("12", found["instructions"], strict=True))
        assert found["configs"] == [found["config"]]
        one, two = found["traces"]
        values = eventually(lambda: mlflow.run(
            f"result = [(a.name, a.value, a.source.source_type, a.rationale) for a in mlflow.get_trace({one!r}).info.assessments]"
        ))  # fmt: skip
        assert values == [["kind", True, "LLM_JUDGE", "kind"]]
        assert scores(http, traceId=two[3:]) == []
        evaluators = {e["name"]: e for e in http.get("/v2/evaluators").json()["data"]}
        assert evaluators["kind"]["prompt"] == [{"role": "user", "content": "Is {{ outputs }} kind, polite one?"}]
        assert evaluators["kind"]["outputDefinition"] == {"dataType": "BOOLEAN"}
        assert (evaluators["relevance_to_query"]["type"], evaluators["relevance_to_query"]["status"]) == (
            "code",
            "paused",
        )
        assert "does not execute" in evaluators["relevance_to_query"]["pausedMessage"]
        with pytest.raises(ClientError):
            mlflow.run("""
            @scorer
            def length(outputs):
                return len(outputs)
            length.register(experiment_id=e)
            """)
        mlflow.run("delete_scorer(name='kind', experiment_id=e, version='all')")
        assert "kind" not in {e["name"] for e in http.get("/v2/evaluators").json()["data"]}


def test_langfuses_typed_client_reads_the_rows(server: LiveServer) -> None:
    found = run_json("langfuse4", _TYPED, server.url)
    assert found == {"variables": ["input"], "listed": True, "rule": 0.5, "code": "paused", "deleted": True}


_TYPED = """
import json
from langfuse import get_client
from langfuse.api import evaluators as ev, evaluation_rules as er, evaluation_commons as ec
api = get_client().api
made = api.evaluators.create(request=ev.CreateEvaluatorRequest_LlmAsJudge(name="typed", prompt="Rate {{input}}",
    output_definition=ec.EvaluatorOutputDefinition_Boolean()))
code = api.evaluators.create(request=ev.CreateEvaluatorRequest_Code(name="len", source_code="def f(): ...", source_code_language="PYTHON"))
rule = api.evaluation_rules.create(name="half", enabled=True, sampling=0.5, filter=[ec.EvaluationRuleFilter_Boolean(
    column="isRootObservation", operator="=", value=True)],
    evaluator_assignments=[er.EvaluationRuleEvaluatorAssignmentInput(evaluator_id=made.id)])
listed = any(e.id == made.id for e in api.evaluators.list().data)
print(json.dumps({"variables": made.variables, "listed": listed, "rule": api.evaluation_rules.get(rule.id).sampling,
    "code": code.status, "deleted": api.evaluation_rules.delete(rule.id).id == rule.id}))
"""


def test_what_is_wrong_is_said(http: httpx.Client) -> None:
    def refused(path: str, body: dict[str, Any]) -> str:
        answer = http.post(path, json=body)
        assert answer.status_code == 400, answer.text
        return str(answer.json())

    assert "prompt" in refused("/v2/evaluators", JUDGE | {"prompt": " "})
    assert "variableMapping" in refused("/v2/evaluators", JUDGE | {"variableMapping": []})
    assert "dreams" in refused("/v2/evaluators", JUDGE | {
        "prompt": "{{a}}", "variableMapping": [{"variable": "a", "source": "dreams"}],
    })  # fmt: skip
    assert "minValue" in refused(
        "/v2/evaluators", JUDGE | {"outputDefinition": {"dataType": "NUMERIC", "minValue": 2, "maxValue": 1}}
    )
    rule = {"name": "r", "enabled": True, "evaluatorAssignments": []}
    assert "at least one" in refused("/v2/evaluation-rules", rule)
    assert "no-such" in refused("/v2/evaluation-rules", rule | {"evaluatorAssignments": [{"evaluatorId": "no-such"}]})
    assert "sampling" in refused("/v2/evaluation-rules", rule | {"enabled": False, "sampling": 2})
    wrong = [{"type": "string", "column": "colour", "operator": "=", "value": "red"}]
    assert "colour" in refused("/v2/evaluation-rules", rule | {"enabled": False, "filter": wrong})
    assert http.get("/v2/evaluators/none").status_code == http.delete("/v2/evaluation-rules/none").status_code == 404
