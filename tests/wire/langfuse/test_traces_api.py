"""Ingestion by hand, and what the read APIs make of it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.wire.langfuse.conftest import Send


def test_an_update_in_a_later_request_completes_the_span(http: httpx.Client, send: Send) -> None:
    created = {"id": "later", "traceId": "t-later", "name": "n", "startTime": "2026-11-23T10:00:00Z", "model": "gpt-4o"}
    send(("generation-create", created | {"metadata": {"a": 1}, "input": "question"}))
    assert http.get("/observations/later").json()["endTime"] is None
    usage = {"input": 1000, "output": 100}
    update = {"id": "later", "traceId": "t-later", "endTime": "2026-11-23T10:00:02Z", "usage": usage}
    send(("generation-update", update | {"metadata": {"b": 2}, "output": "answer", "name": None}))
    row = http.get("/observations/later").json()
    assert (row["name"], row["input"], row["output"], row["latency"]) == ("n", "question", "answer", 2.0)
    assert row["metadata"] == {"a": 1, "b": 2}
    assert row["calculatedTotalCost"] == pytest.approx(0.0035)
    assert http.get("/traces/t-later").json()["totalCost"] == pytest.approx(0.0035)
    assert (row["inputPrice"], row["outputPrice"], row["totalPrice"]) == (2.5e-06, 1e-05, None)
    [row] = http.get("/v2/observations", params={"traceId": "t-later", "fields": "model"}).json()["data"]
    assert (row["inputPrice"], row["outputPrice"], row["totalPrice"]) == ("0.0000025", "0.00001", None)


def test_an_update_may_come_before_its_create(http: httpx.Client, send: Send) -> None:
    send(("span-update", {"id": "early", "traceId": "t-early", "output": "done", "endTime": "2026-11-23T10:00:05Z"}))
    send(
        (
            "agent-create",
            {"id": "early", "traceId": "t-early", "name": "n", "startTime": "2026-11-23T10:00:00Z", "output": "x"},
        )
    )
    row = http.get("/observations/early").json()
    assert (row["type"], row["name"], row["output"], row["latency"]) == ("AGENT", "n", "done", 5.0)


def test_the_same_batch_twice_counts_once(http: httpx.Client, send: Send) -> None:
    events = [
        ("trace-create", {"id": "t-twice", "tags": ["x"]}),
        (
            "generation-create",
            {"id": "g-twice", "traceId": "t-twice", "model": "gpt-4o", "usage": {"input": 10, "output": 1}},
        ),
        ("score-create", {"id": "s-twice", "traceId": "t-twice", "name": "n", "value": 1}),
    ]
    send(*events)
    cost = http.get("/traces/t-twice").json()["totalCost"]
    send(*events)
    trace = http.get("/traces/t-twice").json()
    assert trace["totalCost"] == cost > 0
    assert len(trace["observations"]) == len(trace["scores"]) == 1


def test_an_update_without_a_trace_id_finds_its_span(http: httpx.Client, send: Send) -> None:
    send(("span-create", {"id": "lonely", "traceId": "t-lonely", "name": "n"}))
    send(("span-update", {"id": "lonely", "output": 1}))
    row = http.get("/observations/lonely").json()
    assert (row["traceId"], row["output"]) == ("t-lonely", 1)


def test_one_bad_event_does_not_harm_the_others(http: httpx.Client, send: Send) -> None:
    answer = send(
        ("trace-create", {"id": "t-mixed"}),
        ("trace-create", {"id": "t-mixed", "name": 7}),
        ("score-create", {"traceId": "t-mixed", "sessionId": "both", "name": "n", "value": 1}),
        ("score-create", {"traceId": "t-mixed", "name": "n", "value": "x", "dataType": "NUMERIC"}),
        errors=3,
    )
    assert len(answer["successes"]) == 1
    assert all(error["status"] == 400 and error["error"] for error in answer["errors"])
    assert http.get("/traces/t-mixed").status_code == 200


def test_ids_are_free_strings(http: httpx.Client, send: Send) -> None:
    for id in ("my trace/1?x=y#z", "ünïcode ✓", "a" * 800):
        send(("trace-create", {"id": id, "name": "free"}), ("span-create", {"id": id, "traceId": id}))
        assert http.get(f"/traces/{quote(id, safe='')}").json()["id"] == id
        assert http.get(f"/observations/{quote(id, safe='')}").json()["traceId"] == id


@pytest.fixture(scope="module")
def corpus(send: Send) -> None:
    for n in range(6):
        send(
            (
                "trace-create",
                {
                    "id": f"c{n}", "name": f"name {n}", "timestamp": f"2026-02-01T00:00:0{n}Z", "userId": f"user {n % 2}",
                    "sessionId": f"session {n % 3}", "tags": ["even"] if n % 2 == 0 else ["odd", "extra"],
                    "release": "corpus", "version": str(n), "environment": "staging" if n > 3 else "production",
                    "metadata": {"n": str(n), "deep": {"x": n}},
                },
            ),
            (
                "generation-create",
                {
                    "id": f"c{n}-g", "traceId": f"c{n}", "name": "call", "model": "gpt-4o", "level": "ERROR" if n == 5 else "DEFAULT",
                    "startTime": f"2026-02-01T00:00:0{n}Z", "endTime": f"2026-02-01T00:00:{n + n:02d}Z",
                    "usage": {"input": n * 100, "output": n}, "input": f"ask {n}", "promptName": "p", "promptVersion": n,
                    "completionStartTime": f"2026-02-01T00:00:0{n}.500Z",
                },
            ),
            ("score-create", {"id": f"c{n}-s", "traceId": f"c{n}", "name": "quality", "value": n / 10}),
            ("score-create", {"id": f"c{n}-k", "traceId": f"c{n}", "name": "kind", "value": "good" if n > 2 else "bad"}),
            ("score-create", {"id": f"c{n}-b", "traceId": f"c{n}", "name": "ok", "value": n % 2, "dataType": "BOOLEAN"}),
        )  # fmt: skip


def item(type: str, column: str, operator: str, value: Any, key: str | None = None) -> dict[str, Any]:
    return {"type": type, "column": column, "operator": operator, "value": value, "key": key}


TRACE_FILTERS = [
    ([item("string", "name", "=", "name 3")], {3}),
    ([item("string", "name", "ends with", "4")], {4}),
    ([item("string", "name", "does not contain", "3")], {0, 1, 2, 4, 5}),
    ([item("stringOptions", "userId", "any of", ["user 1"])], {1, 3, 5}),
    ([item("stringOptions", "userId", "none of", ["user 1"])], {0, 2, 4}),
    ([item("arrayOptions", "tags", "all of", ["odd", "extra"])], {1, 3, 5}),
    ([item("arrayOptions", "tags", "none of", ["odd"])], {0, 2, 4}),
    ([item("datetime", "timestamp", ">=", "2026-02-01T00:00:04Z")], {4, 5}),
    ([item("number", "latency", ">", 3.5)], {4, 5}),
    ([item("number", "inputTokens", "<=", 100)], {0, 1}),
    ([item("number", "totalCost", ">", 0.001)], {4, 5}),
    ([item("numberObject", "scores_avg", ">=", 0.4, "quality")], {4, 5}),
    ([item("categoryOptions", "score_categories", "any of", ["bad"], "kind")], {0, 1, 2}),
    ([item("booleanObject", "score_booleans", "=", True, "ok")], {1, 3, 5}),
    ([item("stringObject", "metadata", "=", "2", "n")], {2}),
    ([item("stringOptions", "level", "any of", ["ERROR"])], {5}),
    ([item("number", "errorCount", ">", 0)], {5}),
    ([item("stringOptions", "environment", "any of", ["staging"])], {4, 5}),
    ([item("null", "userId", "is null", "")], set[int]()),
    ([item("string", "version", "=", "1"), item("null", "sessionId", "is not null", "")], {1}),
]  # fmt: skip


@pytest.mark.parametrize(("conditions", "expected"), TRACE_FILTERS)
def test_trace_filters(http: httpx.Client, corpus: None, conditions: list[Any], expected: set[int]) -> None:
    scope = item("string", "release", "=", "corpus")
    answer = http.get("/traces", params={"filter": json.dumps([scope, *conditions]), "limit": 100})
    assert answer.status_code == 200, answer.text
    assert {row["id"] for row in answer.json()["data"]} == {f"c{n}" for n in expected}
    assert answer.json()["meta"]["totalItems"] == len(expected)


OBSERVATION_FILTERS = [
    ([item("stringOptions", "type", "any of", ["GENERATION"])], {0, 1, 2, 3, 4, 5}),
    ([item("stringOptions", "type", "none of", ["GENERATION"])], set[int]()),
    ([item("string", "userId", "=", "user 0")], {0, 2, 4}),
    ([item("stringOptions", "sessionId", "any of", ["session 2"])], {2, 5}),
    ([item("string", "traceName", "contains", "NAME 1")], {1}),
    ([item("arrayOptions", "traceTags", "any of", ["extra"])], {1, 3, 5}),
    ([item("number", "promptVersion", ">", 4)], {5}),
    ([item("number", "timeToFirstToken", "<", 0.6)], {0, 1, 2, 3, 4, 5}),
    ([item("string", "input", "matches", "ask 2")], {2}),
    ([item("boolean", "isRootObservation", "=", False)], set[int]()),
    ([item("stringOptions", "level", "any of", ["ERROR"])], {5}),
]  # fmt: skip


@pytest.mark.parametrize(("conditions", "expected"), OBSERVATION_FILTERS)
def test_observation_filters(http: httpx.Client, corpus: None, conditions: list[Any], expected: set[int]) -> None:
    scope = item("string", "name", "=", "call")
    text = json.dumps([scope, *conditions])
    for path in ("/observations", "/v2/observations"):
        answer = http.get(path, params={"filter": text, "limit": 100})
        assert answer.status_code == 200, answer.text
        assert {row["id"] for row in answer.json()["data"]} == {f"c{n}-g" for n in expected}, path


def test_simple_parameters_of_traces(http: httpx.Client, corpus: None) -> None:
    def ids(**params: Any) -> list[str]:
        rows = http.get("/traces", params={"release": "corpus", "orderBy": "timestamp.asc", **params}).json()["data"]
        return [row["id"] for row in rows]

    assert ids(userId="user 1", sessionId="session 1") == ["c1"]
    assert ids(tags=["odd", "extra"]) == ["c1", "c3", "c5"]
    assert ids(environment=["staging"]) == ["c4", "c5"]
    assert ids(fromTimestamp="2026-02-01T00:00:02Z", toTimestamp="2026-02-01T00:00:04Z") == ["c2", "c3"]
    assert ids(orderBy="name.desc", limit=2) == ["c5", "c4"]


def test_field_groups_of_traces(http: httpx.Client, corpus: None) -> None:
    [row] = http.get("/traces", params={"name": "name 3", "fields": "core"}).json()["data"]
    assert (row["latency"], row["totalCost"], row["observations"], row["scores"]) == (-1, -1, [], [])
    [row] = http.get("/traces", params={"name": "name 3", "fields": "core,metrics,observations,scores"}).json()["data"]
    assert row["latency"] == 3.0
    assert row["observations"] == ["c3-g"]
    assert set(row["scores"]) == {"c3-s", "c3-k", "c3-b"}


def test_cursors_walk_everything_once(http: httpx.Client, corpus: None) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        params = {"name": "call", "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = http.get("/v2/observations", params=params).json()
        seen += [row["id"] for row in page["data"]]
        cursor = page["meta"].get("cursor")
        if cursor is None:
            break
    assert seen == [f"c{n}-g" for n in range(5, -1, -1)]


def test_metadata_is_cut_unless_expanded(http: httpx.Client, send: Send) -> None:
    send(("span-create", {"id": "long", "traceId": "t-long", "metadata": {"a": "x" * 500, "b": "y" * 500}}))
    params = {"traceId": "t-long", "fields": "core,metadata", "expandMetadata": "b"}
    [row] = http.get("/v2/observations", params=params).json()["data"]
    assert (len(row["metadata"]["a"]), len(row["metadata"]["b"])) == (200, 500)


def test_metadata_of_spans_of_other_exporters_has_what_they_said(http: httpx.Client) -> None:
    def values(**named: str) -> list[dict[str, Any]]:
        return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in named.items()]

    trace = "0af7651916cd43dd8448eb211c80319c"
    spans = [
        (scope, {
            "traceId": trace, "spanId": span, "name": "s", "startTimeUnixNano": "1700000000000000000", "attributes":
            values(input__value="hi", custom__key="x") + values(langfuse__observation__metadata__plan="pro"),
        })
        for scope, span in (("my-agent", "b7ad6b7169203331"), ("langfuse-sdk", "b7ad6b7169203332"))
    ]  # fmt: skip
    body = {"resourceSpans": [{"resource": {"attributes": values(service__name="svc")}, "scopeSpans": [
        {"scope": {"name": scope, "version": "1.2"}, "spans": [span]} for scope, span in spans
    ]}]}  # fmt: skip
    assert http.post("/otel/v1/traces", json=body).status_code == 200
    own = {"plan": "pro"}
    whole = own | {
        "attributes": {"custom.key": "x", "langfuse.observation.metadata.plan": "pro"},
        "resourceAttributes": {"service.name": "svc"},
        "scope": {"name": "my-agent", "version": "1.2", "attributes": {}},
    }
    query = {"traceId": trace}
    for rows in (
        http.get("/observations", params=query).json()["data"],
        http.get("/v2/observations", params=query | {"fields": "core,metadata"}).json()["data"],
        http.get(f"/traces/{trace}").json()["observations"],
        [http.get(f"/observations/{span['spanId']}").json() for _, span in spans],
    ):
        found = {row["id"]: row["metadata"] for row in rows}
        assert found == {"b7ad6b7169203331": whole, "b7ad6b7169203332": own}


def test_parents(http: httpx.Client, send: Send) -> None:
    send(
        ("span-create", {"id": "p", "traceId": "t-p"}),
        ("span-create", {"id": "c", "traceId": "t-p", "parentObservationId": "p"}),
    )

    def ids(path: str, **params: Any) -> list[str]:
        return [row["id"] for row in http.get(path, params={"traceId": "t-p", **params}).json()["data"]]

    assert ids("/v2/observations", parentObservationId="") == ["p"]
    assert ids("/observations", parentObservationId="p") == ["c"]
    assert ids("/v2/observations", isRootObservation="false") == ["c"]


def test_sessions(http: httpx.Client, corpus: None) -> None:
    params = {"fromTimestamp": "2026-02-01T00:00:00Z", "toTimestamp": "2026-02-02T00:00:00Z"}
    page = http.get("/sessions", params=params).json()
    assert [row["id"] for row in page["data"]] == ["session 2", "session 1", "session 0"]
    assert page["meta"]["totalItems"] == 3
    assert page["data"][2]["createdAt"] == "2026-02-01T00:00:00.000Z"
    session = http.get("/sessions/session%201").json()
    assert [trace["id"] for trace in session["traces"]] == ["c1", "c4"]
    assert http.get("/sessions", params=params | {"environment": "staging"}).json()["meta"]["totalItems"] == 2
    assert http.get("/sessions/nothing").status_code == 404


def test_deleting_traces(http: httpx.Client, send: Send) -> None:
    for n in range(3):
        send(
            ("span-create", {"id": f"d{n}-s", "traceId": f"d{n}"}),
            ("score-create", {"id": f"d{n}-c", "traceId": f"d{n}", "name": "n", "value": 1}),
        )
    assert http.delete("/traces/d0").json() == {"message": "Trace deleted successfully"}
    assert http.get("/traces/d0").status_code == 404
    assert http.get("/observations/d0-s").status_code == 404
    assert http.get("/v2/scores/d0-c").status_code == 404
    assert http.delete("/traces/d0").status_code == 404
    answer = http.request("DELETE", "/traces", json={"traceIds": ["d1", "d2", "never"]})
    assert answer.status_code == 200
    assert http.get("/traces/d2").status_code == 404
    assert http.request("DELETE", "/traces", json={}).status_code == 400


SERIES = {
    "view": "observations", "dimensions": [{"field": "providedModelName"}],
    "metrics": [
        {"measure": "totalCost", "aggregation": "sum"}, {"measure": "count", "aggregation": "count"},
        {"measure": "latency", "aggregation": "p95"}, {"measure": "uniqueUserIds", "aggregation": "count"},
    ],
    "filters": [item("string", "name", "=", "call")],
    "fromTimestamp": "2026-02-01T00:00:00Z", "toTimestamp": "2026-02-02T00:00:00Z",
}  # fmt: skip


def test_metrics(http: httpx.Client, corpus: None) -> None:
    for path in ("/metrics", "/v2/metrics"):
        answer = http.get(path, params={"query": json.dumps(SERIES)})
        assert answer.status_code == 200, answer.text
        [row] = answer.json()["data"]
        assert row["providedModelName"] == "gpt-4o"
        assert row["count_count"] == 6
        assert row["sum_totalCost"] == pytest.approx(0.00390)
        assert row["p95_latency"] == pytest.approx(4750)


@pytest.mark.parametrize(
    ("granularity", "rows"), [("minute", 1), ("hour", 1), ("day", 1), ("week", 1), ("month", 1), ("auto", 1)]
)
def test_time_series(http: httpx.Client, corpus: None, granularity: str, rows: int) -> None:
    query = SERIES | {"timeDimension": {"granularity": granularity}, "dimensions": []}
    data = http.get("/v2/metrics", params={"query": json.dumps(query)}).json()["data"]
    with_data = [row for row in data if row["count_count"]]
    assert len(with_data) == rows
    start = {"week": "2026-01-26T00:00:00.000Z"}.get(granularity, "2026-02-01T00:00:00.000Z")
    assert with_data[0]["time_dimension"] == start


def test_score_metrics_and_histograms(http: httpx.Client, corpus: None) -> None:
    query = {
        "view": "scores-numeric", "metrics": [
            {"measure": "value", "aggregation": "avg"}, {"measure": "value", "aggregation": "histogram"},
        ],
        "filters": [item("string", "name", "=", "quality")], "config": {"bins": 5},
        "fromTimestamp": "2026-01-01T00:00:00Z", "toTimestamp": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    [row] = http.get("/v2/metrics", params={"query": json.dumps(query)}).json()["data"]
    assert row["avg_value"] == pytest.approx(0.25)
    assert sum(count for _, _, count in row["histogram_value"]) == 6
    query |= {"view": "scores-categorical", "metrics": [{"measure": "count", "aggregation": "count"}]}
    query |= {"dimensions": [{"field": "stringValue"}], "filters": [item("string", "name", "=", "kind")]}
    rows = http.get("/v2/metrics", params={"query": json.dumps(query)}).json()["data"]
    assert {row["stringValue"]: row["count_count"] for row in rows} == {"good": 3, "bad": 3}


@pytest.mark.parametrize(
    "change",
    [
        {"view": "nope"}, {"view": "traces"}, {"dimensions": [{"field": "traceId"}]}, {"dimensions": [{"field": "nope"}]},
        {"metrics": []}, {"metrics": [{"measure": "nope", "aggregation": "sum"}]},
        {"metrics": [{"measure": "count", "aggregation": "nope"}]}, {"fromTimestamp": "x"},
        {"orderBy": [{"field": "nope"}]}, {"filters": [item("string", "nope", "=", "x")]},
    ],
)  # fmt: skip
def test_bad_metrics_queries(http: httpx.Client, change: dict[str, Any]) -> None:
    answer = http.get("/v2/metrics", params={"query": json.dumps(SERIES | change)})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(("query", "filter"))


def test_daily(http: httpx.Client, corpus: None) -> None:
    params = {"fromTimestamp": "2026-02-01T00:00:00Z", "toTimestamp": "2026-02-02T00:00:00Z"}
    [day] = http.get("/metrics/daily", params=params).json()["data"]
    assert (day["date"], day["countTraces"], day["countObservations"]) == ("2026-02-01", 6, 6)
    assert day["totalCost"] == pytest.approx(0.00390)
    [usage] = day["usage"]
    assert (usage["model"], usage["inputUsage"], usage["outputUsage"], usage["countTraces"]) == ("gpt-4o", 1500, 15, 6)
    [day] = http.get("/metrics/daily", params=params | {"userId": "user 1", "tags": "extra"}).json()["data"]
    assert (day["countTraces"], day["usage"][0]["countObservations"]) == (3, 3)


def test_writes_of_one_object_each(http: httpx.Client) -> None:
    assert http.post("/traces", json={"id": "single", "name": "n"}).json() == {"id": "single"}
    span = http.post("/generations", json={"traceId": "single", "name": "g", "model": "gpt-4o"}).json()["id"]
    done = {"generationId": span, "traceId": "single", "usage": {"input": 1000, "output": 0}}
    assert http.patch("/generations", json=done).json() == {"id": span}
    assert http.post("/events", json={"traceId": "single", "name": "e"}).status_code == 200
    trace = http.get("/traces/single").json()
    assert {row["name"] for row in trace["observations"]} == {"g", "e"}
    assert trace["totalCost"] == pytest.approx(0.0025)
    assert http.patch("/spans", json={"traceId": "single"}).status_code == 400
    assert http.post("/spans", json={"traceId": "single", "name": 5}).status_code == 400
