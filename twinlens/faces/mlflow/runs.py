"""Runs, params, tags, inputs and outputs (API 2.0). Metrics live in ``metrics``."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.run import RUN_STATUSES, Dataset, DatasetInput, ModelOutput, Run
from twinlens.faces.mlflow.experiments import view_of
from twinlens.faces.mlflow.limits import MAX_RUNS_PAGE, RUNS_PAGE
from twinlens.faces.mlflow.params import Params, missing
from twinlens.faces.mlflow.wire import Call, RpcTable, invalid, number, present, tag_list
from twinlens.query.mlflow_filter_runs import run_filter, run_order

rpcs = RpcTable()


class _Metric(msgspec.Struct, gc=False):
    """``Metric`` on the wire. A page of runs holds thousands, and a struct costs half of what a dict does."""

    key: str
    value: float | str
    timestamp: int
    step: int


def run_info(run: Run) -> dict[str, Any]:
    """``RunInfo`` on the wire. ``run_uuid`` repeats the id for clients before 1.0."""
    info: dict[str, Any] = {
        "run_uuid": run.run_id,
        "experiment_id": run.experiment_id,
        "run_name": run.name,
        "user_id": run.user_id,
        "status": run.status,
        "start_time": run.start_ms,
        "artifact_uri": run.artifact_uri,
        "lifecycle_stage": run.lifecycle,
        "run_id": run.run_id,
    }
    if run.end_ms is not None:
        info["end_time"] = run.end_ms
    return info


def run_json(run: Run) -> dict[str, Any]:
    """``Run`` on the wire; empty parts of ``data`` are omitted, ``inputs`` and ``outputs`` stay as empty objects."""
    data: dict[str, Any] = {}
    if run.metrics:
        data["metrics"] = [_Metric(m.key, number(m.value), m.timestamp_ms, m.step) for m in run.metrics]
    if run.params:
        data["params"] = tag_list(run.params)
    if run.tags:
        data["tags"] = tag_list(run.tags)
    inputs: dict[str, Any] = {}
    if run.dataset_inputs:
        inputs["dataset_inputs"] = [_dataset_json(item) for item in run.dataset_inputs]
    if run.model_inputs:
        inputs["model_inputs"] = [{"model_id": model_id} for model_id in run.model_inputs]
    outputs: dict[str, Any] = {}
    if run.model_outputs:
        outputs["model_outputs"] = [{"model_id": m.model_id, "step": m.step} for m in run.model_outputs]
    return {"info": run_info(run), "data": data, "inputs": inputs, "outputs": outputs}


def _dataset_json(item: DatasetInput) -> dict[str, Any]:
    data = item.dataset
    found = {
        "dataset": present(
            name=data.name,
            digest=data.digest,
            source_type=data.source_type,
            source=data.source,
            schema=data.schema,
            profile=data.profile,
        )
    }
    return {"tags": tag_list(item.tags), **found} if item.tags else found


def run_id_of(params: Params) -> str:
    """``run_id``, or ``run_uuid`` of older clients."""
    found = params.text("run_id") or params.text("run_uuid")
    if not found:
        raise missing("run_id")
    return found


@rpcs.rpc("POST", "2.0", "/mlflow/runs/create", scope="ingest")
def create(call: Call) -> dict[str, Any]:
    """Start a run."""
    params = call.params
    run = call.services.runs.create(
        call.project_id,
        params.required("experiment_id"),
        name=params.text("run_name"),
        user_id=params.text("user_id"),
        start_ms=params.integer("start_time"),
        tags=params.pairs("tags"),
    )
    answer = run_json(run)
    del answer["outputs"]  # a new run has none, and MLflow says nothing about them here
    return {"run": answer}


@rpcs.rpc("GET", "2.0", "/mlflow/runs/get")
def get(call: Call) -> dict[str, Any]:
    """One whole run."""
    return {"run": run_json(call.services.runs.get(call.project_id, run_id_of(call.params)))}


@rpcs.rpc("POST", "2.0", "/mlflow/runs/update", scope="ingest")
def update(call: Call) -> dict[str, Any]:
    """Change status, end time or name."""
    params = call.params
    run = call.services.runs.update(
        call.project_id,
        run_id_of(params),
        status=params.enum("status", RUN_STATUSES),
        end_ms=params.integer("end_time"),
        name=params.text("run_name"),
    )
    return {"run_info": run_info(run)}


@rpcs.rpc("POST", "2.0", "/mlflow/runs/delete")
def delete(call: Call) -> None:
    """Mark as deleted."""
    call.services.runs.delete(call.project_id, call.params.required("run_id"))


@rpcs.rpc("POST", "2.0", "/mlflow/runs/restore")
def restore(call: Call) -> None:
    """Revive."""
    call.services.runs.restore(call.project_id, call.params.required("run_id"))


@rpcs.rpc("POST", "2.0", "/mlflow/runs/search", scope="read")
def search(call: Call) -> dict[str, Any]:
    """A page of whole runs."""
    params = call.params
    visible = call.visible("experiment", "run")
    page = call.services.runs.search(
        call.project_id,
        [id for id in params.texts("experiment_ids") if visible is None or id in visible],
        run_filter(params.text("filter")),
        run_order(params.texts("order_by")),
        view=view_of(params, "run_view_type"),
        limit=params.max_results(RUNS_PAGE, MAX_RUNS_PAGE),
        cursor=params.text("page_token") or None,
    )
    return present(runs=[run_json(run) for run in page.runs] or None, next_page_token=page.next_cursor)


@rpcs.rpc("POST", "2.0", "/mlflow/runs/log-parameter", scope="ingest")
def log_parameter(call: Call) -> None:
    """Store one param."""
    params = call.params
    run_id, key = run_id_of(params), params.required("key")
    call.services.runs.log_param(call.project_id, run_id, key, params.text("value") or "")


@rpcs.rpc("POST", "2.0", "/mlflow/runs/set-tag", scope="ingest")
def set_tag(call: Call) -> None:
    """Set a tag."""
    params = call.params
    run_id, key = run_id_of(params), params.required("key")
    call.services.runs.set_tag(call.project_id, run_id, key, params.text("value") or "")


@rpcs.rpc("POST", "2.0", "/mlflow/runs/delete-tag", scope="ingest")
def delete_tag(call: Call) -> None:
    """Remove a tag."""
    params = call.params
    call.services.runs.delete_tag(call.project_id, params.required("run_id"), params.required("key"))


def _dataset_input(item: Params) -> DatasetInput:
    data = item.object("dataset")
    if data is None:
        raise invalid("Dataset input must have a dataset associated with it.")
    dataset = Dataset(
        name=data.text("name") or "",
        digest=data.text("digest") or "",
        source_type=data.text("source_type") or "",
        source=data.text("source") or "",
        schema=data.text("schema"),
        profile=data.text("profile"),
    )
    return DatasetInput(dataset=dataset, tags=dict(item.pairs("tags")))


@rpcs.rpc("POST", "2.0", "/mlflow/runs/log-inputs", scope="ingest")
def log_inputs(call: Call) -> None:
    """Record data sets and models that a run has read."""
    params = call.params
    datasets = [_dataset_input(item) for item in params.objects("datasets")]
    models = [item.required("model_id") for item in params.objects("models")]
    call.services.runs.log_inputs(call.project_id, params.required("run_id"), datasets, models)


@rpcs.rpc("POST", "2.0", "/mlflow/runs/outputs", scope="ingest")
def log_outputs(call: Call) -> None:
    """Record logged models that a run has made."""
    params = call.params
    run_id = params.required("run_id")
    if not params.has("models"):
        raise missing("models")
    models = [ModelOutput(item.required("model_id"), item.integer("step") or 0) for item in params.objects("models")]
    call.services.runs.log_outputs(call.project_id, run_id, models)


@rpcs.rpc("POST", "2.0", "/mlflow/runs/log-model", scope="ingest")
def log_model(call: Call) -> None:
    """Append a model's description to the run's history of models (clients before 3.0)."""
    params = call.params
    run_id, text = params.required("run_id"), params.required("model_json")
    try:
        model = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        model = None
    if not isinstance(model, dict):
        raise invalid(f"Malformed model info. \n {text} \n is not a valid JSON.")
    absent = {"artifact_path", "flavors", "utc_time_created", "run_id"} - set(model)
    if absent:
        raise invalid(f"Model json is missing mandatory fields: {absent}")
    call.services.runs.log_model(call.project_id, run_id, _model_tags(model))


def _model_tags(model: dict[str, Any]) -> dict[str, Any]:
    """What the tag keeps of a model's description (the selection of MLflow's ``Model.get_tags_dict``)."""
    kept = {key: model[key] for key in ("run_id", "utc_time_created", "artifact_path", "model_uuid") if key in model}
    flavors = model["flavors"] if isinstance(model["flavors"], dict) else {}
    kept["flavors"] = {
        name: {k: v for k, v in config.items() if k != "config"} if isinstance(config, dict) else config
        for name, config in flavors.items()
    }
    return kept
