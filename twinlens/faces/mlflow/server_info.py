"""What MLflow clients ask about the server itself. All of it is public, also when credentials are required."""

from __future__ import annotations

from twinlens.domain.skill import MAX_BYTES, MAX_FILES
from twinlens.faces.http import in_thread
from twinlens.faces.mlflow.wire import Call, Raw, RpcTable

rpcs = RpcTable()

#: The MLflow release whose protocol this face speaks. Clients refuse to send spans below 3.4.
MLFLOW_VERSION = "3.18.0"


@rpcs.rpc("GET", "", "/version", public=True)
async def version(_call: Call) -> Raw:
    """Plain text version, fetched by clients before their first span export."""
    return Raw(MLFLOW_VERSION.encode(), media_type="text/html; charset=utf-8")


@rpcs.rpc("GET", "", "/health", public=True)
async def health(_call: Call) -> Raw:
    """Liveness."""
    return Raw(b"OK", media_type="text/html; charset=utf-8")


@rpcs.rpc("GET", "3.0", "/mlflow/server-info", public=True)
async def server_info(call: Call) -> dict[str, object]:
    """Capabilities; a key that is missing means false to clients.

    Workspaces are announced where there is something to choose or somebody to keep apart: with them, MLflow's own page asks
    for a workspace before it shows anything.
    """
    services = call.services
    several = services.access.secured or len(await in_thread(services.projects.list)) > 1
    return {
        "store_type": "SqlStore",
        "workspaces_enabled": several,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": await services.artifact_transfers.takes_parts(),
        # With this a client asks for an address before every download, so only where the store itself then sends the bytes.
        "multipart_downloads_enabled": await services.artifact_transfers.signs(),
        "artifact_serving_enabled": True,
        "skill_content_max_size": MAX_BYTES,
        "skill_content_max_files": MAX_FILES,
        "presigned_upload_run_id_supported": True,
        "presigned_upload_model_id_supported": True,
        "artifacts_presigned_only": False,
        "features_enabled": {"gateway": True},
    }
