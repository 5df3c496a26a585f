"""OTLP/HTTP against a running server: encodings, paths, errors, and that a 200 can be read at once."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.servers import LiveServer
from tests.unit.ingest import recordings

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
TRACES = ("/v1/traces", "/api/public/otel/v1/traces")


@pytest.fixture
def client(live_server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server.url) as client:
        yield client


def request(trace: int, spans: int = 1, **attributes: Any) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "svc"
    scoped = group.scope_spans.add()
    for i in range(spans):
        span = scoped.spans.add(
            trace_id=trace.to_bytes(16, "big"), span_id=(i + 1).to_bytes(8, "big"), name=f"span-{i}",
            start_time_unix_nano=1_790_000_000_000_000_000 + i, end_time_unix_nano=1_790_000_001_000_000_000,
        )  # fmt: skip
        if i:
            span.parent_span_id = (1).to_bytes(8, "big")
        for key, value in attributes.items():
            pair = span.attributes.add(key=key.replace("__", "."))
            if isinstance(value, int):
                pair.value.int_value = value
            else:
                pair.value.string_value = value
    return made


def as_json(made: ExportTraceServiceRequest) -> dict[str, Any]:
    (span,) = made.resource_spans[0].scope_spans[0].spans
    return {
        "resourceSpans": [{"scopeSpans": [{"spans": [{
            "traceId": span.trace_id.hex(), "spanId": span.span_id.hex(), "name": span.name,
            "startTimeUnixNano": str(span.start_time_unix_nano), "endTimeUnixNano": str(span.end_time_unix_nano),
        }]}]}],
    }  # fmt: skip


def stored(client: httpx.Client, trace: int) -> dict[str, Any] | None:
    answer = client.get(f"/api/public/traces/{trace:032x}")
    assert answer.status_code in (200, 404)
    return answer.json() if answer.status_code == 200 else None


def test_protobuf_is_answered_in_protobuf_and_readable_at_once(client: httpx.Client) -> None:
    answer = client.post("/v1/traces", content=request(0xA1, 3).SerializeToString(), headers=PROTOBUF)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    ExportTraceServiceResponse.FromString(answer.content)
    found = stored(client, 0xA1)
    assert found is not None
    assert sorted(o["name"] for o in found["observations"]) == ["span-0", "span-1", "span-2"]


def test_json_is_answered_in_json(client: httpx.Client) -> None:
    answer = client.post("/v1/traces", json=as_json(request(0xA2)))
    assert (answer.status_code, answer.json()) == (200, {})
    assert stored(client, 0xA2) is not None


def test_langfuse_path_answers_json_whatever_came(client: httpx.Client) -> None:
    answer = client.post(TRACES[1], content=request(0xA3).SerializeToString(), headers=PROTOBUF)
    assert (answer.status_code, answer.json()) == (200, {})
    assert stored(client, 0xA3) is not None


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate), ("identity", bytes)],
)
@pytest.mark.parametrize("path", TRACES)
def test_compressed_and_chunked_bodies(
    client: httpx.Client, path: str, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    trace = 0xB0 + TRACES.index(path) * 16 + len(pack(b"x"))
    body = pack(request(trace, 20).SerializeToString())
    chunks = (body[i : i + 100] for i in range(0, len(body), 100))
    answer = client.post(path, content=chunks, headers={**PROTOBUF, "content-encoding": coding})
    assert answer.status_code == 200, answer.text
    found = stored(client, trace)
    assert found is not None
    assert len(found["observations"]) == 20


@pytest.mark.parametrize("path", TRACES)
@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"\xff\xff\xff", PROTOBUF, "protobuf"),
        (b"{", JSON, "JSON"),
        (b"[]", JSON, "object"),
        (request(0).SerializeToString(), PROTOBUF, "trace_id"),
        (b"x", {"content-type": "text/plain"}, "Content-Type"),
        (b"x", {}, "Content-Type"),
        (b"no gzip", {**PROTOBUF, "content-encoding": "gzip"}, "gzip"),
        # (without the time of day in it: every worker of a parallel run must collect the same tests)
        (
            gzip.compress(request(0xC0).SerializeToString(), mtime=0)[:-9],
            {**PROTOBUF, "content-encoding": "gzip"},
            "cut off",
        ),
        (b"x", {**PROTOBUF, "content-encoding": "br"}, "br"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","attributes":{"a":1}}]}]}]}', JSON, "attributes"),
    ],
)  # fmt: skip
def test_wrong_requests_get_400_in_their_own_encoding(
    client: httpx.Client, path: str, body: bytes, headers: dict[str, str], reason: str
) -> None:
    answer = client.post(path, content=body, headers=headers)
    assert answer.status_code == 400
    if headers == PROTOBUF or headers.get("content-encoding"):
        status = Status.FromString(answer.content)
        assert (status.code, reason in status.message) == (3, True), status.message
    else:
        assert answer.json()["code"] == 3
        assert reason in answer.json()["message"]


def test_nothing_of_a_wrong_request_is_stored(client: httpx.Client) -> None:
    made = request(0xD1)
    made.resource_spans[0].scope_spans[0].spans.add(trace_id=b"short", span_id=b"\1" * 8)
    assert client.post("/v1/traces", content=made.SerializeToString(), headers=PROTOBUF).status_code == 400
    assert stored(client, 0xD1) is None


def test_a_decompression_bomb_is_refused_cheaply(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(TWINLENS_MAX_BODY=1 << 20)
    bomb = gzip.compress(bytes(50 << 20))
    assert len(bomb) < 1 << 20
    with httpx.Client(base_url=server.url) as client:
        answer = client.post("/v1/traces", content=bomb, headers={**PROTOBUF, "content-encoding": "gzip"})
        assert (answer.status_code, Status.FromString(answer.content).code) == (413, 8)
        large = client.post("/v1/traces", content=b"x" * (2 << 20), headers=JSON)
        assert (large.status_code, large.json()["code"]) == (413, 8)
        many = {f"k{i}": i for i in range(1_001)}
        answer = client.post("/v1/traces", content=request(5, **many).SerializeToString(), headers=PROTOBUF)
        assert answer.status_code == 413
        assert stored(client, 5) is None


def test_a_large_body_is_stored_whole(client: httpx.Client) -> None:
    made = request(0xE1, 2_000, input__value="x" * 200)
    assert client.post("/v1/traces", content=made.SerializeToString(), headers=PROTOBUF).status_code == 200
    found = stored(client, 0xE1)
    assert found is not None
    assert len(found["observations"]) == 2_000


def test_both_paths_with_the_same_spans_count_once(client: httpx.Client) -> None:
    attributes = {"gen_ai__operation__name": "chat", "gen_ai__provider__name": "openai", "gen_ai__request__model": "gpt-4o-mini",
                  "gen_ai__usage__input_tokens": 1000, "gen_ai__usage__output_tokens": 100}  # fmt: skip
    body = request(0xF1, **attributes).SerializeToString()
    for path in (*TRACES, TRACES[0]):
        assert client.post(path, content=body, headers=PROTOBUF).status_code == 200
    found = stored(client, 0xF1)
    assert found is not None
    assert len(found["observations"]) == 1
    assert found["totalCost"] == pytest.approx(1000 * 0.15e-6 + 100 * 0.6e-6)


def test_message_content_in_log_records_joins_its_span(client: httpx.Client) -> None:
    (logs,) = recordings.requests("hand_adk", "logs")
    (spans,) = recordings.requests("hand_adk", "traces")
    for order, trace in (((logs, spans), 0xAD1), ((spans, logs), 0xAD2)):
        for body in order:
            moved = body.replace(f"{1:032x}".encode(), f"{trace:032x}".encode())
            path = "/v1/logs" if body is logs else "/v1/traces"
            answer = client.post(path, content=moved, headers=JSON)
            assert (answer.status_code, answer.json()) == (200, {})
        found = stored(client, trace)
        assert found is not None
        (call,) = (o for o in found["observations"] if o["name"] == "generate_content gemini-2.5-flash")
        assert [m["role"] for m in call["input"]] == ["system", "user"]
        assert call["output"][0]["parts"][0]["content"] == "Sunny"


def test_text_from_logs_is_counted_when_tokens_are_missing(client: httpx.Client) -> None:
    trace, span = f"{0xAE1:032x}", f"{1:016x}"
    body = as_json(request(0xAE1))
    body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] = [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o-mini"}},
    ]
    record = {"traceId": trace, "spanId": span, "eventName": "gen_ai.user.message", "timeUnixNano": "1",
              "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "What is the weather?"}}]}}}  # fmt: skip
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    for order, number in (
        ((("/v1/logs", logs), ("/v1/traces", body)), 0xAE1),
        ((("/v1/traces", body), ("/v1/logs", logs)), 0xAE2),
    ):
        for path, content in order:
            text = json.dumps(content).replace(trace, f"{number:032x}")
            assert client.post(path, content=text, headers=JSON).status_code == 200
        found = stored(client, number)
        assert found is not None
        (call,) = found["observations"]
        assert call["usageDetails"]["input"] > 4
        assert found["totalCost"] > 0


def test_evaluation_results_become_scores(client: httpx.Client) -> None:
    record = {
        "traceId": f"{0xEE:032x}", "spanId": f"{1:016x}", "eventName": "gen_ai.evaluation.result", "timeUnixNano": "5",
        "attributes": [{"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}},
                       {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.9}}],
    }  # fmt: skip
    client.post("/v1/traces", content=request(0xEE).SerializeToString(), headers=PROTOBUF)
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    for _ in range(2):
        assert client.post("/v1/logs", json=body).status_code == 200
    found = stored(client, 0xEE)
    assert found is not None
    assert [(s["name"], s["value"]) for s in found["scores"]] == [("relevance", 0.9)]


def test_logs_and_metrics_answer_in_their_encoding(client: httpx.Client) -> None:
    answer = client.post("/v1/logs", content=b"", headers=PROTOBUF)
    assert answer.status_code == 200
    ExportLogsServiceResponse.FromString(answer.content)
    made = ExportMetricsServiceRequest()
    metric = (
        made.resource_metrics.add().scope_metrics.add().metrics.add(name="gen_ai.client.operation.duration", unit="s")
    )
    metric.histogram.data_points.add(time_unix_nano=1, count=2, sum=3.0, bucket_counts=[1, 1], explicit_bounds=[1.0])
    for path in ("/v1/metrics", "/api/public/otel/v1/metrics"):
        assert client.post(path, content=made.SerializeToString(), headers=PROTOBUF).status_code == 200
    assert client.post("/v1/metrics", content=b"\xff", headers=PROTOBUF).status_code == 400


def test_experiment_header(client: httpx.Client) -> None:
    made = client.post("/api/2.0/mlflow/experiments/create", json={"name": "otlp-header"}).json()["experiment_id"]
    body = request(0x1EA).SerializeToString()
    assert (
        client.post("/v1/traces", content=body, headers={**PROTOBUF, "x-mlflow-experiment-id": made}).status_code == 200
    )
    info = client.get(f"/api/3.0/mlflow/traces/tr-{0x1EA:032x}").json()["trace"]["trace_info"]
    assert info["trace_location"]["mlflow_experiment"]["experiment_id"] == made
    for wrong, status in (("999999", 404), ("abc", 400)):
        answer = client.post("/v1/traces", content=body, headers={**PROTOBUF, "x-mlflow-experiment-id": wrong})
        assert answer.status_code == status
    other = client.post("/api/2.0/mlflow/experiments/create", json={"name": "otlp-other"}).json()["experiment_id"]
    answer = client.post("/v1/traces", content=body, headers={**PROTOBUF, "x-mlflow-experiment-id": other})
    assert answer.status_code == 400
    assert made in Status.FromString(answer.content).message


def test_without_a_header_a_trace_belongs_to_experiment_0(client: httpx.Client) -> None:
    client.post("/v1/traces", content=request(0x1EB).SerializeToString(), headers=PROTOBUF)
    info = client.get(f"/api/3.0/mlflow/traces/tr-{0x1EB:032x}").json()["trace"]["trace_info"]
    assert info["trace_location"]["mlflow_experiment"]["experiment_id"] == "0"
    assert info["tags"]["service.name"] == "svc"


def test_keys_keep_projects_apart(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(
        TWINLENS_MODE="secured", LANGFUSE_INIT_ORG_ID="o", LANGFUSE_INIT_PROJECT_ID="p", LANGFUSE_INIT_PROJECT_PUBLIC_KEY="pk-1",
        LANGFUSE_INIT_PROJECT_SECRET_KEY="sk-1", LANGFUSE_INIT_USER_EMAIL="a@b.de", LANGFUSE_INIT_USER_PASSWORD="correct horse battery",
    )  # fmt: skip
    body = request(0x5EC).SerializeToString()
    with httpx.Client(base_url=server.url) as client:
        refused = client.post("/v1/traces", content=body, headers=PROTOBUF)
        assert (refused.status_code, Status.FromString(refused.content).code) == (401, 16)
        assert client.post("/v1/traces", content=body, headers=PROTOBUF, auth=("pk-1", "wrong")).status_code == 401
        assert client.post("/v1/traces", content=body, headers=PROTOBUF, auth=("pk-1", "sk-1")).status_code == 200
        assert client.get(f"/api/public/traces/{0x5EC:032x}", auth=("pk-1", "sk-1")).status_code == 200
