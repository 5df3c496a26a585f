"""The model registry: registered models, versions, aliases, stages, tags."""

from __future__ import annotations

from typing import Any

from twinlens.domain.registry import ModelVersion, RegisteredModel, parse_version
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, present, tag_list
from twinlens.features.prompt_models import PromptModels
from twinlens.features.registry import MAX_MODELS, MAX_VERSIONS, Registry
from twinlens.query.mlflow_filter_registry import IS_PROMPT, model_filter, version_filter

rpcs = RpcTable()

_MODELS = "/mlflow/registered-models"
_VERSIONS = "/mlflow/model-versions"
#: What grants may call a name: models and prompts share theirs.
_KINDS = ("registered_model", "prompt")


def version_json(version: ModelVersion) -> dict[str, Any]:
    """A model version on the wire; numbers are texts there."""
    return present(
        name=version.name, version=str(version.version), creation_timestamp=version.created_ms,
        last_updated_timestamp=version.updated_ms, user_id=version.user_id or None, current_stage=version.stage,
        description=version.description, source=version.source, run_id=version.run_id or "", status=version.status,
        status_message=version.status_message or None, tags=tag_list(version.tags) or None,
        run_link=version.run_link or "", aliases=version.aliases or None, model_id=version.model_id,
    )  # fmt: skip


def model_json(model: RegisteredModel) -> dict[str, Any]:
    """A registered model on the wire."""
    return present(
        name=model.name, creation_timestamp=model.created_ms, last_updated_timestamp=model.updated_ms,
        description=model.description, tags=tag_list(model.tags) or None,
        latest_versions=[version_json(version) for version in model.latest_versions] or None,
        aliases=[{"alias": alias, "version": str(number)} for alias, number in model.aliases.items()] or None,
    )  # fmt: skip


def _home(call: Call, name: str) -> Registry | PromptModels:
    """Where a name lives: MLflow's registry holds prompts beside models."""
    prompts = call.services.prompt_models.of(call.caller)
    return prompts if prompts.exists(call.project_id, name) else call.services.registry


def _model(model: RegisteredModel) -> Reply:
    return {"registered_model": model_json(model)}


def _version(version: ModelVersion) -> Reply:
    return {"model_version": version_json(version)}


def _number(call: Call) -> int:
    value = call.params.raw("version")
    if value is None or value == "":
        return parse_version(call.params.required("version"))
    return parse_version(value)


# --- registered models -----------------------------------------------------------------------------------------------


@rpcs.rpc("POST", "2.0", _MODELS + "/create")
def create_model(call: Call) -> Reply:
    """Create a model."""
    params = call.params
    name, tags = params.required("name"), dict(params.pairs("tags"))
    home = call.services.prompt_models if tags.get(IS_PROMPT, "").lower() == "true" else call.services.registry
    return _model(home.create(call.project_id, name, description=params.text("description") or "", tags=tags))


@rpcs.rpc("POST", "2.0", _MODELS + "/rename")
def rename_model(call: Call) -> Reply:
    """Rename a model with its versions."""
    name, new_name = call.params.required("name"), call.params.required("new_name")
    return _model(_home(call, name).rename(call.project_id, name, new_name))


@rpcs.rpc("PATCH", "2.0", _MODELS + "/update")
def update_model(call: Call) -> Reply:
    """Set the description."""
    name, description = call.params.required("name"), call.params.text("description") or ""
    return _model(_home(call, name).update(call.project_id, name, description))


@rpcs.rpc("DELETE", "2.0", _MODELS + "/delete")
def delete_model(call: Call) -> Reply:
    """Remove a model with its versions."""
    name = call.params.required("name")
    _home(call, name).delete(call.project_id, name)
    return None


@rpcs.rpc("GET", "2.0", _MODELS + "/get")
def get_model(call: Call) -> Reply:
    """One model."""
    name = call.params.required("name")
    return _model(_home(call, name).get(call.project_id, name))


@rpcs.rpc("GET", "2.0", _MODELS + "/search")
def search_models(call: Call) -> Reply:
    """Find models."""
    params = call.params
    prompts, _ = model_filter(params.text("filter"))
    page = (call.services.prompt_models if prompts else call.services.registry).search(
        call.project_id, filter=params.text("filter"), order_by=params.texts("order_by"),
        limit=params.max_results(100, MAX_MODELS), cursor=params.text("page_token") or None, visible=call.visible(*_KINDS),
    )  # fmt: skip
    return present(
        registered_models=[model_json(model) for model in page.models] or None, next_page_token=page.next_cursor
    )


@rpcs.rpc("GET", "2.0", _MODELS + "/get-latest-versions")
@rpcs.rpc("POST", "2.0", _MODELS + "/get-latest-versions", scope="read")
def latest_versions(call: Call) -> Reply:
    """The newest version of each stage."""
    name = call.params.required("name")
    found = _home(call, name).latest_versions(call.project_id, name, call.params.texts("stages"))
    return {"model_versions": [version_json(version) for version in found]} if found else {}


@rpcs.rpc("POST", "2.0", _MODELS + "/set-tag")
def set_model_tag(call: Call) -> Reply:
    """Set a tag of a model."""
    params = call.params
    name, key = params.required("name"), params.required("key")
    _home(call, name).set_tag(call.project_id, name, key, params.text("value") or "")
    return None


@rpcs.rpc("DELETE", "2.0", _MODELS + "/delete-tag")
def delete_model_tag(call: Call) -> Reply:
    """Remove a tag of a model."""
    name, key = call.params.required("name"), call.params.required("key")
    _home(call, name).delete_tag(call.project_id, name, key)
    return None


@rpcs.rpc("POST", "2.0", _MODELS + "/alias")
def set_alias(call: Call) -> Reply:
    """Put or move an alias."""
    name, alias = call.params.required("name"), call.params.required("alias")
    _home(call, name).set_alias(call.project_id, name, alias, _number(call))
    return None


@rpcs.rpc("DELETE", "2.0", _MODELS + "/alias")
def delete_alias(call: Call) -> Reply:
    """Take an alias off."""
    name, alias = call.params.required("name"), call.params.required("alias")
    _home(call, name).delete_alias(call.project_id, name, alias)
    return None


@rpcs.rpc("GET", "2.0", _MODELS + "/alias")
def get_by_alias(call: Call) -> Reply:
    """The version an alias points to."""
    name, alias = call.params.required("name"), call.params.required("alias")
    return _version(_home(call, name).by_alias(call.project_id, name, alias))


# --- versions --------------------------------------------------------------------------------------------------------


@rpcs.rpc("POST", "2.0", _VERSIONS + "/create")
def create_version(call: Call) -> Reply:
    """Add a version."""
    params = call.params
    name = params.required("name")
    return _version(
        _home(call, name).create_version(
            call.project_id, name, params.required("source"), run_id=params.text("run_id"),
            run_link=params.text("run_link"), model_id=params.text("model_id"),
            description=params.text("description") or "", tags=dict(params.pairs("tags")), user_id=call.user,
        )
    )  # fmt: skip


@rpcs.rpc("GET", "2.0", _VERSIONS + "/get")
def get_version(call: Call) -> Reply:
    """One version."""
    name = call.params.required("name")
    return _version(_home(call, name).version(call.project_id, name, _number(call)))


@rpcs.rpc("GET", "2.0", _VERSIONS + "/get-download-uri")
def download_uri(call: Call) -> Reply:
    """Where the files of a version are."""
    name = call.params.required("name")
    return {"artifact_uri": _home(call, name).download_uri(call.project_id, name, _number(call))}


@rpcs.rpc("GET", "2.0", _VERSIONS + "/search")
def search_versions(call: Call) -> Reply:
    """Find versions."""
    params = call.params
    prompts, _ = version_filter(params.text("filter"))
    page = (call.services.prompt_models if prompts else call.services.registry).search_versions(
        call.project_id, filter=params.text("filter"), order_by=params.texts("order_by"),
        limit=params.max_results(10_000, MAX_VERSIONS), cursor=params.text("page_token") or None, visible=call.visible(*_KINDS),
    )  # fmt: skip
    return present(
        model_versions=[version_json(version) for version in page.versions] or None, next_page_token=page.next_cursor
    )


@rpcs.rpc("PATCH", "2.0", _VERSIONS + "/update")
def update_version(call: Call) -> Reply:
    """Set the description of a version."""
    name, description = call.params.required("name"), call.params.text("description") or ""
    return _version(_home(call, name).update_version(call.project_id, name, _number(call), description))


@rpcs.rpc("POST", "2.0", _VERSIONS + "/transition-stage")
def transition_stage(call: Call) -> Reply:
    """Move a version to a stage."""
    params = call.params
    archive = params.boolean("archive_existing_versions")
    if archive is None:
        raise invalid("Missing value for required parameter 'archive_existing_versions'.")
    name, stage = params.required("name"), params.required("stage")
    return _version(_home(call, name).transition(call.project_id, name, _number(call), stage, archive_existing=archive))


@rpcs.rpc("DELETE", "2.0", _VERSIONS + "/delete")
def delete_version(call: Call) -> Reply:
    """Remove a version."""
    name = call.params.required("name")
    _home(call, name).delete_version(call.project_id, name, _number(call))
    return None


@rpcs.rpc("POST", "2.0", _VERSIONS + "/set-tag")
def set_version_tag(call: Call) -> Reply:
    """Set a tag of a version."""
    params = call.params
    name, number, key = params.required("name"), _number(call), params.required("key")
    _home(call, name).set_version_tag(call.project_id, name, number, key, params.text("value") or "")
    return None


@rpcs.rpc("DELETE", "2.0", _VERSIONS + "/delete-tag")
def delete_version_tag(call: Call) -> Reply:
    """Remove a tag of a version."""
    name, number, key = call.params.required("name"), _number(call), call.params.required("key")
    _home(call, name).delete_version_tag(call.project_id, name, number, key)
    return None
