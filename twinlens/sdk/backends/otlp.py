"""Any OTLP/HTTP receiver. Scores travel as ``gen_ai.evaluation.result`` log records (OTel GenAI conventions)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from twinlens.sdk.backends.base import PROTOBUF, Draft, Remote

if TYPE_CHECKING:
    from twinlens.sdk.batch import Batch
    from twinlens.sdk.score import Score


class Otlp(Remote):
    """``otlp: {endpoint, headers}``. An endpoint that ends in ``/v1/traces`` is taken without that part."""

    name = "otlp"
    strict = False  # receivers in the wild answer "OK"

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        url = str(options.get("endpoint") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318")
        headers = {str(k): str(v) for k, v in (options.get("headers") or {}).items()}
        for pair in environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",") if not headers else ():
            key, found, value = pair.partition("=")
            if found:
                headers[key.strip()] = unquote(value.strip())
        super().__init__(url.rstrip("/").removesuffix("/v1/traces"), "", headers)

    def parcels(self, batch: Batch) -> Iterator[Draft]:
        if batch.request.resource_spans:
            yield {"path": "/v1/traces", "type": PROTOBUF}, batch.request.SerializeToString()
        if batch.scores:
            yield {"path": "/v1/logs", "type": PROTOBUF}, _logs(batch.scores)


def _logs(scores: list[Score]) -> bytes:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    scope.scope.name = "twinlens"
    for score in scores:
        record = scope.log_records.add()
        record.time_unix_nano = score.timestamp_ns
        record.event_name = "gen_ai.evaluation.result"
        record.trace_id = bytes.fromhex(score.trace_id)
        if score.span_id:
            record.span_id = bytes.fromhex(score.span_id)
        pairs: list[tuple[str, float | str | None]] = [
            ("gen_ai.evaluation.name", score.name),
            ("gen_ai.evaluation.score.value", score.number),
            ("gen_ai.evaluation.score.label", str(score.value) if score.number is None else None),
            ("gen_ai.evaluation.explanation", score.comment),
        ]
        for key, value in pairs:
            if value is None:
                continue
            pair = KeyValue(key=key)
            if isinstance(value, str):
                pair.value.string_value = value
            else:
                pair.value.double_value = value
            record.attributes.append(pair)
    return request.SerializeToString()
