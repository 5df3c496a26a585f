"""Organizations, projects, keys, members and SCIM: with the real client, and who may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer, eventually
from tests.wire.langfuse.clients import PROGRAMS, api, run_json

pytestmark = pytest.mark.peer
ADMIN = {"Authorization": "Bearer the-admin-key"}
PROJECT = ("pk-lf-own", "sk-lf-own-0123456789")
ENV = {
    "TWINLENS_MODE": "secured",
    "TWINLENS_LOG_LEVEL": "info",
    "ADMIN_API_KEY": "the-admin-key",
    "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": PROJECT[0],
    "LANGFUSE_INIT_PROJECT_SECRET_KEY": PROJECT[1],
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("data"), env=ENV) as server:
        yield server


@pytest.fixture(scope="module")
def live_server(secured: LiveServer) -> LiveServer:
    """The server whose requests are noted (``recording.py``) is the secured one here."""
    return secured


def new_organization(server: LiveServer, name: str) -> tuple[str, tuple[str, str]]:
    """An organization and a key pair of it."""
    with server.client(headers=ADMIN) as admin:
        made = admin.post("/api/admin/organizations", json={"name": name}).raise_for_status().json()
        key = admin.post(f"/api/admin/organizations/{made['id']}/apiKeys", json={}).raise_for_status().json()
    return made["id"], (key["publicKey"], key["secretKey"])


@pytest.fixture(scope="module")
def org(secured: LiveServer) -> Iterator[httpx.Client]:
    with api(secured.url, new_organization(secured, "Acme")[1]) as client:
        yield client


@pytest.mark.parametrize("client", ["langfuse4", "langfuse5"])
def test_the_real_client_administers(client: str, secured: LiveServer) -> None:
    organization, keys = new_organization(secured, client)
    with api(secured.url, keys) as http:
        told = run_json(client, PROGRAMS / "administration.py", secured.url, keys=keys)
        project = told.pop("project id")
        assert told == {
            "project": ["Shop", {"team": "a"}, 30, "Shop 2", {"team": "b"}],
            "retention": None,
            "secret": "sk-lf-",
            "keys": sorted(told["keys"]),
            "secrets shown": False,
            "deleted key": True,
            "projects": ["Shop 2"],
            "organization keys": 1,
            "members": [["ann@x.example", "OWNER", "Ann"], ["bob@x.example", "VIEWER", "Bob"]],
            "project members": [["bob@x.example", "MEMBER"]],
            "override": "MEMBER",
            "left": True,
            "outside": True,
            "found": [1, "ann@x.example", "Ann"],
            "users": ["ann@x.example"],
            "one": "ann@x.example",
            "types": "User",
            "schemas": "User",
            "patch": True,
        }
        assert "pk-lf-given" in told["keys"]
        # Leave nothing that the next client meets: given keys and addresses are unique over the instance.
        assert http.delete(f"/projects/{project}").status_code == 202
        with secured.client(headers=ADMIN) as admin:
            eventually(
                lambda: admin.delete(f"/api/admin/organizations/{organization}"), lambda gone: gone.status_code == 200
            )


def test_keys_of_a_project_administer_nothing(secured: LiveServer, org: httpx.Client) -> None:
    project = org.post("/projects", json={"name": "Mine"}).json()["id"]
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/projects", {"name": "x"}),
        ("PUT", "/projects/default", {"name": "x"}),
        ("DELETE", "/projects/default", None),
        ("GET", "/projects/default/apiKeys", None),
        ("POST", "/projects/default/apiKeys", {}),
        ("GET", "/projects/default/memberships", None),
        ("PUT", "/projects/default/memberships", {"userId": "x", "role": "OWNER"}),
        ("GET", "/organizations/projects", None),
        ("GET", "/organizations/apiKeys", None),
        ("GET", "/organizations/memberships", None),
        ("PUT", "/organizations/memberships", {"userId": "x", "role": "OWNER"}),
        ("GET", "/scim/Users", None),
        ("POST", "/scim/Users", {"userName": "x@x.example"}),
        ("GET", "/scim/ServiceProviderConfig", None),
    ]
    with api(secured.url, PROJECT) as mine:
        for method, path, body in calls:
            refused = mine.request(method, path, json=body)
            assert refused.status_code == 403, (method, path, refused.text)
            assert refused.json()["error"] == "ForbiddenError"
    for method, path, body in calls[1:7]:  # a project of another organization is not there for this one
        assert org.request(method, path, json=body).status_code == 404, (method, path)
    with secured.client(auth=PROJECT) as client:
        for who in (PROJECT, org.auth):
            assert client.get("/api/admin/organizations", auth=who).status_code == 403
    assert org.get("/organizations/memberships", auth=("pk", "wrong")).status_code == 401
    assert org.get(f"/projects/{project}/apiKeys").status_code == 200


def test_bad_input_changes_nothing(org: httpx.Client) -> None:
    project = org.post("/projects", json={"name": "Strict"}).json()["id"]
    bad: list[tuple[str, str, Any]] = [
        ("POST", "/projects", {"name": "  "}),
        ("POST", "/projects", {"name": "x", "retention": -1}),
        ("POST", "/projects", {"name": "x", "metadata": "text"}),
        ("POST", f"/projects/{project}/apiKeys", {"publicKey": "pk-lf-half"}),
        ("POST", f"/projects/{project}/apiKeys", {"publicKey": "x", "secretKey": "y"}),
        ("POST", f"/projects/{project}/apiKeys", {"expiresAt": "tomorrow"}),
        ("POST", f"/projects/{project}/apiKeys", {"kind": "organization"}),
        ("PUT", f"/projects/{project}/memberships", {"userId": "x", "role": "KING"}),
        ("POST", "/scim/Users", {"userName": "x@x.example", "password": "short"}),
        ("POST", "/scim/Users", {"userName": " "}),
        ("POST", "/scim/Users", {"userName": "x@x.example", "roles": ["KING"]}),
        ("POST", "/scim/Users", "no object"),
        ("GET", "/scim/Users?filter=emails%20co%20%22x%22", None),
    ]
    for method, path, body in bad:
        refused = org.request(method, path, json=body)
        assert refused.status_code == 400, (method, path, body, refused.text)
    for path in ("/scim/Users/nobody", "/projects/nobody/apiKeys"):
        assert org.get(path).status_code == 404
    assert org.put("/organizations/memberships", json={"userId": "no", "role": "OWNER"}).status_code == 404
    assert org.get("/scim/Users").json()["totalResults"] == 0
    assert org.get(f"/projects/{project}/apiKeys").json() == {"apiKeys": []}


def test_roles_by_organization_and_by_project(secured: LiveServer, org: httpx.Client) -> None:
    project = org.post("/projects", json={"name": "Roles"}).json()["id"]

    def user(name: str, role: str) -> tuple[str, tuple[str, str]]:
        body = {"userName": f"{name}@roles.example", "password": "long enough", "roles": [role]}
        return org.post("/scim/Users", json=body).raise_for_status().json()["id"], (body["userName"], "long enough")

    def may(auth: tuple[str, str], id: str = project) -> list[int]:
        with secured.client(auth=auth, headers={"X-Twinlens-Project": id}) as client:
            score = {"traceId": "t", "name": "n", "value": 1}
            return [
                client.get("/api/public/traces").status_code,
                client.post("/api/public/scores", json=score).status_code,
                client.get(f"/api/public/projects/{id}/apiKeys").status_code,
                client.get("/api/public/organizations/memberships").status_code,
            ]

    owner, as_owner = user("owner", "OWNER")
    viewer, as_viewer = user("viewer", "VIEWER")
    nobody, as_nobody = user("nobody", "NONE")
    assert may(as_owner) == [200, 200, 200, 200]
    assert may(as_viewer) == [200, 403, 403, 403]
    assert may(as_nobody) == [404, 404, 404, 404]
    for who, role in ((viewer, "MEMBER"), (nobody, "ADMIN"), (owner, "VIEWER")):
        org.put(f"/projects/{project}/memberships", json={"userId": who, "role": role}).raise_for_status()
    assert may(as_viewer) == [200, 200, 403, 403]
    assert may(as_nobody) == [200, 200, 200, 403]  # manages this project, not the organization
    assert may(as_owner) == [200, 403, 200, 200]
    # An administrator of one project makes no owners, and nobody rises above the own role.
    with secured.client(auth=as_nobody, headers={"X-Twinlens-Project": project}) as client:
        rise = client.put(f"/api/public/projects/{project}/memberships", json={"userId": nobody, "role": "OWNER"})
        assert rise.status_code == 403
    # The only owner stays one.
    last = {"userId": owner, "role": "MEMBER"}
    assert org.put("/organizations/memberships", json=last).status_code == 400
    assert org.request("DELETE", "/organizations/memberships", json=last).status_code == 400
    assert org.delete(f"/scim/Users/{owner}").status_code == 400
    # Identity providers switch people off and on again.
    off = {"schemas": [], "Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
    assert org.patch(f"/scim/Users/{viewer}", json=off).json()["active"] is False
    assert may(as_viewer) == [404, 404, 404, 404]
    assert org.get(f"/scim/Users/{viewer}").status_code == 404
    on = {"Operations": [{"op": "replace", "value": {"active": True, "roles": ["member"], "displayName": "V"}}]}
    back = org.patch(f"/scim/Users/{viewer}", json=on).json()
    assert (back["active"], back["roles"], back["name"]["formatted"]) == (True, ["MEMBER"], "V")
    assert may(as_viewer) == [200, 200, 403, 403]
    renamed = org.put(f"/scim/Users/{viewer}", json={"userName": "viewer@roles.example", "active": True,
                                                     "name": {"givenName": "Vi", "familyName": "Ewer"}}).json()  # fmt: skip
    assert renamed["name"]["formatted"] == "Vi Ewer"
    assert org.post("/scim/Users", json={"userName": "Viewer@roles.example"}).status_code == 409


def test_a_person_of_two_organizations_keeps_name_and_password(secured: LiveServer, org: httpx.Client) -> None:
    body = {"userName": "both@x.example", "password": "long enough"}
    first = org.post("/scim/Users", json=body).json()["id"]
    with api(secured.url, new_organization(secured, "Other")[1]) as other:
        assert other.post("/scim/Users", json=body | {"password": "another one"}).json()["id"] == first
        stolen = other.put(f"/scim/Users/{first}", json=body | {"password": "another one", "active": True})
        assert stolen.status_code == 403
        assert other.delete(f"/scim/Users/{first}").status_code == 200
    assert org.get(f"/scim/Users/{first}").status_code == 200


def test_a_deleted_project_is_gone_with_all_it_held(tmp_path: Path) -> None:
    """Also when the process is killed right behind the answer. In open mode, where a caller of this machine may do all
    of it without a key of the organization."""
    with LiveServer(tmp_path) as server:
        with server.client() as client:
            native = "/api/twinlens/v1/projects"
            client.post(native, json={"name": "Gone", "id": "gone"}).raise_for_status()
            key = client.post("/api/public/projects/gone/apiKeys", json={"note": "n"}).raise_for_status().json()
            auth = (key["publicKey"], key["secretKey"])
            score = {"id": "s", "traceId": "t", "name": "n", "value": 1}
            client.post("/api/public/scores", json=score, auth=auth).raise_for_status()
            client.post("/api/public/v2/prompts", json={"name": "p", "prompt": "x"}, auth=auth).raise_for_status()
            made = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}, auth=auth).json()["run"]
            metric = {"run_id": made["info"]["run_id"], "key": "m", "value": 1, "timestamp": 1, "step": 0}
            client.post("/api/2.0/mlflow/runs/log-metric", json=metric, auth=auth).raise_for_status()
            uri = made["info"]["artifact_uri"].removeprefix("mlflow-artifacts:").lstrip("/")
            path = f"/api/2.0/mlflow-artifacts/artifacts/{uri}/a.txt"
            client.put(path, content=b"bytes", auth=auth).raise_for_status()
            assert any(file.name == "a.txt" for file in server.data.rglob("a.txt"))
            assert client.delete("/api/public/projects/default").status_code == 400
            assert client.delete("/api/public/projects/gone").status_code == 202
            assert client.get("/api/public/projects", auth=auth).json()["data"][0]["id"] == "default"  # unknown key
            assert client.get(f"{native}/gone").status_code == 404
        server.kill()
        server.start()
        with server.client() as client:
            again = {"name": "Again", "id": "gone"}
            eventually(lambda: client.post(native, json=again), lambda made: made.status_code != 409).raise_for_status()
            assert not any(server.data.rglob("a.txt"))
            header = {"X-Twinlens-Project": "gone"}
            assert client.get("/api/public/v3/scores", headers=header).json()["data"] == []
            assert client.get("/api/public/v2/prompts", headers=header).json()["data"] == []
            found = client.post("/api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"]}, headers=header).json()
            assert found.get("runs", []) == []
            assert client.get("/api/public/projects/gone/apiKeys").json() == {"apiKeys": []}
            new = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}, headers=header)
            assert new.status_code == 200, new.text
