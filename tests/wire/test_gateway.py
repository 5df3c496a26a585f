"""Calls through the gateway: real OpenAI and Anthropic clients, a provider on loopback, fallback, split, budgets, guardrails, traces."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.envs import python_of
from tests.judge_stub import JudgeStub
from tests.servers import LiveServer, eventually
from tests.stub_llm import Asked, listening_llm
from tests.webhook_receiver import Receiver
from tests.wire.langfuse.clients import api, environment_for
from tests.wire.mlflow import recording
from tests.wire.mlflow.recording import proven_routes, routes_of_test  # noqa: F401 - fixtures for every test here

COST = 123 * 0.15e-6 + 45 * 0.6e-6  # gpt-4o-mini
HELLO = {"messages": [{"role": "user", "content": "Why?"}]}
Provider = tuple[str, Asked]


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One whose webhooks may call this machine."""
    with LiveServer(tmp_path_factory.mktemp("data"), env={"TWINLENS_WEBHOOK_ADDRESSES": "any"}) as server:
        yield server


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with listening_llm() as found:
        yield found


class Configured:
    """A server whose gateway is set up through MLflow's calls."""

    def __init__(self, url: str, provider: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60)
        self._provider = provider
        self._count = 0

    def rpc(self, path: str, body: dict[str, Any], verb: str = "POST") -> dict[str, Any]:
        answer = self.http.request(verb, "/api/3.0/mlflow/gateway" + path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def secret(self, provider: str = "openai", base: str | None = None) -> str:
        self._count += 1
        body = {
            "secret_name": f"{provider}-{self._count}", "secret_value": {"api_key": "sk-provider-0123"}, "provider": provider,
            "auth_config": {"api_base": base or self._provider},
        }  # fmt: skip
        return self.rpc("/secrets/create", body)["secret"]["secret_id"]

    def model(self, model: str, provider: str = "openai", base: str | None = None) -> str:
        self._count += 1
        body = {
            "name": f"m-{self._count}", "secret_id": self.secret(provider, base), "provider": provider,
            "model_name": model,
        }  # fmt: skip
        return self.rpc("/model-definitions/create", body)["model_definition"]["model_definition_id"]

    def endpoint(self, name: str, *models: tuple[str, str, float], **more: Any) -> dict[str, Any]:
        configs = [
            {"model_definition_id": id, "linkage_type": linkage, "weight": weight, "fallback_order": order}
            for order, (id, linkage, weight) in enumerate(models)
        ]
        return self.rpc("/endpoints/create", {"name": name, "model_configs": configs, **more})["endpoint"]

    def single(self, name: str, model: str = "gpt-4o-mini", provider: str = "openai", **more: Any) -> dict[str, Any]:
        return self.endpoint(name, (self.model(model, provider), "PRIMARY", 1), **more)

    def ask(self, name: str, body: dict[str, Any] = HELLO) -> httpx.Response:
        return self.http.post(f"/gateway/{name}/mlflow/invocations", json=body)

    def traces(self, experiment_id: str, count: int) -> list[dict[str, Any]]:
        """The newest traces of an experiment, awaited: a stream's trace is stored when it has ended."""
        where = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}]

        def look() -> list[dict[str, Any]] | None:
            found = self.http.post("/api/3.0/mlflow/traces/search", json={"locations": where}).json().get("traces", [])
            return found if len(found) >= count else None

        return eventually(look)

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        trace = self.http.get("/api/3.0/mlflow/traces/get", params={"trace_id": trace_id}).json()["trace"]
        return trace["spans"]


@pytest.fixture(scope="module")
def gateway(live_server: LiveServer, provider: Provider) -> Configured:
    return Configured(live_server.url, provider[0])


CLIENTS = """
import json, sys
import anthropic, openai
url = sys.argv[1]
ask = [{"role": "user", "content": "Why?"}]
unified = openai.OpenAI(base_url=url + "/gateway/mlflow/v1", api_key="any")
direct = openai.OpenAI(base_url=url + "/gateway/openai/v1", api_key="any")
claude = anthropic.Anthropic(base_url=url + "/gateway/anthropic", api_key="any")
found = {}
found["chat"] = unified.chat.completions.create(model="sdk-openai", messages=ask).choices[0].message.content
found["stream"] = [c.choices[0].delta.content for c in unified.chat.completions.create(model="sdk-openai", messages=ask, stream=True)]
found["translated"] = unified.chat.completions.create(model="sdk-anthropic", messages=[{"role": "system", "content": "Be brief"}, *ask]).model_dump()
last = None
text = ""
for chunk in unified.chat.completions.create(model="sdk-anthropic", messages=ask, stream=True, stream_options={"include_usage": True}):
    text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    last = chunk
found["translated stream"] = [text, last.usage.model_dump()]
found["direct"] = direct.chat.completions.create(model="sdk-openai", messages=ask).usage.total_tokens
found["embedding"] = direct.embeddings.create(model="sdk-openai", input="Why?", encoding_format="float").data[0].embedding
found["unified embedding"] = unified.embeddings.create(model="sdk-openai", input="Why?", encoding_format="float").data[0].embedding
found["response"] = direct.responses.create(model="sdk-openai", input="Why?").output_text
found["models"] = [m.id for m in unified.models.list() if m.id.startswith("sdk-")]
message = claude.messages.create(model="sdk-anthropic", max_tokens=10, messages=ask)
found["message"] = [message.content[0].text, message.usage.input_tokens]
with claude.messages.stream(model="sdk-anthropic", max_tokens=10, messages=ask) as stream:
    found["message stream"] = stream.get_final_text()
try:
    claude.messages.create(model="sdk-openai", max_tokens=10, messages=ask)
except anthropic.BadRequestError as error:
    found["refused"] = str(error)
try:
    unified.chat.completions.create(model="none", messages=ask)
except openai.NotFoundError as error:
    found["unknown"] = error.body["message"]
print(json.dumps(found))
"""


@pytest.mark.peer
def test_real_clients_call_any_provider(gateway: Configured, provider: Provider) -> None:
    tracked = gateway.single("sdk-openai")
    other = gateway.single("sdk-anthropic", "claude-sonnet-4-5", "anthropic")
    url = str(gateway.http.base_url).rstrip("/")
    command = [python_of("frameworks"), "-W", "ignore", "-c", CLIENTS, url]
    env = environment_for(url) | recording.environment()
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["chat"] == found["response"] == found["message stream"] == "Because."
    assert found["stream"] == [
        "Be",
        "cause.",
        None,
    ]  # the chunk with usage, which the client did not ask for, is taken out
    translated = found["translated"]
    assert translated["choices"][0]["message"]["content"] == "Because."
    assert (translated["usage"]["prompt_tokens"], translated["usage"]["completion_tokens"]) == (123, 45)
    assert (found["translated stream"][0], found["translated stream"][1]["total_tokens"]) == ("Because.", 168)
    assert (found["direct"], found["embedding"], found["unified embedding"]) == (168, [0.1, 0.2], [0.1, 0.2])
    assert (found["models"], found["message"]) == (["sdk-anthropic", "sdk-openai"], ["Because.", 123])
    assert "Use /gateway/mlflow/v1/chat/completions" in found["refused"]
    assert found["unknown"] == "GatewayEndpoint not found (name='none')"
    keys = {
        headers.get("Authorization", headers.get("authorization")) for path, headers, _ in provider[1] if "chat" in path
    }
    assert keys == {"Bearer sk-provider-0123"}  # the provider gets its own key, never the caller's
    claude = [(headers, body) for path, headers, body in provider[1] if path == "/v1/messages"]
    assert {h.get("x-api-key", h.get("X-Api-Key")) for h, _ in claude} == {"sk-provider-0123"}
    assert claude[0][1]["system"] == "Be brief"
    assert claude[0][1]["max_tokens"] == 8192

    infos = gateway.traces(tracked["experiment_id"], 7)
    assert Counter(info["state"] for info in infos) == {"OK": 6, "ERROR": 1}
    infos = [info for info in infos if info["state"] == "OK"]
    for info in infos:
        cost = json.loads(info["trace_metadata"]["mlflow.trace.cost"])["total_cost"]
        kind = info["trace_metadata"]["mlflow.gateway.requestType"]
        assert cost == pytest.approx(123 * 0.15e-6 if "embeddings" in kind else COST), kind
    traces = [gateway.spans(info["trace_id"]) for info in infos]
    names = {tuple(sorted(span["name"] for span in spans)) for spans in traces}
    assert names == {("gateway/sdk-openai", "provider/openai/gpt-4o-mini")}
    [streamed] = [text for text in map(json.dumps, traces) if '"stream' in text]
    assert "Because." in streamed
    claude_costs = [
        json.loads(i["trace_metadata"]["mlflow.trace.cost"])["total_cost"]
        for i in gateway.traces(other["experiment_id"], 4)
    ]
    assert all(cost > 0 for cost in claude_costs)


def test_failures_fall_back_in_order(gateway: Configured) -> None:
    models = [gateway.model("fail-503"), gateway.model("fail-429"), gateway.model("gpt-4o-mini")]
    made = gateway.endpoint("falls", *((id, "FALLBACK" if n else "PRIMARY", 1) for n, id in enumerate(models)))
    assert gateway.ask("falls").json()["choices"][0]["message"]["content"] == "Because."
    streamed = gateway.ask("falls", HELLO | {"stream": True})
    assert streamed.headers["content-type"] == "text/event-stream"
    assert "cause." in streamed.text
    newest = gateway.traces(made["experiment_id"], 2)[0]
    states = [
        s["status"]["code"] for s in sorted(gateway.spans(newest["trace_id"]), key=lambda s: s["start_time_unix_nano"])
    ]
    assert states == ["STATUS_CODE_OK", "STATUS_CODE_ERROR", "STATUS_CODE_ERROR", "STATUS_CODE_OK"]

    short = {"fallback_config": {"strategy": "SEQUENTIAL", "max_attempts": 1}}
    gateway.endpoint("short", *((id, "FALLBACK" if n else "PRIMARY", 1) for n, id in enumerate(models)), **short)
    refused = gateway.ask("short")
    assert refused.status_code == 429
    assert refused.json()["detail"] == "All 2 fallback attempts failed. Last error: the stub fails"
    gateway.endpoint("wrong", (gateway.model("fail-401"), "PRIMARY", 1), (models[2], "FALLBACK", 1))
    assert gateway.ask("wrong").status_code == 401  # a wrong key stays wrong: no fallback hides it
    gateway.endpoint(
        "gone", (gateway.model("m", base="http://127.0.0.1:9/v1"), "PRIMARY", 1), (models[2], "FALLBACK", 1)
    )
    assert gateway.ask("gone").status_code == 200


def test_traffic_is_split_by_weight(gateway: Configured, provider: Provider) -> None:
    gateway.endpoint(
        "split", (gateway.model("heavy"), "PRIMARY", 3), (gateway.model("light"), "PRIMARY", 1), (gateway.model("never"), "PRIMARY", 0),
        routing_strategy="REQUEST_BASED_TRAFFIC_SPLIT", usage_tracking=False,
    )  # fmt: skip
    for _ in range(60):
        assert gateway.ask("split").status_code == 200
    drawn = Counter(body["model"] for _, _, body in provider[1] if body["model"] in ("heavy", "light", "never"))
    assert drawn["never"] == 0
    assert 30 <= drawn["heavy"] <= 57  # 45 expected; outside of these bounds once in 100,000 runs


def test_budgets_refuse_and_count(gateway: Configured) -> None:
    made = gateway.single("budgeted", usage_tracking=False)  # counted although nothing is traced
    budget = {
        "budget_unit": "USD", "budget_amount": COST * 1.5, "duration": {"unit": "MONTHS", "value": 1}, "target_scope": "ENDPOINT",
        "target_value": made["endpoint_id"], "budget_action": "REJECT",
    }  # fmt: skip
    id = gateway.rpc("/budgets/create", budget)["budget_policy"]["budget_policy_id"]
    assert [gateway.ask("budgeted").status_code for _ in range(2)] == [200, 200]
    refused = gateway.ask("budgeted")
    assert refused.status_code == 429
    assert refused.json()["detail"].startswith("Budget limit exceeded. Limit: $0.00 USD per 1 month. Budget resets at ")
    assert int(refused.headers["retry-after"]) > 0
    [window] = [
        w
        for w in gateway.http.get("/api/3.0/mlflow/gateway/budgets/windows").json()["windows"]
        if w["budget_policy_id"] == id
    ]
    assert window["current_spend"] == pytest.approx(2 * COST)
    assert window["window_start_ms"] < window["window_end_ms"]
    gateway.rpc("/budgets/update", {"budget_policy_id": id, "budget_action": "ALERT"})
    assert gateway.ask("budgeted").status_code == 200


def test_guardrails_refuse_and_rewrite(gateway: Configured) -> None:
    rules = [
        ("rude words", {"result": False, "rationale": "it is rude"}), ("Why?", {"result": True, "rationale": "fine"}),
        ("You rewrite JSON", json.dumps({"choices": [{"message": {"role": "assistant", "content": "[REDACTED]"}}]})),
        ("Because.", {"result": False, "rationale": "too short"}),
    ]  # fmt: skip
    with JudgeStub(rules) as judge:
        gateway.endpoint("judge", (gateway.model("judge-1", base=judge.url), "PRIMARY", 1))
        made = gateway.single("guarded")

        def scorer(name: str, text: str) -> str:
            data = {"instructions": text, "model": "gateway:/judge", "feedback_value_type": {"type": "boolean"}}
            serialized = json.dumps({"name": name, "instructions_judge_pydantic_data": data})
            body = {"experiment_id": "0", "name": name, "serialized_scorer": serialized}
            return gateway.http.post("/api/3.0/mlflow/scorers/register", json=body).json()["scorer_id"]

        def use(name: str, text: str, **more: Any) -> str:
            rail = {"name": name, "scorer_id": scorer(name, text), "scorer_version": 1, **more}
            id = gateway.rpc("/guardrails/create", rail)["guardrail"]["guardrail_id"]
            gateway.rpc("/guardrails/add-to-endpoint", {"endpoint_id": made["endpoint_id"], "guardrail_id": id})
            return id

        use("polite", "Is it polite? {{ inputs }}", stage="BEFORE", action="VALIDATION")
        rude = gateway.ask("guarded", {"messages": [{"role": "user", "content": "rude words"}]})
        assert (rude.status_code, rude.json()["detail"]) == (400, "Guardrail 'polite' blocked: it is rude")
        assert gateway.ask("guarded").json()["choices"][0]["message"]["content"] == "Because."
        rewriter = gateway.http.get("/api/3.0/mlflow/gateway/endpoints/get", params={"name": "judge"}).json()[
            "endpoint"
        ]
        use(
            "long",
            "Is it long? {{ outputs }}",
            stage="AFTER",
            action="SANITIZATION",
            action_endpoint_id=rewriter["endpoint_id"],
        )
        assert gateway.ask("guarded").json()["choices"][0]["message"]["content"] == "[REDACTED]"
        gateway.rpc("/endpoints/delete", {"endpoint_id": rewriter["endpoint_id"]}, "DELETE")
        closed = gateway.ask("guarded")
        assert closed.status_code == 400
        assert "its judge could not be asked" in closed.json()["detail"]


def test_requests_that_cannot_work_are_refused(gateway: Configured, provider: Provider) -> None:
    gateway.single("plain")
    http = gateway.http
    assert http.post("/gateway/plain/mlflow/invocations", json={"prompt": "x"}).status_code == 400
    assert (
        http.post("/gateway/mlflow/v1/chat/completions", json=HELLO)
        .json()["detail"]
        .startswith("Missing required 'model'")
    )
    bad = http.post("/gateway/plain/mlflow/invocations", content=b"{", headers={"content-type": "application/json"})
    assert (bad.status_code, "Invalid JSON" in bad.json()["detail"]) == (400, True)
    for path in ("chat/%2e%2e/%2e%2e/admin", "a//b", "%2fetc", "a%5c..%5cb"):
        answer = http.post(f"/gateway/proxy/plain/{path}", json={})
        assert answer.status_code == 400, path
    before = len(provider[1])
    assert http.post("/gateway/proxy/plain/chat/completions?x=1", json=HELLO | {"model": "own"}).status_code == 200
    [(path, _, body)] = provider[1][before:]
    assert (path, body["model"]) == ("/v1/chat/completions?x=1", "own")
    gateway.endpoint("metadata", (gateway.model("m", base="http://169.254.169.254/latest"), "PRIMARY", 1))
    refused = gateway.ask("metadata")
    assert (refused.status_code, "169.254.169.254" in refused.json()["detail"]) == (502, True)
    gateway.endpoint("cloud", (gateway.model("m", "sagemaker"), "PRIMARY", 1))
    assert "signed with a cloud account" in gateway.ask("cloud").json()["detail"]
    assert http.get("/gateway/none").status_code == 404
    assert textwrap.shorten(
        http.get("/gateway/plain/mlflow/invocations").text, 30
    )  # 405 as HTML, as elsewhere in this face


def test_a_used_up_budget_is_told_to_webhooks(gateway: Configured) -> None:
    made = gateway.single("told")
    with Receiver() as receiver:
        hook = {"name": "money", "url": receiver.url, "events": ["budget_policy.exceeded"]}
        gateway.http.post("/api/twinlens/v1/projects/default/webhooks", json=hook).raise_for_status()
        budget = {"amount": COST / 2, "scope": "ENDPOINT", "target": made["endpoint_id"], "action": "ALERT"}
        gateway.http.post("/api/twinlens/v1/projects/default/gateway/budgets", json=budget).raise_for_status()
        assert [gateway.ask("told").status_code for _ in range(2)] == [200, 200]  # it only tells, and only once
        receiver.wait(lambda seen: len(seen) == 1)
        told = receiver.requests[0].data
    assert (told["target_value"], told["duration_unit"]) == (made["endpoint_id"], "MONTHS")
    assert told["current_spend"] == pytest.approx(COST)


def test_evaluators_judge_through_a_connection(gateway: Configured) -> None:
    rules = [("sky", {"reasoning": "clear", "score": 0.75})]
    with JudgeStub(rules) as judge, api(str(gateway.http.base_url).rstrip("/")) as http:
        connection = {"provider": "judges", "adapter": "openai", "secretKey": "sk-judges-key", "baseURL": judge.url}
        http.put("/llm-connections", json=connection).raise_for_status()
        evaluator = {
            "name": "true", "type": "llm_as_judge", "prompt": "Is {{output}} true?",
            "modelConfig": {"provider": "judges", "model": "j-2"}, "outputDefinition": {"dataType": "NUMERIC"},
        }  # fmt: skip
        made = http.post("/v2/evaluators", json=evaluator).raise_for_status().json()
        rule = {"name": "all", "filter": [], "evaluatorAssignments": [{"evaluatorId": made["id"]}], "enabled": True}
        http.post("/v2/evaluation-rules", json=rule).raise_for_status()
        span = {
            "id": "sp", "traceId": "judged-1", "name": "n", "output": "the sky is blue",
            "startTime": "2026-11-25T10:00:00Z", "endTime": "2026-11-25T10:00:01Z",
        }  # fmt: skip
        event = {"id": "judged-1", "type": "span-create", "timestamp": "2026-11-25T10:00:00Z", "body": span}
        http.post("/ingestion", json={"batch": [event]}).raise_for_status()
        [score] = eventually(lambda: http.get("/v3/scores", params={"traceId": "judged-1"}).json()["data"])
        assert (score["name"], score["value"]) == ("true", 0.75)
    assert (judge.asked[0]["model"], judge.keys[0]) == ("j-2", "Bearer sk-judges-key")
