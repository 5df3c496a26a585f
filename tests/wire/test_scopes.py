"""No key and no role may do what it is not for: every route of every face, tried with each kind of credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.test_access import INIT, NATIVE, basic, bearer
from twinlens.domain.project import KEY_SCOPES
from twinlens.faces.langfuse.router import tables as langfuse_tables
from twinlens.faces.mlflow.router import tables as mlflow_tables
from twinlens.faces.native.router import document

OWNER = basic("ann@acme.example", "correct horse")
#: Who manages projects, members and users: told by the handler, after a look at the path.
ADMINISTRATION = re.compile(r"/projects|/organizations|/scim|/api/admin")
OPEN_TO_ALL = {("GET", f"{NATIVE}/session"), ("POST", f"{NATIVE}/sign-in"), ("POST", f"{NATIVE}/sign-out"),
               ("GET", f"{NATIVE}/projects"), ("GET", "/api/public/projects")}  # fmt: skip


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("data"), env=INIT) as server:
        yield server


def routes() -> list[tuple[str, str, str]]:
    """Method, path and needed right of every route. ``administer`` stands for rights that no key of a project has."""
    found = [("POST", f"/v1/{signal}", "ingest") for signal in ("traces", "logs", "metrics")]
    for route in (route for table in langfuse_tables() for route in table.routes):
        path = route.path if route.path.startswith("/api/admin") else f"/api/public{route.path}"
        if route.scope is not None:
            found.append((route.method, path, route.scope))
        elif ADMINISTRATION.search(route.path):
            found.append((route.method, path, "administer"))
    for rpc in (rpc for table in mlflow_tables() for rpc in table.rpcs):
        if rpc.scope not in (None, "known") and "/api" in rpc.prefixes:
            right = "administer" if rpc.scope in ("manage", "organization") else rpc.scope
            found.append((rpc.verb, f"/api/{rpc.version}{rpc.path}", str(right)))
    for path, methods in document()["paths"].items():
        found += [(method.upper(), path, "read" if method == "get" else "change") for method in methods]
    concrete = [(method, concrete_path(path), right) for method, path, right in found]
    return [route for route in concrete if route[:2] not in OPEN_TO_ALL]


def concrete_path(path: str) -> str:
    """The path with values for its parameters: the caller's own project, and whole numbers where only those are routed."""
    path = re.sub(r"/projects/\{[^}]*\}", "/projects/shop", path)
    return re.sub(r"\{[^}]*\}", lambda found: "1" if "version" in found[0] else "x", path)


@pytest.mark.parametrize("kind", ["read-only", "ingest-only", "project", "viewer", "public"])
def test_every_route_refuses_who_may_not(kind: str, secured: LiveServer) -> None:
    with secured.client(headers=OWNER) as owner:
        if kind == "viewer":
            body = {"userName": "vi@acme.example", "password": "correct horse", "roles": ["VIEWER"]}
            owner.post("/api/public/scim/Users", json=body).raise_for_status()
            headers, scopes = basic("vi@acme.example", "correct horse"), frozenset({"read"})
        elif kind == "public":
            headers, scopes = bearer("pk-lf-shop"), frozenset({"score"})
        else:
            key = owner.post(f"{NATIVE}/projects/shop/keys", json={"kind": kind}).raise_for_status().json()
            headers, scopes = basic(key["public_key"], key["secret_key"]), KEY_SCOPES[kind]
    wrong: list[str] = []
    tried = 0
    with secured.client(headers=headers) as client:
        for method, path, right in routes():
            if right in scopes or (right == "change" and scopes - {"read"}):
                continue
            tried += 1
            content = None if method == "GET" else b"{}"
            answer: httpx.Response = client.request(
                method, path, content=content, headers={"Content-Type": "application/json"}
            )
            if answer.status_code != 403:
                wrong.append(f"{method} {path}: {answer.status_code}")
    assert not wrong
    assert tried > 20
