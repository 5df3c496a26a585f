"""Decoding OTLP: both encodings agree, anything wrong is refused with a reason, limits hold."""

from __future__ import annotations

import contextlib
import json
from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.unit.ingest import recordings
from twinlens.domain.errors import InvalidArgument, TooLarge
from twinlens.ingest import otlp, otlp_json
from twinlens.ingest.normalise import normalise
from twinlens.ingest.otlp import Limits
from twinlens.ingest.otlp_body import JSON, PROTOBUF, encoding_of, read_spans

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def one_span(**fields: Any) -> bytes:
    """A JSON request with one span."""
    span = {"traceId": TRACE, "spanId": SPAN, "name": "s", "startTimeUnixNano": "1", "endTimeUnixNano": "2", **fields}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def attribute(value: Any) -> Any:
    """The decoded value of one JSON attribute."""
    return otlp_json.decode_spans(one_span(attributes=[{"key": "k", "value": value}]))[0].attributes["k"]


# --- equality of the encodings ---------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
plain_values = st.one_of(
    st.none(), texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(max_size=8)
)
values = st.recursive(
    plain_values, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=8
)
attributes = st.dictionaries(texts, values, max_size=4)
times = st.integers(0, 2**63 - 1)


def fill(target: AnyValue, value: Any) -> None:
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bytes):
        target.bytes_value = value
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for item in value:
            fill(target.array_value.values.add(), item)
    elif isinstance(value, dict):
        target.kvlist_value.SetInParent()
        put(target.kvlist_value.values, value)


def put(pairs: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        pair = pairs.add(key=key)
        pair.value.SetInParent()
        fill(pair.value, value)


def plain(value: Any) -> Any:
    """What a decoded value must be."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float):
        return otlp.plain_float(value)
    if isinstance(value, list):
        return [plain(x) for x in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def as_json(message: Any) -> bytes:
    """OTLP JSON: protobuf's JSON with ids in hex."""

    def fix(value: Any) -> Any:
        if isinstance(value, list):
            return [fix(x) for x in value]
        if isinstance(value, dict):
            ids = ("traceId", "spanId", "parentSpanId")
            return {k: b64decode(v).hex() if k in ids else fix(v) for k, v in value.items()}
        return value

    return json.dumps(fix(MessageToDict(message))).encode()


@st.composite
def requests(draw: Any) -> tuple[ExportTraceServiceRequest, list[dict[str, Any]]]:
    request = ExportTraceServiceRequest()
    wanted: list[dict[str, Any]] = []
    group = request.resource_spans.add()
    put(group.resource.attributes, draw(attributes))
    scoped = group.scope_spans.add()
    scoped.scope.name = draw(texts)
    put(scoped.scope.attributes, draw(attributes))
    for _ in range(draw(st.integers(0, 3))):
        mine = draw(attributes)
        span = scoped.spans.add(
            trace_id=draw(st.binary(min_size=16, max_size=16).filter(any)),
            span_id=draw(st.binary(min_size=8, max_size=8).filter(any)),
            parent_span_id=draw(st.sampled_from([b"", bytes(8), b"\1" * 8])),
            name=draw(texts),
            kind=draw(st.integers(0, 5)),
            start_time_unix_nano=draw(times),
            end_time_unix_nano=draw(times),
            trace_state=draw(texts),
        )
        span.status.code = draw(st.integers(0, 2))
        span.status.message = draw(texts)
        put(span.attributes, mine)
        event = span.events.add(name=draw(texts), time_unix_nano=draw(times))
        put(event.attributes, draw(attributes))
        span.links.add(trace_id=b"\2" * 16, span_id=b"\3" * 8)
        wanted.append(mine)
    return request, wanted


@settings(deadline=None, max_examples=60)
@given(requests())
def test_protobuf_and_json_decode_equal(made: tuple[ExportTraceServiceRequest, list[dict[str, Any]]]) -> None:
    request, wanted = made
    spans = otlp.decode_spans(request.SerializeToString())
    assert spans == otlp_json.decode_spans(as_json(request))
    assert [s.attributes for s in spans] == [plain(a) for a in wanted]
    msgspec.json.encode(spans)  # everything decoded can be stored as JSON


@settings(deadline=None, max_examples=40)
@given(attributes, values, times)
def test_logs_decode_equal(own: dict[str, Any], body: Any, time_ns: int) -> None:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    record = records.add(time_unix_nano=time_ns, event_name="gen_ai.choice", trace_id=b"\1" * 16, span_id=b"\2" * 8)
    record.body.SetInParent()
    fill(record.body, body)
    put(record.attributes, own)
    records.add(event_name="something.else")
    found = otlp.decode_logs(request.SerializeToString())
    assert found == otlp_json.decode_logs(as_json(request))
    assert len(found) == 1
    assert found[0].body == plain(body)


def test_metrics_decode_equal() -> None:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="g", unit="1").gauge.data_points.add(time_unix_nano=5, as_double=1.5)
    metrics.add(name="s").sum.data_points.add(time_unix_nano=5, as_int=7)
    metrics.add(name="h").histogram.data_points.add(
        time_unix_nano=5, count=3, sum=6.0, min=1.0, max=3.0, bucket_counts=[1, 2], explicit_bounds=[2.0]
    )
    point = metrics.add(name="e").exponential_histogram.data_points.add(time_unix_nano=5, count=2, sum=3.0, scale=1)
    point.positive.bucket_counts.extend([1, 1])
    summary = metrics.add(name="q").summary.data_points.add(time_unix_nano=5, count=2, sum=3.0)
    summary.quantile_values.add(quantile=0.5, value=1.5)
    metrics.add(name="empty")
    found = otlp.decode_metrics(request.SerializeToString())
    assert found == otlp_json.decode_metrics(as_json(request))
    assert [(p.name, p.kind, p.value, p.count, p.sum) for p in found] == [
        ("g", "gauge", 1.5, None, None),
        ("s", "sum", 7.0, None, None),
        ("h", "histogram", None, 3, 6.0),
        ("e", "exponential_histogram", None, 2, 3.0),
        ("q", "summary", None, 2, 3.0),
    ]


# --- nothing but a reason --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_else(body: bytes) -> None:
    for module in (otlp, otlp_json):
        for decode in (module.decode_spans, module.decode_logs, module.decode_metrics):
            with contextlib.suppress(InvalidArgument, TooLarge):
                decode(body)


BODIES = {
    (module, name): body
    for name in recordings.NAMES
    for body in recordings.requests(name, "traces")
    for module, body in ((otlp_json, body), (otlp, recordings.as_protobuf(body)))
}


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(sorted(BODIES, key=str)),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_mutated_requests_never_raise_anything_else(which: tuple[Any, str], changes: list[tuple[int, int]]) -> None:
    broken = bytearray(BODIES[which])
    for place, byte in changes:
        broken[place % len(broken)] = byte
    with contextlib.suppress(InvalidArgument, TooLarge):
        spans, patches = normalise(which[0].decode_spans(bytes(broken)))
        msgspec.json.encode([spans, patches])


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda v: (
        st.lists(v, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key", "value", "values", "stringValue", "arrayValue", "kvlistValue", "intValue", "x"]),
            v,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from(["attributes", "events", "links", "status", "kind", "name", "traceId", "startTimeUnixNano"]),
        json_values,
    )
)
def test_any_json_shape_never_raises_anything_else(fields: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidArgument, TooLarge):
        msgspec.json.encode(otlp_json.decode_spans(one_span(**fields)))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"traceId": ""}, "trace_id"),
        ({"traceId": "0" * 32}, "trace_id"),
        ({"traceId": TRACE[:-1]}, "trace_id"),
        ({"traceId": "z" * 32}, "trace_id"),
        ({"traceId": 7}, "trace_id"),
        ({"spanId": None}, "span_id"),
        ({"spanId": "0" * 16}, "span_id"),
        ({"parentSpanId": "abc"}, "parent_span_id"),
        ({"attributes": {"a": 1}}, "attributes"),
        ({"attributes": [{"key": 1}]}, "attributes"),
        ({"attributes": [{"key": "a", "value": 3}]}, "attribute value"),
        ({"attributes": [{"key": "a", "value": {"intValue": "x"}}]}, "whole number"),
        ({"attributes": [{"key": "a", "value": {"boolValue": "yes"}}]}, "boolValue"),
        ({"attributes": [{"key": "a", "value": {"bytesValue": "%"}}]}, "base64"),
        ({"startTimeUnixNano": "-1"}, "out of range"),
        ({"startTimeUnixNano": str(2**63)}, "out of range"),
        ({"startTimeUnixNano": True}, "whole number"),
        ({"events": {}}, "events"),
        ({"name": 5}, "name"),
        ({"links": [{}]}, "trace_id"),
    ],
)
def test_wrong_spans_are_refused_with_a_reason(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        otlp_json.decode_spans(one_span(**fields))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'{"resourceSpans": 5}', b'{"resourceSpans": [5]}', b"\xff\xfe"]
)
def test_wrong_json_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument):
        otlp_json.decode_spans(body)


@pytest.mark.parametrize(
    ("ids", "reason"),
    [((b"\1" * 8, b"\2" * 8), "trace_id"), ((b"\1" * 16, b"\2" * 7), "span_id"), ((bytes(16), b"\2" * 8), "trace_id")],
)
def test_wrong_protobuf_ids_are_refused(ids: tuple[bytes, bytes], reason: str) -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=ids[0], span_id=ids[1])
    with pytest.raises(InvalidArgument, match=reason):
        otlp.decode_spans(request.SerializeToString())


def test_one_bad_span_rejects_the_whole_request() -> None:
    good = json.loads(one_span())
    spans = good["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans.append({**spans[0], "traceId": "no"})
    with pytest.raises(InvalidArgument):
        otlp_json.decode_spans(json.dumps(good).encode())


# --- spellings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ("12", 12),
        (12, 12),
        (12.0, 12),
        ({"low": 12, "high": 0, "unsigned": True}, 12),
        ({"low": -1, "high": 0, "unsigned": True}, 0xFFFFFFFF),
        ({"low": 1, "high": 2}, (2 << 32) + 1),
    ],
)
def test_times_in_every_spelling(spelling: Any, value: int) -> None:
    assert otlp_json.decode_spans(one_span(startTimeUnixNano=spelling))[0].start_ns == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"stringValue": "x"}, "x"),
        ({"string_value": "x"}, "x"),
        ({"stringValue": ""}, ""),
        ({"intValue": "-5"}, -5),
        ({"intValue": {"low": -1, "high": -1}}, -1),
        ({"doubleValue": 1.5}, 1.5),
        ({"doubleValue": "NaN"}, "NaN"),
        ({"doubleValue": "-Infinity"}, "-Infinity"),
        ({"boolValue": False}, False),
        ({"bytesValue": "aGk="}, "aGk="),
        ({"bytesValue": "aGk"}, "aGk="),
        ({"arrayValue": {"values": [{"intValue": 1}, {}]}}, [1, None]),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}, {"a": 1}),
        ({"arrayValue": {}}, []),
        ({}, None),
        (None, None),
        ({"somethingNew": 1}, None),
    ],
)
def test_values_in_every_spelling(value: Any, expected: Any) -> None:
    assert attribute(value) == expected


def test_enums_by_name_and_snake_case_fields() -> None:
    span = {
        "trace_id": TRACE.upper(), "span_id": SPAN, "parent_span_id": "0" * 16, "kind": "SPAN_KIND_CLIENT",
        "start_time_unix_nano": 1, "end_time_unix_nano": 0, "status": {"code": "STATUS_CODE_ERROR", "message": "m"},
        "unknown_field": 1,
    }  # fmt: skip
    (found,) = otlp_json.decode_spans(json.dumps({"resource_spans": [{"scope_spans": [{"spans": [span]}]}]}).encode())
    assert (found.trace_id, found.parent_id, found.otel_kind, found.status, found.end_ns) == (
        TRACE,
        None,
        3,
        "error",
        None,
    )


# --- limits ----------------------------------------------------------------------------------------------------------


def test_attribute_count_is_limited() -> None:
    limits = Limits(attributes=3)
    pairs = [{"key": str(i), "value": {"intValue": i}} for i in range(4)]
    with pytest.raises(TooLarge, match="attributes"):
        otlp_json.decode_spans(one_span(attributes=pairs), limits)
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8)
    put(span.attributes, {str(i): i for i in range(4)})
    with pytest.raises(TooLarge, match="attributes"):
        otlp.decode_spans(request.SerializeToString(), limits)


def test_nesting_is_limited() -> None:
    value: dict[str, Any] = {"intValue": 1}
    made = AnyValue(int_value=1)
    for _ in range(20):
        value = {"arrayValue": {"values": [value]}}
        made, inner = AnyValue(), made
        made.array_value.values.add().CopyFrom(inner)
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8)
    span.attributes.add(key="k").value.CopyFrom(made)
    for module, body in (
        (otlp, request.SerializeToString()),
        (otlp_json, one_span(attributes=[{"key": "k", "value": value}])),
    ):
        assert len(module.decode_spans(body, Limits(nesting=20))) == 1
        with pytest.raises(TooLarge, match="nested"):
            module.decode_spans(body, Limits(nesting=19))


def test_absurd_nesting_does_not_exhaust_the_stack() -> None:
    body = b'{"resourceSpans":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with pytest.raises((InvalidArgument, TooLarge)):
        otlp_json.decode_spans(body)


# --- content types ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("application/x-protobuf", PROTOBUF),
        ("application/protobuf; proto=x", PROTOBUF),
        ("application/json; charset=utf-8", JSON),
        ("Application/JSON", JSON),
    ],
)
def test_encoding_is_a_part_of_the_content_type(header: str, encoding: str) -> None:
    assert encoding_of(header) == encoding


@pytest.mark.parametrize("header", [None, "", "text/plain"])
def test_other_content_types_are_refused(header: str | None) -> None:
    with pytest.raises(InvalidArgument, match="Content-Type"):
        encoding_of(header)


def test_read_spans_follows_the_encoding() -> None:
    assert read_spans(one_span(), JSON)[0].trace_id == TRACE
