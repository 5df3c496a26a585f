"""Traces, V2: what clients before MLflow 3 and some SDKs of other languages send.

Such clients tell the start and the end of a trace here and upload its spans as ``traces.json`` into the trace's artifact
location; see ``features.trace_files``.
"""

from __future__ import annotations

from twinlens.domain.clock import now_ns
from twinlens.domain.ids import new_hex
from twinlens.domain.trace import TracePatch
from twinlens.faces.mlflow import trace_json as tj
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.traces import Locations, check_experiment, find
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, present

rpcs = RpcTable()

_STATUSES = {"OK": "ok", "ERROR": "error"}
_STATUS_NAMES = ("OK", "ERROR", "IN_PROGRESS")


def _info(call: Call, trace_id: str) -> Reply:
    summary = call.services.traces.summary(call.project_id, trace_id)
    return {"trace_info": tj.info_v2_json(summary, Locations(call).of(summary))}


def _say(patch: TracePatch, params: Params) -> None:
    tj.say_metadata(patch, dict(params.pairs("request_metadata")))
    tj.say_tags(patch, dict(params.pairs("tags")))


@rpcs.rpc("POST", "2.0", "/mlflow/traces", scope="ingest")
def start(call: Call) -> Reply:
    """Start a trace; the server makes its id."""
    params = call.params
    experiment_id = params.required("experiment_id")
    check_experiment(call, experiment_id)
    start_ms = params.integer("timestamp_ms")
    patch = TracePatch(
        trace_id=new_hex(), experiment_id=experiment_id, authority="client",
        start_ns=now_ns() if start_ms is None else start_ms * 1_000_000,
    )  # fmt: skip
    _say(patch, params)
    call.services.traces.patch(call.project_id, [patch])
    return _info(call, patch.trace_id)


@rpcs.rpc("PATCH", "2.0", "/mlflow/traces/{trace_id}", scope="ingest")
def end(call: Call) -> Reply:
    """End a trace."""
    params = call.params
    found = call.services.traces.summary(call.project_id, call.path["trace_id"])
    end_ms = params.integer("timestamp_ms")
    status = params.enum("status", _STATUS_NAMES)
    patch = TracePatch(
        trace_id=found.trace_id, authority="final", start_ns=found.start_ns,
        end_ns=now_ns() if end_ms is None else end_ms * 1_000_000, status=_STATUSES.get(status or ""),
    )  # fmt: skip
    _say(patch, params)
    call.services.traces.patch(call.project_id, [patch])
    return _info(call, found.trace_id)


@rpcs.rpc("GET", "2.0", "/mlflow/traces/{trace_id}/info")
def get_info(call: Call) -> Reply:
    """TraceInfo of one trace."""
    return _info(call, call.path["trace_id"])


@rpcs.rpc("GET", "2.0", "/mlflow/traces")
def search(call: Call) -> Reply:
    """Find traces of some experiments."""
    rows, cursor = find(call, call.params.texts("experiment_ids"))
    locations = Locations(call)
    infos = [tj.info_v2_json(each, locations.of(each)) for each in rows]
    return present(traces=infos or None, next_page_token=cursor)
