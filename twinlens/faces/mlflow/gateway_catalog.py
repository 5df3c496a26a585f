"""What MLflow's browser page asks about the AI gateway: providers, their models and fields, how secrets are kept."""

from __future__ import annotations

from typing import Any

from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable
from twinlens.features.gateway_providers import PROVIDERS, config_of, models_of

rpcs = RpcTable()

_AT = "/mlflow/gateway"


@rpcs.rpc("GET", "3.0", _AT + "/supported-providers", ajax_only=True)
def providers(_call: Call) -> Reply:
    """Names of the providers that the gateway calls."""
    return {"providers": sorted(PROVIDERS)}


@rpcs.rpc("GET", "3.0", _AT + "/supported-models", ajax_only=True)
def models(call: Call) -> Reply:
    """Known models of one provider, or of all."""
    return {"models": models_of(call.params.text("provider") or None)}


@rpcs.rpc("GET", "3.0", _AT + "/provider-config", ajax_only=True)
def provider_config(call: Call) -> Reply:
    """The fields that a provider's secret takes."""
    provider = call.params.text("provider")
    if not provider:
        raise invalid("Provider parameter is required")
    return config_of(provider)


@rpcs.rpc("GET", "3.0", _AT + "/secrets/config", ajax_only=True)
def secrets_config(_call: Call) -> Reply:
    """Secrets are sealed with the instance's own key, so there is no default passphrase to warn of."""
    return {"secrets_available": True, "using_default_passphrase": False}


@rpcs.rpc("GET", "2.0", "/mlflow/gateway-proxy", ajax_only=True)
def deployments(_call: Call) -> dict[str, Any]:
    """Endpoints of a separate deployments server (``MLFLOW_DEPLOYMENTS_TARGET``): there is none, the gateway is here."""
    return {"endpoints": []}


@rpcs.rpc("POST", "2.0", "/mlflow/gateway-proxy", ajax_only=True)
def ask_deployments(_call: Call) -> Reply:
    """A request to one of those endpoints."""
    raise invalid(
        "There is no deployments server behind this one: call an endpoint of the gateway at /gateway/{endpoint}/mlflow/invocations."
    )
