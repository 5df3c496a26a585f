"""Who gets in where: open mode, key pairs, users, and two projects that never meet."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.servers import LiveServer

NATIVE = "/api/twinlens/v1"
INIT = {
    "LANGFUSE_INIT_ORG_ID": "acme",
    "LANGFUSE_INIT_ORG_NAME": "Acme Inc.",
    "LANGFUSE_INIT_PROJECT_ID": "shop",
    "LANGFUSE_INIT_PROJECT_NAME": "Shop",
    "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": "pk-lf-shop",
    "LANGFUSE_INIT_PROJECT_SECRET_KEY": "sk-lf-shop-0123456789",
    "LANGFUSE_INIT_USER_EMAIL": "Ann@acme.example",
    "LANGFUSE_INIT_USER_NAME": "Ann",
    "LANGFUSE_INIT_USER_PASSWORD": "correct horse",
}
KEYS_ONLY = {name: value for name, value in INIT.items() if "USER" not in name}


def basic(name: str, password: str) -> dict[str, str]:
    """Authorization header."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    """Authorization header."""
    return {"Authorization": f"Bearer {token}"}


SHOP = basic("pk-lf-shop", "sk-lf-shop-0123456789")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> LiveServer:
    """A secured server seeded the way Langfuse deployments are, with a second project."""
    server = LiveServer(tmp_path_factory.mktemp("secured"), env=INIT).start()
    yield server  # type: ignore[misc]
    server.stop()


@pytest.fixture(scope="module")
def other(secured: LiveServer) -> dict[str, str]:
    """Credentials of a second project of the same organization."""
    owner = basic("ann@acme.example", "correct horse")
    with secured.client(headers=owner) as client:
        client.post(f"{NATIVE}/projects", json={"name": "Blog", "id": "blog"}).raise_for_status()
        key = client.post(f"{NATIVE}/projects/blog/keys", json={"note": "ci"}).raise_for_status().json()
    return basic(key["public_key"], key["secret_key"])


def _project(client: httpx.Client, headers: dict[str, str]) -> str:
    return client.get("/api/public/projects", headers=headers).raise_for_status().json()["data"][0]["id"]


# --- open mode -------------------------------------------------------------------------------------------------------
def test_open_mode_admits_everybody_to_the_default_project(live_server: LiveServer) -> None:
    with live_server.client() as client:
        for headers in ({}, basic("pk-lf-anything", "sk-lf-anything"), bearer("whatever")):
            assert client.get(f"{NATIVE}/session", headers=headers).json()["default_project_id"] == "default"
        assert _project(client, basic("pk-lf-anything", "sk-lf-anything")) == "default"
        assert client.get("/api/2.0/mlflow/experiments/get?experiment_id=0").status_code == 200


def test_known_key_selects_its_own_project_in_open_mode(live_server: LiveServer) -> None:
    with live_server.client() as client:
        client.post(f"{NATIVE}/projects", json={"name": "Own", "id": "own"}).raise_for_status()
        key = client.post(f"{NATIVE}/projects/own/keys", json={}).raise_for_status().json()
        assert _project(client, basic(key["public_key"], key["secret_key"])) == "own"
        mistyped = client.get("/api/public/projects", headers=basic(key["public_key"], "wrong"))
        assert mistyped.status_code == 401  # rather than silently filing the data elsewhere
        assert client.get(f"{NATIVE}/projects", headers={"X-Twinlens-Project": "own"}).status_code == 200
        assert client.get(f"{NATIVE}/projects", headers={"X-Twinlens-Project": "nope"}).status_code == 404


def test_seeded_keys_without_user_keep_loopback_open(start_server: Callable[..., LiveServer]) -> None:
    with start_server(**KEYS_ONLY).client() as client:
        assert client.get(f"{NATIVE}/session").json()["mode"] == "open"
        assert _project(client, SHOP) == "shop"
        # Without a key the seeded project is the default one, so that all programs meet.
        assert client.get(f"{NATIVE}/session").json()["default_project_id"] == "shop"


# --- secured mode ------------------------------------------------------------------------------------------------------
def test_secured_server_refuses_strangers_in_each_protocol(secured: LiveServer) -> None:
    with secured.client() as client:
        for headers in ({}, basic("pk-lf-shop", "sk-wrong"), bearer("sk-wrong"), {"Authorization": "Basic !!!"}):
            assert client.get("/api/public/projects", headers=headers).status_code == 401
            assert client.get(f"{NATIVE}/projects", headers=headers).status_code == 401
            otlp = client.post("/v1/traces", headers=headers | {"Content-Type": "application/x-protobuf"}, content=b"")
            assert otlp.status_code == 401
            mlflow = client.get("/api/2.0/mlflow/experiments/get?experiment_id=0", headers=headers)
            assert mlflow.status_code == 401
        assert client.get("/api/public/health").status_code == 200
        assert client.get("/health").status_code == 200
        session = client.get(f"{NATIVE}/session").json()
        assert (session["mode"], session["signed_in"]) == ("secured", False)


def test_key_pair_opens_each_protocol(secured: LiveServer) -> None:
    with secured.client() as client:
        assert _project(client, SHOP) == "shop"
        assert _project(client, bearer("sk-lf-shop-0123456789")) == "shop"
        for headers in (SHOP, bearer("sk-lf-shop-0123456789"), basic("ann@acme.example", "correct horse")):
            got = client.get("/api/2.0/mlflow/experiments/get?experiment_id=0", headers=headers)
            assert got.status_code == 200, got.text


def test_public_key_alone_may_send_scores_only(secured: LiveServer) -> None:
    with secured.client(headers=bearer("pk-lf-shop")) as client:
        score = {"traceId": "t-browser", "name": "thumb", "value": 1}
        assert client.post("/api/public/scores", json=score).status_code == 200
        assert client.get("/api/public/traces").status_code == 403
        assert client.get(f"{NATIVE}/projects/shop/traces").status_code == 403
        assert (
            client.post("/v1/traces", content=b"", headers={"Content-Type": "application/x-protobuf"}).status_code
            == 403
        )


def test_two_projects_never_meet(secured: LiveServer, other: dict[str, str]) -> None:
    with secured.client() as client:
        event = {
            "id": "e1", "type": "trace-create", "timestamp": "2026-01-01T00:00:00Z",
            "body": {"id": "secret-trace", "name": "secret", "timestamp": "2026-01-01T00:00:00Z"},
        }  # fmt: skip
        assert client.post("/api/public/ingestion", json={"batch": [event]}, headers=SHOP).status_code == 207
        score = {"id": "secret-score", "traceId": "secret-trace", "name": "q", "value": 1}
        client.post("/api/public/scores", json=score, headers=SHOP).raise_for_status()
        made = client.post("/api/2.0/mlflow/experiments/create", json={"name": "mine"}, headers=SHOP).raise_for_status()
        experiment = made.json()["experiment_id"]
        run = client.post(
            "/api/2.0/mlflow/runs/create", json={"experiment_id": experiment}, headers=SHOP
        ).raise_for_status()
        run_id = run.json()["run"]["info"]["run_id"]
        uri = run.json()["run"]["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
        client.put(f"/api/2.0/mlflow-artifacts/artifacts/{uri}/a.txt", content=b"x", headers=SHOP).raise_for_status()

        assert client.get(f"{NATIVE}/projects/shop/traces/secret-trace", headers=SHOP).status_code == 200
        gone = [
            f"{NATIVE}/projects/shop/traces",
            f"{NATIVE}/projects/blog/traces/secret-trace",
            f"{NATIVE}/projects/blog/runs/{run_id}",
            f"{NATIVE}/projects/blog/experiments/{experiment}",
            "/api/public/traces/secret-trace",
            "/api/public/scores/secret-score",
            f"/api/2.0/mlflow/experiments/get?experiment_id={experiment}",
            f"/api/2.0/mlflow/runs/get?run_id={run_id}",
        ]
        for path in gone:
            assert client.get(path, headers=other).status_code == 404, path
        refused = client.get(f"/api/2.0/mlflow-artifacts/artifacts/{uri}/a.txt", headers=other)
        assert refused.status_code in (403, 404)
        assert client.get("/api/public/traces", headers=other).json()["data"] == []
        changed = client.patch(f"{NATIVE}/projects/blog/traces/secret-trace", json={"bookmarked": True}, headers=other)
        assert changed.status_code == 404
        client.post(f"{NATIVE}/projects/blog/traces/delete", json={"trace_ids": ["secret-trace"]}, headers=other)
        assert client.get(f"{NATIVE}/projects/shop/traces/secret-trace", headers=SHOP).status_code == 200
        assert [p["id"] for p in client.get(f"{NATIVE}/projects", headers=other).json()["projects"]] == ["blog"]
        # A project key manages neither keys nor projects.
        assert client.get(f"{NATIVE}/projects/blog/keys", headers=other).status_code == 403
        assert client.post(f"{NATIVE}/projects", json={"name": "x"}, headers=other).status_code == 403


def test_read_only_and_revoked_keys(secured: LiveServer) -> None:
    with secured.client(headers=basic("ann@acme.example", "correct horse")) as owner:
        key = owner.post(f"{NATIVE}/projects/shop/keys", json={"kind": "read-only"}).raise_for_status().json()
        reader = basic(key["public_key"], key["secret_key"])
        with secured.client(headers=reader) as client:
            assert client.get(f"{NATIVE}/projects/shop/traces").status_code == 200
            assert client.post(f"{NATIVE}/projects/shop/traces/delete", json={"trace_ids": ["x"]}).status_code == 403
            assert client.post("/api/public/scores", json={"traceId": "t", "name": "n", "value": 1}).status_code == 403
            listed = owner.get(f"{NATIVE}/projects/shop/keys").json()["keys"]
            assert key["secret_key"] not in str(listed)
            owner.delete(f"{NATIVE}/projects/shop/keys/{key['id']}").raise_for_status()
            assert client.get(f"{NATIVE}/projects/shop/traces").status_code == 401


def test_mcp_servers_of_one_project(secured: LiveServer, other: dict[str, str]) -> None:
    at = "/api/3.0/mlflow/mcp-servers"
    with secured.client(headers=basic("ann@acme.example", "correct horse")) as owner:
        key = owner.post(f"{NATIVE}/projects/shop/keys", json={"kind": "read-only"}).raise_for_status().json()
        reader = basic(key["public_key"], key["secret_key"])
        with secured.client(headers=SHOP) as client:
            client.post(at, json={"name": "a.b/cc"}).raise_for_status()
            assert client.get(f"{at}/a.b%2Fcc", headers=reader).json()["name"] == "a.b/cc"
            for who, status in ((reader, 403), (other, 404)):
                assert client.patch(f"{at}/a.b%2Fcc", json={"description": "x"}, headers=who).status_code == status
                assert client.delete(f"{at}/a.b%2Fcc", headers=who).status_code == status
                tag = {"key": "k", "value": "v"}
                assert client.post(f"{at}/a.b%2Fcc/tags", json=tag, headers=who).status_code == status
            assert client.get(at, headers=other).json() == {"mcp_servers": [], "next_page_token": None}
            assert client.get(f"{at}/a.b%2Fcc").json()["description"] is None
        log = owner.get(f"{NATIVE}/projects/shop/audit").json()
        assert ("create", "mcp_server", "a.b/cc") in {
            (e["action"], e["object_type"], e["object_id"]) for e in log["entries"]
        }


def test_browser_session(secured: LiveServer) -> None:
    with secured.client() as client:
        wrong = client.post(f"{NATIVE}/sign-in", json={"email": "ann@acme.example", "password": "nope"})
        assert wrong.status_code == 401
        signed = client.post(f"{NATIVE}/sign-in", json={"email": "ann@ACME.example", "password": "correct horse"})
        assert signed.status_code == 204
        assert "HttpOnly" in signed.headers["set-cookie"]
        session = client.get(f"{NATIVE}/session").json()
        assert (session["signed_in"], session["user"], session["default_project_id"]) == (True, "Ann", "shop")
        # Another site cannot ride on the cookie.
        evil = {"Origin": "https://evil.example"}
        assert client.get(f"{NATIVE}/projects", headers=evil).status_code == 403
        assert client.get("/api/public/projects", headers=evil).status_code == 401
        client.post(f"{NATIVE}/sign-out").raise_for_status()
        assert client.get(f"{NATIVE}/projects").status_code == 401


def test_browser_clients_may_call_the_public_api_of_a_secured_server(secured: LiveServer) -> None:
    origin = {"Origin": "https://app.example"}
    with secured.client() as client:
        preflight = client.options("/api/public/scores", headers=origin | {"Access-Control-Request-Method": "POST"})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in preflight.headers
        sent = client.post(
            "/api/public/scores",
            json={"traceId": "t-browser", "name": "thumb", "value": 1},
            headers=origin | bearer("pk-lf-shop"),
        )
        assert sent.status_code == 200
        assert sent.headers["access-control-allow-origin"] == "*"


def test_secrets_are_not_in_the_catalog(secured: LiveServer) -> None:
    everything = b"".join(file.read_bytes() for file in secured.data.glob("catalog.db*"))
    assert b"pk-lf-shop" in everything
    assert b"sk-lf-shop-0123456789" not in everything
    assert b"correct horse" not in everything
    with sqlite3.connect(f"file:{secured.data / 'catalog.db'}?mode=ro", uri=True) as catalog:
        (stored,) = catalog.execute("SELECT password_hash FROM users").fetchone()
    assert stored.startswith("$argon2id$")
    assert (secured.data / "secret").stat().st_mode & 0o077 == 0


def test_seeding_again_changes_nothing_and_a_new_password_wins(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    data = tmp_path / "seeded"
    first = start_server(data=data, **INIT)
    with first.client() as client:
        assert _project(client, SHOP) == "shop"
    first.stop()
    second = start_server(data=data, **(INIT | {"LANGFUSE_INIT_USER_PASSWORD": "another one"}))
    with second.client() as client:
        assert _project(client, SHOP) == "shop"
        for password, status in (("correct horse", 401), ("another one", 200)):
            headers = basic("ann@acme.example", password)
            assert client.get(f"{NATIVE}/projects", headers=headers).status_code == status


# --- administration ------------------------------------------------------------------------------------------------------
def test_members_and_audit_log_through_the_native_api(secured: LiveServer) -> None:
    with secured.client(headers=basic("ann@acme.example", "correct horse")) as owner:
        new = {"email": "Max@acme.example", "password": "long enough", "role": "VIEWER"}
        user = owner.post(f"{NATIVE}/organization/members", json=new).raise_for_status().json()["user_id"]
        assert owner.post(f"{NATIVE}/organization/members", json=new).status_code == 409
        role = f"{NATIVE}/projects/shop/members/{user}"
        owner.patch(role, json={"role": "MEMBER"}).raise_for_status()
        listed = owner.get(f"{NATIVE}/projects/shop/members").json()["members"]
        assert [(m["email"], m["role"], m["project_role"]) for m in listed if m["user_id"] == user] == [
            ("max@acme.example", "VIEWER", "MEMBER")
        ]
        max_headers = basic("max@acme.example", "long enough")
        score = {"traceId": "t", "name": "n", "value": 1}
        assert owner.post("/api/public/scores", json=score, headers=max_headers).status_code == 200
        assert owner.get(f"{NATIVE}/projects/shop/members", headers=max_headers).status_code == 403
        owner.patch(role, json={"role": None}).raise_for_status()
        assert owner.post("/api/public/scores", json=score, headers=max_headers).status_code == 403
        renamed = owner.patch(f"{NATIVE}/projects/shop", json={"name": "Shop 2", "retention_days": 30}).json()
        assert (renamed["name"], renamed["retention_days"]) == ("Shop 2", 30)
        assert owner.patch(f"{NATIVE}/projects/shop", json={"retention_days": -1}).status_code == 400
        assert owner.patch(f"{NATIVE}/projects/shop", json={"retention_days": None}).json()["retention_days"] is None
        key = owner.post(f"{NATIVE}/projects/shop/keys", json={"note": "audited"}).raise_for_status().json()
        auth = basic(key["public_key"], key["secret_key"])
        prompt = {"name": "audited", "prompt": "x", "labels": ["production"]}
        owner.post("/api/public/v2/prompts", json=prompt, headers=auth).raise_for_status()
        owner.delete(f"{NATIVE}/projects/shop/keys/{key['id']}").raise_for_status()
        owner.delete(f"{NATIVE}/organization/members/{user}").raise_for_status()
        assert owner.get(f"{NATIVE}/projects", headers=max_headers).status_code == 401

        newest = owner.get(f"{NATIVE}/projects/shop/audit?limit=6").raise_for_status().json()
        told = [(e["actor_kind"], e["actor"], e["action"], e["object_type"]) for e in newest["entries"]]
        assert told == [
            ("user", "Ann", "delete", "key"),
            ("key", key["public_key"], "update", "prompt"),
            ("user", "Ann", "create", "key"),
            ("user", "Ann", "update", "project"),
            ("user", "Ann", "update", "project"),
            ("user", "Ann", "delete", "member"),
        ]
        assert key["secret_key"] not in str(newest)
        older = owner.get(f"{NATIVE}/projects/shop/audit", params={"cursor": newest["next_cursor"]}).json()["entries"]
        assert (older[0]["action"], older[0]["object_type"]) == ("create", "member")
        whole = owner.get(f"{NATIVE}/organization/audit?limit=2").json()["entries"]
        assert [(e["action"], e["object_type"]) for e in whole] == [("delete", "user"), ("delete", "member")]
        for path in ("projects/shop/audit", "organization/audit"):
            assert owner.get(f"{NATIVE}/{path}", headers=SHOP).status_code == 403


def test_who_may_set_addresses_and_spend_money(secured: LiveServer, other: dict[str, str]) -> None:
    owner = basic("ann@acme.example", "correct horse")
    secret = {"secret_name": "s", "secret_value": {"api_key": "sk-0123456789"}, "provider": "ollama", "auth_config": {"api_base": "http://127.0.0.1:9/v1"}}  # fmt: skip
    gateway, call = "/api/3.0/mlflow/gateway", "/gateway/mlflow/v1/chat/completions"
    ask = {"model": "paid", "messages": [{"role": "user", "content": "Why?"}]}
    with secured.client(headers=owner) as client:
        keys = client.post(f"{NATIVE}/projects/shop/keys", json={"kind": "read-only", "note": ""}).json()
        member = {"email": "mem@acme.example", "password": "long enough 1", "role": "MEMBER"}
        client.post(f"{NATIVE}/organization/members", json=member).raise_for_status()
    reader, person = basic(keys["public_key"], keys["secret_key"]), basic("mem@acme.example", "long enough 1")

    def post(path: str, body: dict[str, object], headers: dict[str, str]) -> httpx.Response:
        with secured.client(headers=headers) as client:
            return client.post(path, json=body)

    for headers in (reader, person):
        assert post(gateway + "/secrets/create", secret, headers).status_code == 403
    connection = {"name": "x", "provider": "ollama", "base_url": "http://127.0.0.1:9"}
    assert post(f"{NATIVE}/projects/shop/connections", connection, person).status_code == 403
    made = post(gateway + "/secrets/create", secret, SHOP).json()["secret"]
    model = {"name": "m", "secret_id": made["secret_id"], "provider": "ollama", "model_name": "m"}
    definition = post(gateway + "/model-definitions/create", model, person).json()["model_definition"]
    config = {"model_definition_id": definition["model_definition_id"], "linkage_type": "PRIMARY"}
    endpoint = post(gateway + "/endpoints/create", {"name": "paid", "model_configs": [config]}, person).json()[
        "endpoint"
    ]
    budget = {
        "budget_unit": "USD", "budget_amount": 0, "duration": {"unit": "DAYS", "value": 1}, "target_scope": "USER",
        "target_value": "mem@acme.example", "budget_action": "REJECT",
    }  # fmt: skip
    assert post(gateway + "/budgets/create", budget, person).status_code == 403
    stored = post(gateway + "/budgets/create", budget, owner)
    assert stored.status_code == 200, stored.text
    assert post(call, ask, reader).status_code == 403
    assert post(call, ask, {}).status_code == 401
    assert post(call, ask, other).status_code == 404  # another project's endpoint does not exist
    assert post(call, ask, SHOP).status_code == 502  # nobody listens there, but the call was let through
    assert post(call, ask, {"x-api-key": "sk-lf-shop-0123456789"}).status_code == 502  # as Anthropic's client sends it
    assert post(call, ask, {"x-api-key": "wrong"}).status_code == 401
    with secured.client(headers=other) as client:
        assert client.get(gateway + "/secrets/get", params={"secret_id": made["secret_id"]}).status_code == 404
        assert (
            client.get(gateway + "/endpoints/get", params={"endpoint_id": endpoint["endpoint_id"]}).status_code == 404
        )
        assert client.get("/api/public/llm-connections").json()["data"] == []
    refused = post(call, ask, person)
    assert (refused.status_code, "Budget limit exceeded" in refused.json()["detail"]) == (429, True)
