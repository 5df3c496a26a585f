"""Artifacts: the proxy, listings, direct roots, and what must not be reachable."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.s3 import S3Server
from tests.servers import LiveServer
from tests.wire.mlflow.peer import ClientError, MlflowPeer
from twinlens.store.blobs.object import open_object_store

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def http(live_server: LiveServer) -> Iterator[httpx.Client]:
    with live_server.client() as client:
        yield client


@pytest.fixture
def run(http: httpx.Client) -> dict[str, Any]:
    return http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]


def proxy_path(info: dict[str, Any]) -> str:
    scheme, _, path = info["artifact_uri"].partition(":/")
    assert scheme == "mlflow-artifacts"
    return path


@pytest.mark.peer
def test_client_round_trip(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    import os, tempfile, pathlib
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "sub").mkdir()
    (folder / "a.txt").write_text("alpha")
    (folder / "sub" / "b ü+1.json").write_text('{"b": 1}')
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder), "data")
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.log_dict({"x": 1}, "conf.yaml")
        mlflow.log_artifact(str(folder / "a.txt"))
    rid = run.info.run_id
    listing = lambda p: sorted((f.path, f.is_dir, f.file_size) for f in client.list_artifacts(rid, p))
    down = mlflow.artifacts.download_artifacts(run_id=rid, artifact_path="data")
    result = {
        "root": listing(None), "data": listing("data"), "file": listing("a.txt"), "none": listing("nope"),
        "text": mlflow.artifacts.load_text(f"runs:/{rid}/notes/hello.txt"),
        "down": sorted(str(p.relative_to(down)) for p in pathlib.Path(down).rglob("*") if p.is_file()),
        "content": (pathlib.Path(down) / "sub" / "b ü+1.json").read_text(),
    }
    """)
    assert found["root"] == [["a.txt", False, 5], ["conf.yaml", False, 5], ["data", True, None], ["notes", True, None]]
    assert found["data"] == [["data/a.txt", False, 5], ["data/sub", True, None]]
    assert found["file"] == found["none"] == []
    assert found["text"] == "hello"
    assert found["down"] == ["a.txt", "sub/b ü+1.json"]
    assert found["content"] == '{"b": 1}'


@pytest.mark.peer
def test_client_image_table_figure_and_delete(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    import numpy
    with mlflow.start_run() as run:
        mlflow.log_image(numpy.zeros((4, 4, 3), dtype="uint8"), "img.png")
        mlflow.log_table({"q": ["a"], "a": [1]}, "table.json")
        mlflow.log_table({"q": ["b"], "a": [2]}, "table.json")
    rid = run.info.run_id
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    repo = get_artifact_repository(run.info.artifact_uri)
    rows = mlflow.load_table("table.json", run_ids=[rid])
    repo.delete_artifacts("img.png")
    result = [len(rows), [f.path for f in client.list_artifacts(rid)]]
    """)
    assert found == [2, ["table.json"]]


@pytest.mark.peer
def test_missing_artifact_is_a_clear_error(mlflow: MlflowPeer) -> None:
    with pytest.raises(ClientError):
        mlflow.run("""
        with mlflow.start_run() as run: pass
        mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/nope.txt")
        """)


def test_run_listing_has_sizes_and_paths_relative_to_the_run(http: httpx.Client, run: dict[str, Any]) -> None:
    root = f"{PROXY}/{proxy_path(run)}"
    assert http.put(f"{root}/model/MLmodel", content=b"12345").json() == {}
    http.put(f"{root}/top.txt", content=b"1")
    listing = http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run["run_id"]}).json()
    assert listing["root_uri"] == run["artifact_uri"]
    assert listing["files"] == [{"path": "model", "is_dir": True}, {"path": "top.txt", "is_dir": False, "file_size": 1}]
    inner = http.get("/ajax-api/2.0/mlflow/artifacts/list", params={"run_id": run["run_id"], "path": "model"}).json()
    assert inner["files"] == [{"path": "model/MLmodel", "is_dir": False, "file_size": 5}]
    proxied = http.get(PROXY, params={"path": proxy_path(run) + "/model"}).json()
    assert proxied == {"files": [{"path": "MLmodel", "is_dir": False, "file_size": 5}]}
    assert http.get(PROXY, params={"path": proxy_path(run) + "/top.txt"}).json() == {}


def test_download_headers_and_ranges(http: httpx.Client, run: dict[str, Any]) -> None:
    url = f"{PROXY}/{proxy_path(run)}/päge.html"
    http.put(url, content=b"<script>0123456789</script>")
    whole = http.get(url)
    assert whole.content == b"<script>0123456789</script>"
    assert whole.headers["content-type"].startswith("text/html")
    assert whole.headers["content-disposition"] == "attachment; filename=\"p_ge.html\"; filename*=UTF-8''p%C3%A4ge.html"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in whole.headers["content-security-policy"]
    part = http.get(url, headers={"Range": "bytes=8-11"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"0123", "bytes 8-11/27")
    assert http.get(url, headers={"Range": "bytes=-9"}).content == b"</script>"
    assert http.get(url, headers={"Range": "bytes=99-"}).status_code == 416
    assert http.get(url, headers={"Range": "bytes=1-2,4-5"}).status_code == 200
    by_run = http.get("/get-artifact", params={"run_id": run["run_id"], "path": "päge.html"})
    assert by_run.content == whole.content
    assert http.get("/get-artifact", params={"run_id": run["run_id"], "path": "nope"}).status_code == 404


def test_large_upload_streams(live_server: LiveServer, http: httpx.Client, run: dict[str, Any]) -> None:
    block = hashlib.sha256(b"x").digest() * 32_768  # 1 MiB
    url = f"{PROXY}/{proxy_path(run)}/big.bin"

    def memory() -> int:
        status = Path(f"/proc/{live_server.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    before = memory()
    assert http.put(url, content=(block for _ in range(150))).status_code == 200
    digest = hashlib.sha256()
    with http.stream("GET", url) as reply:
        assert reply.headers["content-length"] == str(150 << 20)
        for chunk in reply.iter_bytes():
            digest.update(chunk)
    expected = hashlib.sha256()
    for _ in range(150):
        expected.update(block)
    assert digest.digest() == expected.digest()
    assert memory() - before < 60_000  # KiB; the file is 150 MiB


@pytest.mark.parametrize("path", [
    "../x", "..%2fx", "%2e%2e/x", "%252e%252e/x", "a/../../x", "a%00b", "a%5cb", "a//b", "%2fetc/passwd", "a/%2e%2e/%2e%2e/b",
])  # fmt: skip
def test_traversal_is_refused(live_server: LiveServer, run: dict[str, Any], path: str) -> None:
    import http.client

    host = live_server.url.removeprefix("http://")
    for verb in ("PUT", "GET", "DELETE"):
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.putrequest(verb, f"{PROXY}/{proxy_path(run)}/{path}", skip_accept_encoding=True)
        connection.putheader("Content-Length", "1" if verb == "PUT" else "0")
        connection.endheaders(b"x" if verb == "PUT" else None)
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status in (400, 403, 404), (verb, path, reply.status, body)
        connection.close()
    listing = httpx.get(live_server.url + PROXY, params={"path": f"{proxy_path(run)}/../.."})
    assert listing.status_code == 400
    assert listing.json()["error_code"] == "INVALID_PARAMETER_VALUE"


def test_file_and_folder_collide(http: httpx.Client, run: dict[str, Any]) -> None:
    root = f"{PROXY}/{proxy_path(run)}"
    http.put(f"{root}/a", content=b"1")
    reply = http.put(f"{root}/a/b", content=b"2")
    assert (reply.status_code, reply.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_every_path_lies_in_the_projects_folder(http: httpx.Client) -> None:
    for path in ("../media/x", "%2e%2e/media/x"):
        assert http.put(f"{PROXY}/{path}", content=b"1").status_code in (400, 404)
    assert http.put(f"{PROXY}/team/chosen/x", content=b"1").status_code == 200
    assert http.get(f"{PROXY}/default/team/chosen/x").content == b"1"
    assert http.get(PROXY, params={"path": "/team"}).status_code == 400
    assert [entry["path"] for entry in http.get(PROXY).json()["files"]] == ["default"]


def test_artifact_uri_of_a_client_reads_no_server_files(http: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("s")
    for location in (tmp_path.as_uri(), str(tmp_path), "file:///etc"):
        name = hashlib.sha256(location.encode()).hexdigest()
        created = http.post("/api/2.0/mlflow/experiments/create", json={"name": name, "artifact_location": location})
        if created.status_code != 200:
            assert created.status_code == 400
            continue
        experiment = created.json()["experiment_id"]
        run = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]
        listing = http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run["run_id"]})
        assert listing.status_code == 403, listing.text
        one = http.get("/get-artifact", params={"run_id": run["run_id"], "path": "secret.txt"})
        assert one.status_code == 403


@pytest.mark.peer
def test_direct_file_root(start_server: Callable[..., LiveServer], tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    server = start_server(args=["--artifact-root", root.as_uri()])
    (tmp_path / "peer").mkdir()
    with MlflowPeer(server.url, tmp_path / "peer") as mlflow:
        found = mlflow.run("""
        with mlflow.start_run() as run:
            mlflow.log_text("direct", "sub/x.txt")
        result = [run.info.run_id, run.info.artifact_uri, mlflow.artifacts.load_text(run.info.artifact_uri + "/sub/x.txt")]
        """)
    run_id, uri, text = found
    assert text == "direct"
    assert uri.startswith(root.as_uri() + "/default/0/")
    assert (root / "default" / "0" / run_id / "artifacts" / "sub" / "x.txt").read_text() == "direct"
    with server.client() as http:
        listing = http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run_id, "path": "sub"}).json()
        assert listing["files"] == [{"path": "sub/x.txt", "is_dir": False, "file_size": 6}]
        assert http.get("/get-artifact", params={"run_id": run_id, "path": "sub/x.txt"}).text == "direct"
        (root / "default" / "0" / run_id / "artifacts" / "link").symlink_to("/etc/passwd")
        assert http.get("/get-artifact", params={"run_id": run_id, "path": "link"}).status_code == 404


@pytest.mark.peer
def test_projects_are_kept_apart(start_server: Callable[..., LiveServer], tmp_path: Path) -> None:
    server = start_server(
        TWINLENS_MODE="secured", LANGFUSE_INIT_ORG_ID="o", LANGFUSE_INIT_PROJECT_ID="p1",
        LANGFUSE_INIT_PROJECT_PUBLIC_KEY="pk-lf-1", LANGFUSE_INIT_PROJECT_SECRET_KEY="sk-lf-1",
    )  # fmt: skip
    with server.client() as http:
        assert http.put(f"{PROXY}/p1/0/r/artifacts/x", content=b"1").status_code == 401
        auth = ("pk-lf-1", "sk-lf-1")
        run = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}, auth=auth).json()["run"]["info"]
        assert proxy_path(run).startswith("p1/0/")
        assert http.put(f"{PROXY}/{proxy_path(run)}/x", content=b"1", auth=auth).status_code == 200
        for path in ("default/0/r/artifacts/x", "p2/0/r/artifacts/x", "p10/x"):
            assert http.get(f"{PROXY}/{path}", auth=auth).status_code == 404
            assert http.put(f"{PROXY}/{path}", content=b"2", auth=auth).status_code == 200
            assert http.get(f"{PROXY}/p1/{path}", auth=auth).content == b"2"
        assert sorted(path.name for path in (server.data / "blobs" / "artifacts").iterdir()) == ["p1"]
        assert http.get(f"{PROXY}/{proxy_path(run)}/x", auth=auth).content == b"1"


#: What the client's thresholds are set to, so that a small file goes in parts; a file; and a count of the parts sent.
PARTS = """
import hashlib, os, pathlib, tempfile
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository as Repo
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = str({chunk})
os.environ["MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE"] = str({chunk})
data = os.urandom({size})
path = pathlib.Path(tempfile.mkdtemp()) / "big ü+.bin"
path.write_bytes(data)
sent, send = [], Repo._upload_part
Repo._upload_part = staticmethod(lambda credential, *args, **kwargs: sent.append(credential.url) or send(credential, *args, **kwargs))
try:
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(path), "deep/er")
    uri = f"runs:/{{run.info.run_id}}/deep/er/{{path.name}}"
    back = pathlib.Path(mlflow.artifacts.download_artifacts(uri)).read_bytes()
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "true"
    ranged = pathlib.Path(mlflow.artifacts.download_artifacts(uri, dst_path=tempfile.mkdtemp())).read_bytes()
finally:
    Repo._upload_part = send
    for name in ("UPLOAD_MINIMUM_FILE_SIZE", "UPLOAD_CHUNK_SIZE", "DOWNLOAD_CHUNK_SIZE"):
        del os.environ["MLFLOW_MULTIPART_" + name]
    os.environ.pop("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", None)
result = {{"parts": sent, "same": back == data == ranged, "run": run.info.run_id, "uri": run.info.artifact_uri}}
"""


@pytest.mark.peer
def test_client_uploads_in_parts(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    info = httpx.get(f"{live_server.url}/api/3.0/mlflow/server-info").json()
    assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (True, False)
    found = mlflow.run(PARTS.format(chunk=1 << 20, size=(3 << 20) + 17))
    assert found["same"]
    assert len(found["parts"]) == 4
    assert all(url.startswith(live_server.url) for url in found["parts"])

    left = mlflow.run(f"""
    import requests
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    repo = get_artifact_repository({found["uri"]!r})
    def outcome(call):
        try:
            return call() or "ok"
        except Exception as error:
            return getattr(getattr(error, "response", None), "status_code", None) or str(error)
    made = repo.create_multipart_upload("gone.bin", 2, "deep")
    put = [requests.put(c.url, data=b"x" * 100) for c in made.credentials]
    from mlflow.entities.multipart_upload import MultipartUploadPart as Part
    bad = [Part(1, put[0].headers["ETag"], ""), Part(2, "nonsense", "")]
    result = [
        [p.status_code for p in put],
        outcome(lambda: repo.complete_multipart_upload("gone.bin", made.upload_id, bad, "deep")),
        outcome(lambda: repo.abort_multipart_upload("other.bin", made.upload_id, "deep")),
        outcome(lambda: repo.abort_multipart_upload("gone.bin", made.upload_id, "deep")),
        requests.put(made.credentials[0].url, data=b"x").status_code,
        outcome(lambda: repo.complete_multipart_upload("gone.bin", made.upload_id, [Part(1, "a", "")], "deep")),
        requests.put(made.credentials[0].url.replace("number=1", "number=2"), data=b"x").status_code,
        [f.path for f in client.list_artifacts({found["run"]!r}, "deep")],
    ]
    """)
    assert left == [[200, 200], 400, 404, "ok", 404, 404, 403, ["deep/er"]]
    assert list((live_server.data / "blobs" / ".tmp").iterdir()) == []


def test_addresses_of_single_files(http: httpx.Client, run: dict[str, Any]) -> None:
    api, rid = "/api/2.0/mlflow/artifacts", run["run_id"]
    made = http.post(f"{api}/presigned-upload-url", json={"run_id": rid, "path": "d/x.txt", "expiration": 60}).json()
    assert http.put(made["presigned_url"], content=b"signed").status_code == 200
    found = http.post(f"{api}/presigned-download-url", json={"run_id": rid, "path": "d/x.txt"}).json()
    assert found["file_size"] == 6
    assert http.get(found["presigned_url"], headers={"Range": "bytes=1-3"}).content == b"ign"
    assert http.get(f"/api/2.0/mlflow-artifacts/presigned/{proxy_path(run)}/d/x.txt").json()["file_size"] == 6
    assert http.put(found["presigned_url"], content=b"no").status_code == 403  # signed for reading
    assert http.get(found["presigned_url"].replace("d%2Fx.txt", "d%2Fy.txt")).status_code == 403
    assert http.get(f"/api/2.0/mlflow-artifacts/presigned/{proxy_path(run)}/d/none").status_code == 404
    for body in ({"path": "x"}, {"run_id": rid, "model_id": "m-1", "path": "x"}, {"run_id": rid, "path": "../x"},
                 {"run_id": rid, "path": "x", "expiration": 0}, {"run_id": rid, "path": "x", "expiration": 10**6}):  # fmt: skip
        assert http.post(f"{api}/presigned-upload-url", json=body).status_code == 400


def test_size_limit(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(TWINLENS_MAX_ARTIFACT="1M")
    with server.client() as http:
        body = {"path": "big", "num_parts": 2}
        made = http.post("/api/2.0/mlflow-artifacts/mpu/create/default/0/r/artifacts", json=body).json()
        tags = [http.put(c["url"], content=b"x" * 600_000).headers["etag"] for c in made["credentials"]]
        parts = [{"part_number": number, "etag": etag} for number, etag in enumerate(tags, 1)]
        body = {"path": "big", "upload_id": made["upload_id"], "parts": parts}
        late = http.post("/api/2.0/mlflow-artifacts/mpu/complete/default/0/r/artifacts", json=body)
        assert late.status_code == 413
        big = http.put(f"{PROXY}/default/0/r/artifacts/big", content=b"x" * (2 << 20))
        assert (big.status_code, big.json()["error_code"]) == (413, "INVALID_PARAMETER_VALUE")
        assert http.put(f"{PROXY}/default/0/r/artifacts/ok", content=b"x" * (1 << 20)).status_code == 200
        names = [entry["path"] for entry in http.get(PROXY, params={"path": "default/0/r/artifacts"}).json()["files"]]
        assert names == ["ok"]


@pytest.mark.peer
def test_artifacts_in_s3(
    start_server: Callable[..., LiveServer],
    monkeypatch: pytest.MonkeyPatch,
    mlflow: MlflowPeer,
    live_server: LiveServer,
) -> None:
    with S3Server() as s3:
        proxied = start_server(TWINLENS_ARTIFACT_STORE="s3://twinlens/proxied", **s3.environment)
        with proxied.client() as http:
            run = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
            assert http.put(f"{PROXY}/{proxy_path(run)}/m/x.txt", content=b"in s3").status_code == 200
            assert http.get(f"{PROXY}/{proxy_path(run)}/m/x.txt", headers={"Range": "bytes=3-"}).content == b"s3"
            info = http.get("/api/3.0/mlflow/server-info").json()
            assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (True, True)
        mlflow.run(f"mlflow.set_tracking_uri({proxied.url!r}); mlflow.set_experiment('s3')")
        found = mlflow.run(PARTS.format(chunk=5 << 20, size=(5 << 20) + 17))  # S3's smallest part
        assert found["same"]
        assert len(found["parts"]) == 2
        assert all(url.startswith(s3.url) for url in found["parts"])  # the bytes do not pass through this server
        mlflow.run(f"mlflow.set_tracking_uri({live_server.url!r}); mlflow.set_experiment(experiment_id='0')")

        direct = start_server(args=["--artifact-root", "s3://twinlens/direct"], **s3.environment)
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        with direct.client() as http:
            info = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
            assert info["artifact_uri"] == f"s3://twinlens/direct/default/0/{info['run_id']}/artifacts"

            async def write() -> None:  # as a client with credentials of its own would
                async def chunks() -> AsyncIterator[bytes]:
                    yield b"direct"

                await open_object_store(info["artifact_uri"]).write("m/x.txt", chunks())

            asyncio.run(write())
            listing = http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": info["run_id"], "path": "m"}).json()
            assert listing["files"] == [{"path": "m/x.txt", "is_dir": False, "file_size": 6}]
            assert http.get("/get-artifact", params={"run_id": info["run_id"], "path": "m/x.txt"}).text == "direct"
            body = {"name": "other", "artifact_location": "s3://twinlens/proxied/artifacts/default/0"}
            experiment = http.post("/api/2.0/mlflow/experiments/create", json=body).json()["experiment_id"]
            made = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]
            assert http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": made["run_id"]}).status_code == 403
