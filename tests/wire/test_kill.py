"""``kill -9`` in the middle of an ingest load: everything that was acknowledged is there after the restart, counted once.

Three writers (spans over OTLP, metric points over MLflow's API, scores over Langfuse's API) note what was acknowledged; the
server is killed at a random moment, started again on the same folder, and asked for all of it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.servers import LiveServer

ROUNDS = 20
SPANS = 20
NATIVE = "/api/twinlens/v1/projects/default"


class Load:
    """Writes until the server is gone and remembers what was acknowledged."""

    def __init__(self, url: str, run_id: str, round: int) -> None:
        self.traces: dict[str, int] = {}  #: trace id -> spans
        self.points: set[int] = set()  #: steps of the metric
        self.scores: set[str] = set()
        self.refused: list[str] = []
        self.sent_after = threading.Event()
        self._url = url
        self._run_id = run_id
        self._round = round
        self._threads = [
            threading.Thread(target=self._until_gone, args=(work,), daemon=True)
            for work in (self._spans, self._metrics, self._scores)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all writers have noticed."""
        for thread in self._threads:
            thread.join(90)

    def _until_gone(self, work: Callable[[httpx.Client, int], None]) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            for number in range(100_000):
                try:
                    work(client, number)
                except httpx.TransportError:
                    return
                except AssertionError as error:
                    self.refused.append(str(error))
                    return
                self.sent_after.set()

    def _spans(self, client: httpx.Client, number: int) -> None:
        trace_id = f"{self._round + 1:08x}{number:024x}"
        answer = client.post(
            "/v1/traces", content=agent_trace(trace_id), headers={"Content-Type": "application/x-protobuf"}
        )
        assert answer.status_code == 200, answer.text
        self.traces[trace_id] = SPANS

    def _metrics(self, client: httpx.Client, number: int) -> None:
        step = self._round * 1_000_000 + number
        body = {"run_id": self._run_id, "key": "loss", "value": step / 7, "timestamp": step, "step": step}
        answer = client.post("/api/2.0/mlflow/runs/log-metric", json=body)
        assert answer.status_code == 200, answer.text
        self.points.add(step)

    def _scores(self, client: httpx.Client, number: int) -> None:
        score_id = f"score-{self._round}-{number}"
        body = {"id": score_id, "traceId": f"scored-{self._round}", "name": "quality", "value": number}
        answer = client.post("/api/public/scores", json=body)
        assert answer.status_code == 200, answer.text
        self.scores.add(score_id)


def agent_trace(trace_id: str) -> bytes:
    """One agent trace: a root and model calls that tell the growing conversation."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    now = time.time_ns()
    for index in range(SPANS):
        span = scope.spans.add(
            trace_id=bytes.fromhex(trace_id),
            span_id=(index + 1).to_bytes(8, "big"),
            parent_span_id=b"" if index == 0 else (1).to_bytes(8, "big"),
            name="agent" if index == 0 else "chat",
            start_time_unix_nano=now,
            end_time_unix_nano=now + 1_000_000,
        )
        text = "".join(f'{{"role":"user","content":"turn {turn} of {trace_id[:8]}"}},' for turn in range(index))
        for key, value in (
            ("gen_ai.operation.name", "chat" if index else "invoke_agent"),
            ("gen_ai.request.model", "gpt-4o"),
            ("gen_ai.input.messages", f"[{text[:-1]}]"),
        ):
            span.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
    return request.SerializeToString()


def _stored_traces(client: httpx.Client, filter: str) -> dict[str, int]:
    """Number of spans by trace id."""
    found: dict[str, int] = {}
    cursor: str | None = None
    while True:
        params = {"filter": filter, "limit": 500} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"{NATIVE}/traces", params=params).raise_for_status().json()
        found |= {trace["trace_id"]: trace["span_count"] for trace in page["traces"]}
        cursor = page["next_cursor"]
        if not cursor:
            return found


def stored_points(client: httpx.Client, run_id: str) -> list[int]:
    points: list[int] = []
    token: str | None = None
    while True:
        params = {"run_id": run_id, "metric_key": "loss", "max_results": 25_000} | (
            {"page_token": token} if token else {}
        )
        body = client.get("/api/2.0/mlflow/metrics/get-history", params=params).raise_for_status().json()
        points += [int(point["step"]) for point in body.get("metrics", [])]
        token = body.get("next_page_token")
        if not token:
            return points


def stored_scores(client: httpx.Client, trace_id: str) -> list[str]:
    found: list[str] = []
    for page in range(1, 1_000):
        params = {"traceId": trace_id, "limit": 100, "page": page}
        body = client.get("/api/public/v2/scores", params=params).raise_for_status().json()
        found += [score["id"] for score in body["data"]]
        if page >= body["meta"]["totalPages"]:
            break
    return found


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    rng = random.Random(20261123)
    server = LiveServer(tmp_path / "data").start()
    traces: dict[str, int] = {}
    points: set[int] = set()
    try:
        with server.client() as client:
            created = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).raise_for_status()
            run_id = created.json()["run"]["info"]["run_id"]
        for round in range(ROUNDS):
            load = Load(server.url, run_id, round)
            assert load.sent_after.wait(90)
            time.sleep(rng.uniform(0.05, 0.6))  # the random moment is what is tested
            server.kill()
            load.join()
            assert not load.refused
            assert load.traces or load.points or load.scores
            traces |= load.traces
            points |= load.points
            server.start()
            with server.client() as client:
                counts = _stored_traces(client, f"id:{round + 1:08x}*")
                assert {t: counts.get(t) for t in load.traces} == load.traces
                for trace_id in list(load.traces)[-3:]:  # the last before the kill
                    detail = client.get(f"{NATIVE}/traces/{trace_id}").raise_for_status().json()
                    ids = [span["span_id"] for span in detail["spans"]]
                    assert len(ids) == len(set(ids)) == SPANS == detail["trace"]["span_count"], (round, trace_id)
                stored = stored_scores(client, f"scored-{round}")
                assert len(stored) == len(set(stored))
                assert load.scores <= set(stored), (round, len(load.scores), len(stored))
        with server.client() as client:
            history = stored_points(client, run_id)
            assert len(history) == len(set(history))
            assert points <= set(history), sorted(points - set(history))[:10]
            # At most one request of each round was committed but not answered any more.
            assert len(history) <= len(points) + ROUNDS
            count = (
                client.get(f"{NATIVE}/traces/count", params={"filter": "name:agent"}).raise_for_status().json()["count"]
            )
            assert len(traces) <= count <= len(traces) + ROUNDS
    finally:
        server.stop()
