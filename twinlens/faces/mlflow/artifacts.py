"""Artifacts: the proxy that clients upload to and download from, and the listings of runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument, TooLarge
from twinlens.domain.registry import parse_version
from twinlens.faces.downloads import download
from twinlens.faces.http import in_thread
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.otel_json import trace_v2_json
from twinlens.faces.mlflow.wire import Call, Raw, Reply, RpcTable, present
from twinlens.features.artifacts import Artifact
from twinlens.store.blobs.interface import BlobInfo

rpcs = RpcTable()

_PROXY = "/mlflow-artifacts/artifacts"
MAX_UI_UPLOAD = 10 * 1024 * 1024  #: bytes; MLflow's limit for uploads from the browser


def file_infos(entries: Iterable[BlobInfo]) -> list[dict[str, Any]]:
    """A listing on the wire."""
    return [
        present(path=entry.path, is_dir=entry.is_dir, file_size=None if entry.is_dir else entry.size)
        for entry in entries
    ]


def stream(call: Call, artifact: Artifact) -> Raw:
    """Answer with the bytes of an artifact."""
    return Raw(app=download(artifact, call.request.headers.get("range")))


def _listing(entries: list[BlobInfo]) -> Reply:
    return {"files": file_infos(entries)} if entries else {}


# --- proxy -----------------------------------------------------------------------------------------------------------


@rpcs.rpc("PUT", "2.0", _PROXY + "/{path:path}", body="raw", scope="ingest")
async def upload(call: Call) -> Reply:
    """Store the raw body. Streams: memory does not grow with the file."""
    assert call.stream is not None
    path, chunks = call.path["path"], call.stream
    if call.services.trace_files.is_one(path):
        body = await _whole(call)
        if await in_thread(call.services.trace_files.take, call.project_id, path, body):
            return None
        chunks = _again(body)
    await call.services.artifacts.upload(call.project_id, path, chunks)
    return None


async def _whole(call: Call) -> bytes:
    """The raw body in one piece: the spans of an old client."""
    assert call.stream is not None
    parts: list[bytes] = []
    size, limit = 0, call.services.settings.max_body
    async for piece in call.stream:
        size += len(piece)
        if size > limit:
            raise TooLarge(f"The request body is larger than {limit} bytes.")
        parts.append(piece)
    return b"".join(parts)


async def _again(body: bytes) -> AsyncIterator[bytes]:
    yield body


@rpcs.rpc("GET", "2.0", _PROXY + "/{path:path}")
async def get(call: Call) -> Reply:
    """Stream a file. Spans of a trace are written as the file that clients before MLflow 3 expect."""
    path = call.path["path"]
    if call.services.trace_files.is_one(path):
        found = await in_thread(call.services.trace_files.read, call.project_id, path)
        if found is not None:
            body = msgspec.json.encode(trace_v2_json(found.spans))
            return Raw(body, headers={"X-Content-Type-Options": "nosniff"})
    return stream(call, await call.services.artifacts.open(call.project_id, call.path["path"]))


@rpcs.rpc("DELETE", "2.0", _PROXY + "/{path:path}", body="raw")
async def delete(call: Call) -> Reply:
    """Remove a file or folder; absent ones are no error."""
    await call.services.artifacts.delete(call.project_id, call.path["path"])
    return None


@rpcs.rpc("GET", "2.0", _PROXY)
async def list_proxied(call: Call) -> Reply:
    """List a folder by plain names; nothing for a file."""
    path = call.params.text("path") or ""
    if path.startswith("/"):
        raise invalid("Invalid path: it must be relative to the artifact root.")
    return _listing(await call.services.artifacts.list(call.project_id, path))


# --- runs, for browsers and older clients ----------------------------------------------------------------------------


async def _run_root(call: Call, run_id: str) -> str:
    return (await in_thread(call.services.runs.get, call.project_id, run_id)).artifact_uri


@rpcs.rpc("GET", "2.0", "/mlflow/artifacts/list")
async def list_run(call: Call) -> Reply:
    """List a run's artifacts with paths relative to its root."""
    root = await _run_root(call, call.params.required("run_id", "run_uuid"))
    entries = await call.services.artifacts.list_at(call.project_id, root, call.params.text("path") or "")
    return present(root_uri=root, files=file_infos(entries) or None)


@rpcs.rpc("GET", "", "/get-artifact")
@rpcs.rpc("GET", "2.0", "/mlflow/get-artifact", ajax_only=True)
async def get_run_artifact(call: Call) -> Reply:
    """Download one file of a run."""
    root = await _run_root(call, call.params.required("run_id", "run_uuid"))
    return stream(call, await call.services.artifacts.open_at(call.project_id, root, call.params.required("path")))


@rpcs.rpc("GET", "", "/model-versions/get-artifact")
@rpcs.rpc("GET", "2.0", "/mlflow/model-versions/get-artifact", ajax_only=True)
async def get_version_artifact(call: Call) -> Reply:
    """Download one file of a model version."""
    version = parse_version(call.params.required("version"))
    root = await in_thread(call.services.registry.download_uri, call.project_id, call.params.required("name"), version)
    return stream(call, await call.services.artifacts.open_at(call.project_id, root, call.params.required("path")))


@rpcs.rpc("POST", "2.0", "/mlflow/upload-artifact", body="raw", ajax_only=True, scope="ingest")
async def upload_run_artifact(call: Call) -> Reply:
    """Upload one small file of a run from the browser."""
    query = call.request.query_params
    run_id, path = query.get("run_uuid") or query.get("run_id"), query.get("path")
    if not run_id:
        raise invalid("Request must specify run_uuid.")
    if not path:
        raise invalid("Request must specify path.")
    if int(call.request.headers.get("content-length") or 0) > MAX_UI_UPLOAD:
        raise invalid("Artifact size is too large. Max size is 10MB.")
    assert call.stream is not None
    await call.services.artifacts.upload_at(
        call.project_id, await _run_root(call, run_id), path, call.stream, MAX_UI_UPLOAD
    )
    return None


@rpcs.rpc("GET", "2.0", "/mlflow/logged-models/{model_id}/artifacts/files", ajax_only=True)
async def get_logged_model_artifact(call: Call) -> Reply:
    """Download one file of a logged model."""
    model = await in_thread(call.services.logged_models.get, call.project_id, call.path["model_id"])
    path = call.params.required("artifact_file_path")
    return stream(call, await call.services.artifacts.open_at(call.project_id, model.artifact_uri, path))


@rpcs.rpc("GET", "2.0", "/mlflow/logged-models/{model_id}/artifacts/directories")
async def list_logged_model(call: Call) -> Reply:
    """List a logged model's artifacts with paths relative to its root."""
    model = await in_thread(call.services.logged_models.get, call.project_id, call.path["model_id"])
    path = call.params.text("artifact_directory_path") or ""
    try:
        entries = await call.services.artifacts.list_at(call.project_id, model.artifact_uri, path)
    except InvalidArgument as error:
        raise invalid(error.message) from None
    return present(root_uri=model.artifact_uri, files=file_infos(entries) or None)
