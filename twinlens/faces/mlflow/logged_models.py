"""Logged models: MLflow 3's first-class models, created by every ``log_model``."""

from __future__ import annotations

from typing import Any

from twinlens.domain.logged_model import DatasetScope, LoggedModel
from twinlens.faces.mlflow.errors import MlflowError, invalid
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, number, present, tag_list
from twinlens.features.logged_models import VERSIONS_TAG, unique
from twinlens.query.mlflow_filter_registry import logged_model_order

rpcs = RpcTable()

_STATUSES = ("LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED")
_PREFIX = "LOGGED_MODEL_"
_MODEL = "/mlflow/logged-models/{model_id}"
PAGE, MAX_PAGE = 100, 50_000


def logged_model_json(model: LoggedModel) -> dict[str, Any]:
    """A logged model on the wire."""
    info = present(
        model_id=model.model_id, experiment_id=model.experiment_id, name=model.name,
        creation_timestamp_ms=model.created_ms, last_updated_timestamp_ms=model.updated_ms,
        artifact_uri=model.artifact_uri, status=_PREFIX + model.status, model_type=model.model_type,
        source_run_id=model.source_run_id, status_message=model.status_message, tags=tag_list(model.tags) or None,
    )  # fmt: skip
    metrics = [
        present(
            key=metric.key, value=number(metric.value), timestamp=metric.timestamp_ms, step=metric.step,
            dataset_name=metric.dataset_name, dataset_digest=metric.dataset_digest, model_id=model.model_id,
            run_id=metric.run_id,
        )
        for metric in model.metrics
    ]  # fmt: skip
    return {"info": info, "data": present(params=tag_list(model.params) or None, metrics=metrics or None)}


def _reply(model: LoggedModel) -> Reply:
    return {"model": logged_model_json(model)}


@rpcs.rpc("POST", "2.0", "/mlflow/logged-models", scope="ingest")
def create(call: Call) -> Reply:
    """Create a pending model."""
    params = call.params
    return _reply(
        call.services.logged_models.create(
            call.project_id, params.required("experiment_id"), name=params.text("name"),
            model_type=params.text("model_type"), source_run_id=params.text("source_run_id"),
            params=unique(params.pairs("params"), "param"), tags=unique(params.pairs("tags"), "tag"),
        )
    )  # fmt: skip


@rpcs.rpc("POST", "2.0", "/mlflow/logged-models/search", scope="read")
def search(call: Call) -> Reply:
    """Find models of some experiments. Clients also call it whenever they load ``runs:/`` artifacts."""
    params = call.params
    experiment_ids = params.texts("experiment_ids")
    if not experiment_ids:
        raise invalid("Missing value for required parameter 'experiment_ids'.")
    datasets: list[DatasetScope] = []
    for item in params.objects("datasets"):
        name = item.text("dataset_name")
        if not name:
            raise invalid("`dataset_name` in the `datasets` clause must be specified.")
        datasets.append(DatasetScope(name, item.text("dataset_digest")))
    visible = call.visible("experiment", "logged_model")
    experiment_ids = [id for id in experiment_ids if visible is None or id in visible]
    page = call.services.logged_models.search(
        call.project_id, experiment_ids, filter=params.text("filter"), datasets=datasets,
        orders=[_order(item) for item in params.objects("order_by")],
        limit=params.max_results(PAGE, MAX_PAGE), cursor=params.text("page_token") or None,
    )  # fmt: skip
    return present(models=[logged_model_json(model) for model in page.models] or None, next_page_token=page.next_cursor)


def _order(item: Params) -> Any:
    ascending = item.boolean("ascending")
    return logged_model_order(
        item.required("field_name"), ascending=True if ascending is None else ascending,
        dataset_name=item.text("dataset_name"), dataset_digest=item.text("dataset_digest"),
    )  # fmt: skip


@rpcs.rpc("GET", "2.0", _MODEL)
def get(call: Call) -> Reply:
    """One model with all points of its metrics; lists tell the latest ones."""
    deleted = call.params.boolean("allow_deleted") or False
    return _reply(call.services.logged_models.whole(call.project_id, call.path["model_id"], deleted=deleted))


@rpcs.rpc("PATCH", "2.0", _MODEL, scope="ingest")
def finalize(call: Call) -> Reply:
    """Set the status after the upload."""
    status = call.params.enum("status", _STATUSES)
    if status is None:
        raise invalid("Missing value for required parameter 'status'.")
    found = call.services.logged_models.finalize(
        call.project_id, call.path["model_id"], status.removeprefix(_PREFIX)
    )  # fmt: skip
    return _reply(found)


@rpcs.rpc("DELETE", "2.0", _MODEL)
def delete(call: Call) -> Reply:
    """Soft delete."""
    call.services.logged_models.delete(call.project_id, call.path["model_id"])
    return None


@rpcs.rpc("PATCH", "2.0", _MODEL + "/tags", scope="ingest")
def set_tags(call: Call) -> Reply:
    """Set tags. The list of registered versions is the server's; clients send what they read plus one, so entries
    that the server has meanwhile written itself are kept apart from duplicates by value."""
    tags = unique(call.params.pairs("tags"), "tag")
    call.services.logged_models.set_tags(call.project_id, call.path["model_id"], _distinct(tags))
    return None


@rpcs.rpc("DELETE", "2.0", _MODEL + "/tags/{key}")
def delete_tag(call: Call) -> Reply:
    """Remove a tag."""
    call.services.logged_models.delete_tag(call.project_id, call.path["model_id"], call.path["key"])
    return None


@rpcs.rpc("POST", "2.0", _MODEL + "/params", scope="ingest")
def log_params(call: Call) -> Reply:
    """Add params that did not fit into the first request."""
    params = unique(call.params.pairs("params"), "param")
    call.services.logged_models.log_params(call.project_id, call.path["model_id"], params)
    return None


def _distinct(tags: dict[str, str]) -> dict[str, str]:
    """The versions tag without repeated entries: client and server both append the same one."""
    import json

    if VERSIONS_TAG in tags:
        try:
            entries = json.loads(tags[VERSIONS_TAG])
            kept = [entry for index, entry in enumerate(entries) if entry not in entries[:index]]
        except (ValueError, TypeError):
            raise MlflowError("INVALID_PARAMETER_VALUE", f"Tag '{VERSIONS_TAG}' must be a JSON list.") from None
        tags = tags | {VERSIONS_TAG: json.dumps(kept)}
    return tags
