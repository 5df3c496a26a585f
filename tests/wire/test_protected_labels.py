"""Protected prompt labels: owners, administrators and key pairs move them, members do not, on every face."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.servers import LiveServer

KEYS = ("pk-lf-own", "sk-lf-own-0123456789")
OWNER, MEMBER = ("ann@x.example", "long enough"), ("bob@x.example", "long enough")
NATIVE = "/api/twinlens/v1/projects/default"
PROMPTS = "/api/public/v2/prompts"
MLFLOW = "/api/2.0/mlflow/registered-models/alias"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    env = {
        "TWINLENS_MODE": "secured", "LANGFUSE_INIT_USER_EMAIL": OWNER[0], "LANGFUSE_INIT_USER_PASSWORD": OWNER[1],
        "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": KEYS[0], "LANGFUSE_INIT_PROJECT_SECRET_KEY": KEYS[1],
    }  # fmt: skip
    with LiveServer(tmp_path_factory.mktemp("data"), env=env) as running:
        with running.client(auth=OWNER) as owner:
            body = {"email": MEMBER[0], "password": MEMBER[1], "role": "MEMBER"}
            owner.post("/api/twinlens/v1/organization/members", json=body).raise_for_status()
        yield running


@pytest.fixture
def owner(server: LiveServer) -> Iterator[httpx.Client]:
    with server.client(auth=OWNER) as client:
        yield client


@pytest.fixture
def member(server: LiveServer) -> Iterator[httpx.Client]:
    with server.client(auth=MEMBER) as client:
        yield client


def test_a_member_may_not_move_a_protected_label_and_a_key_pair_may(
    server: LiveServer, owner: httpx.Client, member: httpx.Client
) -> None:
    for text in ("one", "two"):
        member.post(PROMPTS, json={"name": "greet", "prompt": text}).raise_for_status()
    assert member.put(f"{NATIVE}/protected-labels/production").status_code == 403
    assert owner.put(f"{NATIVE}/protected-labels/latest").status_code == 400
    assert owner.put(f"{NATIVE}/protected-labels/production").status_code == 204
    assert member.get(f"{NATIVE}/protected-labels").json() == {"labels": ["production"]}
    assert member.get(f"{NATIVE}/prompts/greet").json()["may_move_protected"] is False
    assert owner.get(f"{NATIVE}/prompts/greet").json()["may_move_protected"] is True

    with server.client(auth=KEYS) as pipeline:
        moved = pipeline.patch(f"{PROMPTS}/greet/versions/1", json={"newLabels": ["production"]})
    assert sorted(moved.json()["labels"]) == ["production"]
    refused = [
        member.patch(f"{PROMPTS}/greet/versions/2", json={"newLabels": ["staging", "production"]}),
        member.post(PROMPTS, json={"name": "greet", "prompt": "three", "labels": ["production"]}),
        member.delete(f"{PROMPTS}/greet?label=production"),
        member.delete(f"{PROMPTS}/greet"),
        member.put(f"{NATIVE}/prompts/greet/labels/production", json={"version": 2}),
        member.delete(f"{NATIVE}/prompts/greet/labels/production"),
        member.post(MLFLOW, json={"name": "greet", "alias": "production", "version": "2"}),
        member.request("DELETE", MLFLOW, json={"name": "greet", "alias": "production"}),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert refused[0].json()["error"] == "ForbiddenError"
    assert "Protected label: production" in refused[0].json()["message"]
    assert refused[6].json()["error_code"] == "PERMISSION_DENIED"
    detail = member.get(f"{NATIVE}/prompts/greet").json()["prompt"]
    assert (detail["versions"], detail["labels"]) == (2, {"latest": 2, "production": 1})  # nothing half-written

    assert member.patch(f"{PROMPTS}/greet/versions/2", json={"newLabels": ["staging"]}).status_code == 200
    assert owner.put(f"{NATIVE}/prompts/greet/labels/production", json={"version": 2}).status_code == 200
    assert owner.delete(f"{NATIVE}/protected-labels/production").status_code == 204
    assert owner.delete(f"{NATIVE}/protected-labels/production").status_code == 404
    assert member.delete(f"{PROMPTS}/greet").status_code == 204
    told = [(e["action"], e["object_type"], e["object_id"]) for e in owner.get(f"{NATIVE}/audit").json()["entries"]]
    assert ("create", "protected label", "production") in told
    assert ("delete", "protected label", "production") in told

    # nor by way of an archive
    row = {"kind": "row", "table": "protected_labels", "values": {"label": "gold"}}
    assert member.post(f"{NATIVE}/records", json=row).status_code == 403
    with server.client(auth=KEYS) as pipeline:
        assert pipeline.post(f"{NATIVE}/records", json=row).status_code == 200
    tables = [{r["table"] for r in who.get(f"{NATIVE}/records/row").json()["records"]} for who in (member, owner)]
    assert tables == [set(), {"protected_labels"}]
    assert owner.delete(f"{NATIVE}/protected-labels/gold").status_code == 204
