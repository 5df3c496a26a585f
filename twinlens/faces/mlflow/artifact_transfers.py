"""Artifacts in parts and by signed address (API 2.0)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec

from twinlens.domain.errors import PermissionDenied
from twinlens.faces.http import in_thread
from twinlens.faces.mlflow.artifacts import stream
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.wire import Call, Raw, Reply, RpcTable, present
from twinlens.features.artifact_transfers import FILE_S, Signed, Ticket
from twinlens.store.blobs.paths import basename, join
from twinlens.store.blobs.uploads import Part

rpcs = RpcTable()

_ROOT = "/mlflow-artifacts"
_SIGNED = _ROOT + "/signed"  #: this server's own addresses; no path of MLflow


def _url(call: Call, signed: Signed) -> str:
    """The address itself; a ticket becomes one of this server."""
    if signed.ticket is None:
        return signed.url or ""
    base = (call.services.settings.base_url or f"{call.request.base_url}").rstrip("/")
    values = {name: value for name, value in msgspec.to_builtins(signed.ticket).items() if value not in ("", 0)}
    return f"{base}/api/2.0{_SIGNED}?{urlencode({**values, 'signature': signed.signature})}"


def _target(call: Call) -> str:
    """Where an upload in parts ends: the path of the folder, and the name of the client's local file."""
    name = basename(call.params.required("path").replace("\\", "/"))
    return join(call.path["path"], name)


# --- uploads in parts ------------------------------------------------------------------------------------------------
@rpcs.rpc("POST", "2.0", _ROOT + "/mpu/create/{path:path}", scope="ingest")
async def create_upload(call: Call) -> Reply:
    """Begin an upload; the addresses of its parts."""
    parts = call.params.required_integer("num_parts")
    started = await call.services.artifact_transfers.start(call.project_id, _target(call), parts)
    return {
        "upload_id": started.upload_id,
        "credentials": [
            {"url": _url(call, place), "part_number": number, "headers": {}}
            for number, place in enumerate(started.parts, 1)
        ],
    }


@rpcs.rpc("POST", "2.0", _ROOT + "/mpu/complete/{path:path}", scope="ingest")
async def complete_upload(call: Call) -> Reply:
    """Put the parts together."""
    parts = [
        Part(each.required_integer("part_number"), each.text("etag") or "") for each in call.params.objects("parts")
    ]
    upload_id = call.params.required("upload_id")
    await call.services.artifact_transfers.finish(call.project_id, _target(call), upload_id, parts)
    return None


@rpcs.rpc("POST", "2.0", _ROOT + "/mpu/abort/{path:path}", scope="ingest")
async def abort_upload(call: Call) -> Reply:
    """Remove what has arrived of an upload."""
    upload_id = call.params.required("upload_id")
    await call.services.artifact_transfers.abort(call.project_id, _target(call), upload_id)
    return None


# --- single files ----------------------------------------------------------------------------------------------------
@rpcs.rpc("GET", "2.0", _ROOT + "/presigned/{path:path}")
async def presigned_download(call: Call) -> Reply:
    """An address that gives a proxied file, also in ranges."""
    found = await call.services.artifact_transfers.download(call.project_id, call.path["path"])
    return present(url=_url(call, found), headers={}, file_size=found.size)


@rpcs.rpc("POST", "2.0", "/mlflow/artifacts/presigned-upload-url", scope="ingest")
async def presigned_upload_of(call: Call) -> Reply:
    """An address that takes one file of a run or logged model."""
    params = call.params
    run_id, model_id, seconds = params.text("run_id"), params.text("model_id"), params.integer("expiration")
    if bool(run_id) == bool(model_id):
        raise invalid("Exactly one of run_id and model_id must be provided.")
    made = await call.services.artifact_transfers.upload_at(
        call.project_id, await _root(call, run_id, model_id), params.required("path"),
        FILE_S if seconds is None else seconds,
    )  # fmt: skip
    return {"presigned_url": _url(call, made), "headers": {}}


@rpcs.rpc("POST", "2.0", "/mlflow/artifacts/presigned-download-url", scope="read")
async def presigned_download_of(call: Call) -> Reply:
    """An address that gives one file of a run."""
    params = call.params
    seconds = params.integer("expiration")
    root = await _root(call, params.required("run_id"), None)
    found = await call.services.artifact_transfers.download_at(
        call.project_id, root, params.required("path"), FILE_S if seconds is None else seconds
    )
    return present(presigned_url=_url(call, found), headers={}, file_size=found.size)


async def _root(call: Call, run_id: str | None, model_id: str | None) -> str:
    if run_id:
        return (await in_thread(call.services.runs.get, call.project_id, run_id)).artifact_uri
    return (await in_thread(call.services.logged_models.get, call.project_id, model_id or "")).artifact_uri


# --- this server's own addresses -------------------------------------------------------------------------------------
def _ticket(call: Call) -> tuple[Ticket, str]:
    query: dict[str, Any] = {name: call.request.query_params.get(name) for name in call.request.query_params}
    signature = query.pop("signature", None) or ""
    try:
        return msgspec.convert(query, Ticket, strict=False), signature
    except msgspec.ValidationError:
        raise PermissionDenied("This artifact address is not signed") from None


@rpcs.rpc("GET", "2.0", _SIGNED, public=True)
async def read_signed(call: Call) -> Reply:
    """The file that the address is signed for."""
    return stream(call, await call.services.artifact_transfers.open(*_ticket(call)))


@rpcs.rpc("PUT", "2.0", _SIGNED, body="raw", public=True)
async def write_signed(call: Call) -> Reply:
    """A part or a whole file."""
    assert call.stream is not None
    ticket, signature = _ticket(call)
    etag = await call.services.artifact_transfers.take(ticket, signature, call.stream)
    return Raw(b"{}", headers={"ETag": f'"{etag}"'} if etag else {})
