"""Experiments (API 2.0)."""

from __future__ import annotations

from typing import Any

from twinlens.domain.run import Experiment, View
from twinlens.faces.mlflow.limits import EXPERIMENTS_PAGE, MAX_DATASET_EXPERIMENTS, MAX_EXPERIMENTS_PAGE
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.wire import Call, RpcTable, invalid, present, tag_list
from twinlens.query.mlflow_filter_runs import experiment_filter, experiment_order

rpcs = RpcTable()

_VIEW_NAMES = ("ACTIVE_ONLY", "DELETED_ONLY", "ALL")
_VIEWS: dict[str, View] = {"ACTIVE_ONLY": "active", "DELETED_ONLY": "deleted", "ALL": "all"}


def view_of(params: Params, name: str) -> View:
    """A ``ViewType`` parameter; active ones when absent."""
    return _VIEWS[params.enum(name, _VIEW_NAMES) or "ACTIVE_ONLY"]


def experiment_json(experiment: Experiment) -> dict[str, Any]:
    """``Experiment`` on the wire."""
    found: dict[str, Any] = {
        "experiment_id": experiment.experiment_id,
        "name": experiment.name,
        "artifact_location": experiment.artifact_location,
        "lifecycle_stage": experiment.lifecycle,
        "last_update_time": experiment.updated_ms,
        "creation_time": experiment.created_ms,
    }
    if experiment.tags:
        found["tags"] = tag_list(experiment.tags)
    return found


@rpcs.rpc("POST", "2.0", "/mlflow/experiments/create")
def create(call: Call) -> dict[str, Any]:
    """Create an experiment."""
    name = call.params.required("name")
    location = call.params.text("artifact_location")
    return {
        "experiment_id": call.services.experiments.create(call.project_id, name, location, call.params.pairs("tags"))
    }


@rpcs.rpc("GET", "2.0", "/mlflow/experiments/get")
def get(call: Call) -> dict[str, Any]:
    """One experiment, also a deleted one."""
    found = call.services.experiments.get(call.project_id, call.params.required("experiment_id"))
    return {"experiment": experiment_json(found)}


@rpcs.rpc("GET", "2.0", "/mlflow/experiments/get-by-name")
def get_by_name(call: Call) -> dict[str, Any]:
    """One experiment by name, also a deleted one."""
    found = call.services.experiments.get_by_name(call.project_id, call.params.required("experiment_name"))
    return {"experiment": experiment_json(found)}


@rpcs.rpc("GET", "2.0", "/mlflow/experiments/search")
@rpcs.rpc("POST", "2.0", "/mlflow/experiments/search", scope="read")
def search(call: Call) -> dict[str, Any]:
    """A page of experiments."""
    params = call.params
    page = call.services.experiments.search(
        call.project_id,
        experiment_filter(params.text("filter")),
        experiment_order(params.texts("order_by")),
        view=view_of(params, "view_type"),
        limit=params.max_results(EXPERIMENTS_PAGE, MAX_EXPERIMENTS_PAGE),
        cursor=params.text("page_token") or None,
        visible=call.visible("experiment"),
    )
    experiments = [experiment_json(experiment) for experiment in page.experiments]
    return present(experiments=experiments or None, next_page_token=page.next_cursor)


@rpcs.rpc("POST", "2.0", "/mlflow/experiments/delete")
def delete(call: Call) -> None:
    """Mark as deleted, with all runs."""
    call.services.experiments.delete(call.project_id, call.params.required("experiment_id"))


@rpcs.rpc("POST", "2.0", "/mlflow/experiments/restore")
def restore(call: Call) -> None:
    """Revive, with all runs."""
    call.services.experiments.restore(call.project_id, call.params.required("experiment_id"))


@rpcs.rpc("POST", "2.0", "/mlflow/experiments/update")
def update(call: Call) -> None:
    """Rename."""
    experiment_id = call.params.required("experiment_id")
    call.services.experiments.rename(call.project_id, experiment_id, call.params.required("new_name"))


@rpcs.rpc("POST", "2.0", "/mlflow/experiments/set-experiment-tag")
def set_tag(call: Call) -> None:
    """Set a tag."""
    params = call.params
    experiment_id, key = params.required("experiment_id"), params.required("key")
    call.services.experiments.set_tag(call.project_id, experiment_id, key, params.text("value") or "")


@rpcs.rpc("POST", "2.0", "/mlflow/experiments/delete-experiment-tag")
def delete_tag(call: Call) -> None:
    """Remove a tag."""
    experiment_id = call.params.required("experiment_id")
    call.services.experiments.delete_tag(call.project_id, experiment_id, call.params.required("key"))


# MLflow registers the second path by accident, without a slash; old UIs may call it.
@rpcs.rpc("POST", "2.0", "/mlflow/experiments/search-datasets", scope="read")
@rpcs.rpc("POST", "2.0", "mlflow/experiments/search-datasets", scope="read")
def search_datasets(call: Call) -> dict[str, Any]:
    """Summaries of the data sets that runs of some experiments have read."""
    ids = call.params.texts("experiment_ids")
    if not ids:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    if len(ids) > MAX_DATASET_EXPERIMENTS:
        raise invalid(
            f"SearchDatasets request cannot specify more than {MAX_DATASET_EXPERIMENTS} experiment_ids. "
            f"Received {len(ids)} experiment_ids."
        )
    found = [
        present(experiment_id=item.experiment_id, name=item.name, digest=item.digest, context=item.context)
        for item in call.services.runs.dataset_summaries(call.project_id, ids)
    ]
    return {"dataset_summaries": found} if found else {}
