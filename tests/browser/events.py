"""What clients send, over the public protocols: OTLP, Langfuse and MLflow."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import httpx

MS = 1_000_000


def value(item: Any) -> dict[str, Any]:
    """An OTLP ``AnyValue`` in JSON."""
    if isinstance(item, bool):
        return {"boolValue": item}
    if isinstance(item, int):
        return {"intValue": str(item)}
    if isinstance(item, float):
        return {"doubleValue": item}
    if isinstance(item, list):
        return {"arrayValue": {"values": [value(one) for one in item]}}
    return {"stringValue": item if isinstance(item, str) else json.dumps(item)}


def attributes(items: dict[str, Any]) -> list[dict[str, Any]]:
    """OTLP key-values in JSON."""
    return [{"key": key, "value": value(item)} for key, item in items.items()]


def span(
    trace_id: str, name: str, *, parent: str = "", start_ms: float = 0, length_ms: float = 120, error: str = "",
    span_id: str = "", **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """One OTLP span that started ``start_ms`` after five seconds ago."""
    begin = time.time_ns() - 5_000 * MS + int(start_ms * MS)
    return {
        "traceId": trace_id,
        "spanId": span_id or os.urandom(8).hex(),
        "parentSpanId": parent,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + int(length_ms * MS)),
        "attributes": attributes(more.get("attributes", {})),
        "events": more.get("events", []),
        "status": {"code": 2, "message": error} if error else {"code": 1},
    }


def send_spans(client: httpx.Client, spans: list[dict[str, Any]]) -> None:
    """One OTLP export; durable and readable when it returns."""
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes({"service.name": "shop"})},
                "scopeSpans": [{"scope": {"name": "tests", "version": "1"}, "spans": spans}],
            }
        ]
    }
    client.post("/v1/traces", json=body).raise_for_status()


def send_trace(client: httpx.Client, name: str, **fields: Any) -> str:
    """An agent trace with one model call; its id. ``fields`` override input, output, user, session, tags, error."""
    trace_id, root = os.urandom(16).hex(), os.urandom(8).hex()
    question, answer = fields.get("input", "Where is my order?"), fields.get("output", "It ships **today**.")
    messages = [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": question}]},
    ]
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": fields.get("model", "gpt-4o"),
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 34,
        "gen_ai.input.messages": json.dumps(messages),
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": answer}]}]),
    }
    top = {
        "gen_ai.operation.name": "invoke_agent",
        "input.value": question,
        "output.value": answer,
        "user.id": fields.get("user", "alice"),
        "session.id": fields.get("session", "s-1"),
        "langfuse.trace.tags": fields.get("tags", ["prod"]),
        **fields.get("attributes", {}),
    }
    send_spans(
        client,
        [
            span(trace_id, name, span_id=root, length_ms=900, attributes=top, error=fields.get("error", "")),
            span(trace_id, "chat gpt-4o", parent=root, start_ms=20, length_ms=700, attributes=call),
            span(
                trace_id, "lookup", parent=root, start_ms=730, length_ms=90,
                attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup"},
            ),
        ],
    )  # fmt: skip
    return trace_id


def send_score(client: httpx.Client, trace_id: str, name: str, score: float | str, **more: Any) -> None:
    """A score through Langfuse's API."""
    body = {"traceId": trace_id, "name": name, "value": score, **more}
    client.post("/api/public/scores", json=body, auth=("pk-lf-any", "sk-lf-any")).raise_for_status()


def mlflow(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    """One MLflow REST call."""
    response = client.post(f"/api/2.0/mlflow/{path}", json=body)
    response.raise_for_status()
    return response.json()


def start_run(client: httpx.Client, experiment: str, name: str, **params: str) -> tuple[str, str]:
    """A running run in an experiment of that name, made when it is not there: (experiment id, run id)."""
    found = client.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": experiment})
    if found.status_code == 200:
        experiment_id = found.json()["experiment"]["experiment_id"]
    else:
        experiment_id = mlflow(client, "experiments/create", name=experiment)["experiment_id"]
    run = mlflow(
        client, "runs/create", experiment_id=experiment_id, run_name=name, start_time=int(time.time() * 1_000),
        tags=[{"key": "mlflow.user", "value": "alice"}],
    )["run"]["info"]  # fmt: skip
    for key, text in params.items():
        mlflow(client, "runs/log-parameter", run_id=run["run_id"], key=key, value=text)
    return experiment_id, run["run_id"]


def log_metric(client: httpx.Client, run_id: str, key: str, number: float, step: int) -> None:
    """One point."""
    mlflow(
        client, "runs/log-metric", run_id=run_id, key=key, value=number, step=step, timestamp=int(time.time() * 1_000)
    )


def put_artifact(client: httpx.Client, run_id: str, path: str, body: bytes) -> None:
    """A file under the run's artifact root."""
    info = client.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id}).json()["run"]["info"]
    root = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    client.put(f"/api/2.0/mlflow-artifacts/artifacts/{root}/{path}", content=body).raise_for_status()
