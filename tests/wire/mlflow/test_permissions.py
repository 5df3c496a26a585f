"""Workspaces, users and permissions with MLflow's real clients against a secured server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.envs import python_of
from tests.servers import LiveServer

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
    env = kept | {"MLFLOW_TRACKING_USERNAME": OWNER[0], "MLFLOW_TRACKING_PASSWORD": OWNER[1]}
    command = [python_of("mlflow"), "-W", "ignore", str(PROGRAM), secured.url]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
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
        "granted": ["ok", "ok", "ok", "ok"],
        "denied": [DENIED, DENIED, DENIED, DENIED],
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
            assert client.post("/api/2.0/mlflow/runs/search", json=both).status_code == 403
            assert client.get("/api/2.0/mlflow/registered-models/search").json().get("registered_models", []) == []
            # Other faces know no single resources, so there nothing is allowed.
            assert client.get("/api/public/traces").status_code == 403
            assert client.get("/api/twinlens/v1/projects/default/traces").status_code == 403
