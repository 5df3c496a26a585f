"""What an open server lets through: hosts, origins, body sizes, nesting, and files that somebody else made."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import httpx
import pytest

from tests.servers import LiveServer

NATIVE = "/api/twinlens/v1/projects/default"
PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def client(live_server: LiveServer) -> Iterator[httpx.Client]:
    with live_server.client() as found:
        yield found


# --- other web pages -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5001", "localhost.evil.example", "192.168.1.7", "[fe80::1]:80"]
)
def test_foreign_host_is_refused(client: httpx.Client, host: str) -> None:
    for path in ("/", "/health", f"{NATIVE}/traces", "/api/public/projects", "/api/2.0/mlflow/experiments/search"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 403
        assert "allowed_hosts" in answer.json()["message"]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "127.0.0.1:5001", "[::1]:5001", "app.localhost", "LOCALHOST"]
)
def test_loopback_names_are_welcome(client: httpx.Client, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:9999", "file://"])
def test_foreign_origin_is_refused(client: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin}
    assert client.get(f"{NATIVE}/traces", headers=headers).status_code == 403
    assert client.post("/api/public/scores", json={}, headers=headers).status_code == 403
    assert client.options("/api/public/scores", headers=headers).status_code == 403
    assert client.post("/v1/traces", content=b"", headers=headers | PROTOBUF).status_code == 403


def test_own_origin_is_welcome(live_server: LiveServer, client: httpx.Client) -> None:
    assert client.get(f"{NATIVE}/traces", headers={"Origin": live_server.url}).status_code == 200


def test_requests_without_origin_that_other_pages_make(client: httpx.Client) -> None:
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert client.get(f"{NATIVE}/traces", headers=image).status_code == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/project/default/traces", headers=link).status_code == 200


def test_pages_carry_a_content_policy(client: httpx.Client) -> None:
    headers = client.get("/").headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


# --- sizes -------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server that takes bodies of at most 100 kB."""
    with (
        LiveServer(tmp_path_factory.mktemp("small"), env={"TWINLENS_MAX_BODY": "100000"}) as server,
        server.client() as found,
    ):
        yield found


RECEIVERS = [
    ("/v1/traces", PROTOBUF),
    ("/v1/traces", JSON),
    ("/api/public/otel/v1/traces", PROTOBUF),
    ("/api/public/ingestion", JSON),
    ("/api/public/scores", JSON),
    (f"{NATIVE}/scores", JSON),
    ("/api/2.0/mlflow/runs/log-batch", JSON),
]


@pytest.mark.parametrize(("path", "headers"), RECEIVERS)
def test_large_bodies_are_refused(small: httpx.Client, path: str, headers: dict[str, str]) -> None:
    body = b'{"a":"' + b"x" * 200_000 + b'"}'
    assert small.post(path, content=body, headers=headers).status_code == 413
    chunks = (body[at : at + 10_000] for at in range(0, len(body), 10_000))  # no Content-Length
    assert small.post(path, content=chunks, headers=headers).status_code == 413
    assert small.get("/health").status_code == 200


@pytest.mark.parametrize("path", ["/v1/traces", "/api/public/otel/v1/traces"])
def test_small_bombs_are_refused(small: httpx.Client, path: str) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    answer = small.post(path, content=bomb, headers=PROTOBUF | {"Content-Encoding": "gzip"})
    assert answer.status_code == 413


def test_artifacts_stream_past_the_limit(small: httpx.Client) -> None:
    chunks = (b"x" * 100_000 for _ in range(20))
    path = "/api/2.0/mlflow-artifacts/artifacts/default/0/some/large.bin"
    assert small.put(path, content=chunks).status_code == 200
    assert len(small.get(path).content) == 2_000_000


@pytest.mark.parametrize(("path", "headers"), [(p, h) for p, h in RECEIVERS if h is JSON])
def test_deep_nesting_is_a_client_error(client: httpx.Client, path: str, headers: dict[str, str]) -> None:
    for body in (
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"metadata":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ):
        answer = client.post(path, content=body, headers=headers)
        assert 400 <= answer.status_code < 500 or answer.status_code == 207, (answer.status_code, answer.text)
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(("path", "headers"), [(p, h) for p, h in RECEIVERS if h is JSON])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"a":\xff}', b"NaN", b'{"name":{}}']
)
def test_garbage_is_a_client_error(client: httpx.Client, path: str, headers: dict[str, str], body: bytes) -> None:
    answer = client.post(path, content=body, headers=headers)
    assert answer.status_code < 500, answer.text


# --- files of others -----------------------------------------------------------------------------------------------------
def test_artifacts_are_harmless_in_a_browser(client: httpx.Client) -> None:
    run = (
        client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).raise_for_status().json()["run"]["info"]
    )
    root = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    files = {
        "page.html": b"<script>alert(1)</script>",
        "image.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "model.pkl": b"cos\nsystem\n(S'true'\ntR.",
        "data.json": json.dumps({"a": 1}).encode(),
        "script.js": b"alert(1)",
    }
    for name, body in files.items():
        client.put(f"/api/2.0/mlflow-artifacts/artifacts/{root}/{name}", content=body).raise_for_status()
    base = f"{NATIVE}/runs/{run['run_id']}/artifacts"
    listed = client.get(base).raise_for_status().json()["entries"]
    assert {entry["name"]: entry["size"] for entry in listed} == {name: len(body) for name, body in files.items()}
    kinds: dict[str, str] = {}
    for name, body in files.items():
        preview = client.get(f"{base}/preview", params={"path": name}).raise_for_status().json()
        kinds[name] = preview["kind"]
        file = client.get(preview["url"]).raise_for_status()
        assert file.content == body
        assert file.headers["x-content-type-options"] == "nosniff"
        assert file.headers["content-security-policy"].startswith("sandbox")
        assert "allow-same-origin" not in file.headers["content-security-policy"]
    assert kinds == {
        "page.html": "html",
        "image.svg": "image",
        "model.pkl": "binary",
        "data.json": "json",
        "script.js": "text",
    }
    pickle = client.get(f"{base}/file", params={"path": "model.pkl"})
    assert pickle.headers["content-disposition"].startswith("attachment")
    for path in ("../x", "..", "/etc/passwd", "a/../../b", "a\0b", "a\\..\\b"):
        assert client.get(f"{base}/file", params={"path": path}).status_code in (400, 403, 404), path
