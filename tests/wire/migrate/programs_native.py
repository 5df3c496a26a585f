"""One of everything that a project is set up with, through the APIs that have a call for it."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from contextlib import closing
from typing import Any

import httpx

from tests.servers import LiveServer

NATIVE = "/api/twinlens/v1/projects/default"
SECRET = "not-to-be-found-anywhere"
_SKILL = "---\nname: pdf-forms\ndescription: Fill PDF forms.\n---\n# Forms\n"
IMAGE = bytes([0, 255]) * 200_000
_WIDGET = {
    "name": "Cost by model", "view": "observations", "dimensions": ["providedModelName"],
    "metrics": [{"measure": "totalCost", "agg": "sum"}], "chart_type": "HORIZONTAL_BAR",
}  # fmt: skip


def _post(http: httpx.Client, path: str, body: dict[str, Any], verb: str = "POST") -> Any:
    answer = http.request(verb, path, json=body)
    assert answer.is_success, f"{path}: {answer.text}"
    return answer.json() if answer.content else None


def _upload(http: httpx.Client) -> None:
    """A skill with a file that is no text, as MLflow's client sends it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in (("SKILL.md", _SKILL.encode()), ("icon.png", IMAGE)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    files = {"metadata": (None, "{}"), "content": ("content.tar.gz", packed.getvalue())}
    answer = http.post("/api/3.0/mlflow/skills/@acme/pdf-forms/versions", files=files)
    assert answer.is_success, answer.text


def set_up(server: LiveServer, trace_id: str, experiment_id: str) -> None:
    """Fill the project's settings. Nothing here is called by the server: no event comes, what runs by itself is off."""
    nowhere = "http://127.0.0.1:9"
    with server.client() as http:
        hook = {"url": "https://1.1.1.1/", "events": ["budget_policy.exceeded"]}
        _post(http, f"{NATIVE}/webhooks", hook | {"name": "signed", "secret": SECRET})
        _post(http, f"{NATIVE}/webhooks", hook | {"name": "plain"})
        export = {"kind": "S3", "bucket": "lake", "region": "eu-west-1", "access_key": "ak", "secret": SECRET}
        _post(http, f"{NATIVE}/scheduled-export", export | {"enabled": False}, "PUT")
        _post(http, f"{NATIVE}/protected-labels/production", {}, "PUT")
        board = _post(http, f"{NATIVE}/dashboards", {"name": "Money"})["dashboard"]["id"]
        _post(http, f"{NATIVE}/dashboards/{board}/widgets", _WIDGET)
        config = _post(http, f"{NATIVE}/score-configs", {"name": "kind", "data_type": "BOOLEAN"})["config_id"]
        queue = {"name": "to read", "config_ids": [config], "reviewers": ["ann", "bob"]}
        queue_id = _post(http, f"{NATIVE}/queues", queue)["queue_id"]
        _post(http, f"{NATIVE}/queues/{queue_id}/items", {"objects": [{"type": "TRACE", "id": trace_id}]})
        item = http.get(f"{NATIVE}/queues/{queue_id}/items").json()["items"][0]["item_id"]
        answers = {"answers": [{"config_id": config, "value": True}], "reviewer": "ann"}
        _post(http, f"{NATIVE}/queues/{queue_id}/items/{item}/review", answers)
        _post(http, f"{NATIVE}/environments", {"name": "edge", "config": {"region": "eu"}})
        _post(http, f"{NATIVE}/deployments", {"name": "helper", "environment": "edge", "version": "7"})
        _post(http, "/api/public/unstable/skills", {"files": [{"path": "SKILL.md", "content": _SKILL}]})
        _post(http, "/api/public/unstable/skills/pdf-forms/versions/1", {"labels": ["production"]}, "PATCH")
        _upload(http)
        for name, text in (("part", "Be kind."), ("whole", "@@@langfusePrompt:name=part|label=production@@@ Go.")):
            body = {"name": name, "prompt": text, "labels": ["production"]}
            _post(http, "/api/public/v2/prompts", body)
        _post(http, "/api/3.0/mlflow/issues", {"experiment_id": experiment_id, "name": "Too long"})
        _gateway(http, nowhere)
        _in_experiment(http, experiment_id)
        _mcp(http)
        evaluator = {
            "name": "true", "type": "llm_as_judge", "prompt": "Is {{output}} true?",
            "modelConfig": {"provider": "house", "model": "m-1"}, "outputDefinition": {"dataType": "NUMERIC"},
        }  # fmt: skip
        made = _post(http, "/api/public/v2/evaluators", evaluator)["id"]
        rule = {"name": "all", "filter": [], "evaluatorAssignments": [{"evaluatorId": made}], "enabled": False}
        rule_id = _post(http, "/api/public/v2/evaluation-rules", rule)["id"]
    # what only a call to a model leaves behind
    with closing(sqlite3.connect(server.data / "catalog.db", timeout=10)) as catalog, catalog:
        catalog.execute("INSERT INTO gateway_usage VALUES ('default', 60000000000, 'e', 'ann', 2, 1, 300, 0.5)")
        catalog.execute(
            "INSERT INTO evaluations (project_id, evaluation_id, evaluator_id, rule_id, trace_id, span_id, target, status, "
            "attempts, due_ns, created_ns, updated_ns) VALUES ('default', 'e-1', ?, ?, ?, '', 'trace', 'done', 1, 1, 1, 1)",
            (made, rule_id, trace_id),
        )


def _mcp(http: httpx.Client) -> None:
    at = "/api/3.0/mlflow/mcp-servers/example.acme%2Fsearch"
    body = {
        "server_json": {"name": "example.acme/search", "description": "Search", "version": "1.0.0"},
        "status": "active",
    }
    _post(http, f"{at}/versions", body)
    _post(http, f"{at}/aliases", {"alias": "stable", "version": "1.0.0"})
    _post(http, f"{at}/tags", {"key": "team", "value": "a"})
    _post(http, f"{at}/endpoints", {"url": "https://mcp.example.com/", "server_version": "1.0.0"})


def _in_experiment(http: httpx.Client, experiment_id: str) -> None:
    """What names its experiment in each of the ways there are: a column, a field, and inside a body."""
    schema = {
        "experiment_id": experiment_id,
        "name": "how good",
        "input": {"numeric": {"min_value": 0, "max_value": 1}},
    }
    _post(http, "/api/3.0/mlflow/label-schemas/create", schema)
    judge = {
        "instructions": "Is {{ outputs }} short?",
        "model": "gateway:/chat",
        "feedback_value_type": {"type": "boolean"},
    }
    named = {"experiment_id": experiment_id, "name": "short"}
    scorer = {"serialized_scorer": json.dumps({"name": "short", "instructions_judge_pydantic_data": judge})}
    _post(http, "/api/3.0/mlflow/scorers/register", named | scorer)
    _post(http, "/api/3.0/mlflow/scorers/online-config", named | {"sample_rate": 0}, "PUT")


def _gateway(http: httpx.Client, nowhere: str) -> None:
    connection = {"name": "house", "provider": "openai", "api_key": SECRET, "base_url": nowhere, "models": ["m-1"]}
    held = _post(http, f"{NATIVE}/connections", connection)["id"]
    _post(http, f"{NATIVE}/connections", {"name": "open", "provider": "ollama", "base_url": nowhere})
    endpoint = {"name": "chat", "targets": [{"connection_id": held, "model": "m-1"}]}
    made = _post(http, f"{NATIVE}/gateway/endpoints", endpoint)["id"]
    _post(http, f"{NATIVE}/gateway/budgets", {"amount": 5, "scope": "ENDPOINT", "target": made})
    rpc = "/api/3.0/mlflow/gateway"
    _post(http, f"{rpc}/endpoints/set-tag", {"endpoint_id": made, "key": "team", "value": "a"})
    bound = {"endpoint_id": made, "resource_type": "scorer", "resource_id": "x"}
    _post(http, f"{rpc}/endpoints/bindings/create", bound)
    judge = {
        "instructions": "Is {{ outputs }} rude?",
        "model": "gateway:/chat",
        "feedback_value_type": {"type": "boolean"},
    }
    scorer = {
        "experiment_id": "0", "name": "rude",
        "serialized_scorer": json.dumps({"name": "rude", "instructions_judge_pydantic_data": judge}),
    }  # fmt: skip
    scorer_id = _post(http, "/api/3.0/mlflow/scorers/register", scorer)["scorer_id"]
    rail = {"name": "polite", "scorer_id": scorer_id, "scorer_version": 1, "stage": "AFTER", "action": "VALIDATION"}
    rail_id = _post(http, f"{rpc}/guardrails/create", rail)["guardrail"]["guardrail_id"]
    _post(http, f"{rpc}/guardrails/add-to-endpoint", {"endpoint_id": made, "guardrail_id": rail_id})
