"""No value a client can send makes the server fail: odd values in every field of every write and every parameter."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
import pytest

ODD: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 2**70, 1e308, -0.0, "", "\x00", "a\x00b", "\ud800", "x" * 5_000, "ünï", [], {}, [1],
    {"a": {"b": 1}}, "2026-13-01", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1969-01-01T00:00:00Z", ["a", "\x00"],
    [{"role": "user", "content": "x"}], {"\x00": 1}, "NUMERIC", "CATEGORICAL", 1e18,
]  # fmt: skip
GOOD: dict[str, Any] = {
    "id": "i", "name": "p", "traceId": "t", "value": 1, "prompt": "x", "datasetName": "d", "runName": "r",
    "datasetItemId": "i", "field": "input", "contentType": "image/png", "contentLength": 3, "sha256Hash": "A" * 43 + "=",
    "modelName": "m", "matchPattern": "m", "inputPrice": 1, "projectId": "default", "objectType": "TRACE",
    "objectId": "t", "content": "c", "dataType": "NUMERIC", "traceIds": ["none"], "newLabels": ["l"],
}  # fmt: skip
WRITES = {
    "POST /scores": "id traceId observationId sessionId name value dataType comment metadata environment configId "
    "timestamp queueId source authorUserId",
    "POST /v2/prompts": "name prompt type labels tags config commitMessage",
    "PATCH /v2/prompts/p/versions/1": "newLabels",
    "POST /v2/datasets": "name description metadata inputSchema expectedOutputSchema",
    "POST /dataset-items": "datasetName id input expectedOutput metadata sourceTraceId sourceObservationId status",
    "POST /dataset-run-items": "runName runDescription metadata datasetItemId traceId observationId datasetVersion createdAt",
    "POST /media": "traceId observationId field contentType contentLength sha256Hash datasetId",
    "POST /models": "modelName matchPattern inputPrice outputPrice totalPrice startDate unit tokenizerId pricingTiers",
    "POST /comments": "projectId objectType objectId content authorUserId",
    "POST /score-configs": "name dataType categories minValue maxValue description",
    "DELETE /traces": "traceIds",
    "POST /traces": "id timestamp name userId sessionId input output metadata tags release version environment public",
    "POST /generations": "id traceId name startTime endTime completionStartTime parentObservationId level statusMessage "
    "version environment metadata input output model modelParameters usage usageDetails costDetails promptName promptVersion",
}
READS = {
    "/traces": "page limit userId name sessionId fromTimestamp toTimestamp orderBy tags version release environment fields",
    "/observations": "page limit name userId type traceId level parentObservationId environment fromStartTime",
    "/v2/observations": "limit cursor fields expandMetadata name userId isRootObservation fromStartTime",
    "/v2/scores": "page limit name value operator scoreIds traceTags dataType",
    "/v3/scores": "limit cursor value valueMin fields",
    "/v2/prompts": "page limit name tag fromUpdatedAt version",
    "/v2/prompts/p": "version label resolve",
    "/dataset-items": "page limit version datasetName",
    "/sessions": "page limit fromTimestamp",
    "/experiments": "fromStartTime limit cursor id",
    "/experiment-items": "fromStartTime cursor limit",
    "/metrics/daily": "page limit fromTimestamp tags",
    "/comments": "page objectType objectId",
}


@pytest.fixture(scope="module", autouse=True)
def _something_there(http: httpx.Client) -> None:
    http.post("/v2/prompts", json={"name": "p", "prompt": "x"})
    http.post("/v2/datasets", json={"name": "d"})
    http.post("/dataset-items", json={"datasetName": "d", "id": "i"})


@pytest.mark.parametrize("write", WRITES)
def test_writes(http: httpx.Client, write: str) -> None:
    choose = random.Random(write)
    method, _, path = write.partition(" ")
    fields = WRITES[write].split()
    base = {name: GOOD[name] for name in fields if name in GOOD}
    for _ in range(12):
        odd = {name: choose.choice(ODD) for name in choose.sample(fields, min(len(fields), choose.randint(1, 3)))}
        answer = http.request(method, path, content=json.dumps(base | odd))
        assert answer.status_code < 500, (odd, answer.text)


@pytest.mark.parametrize("path", READS)
def test_reads(http: httpx.Client, path: str) -> None:
    choose = random.Random(path)
    names = READS[path].split()
    for _ in range(8):
        odd = {name: str(choose.choice(ODD)).encode("utf-8", "replace") for name in choose.sample(names, 2)}
        answer = http.get(path, params={name: value.decode() for name, value in odd.items()})
        assert answer.status_code < 500, (odd, answer.text)


@pytest.mark.parametrize(
    "filter_column", ["name", "metadata", "tags", "latency", "scores_avg", "timestamp", "bookmarked"]
)
def test_filters(http: httpx.Client, filter_column: str) -> None:
    for type in (
        "string",
        "stringObject",
        "stringOptions",
        "arrayOptions",
        "number",
        "numberObject",
        "boolean",
        "null",
        "datetime",
    ):
        for operator, value in (
            ("=", "x"),
            ("any of", ["x"]),
            (">", 1),
            ("is null", ""),
            (">", "2026-01-01T00:00:00Z"),
        ):
            item = {"type": type, "column": filter_column, "operator": operator, "value": value, "key": "a/b~c"}
            for path in ("/traces", "/v2/observations"):
                answer = http.get(path, params={"filter": json.dumps([item])})
                assert answer.status_code < 500, (item, answer.text)


def test_half_characters_and_numbers_that_are_none_cost_no_event(http: httpx.Client) -> None:
    """What JavaScript writes of a text that was cut inside a character, and Python of ``nan``."""
    half = json.dumps({"input": "half \ud83d", "metadata": {"n": float("nan")}})
    for body in (half, half.replace("half", "NaN")):
        event = {"id": "e", "type": "trace-create", "timestamp": "2026-01-01T00:00:00Z"}
        texts = (body.replace("{", '{"id": "odd", ', 1), '{"id": "even"}')
        events = [json.dumps(event | {"body": 0}).replace('"body": 0', f'"body": {text}') for text in texts]
        batch = f'{{"batch": [{", ".join(events)}]}}'
        assert [len(one) for one in http.post("/ingestion", content=batch).json().values()] == [2, 0]
        trace = http.get("/traces/odd").json()
        assert trace["input"] == json.loads(body)["input"].replace("\ud83d", "\ufffd")
        assert trace["metadata"] == {"n": None}
    span = {"traceId": "9" * 32, "spanId": "9" * 16, "name": "half \ud83d", "startTimeUnixNano": "1790000000000000000"}
    span["attributes"] = [{"key": "langfuse.observation.input", "value": {"stringValue": half}}]  # type: ignore[assignment]
    sent = json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "langfuse-sdk"}, "spans": [span]}]}]})
    answer = http.post("/otel/v1/traces", content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    row = http.get(f"/observations/{'9' * 16}").json()
    assert (row["name"], row["input"]) == ("half \ufffd", {"input": "half \ufffd", "metadata": {"n": None}})
