"""Judges as jobs, which MLflow's browser page starts and looks at (API 3.0)."""

from __future__ import annotations

from typing import Any

from twinlens.domain.ids import mlflow_trace_id
from twinlens.domain.job import Job
from twinlens.faces.mlflow.assessment_json import assessment_json
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable
from twinlens.features.judge_jobs import EVALUATE, JUDGE
from twinlens.features.scorer_form import serialized_of

rpcs = RpcTable()

_MS = 1_000_000


def _state(call: Call, job: Job) -> dict[str, Any]:
    found = call.services.judge_jobs.found(job)
    result: dict[str, Any] = {
        mlflow_trace_id(trace_id): {
            "assessments": [assessment_json(score) for score in each.scores],
            "failures": [{"error_code": "INTERNAL_ERROR", "error_message": f.message} for f in each.failures],
        }
        for trace_id, each in found.items()
    }
    if job.name == EVALUATE and job.status != "RUNNING":
        result = {"run_id": job.params.get("run_id"), "status": job.status}
    return {
        "status": job.status, "result": result if job.status == "SUCCEEDED" else None, "error_message": job.error,
        "status_details": None, "status_message": None, "progress_updated_at": job.updated_ns // _MS,
        "progress": {"phase": "scoring", "completed": job.completed, "total": job.total, "unit": "traces"},
    }  # fmt: skip


def _whole(call: Call, job: Job) -> dict[str, Any]:
    return {
        **_state(call, job), "job_id": job.job_id, "creation_time": job.created_ns // _MS, "job_name": job.name,
        "params": job.params, "timeout": None, "retry_count": 0, "last_update_time": job.updated_ns // _MS,
        "creator": job.creator,
    }  # fmt: skip


def _registered(call: Call, experiment_id: str, name: str, version: int) -> str:
    """A version of a registered scorer as the library serializes it."""
    found = call.services.evaluators.named(call.project_id, experiment_id, name, version)[0]
    serialized = serialized_of(found)
    if serialized is None:
        raise invalid(f"'{name}' is a code evaluator of another client; it does not run on the server.")
    return serialized


def _judge(call: Call, params: Params) -> Job:
    experiment_id, scorer = params.required("experiment_id"), params.required("serialized_scorer")
    name, version = params.text("scorer_name"), params.integer("scorer_version")
    if (name is None) != (version is None):
        raise invalid("scorer_name and scorer_version must be specified together")
    if name is not None and version is not None:
        scorer = _registered(call, experiment_id, name, version)
    return call.services.judge_jobs.judge(
        call.project_id, experiment_id, scorer, params.texts("trace_ids"), creator=call.user or None,
        keep=params.boolean("log_assessments") or False,
    )  # fmt: skip


@rpcs.rpc("POST", "3.0", "/mlflow/scorer/invoke", ajax_only=True)
def invoke_scorer(call: Call) -> Reply:
    """Have a judge look at traces."""
    job = _judge(call, call.params)
    return {"jobs": [{"job_id": job.job_id, "trace_ids": [mlflow_trace_id(id) for id in job.params["trace_ids"]]}]}


@rpcs.rpc("POST", "3.0", "/mlflow/genai/evaluate/invoke", ajax_only=True)
def invoke_evaluate(call: Call) -> Reply:
    """Have judges look at traces as an evaluation run."""
    params = call.params
    experiment_id, scorers = params.required("experiment_id"), params.texts("serialized_scorers")
    versions: list[Any] = params.raw("scorer_versions") or [None] * len(scorers)
    if len(versions) != len(scorers):
        raise invalid("scorer_versions must have the same length as serialized_scorers")
    names = [call.services.judge_jobs.name_of(each) for each in scorers]
    chosen = [
        scorer if version is None else _registered(call, experiment_id, name, version)
        for scorer, name, version in zip(scorers, names, versions, strict=True)
    ]
    job, run_id = call.services.judge_jobs.evaluate(
        call.project_id, experiment_id, chosen, params.texts("trace_ids"), call.user or None
    )
    return {"job_id": job.job_id, "run_id": run_id}


@rpcs.rpc("GET", "3.0", "/mlflow/jobs/{job_id}", ajax_only=True)
def get_state(call: Call) -> Reply:
    """How far a job is."""
    return _state(call, call.services.judge_jobs.get(call.project_id, call.path["job_id"]))


@rpcs.rpc("PATCH", "3.0", "/mlflow/jobs/cancel/{job_id}", ajax_only=True)
def cancel_job(call: Call) -> Reply:
    """Stop a job after the trace at hand."""
    return _state(call, call.services.judge_jobs.cancel(call.project_id, call.path["job_id"]))


# --- the same without MLflow's name in the path ----------------------------------------------------------------------
@rpcs.rpc("POST", "3.0", "/jobs", ajax_only=True)
def submit(call: Call) -> Reply:
    """Start a job by the name of its kind."""
    name, params = call.params.required("job_name"), call.params.object("params")
    if name != JUDGE or params is None:
        raise invalid(f"Invalid job name: {name}. Known here: {JUDGE}")
    return _whole(call, _judge(call, params))


@rpcs.rpc("POST", "3.0", "/jobs/search", ajax_only=True, scope="read")
def search(call: Call) -> Reply:
    """Jobs, newest first."""
    params = call.params
    statuses = params.texts("statuses") if params.has("statuses") else None
    found = call.services.judge_jobs.search(call.project_id, params.text("job_name"), statuses)
    wanted = params.raw("params") or {}
    kept = [job for job in found if all(job.params.get(key) == value for key, value in wanted.items())]
    return {"jobs": [_whole(call, job) for job in kept]}


@rpcs.rpc("GET", "3.0", "/jobs/{job_id}", ajax_only=True)
def get_job(call: Call) -> Reply:
    """One job with what it was asked."""
    return _whole(call, call.services.judge_jobs.get(call.project_id, call.path["job_id"]))


@rpcs.rpc("PATCH", "3.0", "/jobs/cancel/{job_id}", ajax_only=True)
def cancel(call: Call) -> Reply:
    """Stop a job after the trace at hand."""
    return _whole(call, call.services.judge_jobs.cancel(call.project_id, call.path["job_id"]))
