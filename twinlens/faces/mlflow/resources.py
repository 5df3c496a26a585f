"""Which resources a request names, for grants on single ones (see ``features.permissions``)."""

from __future__ import annotations

from typing import Any

from twinlens.domain.ids import canonical_trace_id
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.wire import Call, Rpc

Target = list[tuple[str, str]]
_MODEL_PATHS = ("/mlflow/registered-models", "/mlflow/model-versions", "/model-versions")
#: Listings that name nothing: what the caller may not read is left out of the answer.
LISTINGS = {
    "/mlflow/experiments/search": ("experiments", "experiment_id", ("experiment",)),
    "/mlflow/registered-models/search": ("registered_models", "name", ("registered_model", "prompt")),
}


def targets(call: Call, rpc: Rpc, params: Params) -> list[Target]:
    """Every resource that the request names, each with all that a grant may call it. May read the catalog.

    Raises:
        NotFound: a run or model that is named does not exist.
    """
    if rpc.path.startswith(_MODEL_PATHS):
        name = _text(call, params, "name")
        return [[("registered_model", name), ("prompt", name)]] if name else []
    found: list[Target] = []
    experiments = [*params.texts("experiment_ids"), *filter(None, [_text(call, params, "experiment_id")])]
    found += [_experiment(id) for id in dict.fromkeys(experiments)]
    run_ids = [
        *params.texts("run_ids"),
        *filter(None, [_text(call, params, "run_id") or _text(call, params, "run_uuid")]),
    ]
    for run_id in dict.fromkeys(run_ids):
        run = call.services.runs.get(call.project_id, run_id)
        found.append([*_experiment(run.experiment_id), ("run", "*")])
    model_id = _text(call, params, "model_id")
    if model_id:
        model = call.services.logged_models.get(call.project_id, model_id)
        found.append([*_experiment(model.experiment_id), ("logged_model", "*")])
    if call.path.get("path"):  # <project>/<experiment>/<run>/…
        parts = call.path["path"].split("/")
        found.append(_experiment(parts[1]) if len(parts) > 1 else [])
    places = params.objects("locations") if params.has("locations") else []
    started = _inner(params, "trace", "trace_info", "trace_location")
    for place in [*places, *([started] if started else [])]:
        inner = place.object("mlflow_experiment")
        found.append([*_experiment(inner.text("experiment_id") or "" if inner else ""), ("trace", "*")])
    trace_ids = [*params.texts("trace_ids"), *params.texts("request_ids")]
    trace_ids += filter(None, [_text(call, params, "trace_id") or _text(call, params, "request_id")])
    for trace_id in dict.fromkeys(trace_ids):
        trace = call.services.telemetry.trace(call.project_id, canonical_trace_id(trace_id), with_io=False)
        found.append([*_experiment(trace.experiment_id if trace else ""), ("trace", "*")])
    return found


def readable(call: Call, rpc: Rpc, reply: Any) -> Any:
    """A listing without what the caller may not read."""
    field, id, kinds = LISTINGS[rpc.path]
    permissions, who = call.services.permissions, call.caller
    kept = [row for row in reply.get(field, []) if any(permissions.may_read(who, kind, row[id]) for kind in kinds)]
    return reply | {field: kept}


def _experiment(id: str) -> Target:
    return [("experiment", id)]


def _inner(params: Params | None, *names: str) -> Params | None:
    """An object inside objects."""
    for name in names:
        params = params.object(name) if params is not None else None
    return params


def _text(call: Call, params: Params, name: str) -> str | None:
    value = call.path.get(name) or params.raw(name)
    return value if isinstance(value, str) else None
