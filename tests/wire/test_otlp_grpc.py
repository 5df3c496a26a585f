"""OTLP over gRPC: the real OpenTelemetry exporter's protocol, the same pipeline, errors as the specification has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.servers import LiveServer

grpc = pytest.importorskip("grpc")


def request(trace: int) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    made.resource_spans.add().scope_spans.add().spans.add(
        trace_id=trace.to_bytes(16, "big"), span_id=b"\1" * 8, name="over-grpc",
        start_time_unix_nano=1_790_000_000_000_000_000, end_time_unix_nano=1_790_000_001_000_000_000,
    )  # fmt: skip
    return made


@pytest.fixture
def server(start_server: Callable[..., LiveServer]) -> LiveServer:
    return start_server(args=["--grpc-port", "0"], TWINLENS_MAX_BODY=1 << 20)


@pytest.fixture
def channel(server: LiveServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.urls[-1].removeprefix("grpc://")) as channel:
        yield channel


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_spans_are_stored_and_readable_at_once(
    server: LiveServer, channel: grpc.Channel, compression: grpc.Compression
) -> None:
    TraceServiceStub(channel).Export(request(0xA1), compression=compression)
    found = httpx.get(f"{server.url}/api/public/traces/{0xA1:032x}").json()
    assert [o["name"] for o in found["observations"]] == ["over-grpc"]


def test_logs_and_metrics_are_taken(channel: grpc.Channel) -> None:
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(
        event_name="gen_ai.choice", trace_id=b"\1" * 16, span_id=b"\1" * 8
    )
    LogsServiceStub(channel).Export(logs)
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points.add(
        as_int=1, time_unix_nano=1
    )
    MetricsServiceStub(channel).Export(metrics)


def test_wrong_requests_are_final(server: LiveServer, channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        TraceServiceStub(channel).Export(request(0))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "trace_id" in refused.value.details()
    with pytest.raises(grpc.RpcError) as missing:
        TraceServiceStub(channel).Export(request(0xA2), metadata=[("x-mlflow-experiment-id", "99999")])
    assert missing.value.code() == grpc.StatusCode.NOT_FOUND
    assert httpx.get(f"{server.url}/api/public/traces/{0xA2:032x}").status_code == 404


def test_large_messages_are_refused(channel: grpc.Channel) -> None:
    large = request(0xA3)
    large.resource_spans[0].scope_spans[0].spans[0].name = "x" * (2 << 20)
    with pytest.raises(grpc.RpcError) as refused:
        TraceServiceStub(channel).Export(large)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_keys_travel_as_metadata(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(
        args=["--grpc-port", "0"], TWINLENS_MODE="secured", LANGFUSE_INIT_ORG_ID="o", LANGFUSE_INIT_PROJECT_ID="p",
        LANGFUSE_INIT_PROJECT_PUBLIC_KEY="pk-1", LANGFUSE_INIT_PROJECT_SECRET_KEY="sk-1",
    )  # fmt: skip
    with grpc.insecure_channel(server.urls[-1].removeprefix("grpc://")) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            TraceServiceStub(channel).Export(request(0xA4))
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        TraceServiceStub(channel).Export(request(0xA4), metadata=[("authorization", "Basic cGstMTpzay0x")])
    assert httpx.get(f"{server.url}/api/public/traces/{0xA4:032x}", auth=("pk-1", "sk-1")).status_code == 200


def test_a_full_queue_asks_to_come_back() -> None:
    from twinlens.domain.errors import Busy
    from twinlens.faces.http import problem
    from twinlens.faces.otlp.grpc import CODES, _details

    found = problem(Busy("the queue is full", retry_after=2))
    ((name, packed),) = _details(CODES[found.status], found)
    status = Status.FromString(packed)
    assert (name, status.code, status.details[0].type_url.rsplit(".", 1)[1]) == (
        "grpc-status-details-bin",
        8,
        "RetryInfo",
    )
