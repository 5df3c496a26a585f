"""LLM connections through real clients; the same rows are MLflow's gateway secrets."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import PROGRAMS, run_json

GATEWAY = "/api/3.0/mlflow/gateway/secrets"
OPENAI = {"provider": "mine", "adapter": "openai", "secretKey": "sk-0123456789"}


@pytest.mark.peer
@pytest.mark.parametrize("client", ["langfuse4", "langfuse5"])
def test_clients_keep_connections(client: str, live_server: LiveServer, http: httpx.Client) -> None:
    found = run_json(client, PROGRAMS / "llm_connections.py", live_server.url)
    made, again = found["made"], found["again"]
    assert (made["provider"], made["adapter"], made["displaySecretKey"]) == ("team", "openai", "...6789")
    assert (made["baseURL"], made["customModels"], made["withDefaultModels"]) == (
        "https://llm.example/v1",
        ["big", "small"],
        False,
    )
    assert (made["extraHeaderKeys"], made["config"]) == (["X-Team"], {"useResponsesApi": True})
    assert (again["adapter"], again["displaySecretKey"], again["config"]) == ("anthropic", "...3210", None)
    assert (again["baseURL"], again["extraHeaderKeys"], found["same"]) == (made["baseURL"], ["X-Team"], True)
    assert (found["names"], found["adapters"], found["meta"]) == (
        ["other", "team"],
        ["google-ai-studio", "anthropic"],
        [2, 2],
    )
    assert (found["left"], found["gone"], found["removed"]) == (["team"], True, "LLM connection successfully deleted")
    assert "hidden-value" not in str(found)
    http.delete("/llm-connections/" + made["id"])


def test_a_connection_is_a_secret_of_mlflow(live_server: LiveServer, http: httpx.Client) -> None:
    made = http.put("/llm-connections", json=OPENAI | {"baseURL": "http://localhost:1/v1"})
    assert made.status_code == 201
    row = made.json()
    with httpx.Client(base_url=live_server.url) as mlflow:
        [secret] = mlflow.get(GATEWAY + "/list").json()["secrets"]
        assert (secret["secret_id"], secret["secret_name"], secret["provider"]) == (row["id"], "mine", "openai")
        assert (secret["masked_values"], secret["auth_config"]) == (
            {"api_key": "sk-...6789"},
            {"api_base": "http://localhost:1/v1"},
        )
        groq = {"secret_name": "fast", "secret_value": {"api_key": "gsk-123456"}, "provider": "groq"}
        mlflow.post(GATEWAY + "/create", json=groq).raise_for_status()
        assert http.put("/llm-connections", json=OPENAI | {"provider": "fast"}).json()["adapter"] == "openai"
        providers = {s["secret_name"]: s["provider"] for s in mlflow.get(GATEWAY + "/list").json()["secrets"]}
        assert providers == {"mine": "openai", "fast": "groq"}
    for each in http.get("/llm-connections").json()["data"]:
        assert http.delete("/llm-connections/" + each["id"]).status_code == 200


def test_deleting_pauses_evaluators_that_name_it(http: httpx.Client) -> None:
    made = http.put("/llm-connections", json=OPENAI).json()
    judge = {
        "name": "kind", "type": "llm_as_judge", "prompt": "Is {{output}} kind?", "modelConfig": {"provider": "mine", "model": "m"},
        "outputDefinition": {"dataType": "BOOLEAN"},
    }  # fmt: skip
    evaluator = http.post("/v2/evaluators", json=judge).json()
    http.delete("/llm-connections/" + made["id"])
    paused = http.get("/v2/evaluators/" + evaluator["id"]).json()
    assert "'mine' was deleted" in str(paused)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"secretKey": ""}, ["secretKey"]),
        ({"adapter": "none"}, ["adapter"]),
        ({"config": {"region": "x"}}, ["config"]),
        ({"adapter": "bedrock"}, ["config"]),
        ({"adapter": "anthropic", "config": {"a": 1}}, ["config"]),
        ({"baseURL": "ftp://x"}, None),
        ({"extraHeaders": {"bad name": "x"}}, None),
        ({"extraHeaders": {"X-A": "a\r\nb: c"}}, None),
    ],
)
def test_bad_connections_are_refused(changes: dict[str, Any], path: list[str] | None, http: httpx.Client) -> None:
    refused = http.put("/llm-connections", json=OPENAI | changes)
    assert refused.status_code == 400, refused.text
    if path is not None:
        assert refused.json()["error"][0]["path"] == path
    assert http.get("/llm-connections").json()["data"] == []
