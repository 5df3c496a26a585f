"""The AI gateway's configuration (API 3.0): secrets, model definitions, endpoints, their models, tags and bindings.

A secret is a model connection, and shows Langfuse's clients as an LLM connection.
"""

from __future__ import annotations

from typing import Any

from twinlens.domain.gateway import Binding, Endpoint, Fallback, ModelConnection, ModelDefinition, ModelMapping
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.params import Params, missing
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, present, tag_list

rpcs = RpcTable()

_MS = 1_000_000
_AT = "/mlflow/gateway"
_STRATEGIES = ("REQUEST_BASED_TRAFFIC_SPLIT",)
_FALLBACKS = ("SEQUENTIAL",)
_LINKAGES = ("PRIMARY", "FALLBACK")


# --- secrets -----------------------------------------------------------------------------------------------------
def _secret_json(connection: ModelConnection) -> dict[str, Any]:
    config = {name: value for name, value in connection.config.items() if isinstance(value, str)}
    if connection.base_url is not None:
        config["api_base"] = connection.base_url
    return present(
        secret_id=connection.connection_id, secret_name=connection.name, masked_values=connection.masked or None,
        created_at=connection.created_ns // _MS, last_updated_at=connection.updated_ns // _MS, provider=connection.provider,
        auth_config=config or None, created_by=connection.created_by, last_updated_by=connection.updated_by,
    )  # fmt: skip


def _texts(params: Params, name: str) -> dict[str, str]:
    """A map of texts."""
    found = params.object(name)
    return {} if found is None else {key: found.text(key) or "" for key in params.raw(name)}


def _auth_config(params: Params) -> dict[str, Any] | None:
    """What ``auth_config`` says of a connection; None if it was not sent."""
    config = _texts(params, "auth_config")
    if not config:
        return None
    base = config.pop("api_base", "").strip()
    return {"base_url": base or None, "config": config}


@rpcs.rpc("POST", "3.0", _AT + "/secrets/create")
def create_secret(call: Call) -> Reply:
    """A new connection."""
    call.caller.require_administrator()
    params = call.params
    name, secret = params.required("secret_name"), _texts(params, "secret_value")
    if not all(
        value.strip() for value in secret.values()
    ):  # none at all is fine: a server of one's own may want no key
        raise missing("secret_value")
    user = call.user or params.text("created_by") or None
    draft = ModelConnection(
        connection_id="", name=name, provider=params.text("provider") or None, created_by=user, updated_by=user,
        **(_auth_config(params) or {}),
    )  # fmt: skip
    return {"secret": _secret_json(call.services.connections.create(call.project_id, draft, secret))}


@rpcs.rpc("GET", "3.0", _AT + "/secrets/get")
def get_secret(call: Call) -> Reply:
    """One connection, without its secret."""
    found = call.services.connections.get(call.project_id, call.params.required("secret_id"))
    return {"secret": _secret_json(found)}


@rpcs.rpc("POST", "3.0", _AT + "/secrets/update")
def update_secret(call: Call) -> Reply:
    """Replace the secret, or where it is for."""
    call.caller.require_administrator()
    params = call.params
    changed = call.services.connections.update(
        call.project_id, params.required("secret_id"), secret=_texts(params, "secret_value") or None,
        updated_by=call.user or params.text("updated_by") or None, **(_auth_config(params) or {}),
    )  # fmt: skip
    return {"secret": _secret_json(changed)}


@rpcs.rpc("DELETE", "3.0", _AT + "/secrets/delete")
def delete_secret(call: Call) -> Reply:
    """Remove a connection."""
    call.caller.require_administrator()
    call.services.connections.delete(call.project_id, call.params.required("secret_id"))
    return None


@rpcs.rpc("GET", "3.0", _AT + "/secrets/list")
def list_secrets(call: Call) -> Reply:
    """All connections, or those to one provider."""
    found = call.services.connections.list(call.project_id, call.params.text("provider") or None)
    return present(secrets=[_secret_json(each) for each in found] or None)


# --- model definitions -------------------------------------------------------------------------------------------
def _model_json(model: ModelDefinition) -> dict[str, Any]:
    return present(
        model_definition_id=model.model_definition_id, name=model.name, secret_id=model.connection_id,
        secret_name=model.connection_name, provider=model.provider, model_name=model.model_name,
        created_at=model.created_ns // _MS, last_updated_at=model.updated_ns // _MS, created_by=model.created_by,
        last_updated_by=model.updated_by,
    )  # fmt: skip


@rpcs.rpc("POST", "3.0", _AT + "/model-definitions/create")
def create_model(call: Call) -> Reply:
    """A new model definition."""
    params = call.params
    user = call.user or params.text("created_by") or None
    draft = ModelDefinition(
        model_definition_id="", name=params.required("name"), connection_id=params.required("secret_id"),
        provider=params.required("provider"), model_name=params.required("model_name"), created_by=user, updated_by=user,
    )  # fmt: skip
    return {"model_definition": _model_json(call.services.gateway.create_model(call.project_id, draft))}


@rpcs.rpc("GET", "3.0", _AT + "/model-definitions/get")
def get_model(call: Call) -> Reply:
    """One model definition."""
    found = call.services.gateway.model(call.project_id, call.params.required("model_definition_id"))
    return {"model_definition": _model_json(found)}


@rpcs.rpc("GET", "3.0", _AT + "/model-definitions/list")
def list_models(call: Call) -> Reply:
    """All model definitions, or those of one provider or connection."""
    params = call.params
    found = call.services.gateway.models(
        call.project_id, provider=params.text("provider") or None, connection_id=params.text("secret_id") or None
    )
    return present(model_definitions=[_model_json(each) for each in found] or None)


@rpcs.rpc("POST", "3.0", _AT + "/model-definitions/update")
def update_model(call: Call) -> Reply:
    """Change what is sent."""
    params = call.params
    changed = call.services.gateway.update_model(
        call.project_id, params.required("model_definition_id"), name=params.text("name") or None,
        connection_id=params.text("secret_id") or None, model_name=params.text("model_name") or None,
        provider=params.text("provider") or None, updated_by=call.user or params.text("updated_by") or None,
    )  # fmt: skip
    return {"model_definition": _model_json(changed)}


@rpcs.rpc("DELETE", "3.0", _AT + "/model-definitions/delete")
def delete_model(call: Call) -> Reply:
    """Remove a model definition that no endpoint uses."""
    call.services.gateway.delete_model(call.project_id, call.params.required("model_definition_id"))
    return None


# --- endpoints ---------------------------------------------------------------------------------------------------
def _mapping_json(endpoint_id: str, mapping: ModelMapping) -> dict[str, Any]:
    return present(
        mapping_id=mapping.mapping_id, endpoint_id=endpoint_id, model_definition_id=mapping.model_definition_id,
        model_definition=_model_json(mapping.definition) if mapping.definition else None, weight=mapping.weight,
        linkage_type=mapping.linkage, fallback_order=mapping.fallback_order, created_at=mapping.created_ns // _MS,
        created_by=mapping.created_by,
    )  # fmt: skip


def endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    """``GatewayEndpoint`` on the wire."""
    fallback = endpoint.fallback
    return present(
        endpoint_id=endpoint.endpoint_id, name=endpoint.name, created_at=endpoint.created_ns // _MS,
        last_updated_at=endpoint.updated_ns // _MS,
        model_mappings=[_mapping_json(endpoint.endpoint_id, mapping) for mapping in endpoint.mappings] or None,
        tags=tag_list(endpoint.tags) or None, created_by=endpoint.created_by or "",
        last_updated_by=endpoint.updated_by or "", routing_strategy=endpoint.routing_strategy,
        fallback_config=fallback and present(strategy=fallback.strategy, max_attempts=fallback.max_attempts),
        experiment_id=endpoint.experiment_id, usage_tracking=endpoint.usage_tracking,
    )  # fmt: skip


def _choice(params: Params, name: str, known: tuple[str, ...]) -> str | None:
    """A value of an enum; MLflow's client sends its name."""
    value = params.text(name)
    if value is not None and value not in known:
        raise invalid(f"Invalid value {value!r} for parameter '{name}' supplied. Must be one of: {', '.join(known)}.")
    return value


def _mapping(params: Params, place: str) -> ModelMapping:
    linkage = params.text("linkage_type")
    if linkage not in _LINKAGES:
        raise invalid(
            f"Invalid or missing value for required parameter 'linkage_type' in {place}. "
            f"Must be one of: {', '.join(_LINKAGES)}."
        )
    weight = params.number("weight")
    return ModelMapping(
        model_definition_id=params.required("model_definition_id"), linkage=linkage,  # pyright: ignore[reportArgumentType]
        weight=1.0 if weight is None else weight, fallback_order=params.integer("fallback_order"),
    )  # fmt: skip


def _mappings(params: Params) -> list[ModelMapping] | None:
    if not params.raw("model_configs"):
        return None
    configs = params.objects("model_configs")
    return [_mapping(each, f"model_configs[{index}]") for index, each in enumerate(configs)]


def _fallback(params: Params) -> Fallback | None:
    found = params.object("fallback_config")
    if found is None:
        return None
    return Fallback(strategy=_choice(found, "strategy", _FALLBACKS), max_attempts=found.integer("max_attempts"))


@rpcs.rpc("POST", "3.0", _AT + "/endpoints/create")
def create_endpoint(call: Call) -> Reply:
    """A new endpoint."""
    params = call.params
    user = call.user or params.text("created_by") or None
    name, mappings = params.required("name"), _mappings(params)
    if mappings is None:
        raise missing("model_configs")
    tracked = params.boolean("usage_tracking")
    draft = Endpoint(
        endpoint_id="", name=name, mappings=mappings, fallback=_fallback(params),
        routing_strategy=_choice(params, "routing_strategy", _STRATEGIES), experiment_id=params.text("experiment_id"),
        usage_tracking=True if tracked is None else tracked, created_by=user, updated_by=user,
    )  # fmt: skip
    return {"endpoint": endpoint_json(call.services.gateway.create_endpoint(call.project_id, draft))}


@rpcs.rpc("GET", "3.0", _AT + "/endpoints/get")
def get_endpoint(call: Call) -> Reply:
    """One endpoint by id or name."""
    id, name = call.params.text("endpoint_id") or None, call.params.text("name") or None
    return {"endpoint": endpoint_json(call.services.gateway.endpoint(call.project_id, id, name))}


@rpcs.rpc("POST", "3.0", _AT + "/endpoints/update")
def update_endpoint(call: Call) -> Reply:
    """Change what is sent; models are replaced as a whole."""
    params = call.params
    changed = call.services.gateway.update_endpoint(
        call.project_id, params.required("endpoint_id"), mappings=_mappings(params), fallback=_fallback(params),
        updated_by=call.user or params.text("updated_by") or None, name=params.text("name") or None,
        routing_strategy=_choice(params, "routing_strategy", _STRATEGIES), experiment_id=params.text("experiment_id"),
        usage_tracking=params.boolean("usage_tracking"),
    )  # fmt: skip
    return {"endpoint": endpoint_json(changed)}


@rpcs.rpc("DELETE", "3.0", _AT + "/endpoints/delete")
def delete_endpoint(call: Call) -> Reply:
    """Remove an endpoint."""
    call.services.gateway.delete_endpoint(call.project_id, call.params.required("endpoint_id"))
    return None


@rpcs.rpc("GET", "3.0", _AT + "/endpoints/list")
def list_endpoints(call: Call) -> Reply:
    """All endpoints, or those with a model of one provider or connection."""
    params = call.params
    found = call.services.gateway.endpoints(
        call.project_id, provider=params.text("provider") or None, connection_id=params.text("secret_id") or None
    )
    return present(endpoints=[endpoint_json(each) for each in found] or None)


@rpcs.rpc("POST", "3.0", _AT + "/endpoints/models/attach")
def attach(call: Call) -> Reply:
    """Add a model to an endpoint."""
    params = call.params
    endpoint_id, config = params.required("endpoint_id"), params.object("model_config")
    if config is None:
        raise missing("model_config")
    user = call.user or params.text("created_by") or None
    made = call.services.gateway.attach(call.project_id, endpoint_id, _mapping(config, "model_config"), user)
    return {"mapping": _mapping_json(endpoint_id, made)}


@rpcs.rpc("POST", "3.0", _AT + "/endpoints/models/detach")
def detach(call: Call) -> Reply:
    """Take a model from an endpoint."""
    params = call.params
    endpoint_id, model = params.required("endpoint_id"), params.required("model_definition_id")
    call.services.gateway.detach(call.project_id, endpoint_id, model)
    return None


@rpcs.rpc("POST", "3.0", _AT + "/endpoints/set-tag")
def set_tag(call: Call) -> Reply:
    """Write a tag."""
    params = call.params
    endpoint_id, key = params.required("endpoint_id"), params.required("key")
    call.services.gateway.set_tag(call.project_id, endpoint_id, key, params.text("value") or "")
    return None


@rpcs.rpc("DELETE", "3.0", _AT + "/endpoints/delete-tag")
def delete_tag(call: Call) -> Reply:
    """Remove a tag."""
    params = call.params
    call.services.gateway.delete_tag(call.project_id, params.required("endpoint_id"), params.required("key"))
    return None


# --- bindings ----------------------------------------------------------------------------------------------------
def _binding_json(binding: Binding, name: str | None = None) -> dict[str, Any]:
    return present(
        endpoint_id=binding.endpoint_id, resource_type=binding.resource_type, resource_id=binding.resource_id,
        created_at=binding.created_ns // _MS, last_updated_at=binding.updated_ns // _MS, created_by=binding.created_by,
        last_updated_by=binding.created_by, display_name=name,
    )  # fmt: skip


@rpcs.rpc("POST", "3.0", _AT + "/endpoints/bindings/create")
def bind(call: Call) -> Reply:
    """Note that a resource uses an endpoint."""
    params = call.params
    made = call.services.gateway.bind(
        call.project_id, params.required("endpoint_id"), params.required("resource_type"), params.required("resource_id"),
        call.user or params.text("created_by") or None,
    )  # fmt: skip
    return {"binding": _binding_json(made)}


@rpcs.rpc("DELETE", "3.0", _AT + "/endpoints/bindings/delete")
def unbind(call: Call) -> Reply:
    """Remove a binding."""
    params = call.params
    call.services.gateway.unbind(
        call.project_id,
        params.required("endpoint_id"),
        params.required("resource_type"),
        params.required("resource_id"),
    )
    return None


@rpcs.rpc("GET", "3.0", _AT + "/endpoints/bindings/list")
def list_bindings(call: Call) -> Reply:
    """Bindings, with the names of the scorers they tell of."""
    params = call.params
    found = call.services.gateway.bindings(
        call.project_id, params.text("endpoint_id") or None, params.text("resource_type") or None,
        params.text("resource_id") or None,
    )  # fmt: skip
    names = {each.evaluator_id: each.name for each in call.services.evaluators.list(call.project_id)} if found else {}
    return present(bindings=[_binding_json(each, names.get(each.resource_id)) for each in found] or None)
