"""What only MLflow's browser page asks, and where the truthful answer is that there is nothing (API 3.0).

Twinlens sends no usage data and has no coding assistant; the page takes these answers as "hide it", errors it would show.
"""

from __future__ import annotations

from typing import Any

from twinlens.faces.mlflow.wire import Call, RpcTable

rpcs = RpcTable()


@rpcs.rpc("GET", "3.0", "/mlflow/ui-telemetry", ajax_only=True)
async def telemetry_settings(_call: Call) -> dict[str, Any]:
    """Which of its events the page reports to MLflow's makers: none."""
    return {"disable_ui_telemetry": True, "disable_ui_events": [], "ui_rollout_percentage": 0}


@rpcs.rpc("POST", "3.0", "/mlflow/ui-telemetry", ajax_only=True, scope="read")
async def telemetry(_call: Call) -> dict[str, Any]:
    """Events of the page: not taken, and the page stops sending."""
    return {"status": "disabled"}


@rpcs.rpc("GET", "3.0", "/mlflow/assistant/providers", ajax_only=True)
async def assistant_providers(_call: Call) -> dict[str, Any]:
    """Coding assistants that the page could talk to."""
    return {"providers": [], "resolved": None, "gateway_vendor_options": []}


@rpcs.rpc("GET", "3.0", "/mlflow/assistant/config", ajax_only=True)
async def assistant_settings(_call: Call) -> dict[str, Any]:
    """Settings of the assistant."""
    return {"providers": {}, "projects": {}, "remote_access_allowed": False}
