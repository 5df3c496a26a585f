"""The OpenTelemetry SDK's own exporter, and what it makes of a server that asks to come back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from google.rpc.status_pb2 import Status
from litestar import Litestar
from litestar.datastructures import State
from litestar.testing import TestClient
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

from tests.servers import LiveServer
from tests.wire.test_otlp import JSON, PROTOBUF, as_json, request
from twinlens.domain.errors import Busy, StoreUnavailable
from twinlens.domain.project import PROJECT_SCOPES, Principal
from twinlens.faces.otlp import router
from twinlens.settings import Settings


class Watched(OTLPSpanExporter):
    """Remembers how exports ended."""

    results: list[SpanExportResult]

    def export(self, spans: Any) -> SpanExportResult:
        result = super().export(spans)
        self.results = [*getattr(self, "results", []), result]
        return result


@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("path", ["/v1/traces", "/api/public/otel/v1/traces"])
def test_the_sdk_exports_nested_spans(live_server: LiveServer, path: str, compression: Compression) -> None:
    exporter = Watched(endpoint=live_server.url + path, compression=compression)
    provider = TracerProvider(resource=Resource({"service.name": "sdk"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("mine", "1.0", attributes={"a": 1})
    with (
        tracer.start_as_current_span("root", attributes={"tags": ["x", "y"], "n": 1.5}) as root,
        pytest.raises(ValueError),
        tracer.start_as_current_span("child"),
    ):
        raise ValueError("bad")
    provider.shutdown()
    assert exporter.results == [SpanExportResult.SUCCESS] * 2
    found = httpx.get(f"{live_server.url}/api/public/traces/{root.get_span_context().trace_id:032x}").json()
    spans = {o["name"]: o for o in found["observations"]}
    assert spans["child"]["parentObservationId"] == spans["root"]["id"]
    assert (spans["child"]["level"], spans["child"]["statusMessage"]) == ("ERROR", "ValueError: bad")
    assert found["name"] == "root"


class Refusing:
    """A write path that cannot take anything now."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def submit(self, batch: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "code", "after"),
    [
        (Busy("the queue is full", retry_after=0.2), 429, 8, "1"),
        (StoreUnavailable("the disk is full"), 503, 14, "5"),
        (OSError(28, "No space left on device"), 503, 14, "5"),
        (RuntimeError("secret detail"), 500, 13, None),
    ],
)
def test_what_cannot_be_stored_is_not_acknowledged(error: Exception, status: int, code: int, after: str | None) -> None:
    who = Principal(project_id="p", organization_id="o", scopes=PROJECT_SCOPES)
    graph: Any = SimpleNamespace(
        settings=Settings(), access=SimpleNamespace(remembered=lambda _: who), ingest=Refusing(error),
        prices=SimpleNamespace(enrich=lambda *_: None, ready=True, mask_logs=lambda *_: None),
    )  # fmt: skip
    app = Litestar([router(graph)], state=State({"services": graph}), openapi_config=None, logging_config=None)
    with TestClient(app) as client:
        for path in ("/v1/traces", "/api/public/otel/v1/traces"):
            answer = client.post(path, content=request(1).SerializeToString(), headers=PROTOBUF)
            assert (answer.status_code, answer.headers.get("retry-after")) == (status, after)
            refused = Status.FromString(answer.content)
            assert refused.code == code
            assert "secret" not in refused.message
            answer = client.post(path, json=as_json(request(1)), headers=JSON)
            assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_read_only_keys_may_not_write() -> None:
    who = Principal(project_id="p", organization_id="o", scopes=frozenset({"read"}))
    graph: Any = SimpleNamespace(settings=Settings(), access=SimpleNamespace(remembered=lambda _: who))
    app = Litestar([router(graph)], state=State({"services": graph}), openapi_config=None, logging_config=None)
    with TestClient(app) as client:
        for path in ("/v1/traces", "/v1/logs", "/v1/metrics"):
            answer = client.post(path, content=b"", headers=PROTOBUF)
            assert (answer.status_code, Status.FromString(answer.content).code) == (403, 7)
