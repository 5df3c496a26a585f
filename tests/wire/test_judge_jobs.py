"""Judges that MLflow's page starts on chosen traces: as a job, as an evaluation run, cancelled, and over a crash."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import httpx

from tests.judge_stub import JudgeStub
from tests.servers import LiveServer, eventually

AJAX = "/ajax-api/3.0"
API = "/api/2.0/mlflow"


def judge(name: str, text: str, kind: str = "number") -> str:
    """What ``make_judge`` serializes to."""
    inner = {"instructions": text, "model": "openai:/judge-1", "feedback_value_type": {"type": kind}}
    form: dict[str, Any] = {"name": name, "serialization_version": 1, "instructions_judge_pydantic_data": inner}
    return json.dumps(form)


def send(http: httpx.Client, experiment_id: str, number: int, output: str) -> str:
    trace_id = f"{number:032x}"
    said = [{"key": "mlflow.spanOutputs", "value": {"stringValue": json.dumps(output)}}]
    span = {
        "traceId": trace_id, "spanId": f"{number:016x}", "name": "answer", "attributes": said,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001000000000",
    }  # fmt: skip
    body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "mlflow"}, "spans": [span]}]}]}
    http.post("/v1/traces", json=body, headers={"x-mlflow-experiment-id": experiment_id}).raise_for_status()
    return f"tr-{trace_id}"


def ended(http: httpx.Client, job_id: str) -> dict[str, Any]:
    return eventually(
        lambda: http.get(f"{AJAX}/mlflow/jobs/{job_id}").raise_for_status().json(),
        lambda state: state["status"] not in ("PENDING", "RUNNING"),
    )


def test_jobs(start_server: Callable[..., LiveServer]) -> None:
    rules = [("fine", {"reasoning": "good", "score": 0.5}), ("great", {"reasoning": "better", "score": 1.0})]
    with JudgeStub(rules) as stub:
        server = start_server(TWINLENS_JUDGE_BASE_URL=stub.url)
        with server.client() as http:
            e = http.post(f"{API}/experiments/create", json={"name": "jobs"}).json()["experiment_id"]
            traces = [send(http, e, 1, "fine"), send(http, e, 2, "great"), send(http, e, 3, "nothing of the kind")]
            quality = judge("quality", "How good is {{ outputs }}?")

            body = {"experiment_id": e, "serialized_scorer": quality, "trace_ids": [*traces, traces[0]]}
            (job,) = http.post(f"{AJAX}/mlflow/scorer/invoke", json=body).raise_for_status().json()["jobs"]
            assert job["trace_ids"] == traces
            state = ended(http, job["job_id"])
            assert (state["status"], state["progress"]["completed"]) == ("SUCCEEDED", 3)
            first, second, third = (state["result"][trace] for trace in traces)
            assert first["assessments"][0]["feedback"] == {"value": 0.5}
            assert first["assessments"][0]["rationale"] == "good"
            assert second["assessments"][0]["feedback"] == {"value": 1.0}
            assert third["assessments"] == []
            assert "500" in third["failures"][0]["error_message"]
            kept = http.get(f"/api/3.0/mlflow/traces/{traces[0]}").json()["trace"]["trace_info"]
            assert "assessments" not in kept  # not asked for

            body = {"experiment_id": e, "serialized_scorers": [quality], "trace_ids": traces[:2]}
            made = http.post(f"{AJAX}/mlflow/genai/evaluate/invoke", json=body).raise_for_status().json()
            assert ended(http, made["job_id"])["status"] == "SUCCEEDED"
            run = http.get(f"{API}/runs/get", params={"run_id": made["run_id"]}).json()["run"]
            assert run["info"]["status"] == "FINISHED"
            assert [(m["key"], m["value"]) for m in run["data"]["metrics"]] == [("quality/mean", 0.75)]
            kept = http.get(f"/api/3.0/mlflow/traces/{traces[0]}").json()["trace"]["trace_info"]
            assert kept["assessments"][0]["metadata"]["mlflow.assessment.sourceRunId"] == made["run_id"]
            found = http.post(f"{AJAX}/jobs/search", json={"job_name": "invoke_scorer", "statuses": ["SUCCEEDED"]})
            assert [one["job_id"] for one in found.json()["jobs"]] == [job["job_id"]]
            assert http.patch(f"{AJAX}/jobs/cancel/{job['job_id']}").status_code == 400  # it has ended

            for wrong in (
                {"experiment_id": e, "serialized_scorer": quality, "trace_ids": []},
                {"experiment_id": "0", "serialized_scorer": quality, "trace_ids": traces},
                {"experiment_id": e, "serialized_scorer": "{}", "trace_ids": traces},
                {"experiment_id": e, "serialized_scorer": quality, "scorer_name": "x", "trace_ids": traces},
            ):
                assert http.post(f"{AJAX}/mlflow/scorer/invoke", json=wrong).status_code == 400, wrong
            assert http.get(f"{AJAX}/mlflow/jobs/none").status_code == 404


def test_a_job_outlives_a_crash(start_server: Callable[..., LiveServer]) -> None:
    with (
        JudgeStub([("fine", {"reasoning": "good", "score": 0.5})]) as stub,
        socket.create_server(("127.0.0.1", 0)) as deaf,
    ):
        server = start_server(TWINLENS_JUDGE_BASE_URL=f"http://127.0.0.1:{deaf.getsockname()[1]}")  # never answers
        with server.client() as http:
            e = http.post(f"{API}/experiments/create", json={"name": "jobs"}).json()["experiment_id"]
            traces = [send(http, e, number, "fine") for number in range(1, 4)]
            body = {
                "experiment_id": e, "serialized_scorer": judge("quality", "How good is {{ outputs }}?"),
                "trace_ids": traces, "log_assessments": True,
            }  # fmt: skip
            (job,) = http.post(f"{AJAX}/mlflow/scorer/invoke", json=body).raise_for_status().json()["jobs"]
            (other,) = http.post(f"{AJAX}/mlflow/scorer/invoke", json=body).raise_for_status().json()["jobs"]
            cancelled = http.patch(f"{AJAX}/mlflow/jobs/cancel/{other['job_id']}").raise_for_status().json()
            assert cancelled["status"] == "CANCELED"
        deaf.accept()  # the judge has been asked
        server.kill()
        server.env["TWINLENS_JUDGE_BASE_URL"] = stub.url
        server.start()
        with server.client() as http:
            state = ended(http, job["job_id"])
            assert (state["status"], state["progress"]["completed"]) == ("SUCCEEDED", 3)
            assert all(len(state["result"][trace]["assessments"]) == 1 for trace in traces)
            assert ended(http, other["job_id"])["status"] == "CANCELED"
            kept = http.get(f"/api/3.0/mlflow/traces/{traces[0]}").json()["trace"]["trace_info"]
            assert len(kept["assessments"]) == 1
