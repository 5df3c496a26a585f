"""Workspaces, users and permissions with MLflow's real clients against a secured server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.envs import python_of
from tests.servers import LiveServer
from tests.wire.mlflow import recording

pytestmark = pytest.mark.peer
PROGRAM = Path(__file__).parent / "programs" / "access.py"
OWNER = ("ann@x.example", "correct horse")
ENV = {"LANGFUSE_INIT_USER_EMAIL": OWNER[0], "LANGFUSE_INIT_USER_PASSWORD": OWNER[1]}
DENIED = "PERMISSION_DENIED"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("data"), env=ENV) as server:
        yield server


def test_the_real_clients(secured: LiveServer) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    env = kept | {"MLFLOW_TRACKING_USERNAME": OWNER[0], "MLFLOW_TRACKING_PASSWORD": OWNER[1]} | recording.environment()
    command = [python_of("mlflow"), "-W", "ignore", str(PROGRAM), secured.url]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "made": ["team-a", "Team A"],
        "again": "RESOURCE_ALREADY_EXISTS",
        "updated": "A",
        "listed": ["default", "team-a"],
        "in a": ["Default", "in-a"],
        "in default": ["Default"],
        "restricted": "INVALID_PARAMETER_VALUE",
        "moved": "INVALID_PARAMETER_VALUE",
        "cascaded": "ok",
        "gone": "RESOURCE_DOES_NOT_EXIST",
        "user": ["vera", False],
        "taken": "RESOURCE_ALREADY_EXISTS",
        "weak": "INVALID_PARAMETER_VALUE",
        "viewer": ["ok", DENIED, "ok", DENIED],
        "viewer creates users": DENIED,
        "viewer asks for others": DENIED,
        "viewer asks for herself": "vera",
        "viewer grants": DENIED,
        "wrong password": "INVALID_PARAMETER_VALUE",
        "password": "ok",
        "old password": "UNAUTHENTICATED",
        "new password": "ok",
        "effective": "EDIT",
        "granted twice": "RESOURCE_ALREADY_EXISTS",
        "added twice": "RESOURCE_ALREADY_EXISTS",
        "assigned twice": "RESOURCE_ALREADY_EXISTS",
        "nothing changed": "INVALID_PARAMETER_VALUE",
        "granted": ["ok", "ok", "ok", "ok"],
        "denied": [DENIED, DENIED, "ok", DENIED],  # a search finds nothing there
        "found": [True],
        "no deletion by EDIT": DENIED,
        "seen": ["Default", "private"],
        "revoked": ["ok", DENIED, "ok", DENIED],
        "role": ["curators", "default", "They curate"],
        "bad type": "INVALID_PARAMETER_VALUE",
        "bad permission": "INVALID_PARAMETER_VALUE",
        "updated permission": "MANAGE",
        "members": 1,
        "roles of nora": ["curators"],
        "all roles": ["curators"],
        "renamed": "keepers",
        "read": ["keepers", 1],
        "emptied": [0, 0],
        "role gone": "RESOURCE_DOES_NOT_EXIST",
        "admin": True,
        "user gone": "RESOURCE_DOES_NOT_EXIST",
        "workspace": "default",
    }


def test_a_user_without_a_role_sees_only_what_is_granted(secured: LiveServer) -> None:
    with secured.client(auth=OWNER) as owner:
        made = {
            name: owner.post("/api/2.0/mlflow/experiments/create", json={"name": name}).json()["experiment_id"]
            for name in ("mine", "theirs")
        }
        body = {"username": "zoe", "password": "correct horse"}
        zoe = owner.post("/api/2.0/mlflow/users/create", json=body).raise_for_status().json()["user"]
        for path in ("organizations", "projects/default"):
            off = {"userId": zoe["id"], "role": "VIEWER"}
            owner.put(f"/api/public/{path}/memberships", json=off).raise_for_status()
        operation = {"op": "replace", "path": "roles", "value": ["NONE"]}
        owner.patch(f"/api/public/scim/Users/{zoe['id']}", json={"Operations": [operation]}).raise_for_status()
        owner.request("DELETE", "/api/public/projects/default/memberships", json=off).raise_for_status()
        with secured.client(auth=("zoe", "correct horse")) as client:
            search = "/api/2.0/mlflow/experiments/search"
            assert client.post(search, json={"max_results": 10}).status_code == 403
            grant = {
                "username": "zoe",
                "resource_type": "experiment",
                "resource_id": made["mine"],
                "permission": "EDIT",
            }
            owner.post("/api/3.0/mlflow/users/permissions/grant", json=grant).raise_for_status()
            seen = client.post(search, json={"max_results": 10}).json()["experiments"]
            assert [one["name"] for one in seen] == ["mine"]
            run = {"experiment_id": made["mine"]}
            made_run = client.post("/api/2.0/mlflow/runs/create", json=run)
            assert made_run.status_code == 200, made_run.text
            run_id = made_run.json()["run"]["info"]["run_id"]
            metric = {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1, "step": 0}
            assert client.post("/api/2.0/mlflow/runs/log-metric", json=metric).status_code == 200
            for path, wanted in (("mine", 200), ("theirs", 403)):
                got = client.get("/api/2.0/mlflow/experiments/get", params={"experiment_id": made[path]})
                assert got.status_code == wanted
            both = {"experiment_ids": list(made.values())}
            found = client.post("/api/2.0/mlflow/runs/search", json=both).json()["runs"]
            assert [one["info"]["run_id"] for one in found] == [run_id]  # those of the others are left out
            assert client.get("/api/2.0/mlflow/registered-models/search").json().get("registered_models", []) == []
            servers = "/api/3.0/mlflow/mcp-servers"
            for name in ("a.b/mine", "a.b/theirs"):
                owner.post(servers, json={"name": name}).raise_for_status()
            grant |= {"resource_type": "mcp_server", "resource_id": "a.b/mine"}
            owner.post("/api/3.0/mlflow/users/permissions/grant", json=grant).raise_for_status()
            assert [one["name"] for one in client.get(servers).json()["mcp_servers"]] == ["a.b/mine"]
            version = {"server_json": {"name": "a.b/mine", "version": "1.0.0"}}
            assert client.post(f"{servers}/a.b%2Fmine/versions", json=version).status_code == 200
            assert client.get(f"{servers}/a.b%2Ftheirs").status_code == 403
            assert client.post(servers, json={"name": "a.b/another"}).status_code == 403
            skills = "/api/3.0/mlflow/skills"
            for name in ("@a/mine", "theirs"):
                body = {"source": "https://git.example/s.git"}
                owner.post(f"{skills}/{name}/versions", json=body).raise_for_status()
            grant |= {"resource_type": "skill", "resource_id": "@a/mine"}
            owner.post("/api/3.0/mlflow/users/permissions/grant", json=grant).raise_for_status()
            assert [one["name"] for one in client.get(skills).json()["skills"]] == ["mine"]
            assert client.post(f"{skills}/@a/mine/tags", json={"key": "k", "value": "v"}).status_code == 200
            several = {
                "organization": "a",
                "skills": [{"name": "mine", "source": "x", "digest": "x"}, {"name": "other"}],
            }
            for verb, path, sent in (
                ("GET", "/theirs", None), ("POST", "/theirs/versions", body), ("DELETE", "/@a/mine", None),
                ("POST", "", {"name": "mine"}), ("POST", "/bulk-register", several),
            ):  # fmt: skip
                assert client.request(verb, skills + path, json=sent).status_code == 403, path
            assert [one["name"] for one in client.get("/api/public/unstable/skills").json()["data"]] == ["@a/mine"]
            assert client.get("/api/public/unstable/skills/theirs?version=1").status_code == 403
            assert client.get("/api/public/unstable/skills/%40a%2Fmine?version=1").status_code == 200
            listed = client.get("/api/twinlens/v1/projects/default/skills").json()["skills"]
            assert [one["name"] for one in listed] == ["@a/mine"]
            # What names a thing goes by its grants on every face; what reaches over the whole project is not allowed.
            native = "/api/twinlens/v1/projects/default"
            assert client.get("/api/public/traces").json()["data"] == []
            assert client.get("/api/public/sessions").json()["data"] == []
            assert client.get(f"{native}/traces").json()["traces"] == []
            assert client.get(f"{native}/overview").json()["totals"]["traces"] == 0
            assert client.get("/api/public/datasets").status_code == 403
            assert [one["experiment_id"] for one in client.get(f"{native}/experiments").json()["experiments"]] == [
                made["mine"]
            ]
            assert client.get(f"{native}/runs/{run_id}").status_code == 200
            assert client.get(f"{native}/runs", params={"experiment_id": made["mine"]}).status_code == 200
            assert client.get(f"{native}/experiments/{made['theirs']}").status_code == 403
            assert client.patch(f"{native}/experiments/{made['mine']}", json={"name": "ours"}).status_code == 200
            assert client.delete(f"{native}/experiments/{made['mine']}").status_code == 403  # EDIT does not delete


def test_what_is_denied_is_denied_on_every_face(secured: LiveServer) -> None:
    api, native = "/api/2.0/mlflow", "/api/twinlens/v1/projects/default"
    with secured.client(auth=OWNER) as owner, secured.client(auth=("mia", "correct horse")) as mia:
        experiment = owner.post(f"{api}/experiments/create", json={"name": "closed"}).json()["experiment_id"]
        run = owner.post(f"{api}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
        now = str(time.time_ns())
        said = [
            {"key": "session.id", "value": {"stringValue": "closed-s"}},
            {"key": "user.id", "value": {"stringValue": "x"}},
        ]
        span = {
            "traceId": "1" * 32, "spanId": "2" * 16, "name": "s", "startTimeUnixNano": now, "endTimeUnixNano": now, "attributes": said,
        }  # fmt: skip
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        owner.post("/v1/traces", json=body, headers={"x-mlflow-experiment-id": experiment}).raise_for_status()
        for name in ("closed-m", "open-m"):
            owner.post(f"{api}/registered-models/create", json={"name": name}).raise_for_status()
            prompt = {"name": f"{name}-p", "type": "text", "prompt": "Hi", "labels": ["production"]}
            owner.post("/api/public/v2/prompts", json=prompt).raise_for_status()
        owner.post(f"{api}/users/create", json={"username": "mia", "password": "correct horse"}).raise_for_status()

        page = {"query": "query($i: MlflowGetRunInput) { mlflowGetRun(input: $i) { run { info { runId } } } }"}
        page["variables"] = {"i": {"runId": run}}  # type: ignore[assignment]

        closed_trace = "1" * 32

        def traces() -> list[str]:
            return [one["trace_id"] for one in mia.get(f"{native}/traces").raise_for_status().json()["traces"]]

        def seen() -> list[Any]:
            gets = [
                f"{native}/experiments/{experiment}", f"{native}/runs/{run}", f"{native}/traces/{'1' * 32}",
                f"/api/public/traces/{'1' * 32}", f"{native}/models/closed-m", f"{native}/prompts/closed-m-p",
                "/api/public/v2/prompts/closed-m-p", f"{native}/runs/compare?run_id={run}",
                f"{native}/traces?experiment_id={experiment}", f"{native}/traces/values?field=name", "/api/public/datasets",
                "/api/public/traces", f"{native}/traces", f"{native}/models/open-m", "/api/public/v2/prompts/open-m-p",
            ]  # fmt: skip
            data = mia.post("/graphql", json=page).json()["data"]["mlflowGetRun"]
            return [mia.get(path).status_code for path in gets] + [data is not None]

        assert seen() == [200] * 15 + [True]
        assert closed_trace in traces()
        for kind, id in (("experiment", experiment), ("registered_model", "closed-m"), ("prompt", "closed-m-p")):
            grant = {"username": "mia", "resource_type": kind, "resource_id": id, "permission": "DENY"}
            owner.post("/api/3.0/mlflow/users/permissions/grant", json=grant).raise_for_status()
        assert seen() == [403] * 11 + [200] * 4 + [False]
        names = [one["name"] for one in mia.get(f"{native}/models").json()["models"]]
        assert ("open-m" in names, "closed-m" in names) == (True, False)
        assert closed_trace not in traces()
        count = {
            who: client.get(f"{native}/traces/count").json()["count"] for who, client in (("o", owner), ("m", mia))
        }
        assert count["o"] - count["m"] == 1

        # So do lists and sums of all that belongs to traces.
        score = {"traceId": closed_trace, "name": "closed-score", "value": 1, "id": "closed-score-1"}
        owner.post("/api/public/scores", json=score).raise_for_status()
        owner.post(
            "/api/public/scores", json={"sessionId": "open-s", "name": "of a session", "value": 1}
        ).raise_for_status()
        metric = {
            "metrics": [{"measure": "count", "aggregation": "count"}],
            "dimensions": [{"field": "userId"}],
            "filters": [],
        }
        metric |= {"fromTimestamp": "2020-01-01T00:00:00Z", "toTimestamp": "2100-01-01T00:00:00Z"}
        asked = [
            "/observations", "/v2/observations?fields=core,trace_context", "/sessions", "/scores", "/v2/scores", "/v3/scores", "/v2/prompts",
            *(f"/metrics?query={quote(json.dumps({**metric, 'view': view}))}" for view in ("traces", "observations")),
        ]  # fmt: skip
        lists = [f"/api/public{path}" for path in asked] + [f"{native}/sessions", f"{native}/overview"]
        single = [
            f"/api/public{path}"
            for path in (f"/observations/{'2' * 16}", "/scores/closed-score-1", "/sessions/closed-s")
        ]
        for path in lists:
            known, left = (client.get(path).raise_for_status().text for client in (owner, mia))
            given = re.compile(r'closed-s|closed-m-p|"2{16}"|1{32}|"userId":"x"')
            assert (bool(given.search(known)), bool(given.search(left))) == (True, False), path
        assert [client.get(path).status_code for path in single for client in (owner, mia)] == [200, 404] * 3
        assert "of a session" in mia.get("/api/public/v3/scores").text
        daily = [client.get("/api/public/metrics/daily").json()["data"] for client in (owner, mia)]
        assert sum(day["countTraces"] for day in daily[0]) - sum(day["countTraces"] for day in daily[1]) == 1

        listed = mia.get("/api/public/traces").json()
        assert (listed["meta"]["totalItems"], closed_trace in [t["id"] for t in listed["data"]]) == (count["m"], False)

        # Searches leave out what is denied, and their pages are full all the same.
        def pages(path: str, field: str, **body: object) -> list[list[dict[str, str]]]:
            found, token = list[list[dict[str, str]]](), ""
            while True:
                asked: dict[str, Any] = {"max_results": 1, **body, "page_token": token}
                got = mia.get(path, params=asked) if "-" in field or "model" in field else mia.post(path, json=asked)
                page = got.raise_for_status().json()
                found.append(page.get(field, []))
                token = page.get("next_page_token", "")
                if not token:
                    return found

        kept = owner.post(f"{api}/experiments/create", json={"name": "kept"}).json()["experiment_id"]
        for _ in range(2):
            owner.post(f"{api}/runs/create", json={"experiment_id": kept}).raise_for_status()
        experiments = pages(f"{api}/experiments/search", "experiments")
        assert all(len(page) == 1 for page in experiments)
        assert {"kept", "closed"} & {page[0]["name"] for page in experiments} == {"kept"}
        assert [len(page) for page in pages(f"{api}/runs/search", "runs", experiment_ids=[experiment, kept])] == [1, 1]
        models = pages(f"{api}/registered-models/search", "registered_models")
        assert all(len(page) == 1 for page in models)
        assert {"open-m", "closed-m"} & {page[0]["name"] for page in models} == {"open-m"}
        prompts = pages(
            f"{api}/registered-models/search", "registered_models", filter="tags.`mlflow.prompt.is_prompt` = 'true'"
        )
        assert [page[0]["name"] for page in prompts] == ["open-m-p"]
        for name in ("closed-m", "open-m"):
            version = {"name": name, "source": "s3://bucket/model"}
            owner.post(f"{api}/model-versions/create", json=version).raise_for_status()
        versions = pages(f"{api}/model-versions/search", "model_versions")
        assert [page[0]["name"] for page in versions] == ["open-m"]
        assert mia.post(f"{native}/runs/delete", json={"run_ids": [run]}).status_code == 403
        assert mia.post("/api/public/ingestion", json={"batch": []}).status_code == 403

        # Grants follow a model to its new name, and end with it.
        rename = {"name": "closed-m", "new_name": "moved-m"}
        owner.post(f"{api}/registered-models/rename", json=rename).raise_for_status()
        assert mia.get(f"{native}/models/moved-m").status_code == 403
        owner.request("DELETE", f"{api}/registered-models/delete", json={"name": "moved-m"}).raise_for_status()
        owner.post(f"{api}/registered-models/create", json={"name": "moved-m"}).raise_for_status()
        assert mia.get(f"{native}/models/moved-m").status_code == 200
