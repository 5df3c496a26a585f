"""Every filter operator on every kind of column, every measure, aggregation and dimension, every cursor: against an oracle."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.wire.langfuse import oracle
from tests.wire.langfuse.conftest import Send
from tests.wire.langfuse.oracle import DAY, Corpus, Row, aggregated, iso
from twinlens.query.langfuse_filter import OBSERVATIONS, OPERATORS, SCORES, TRACES

FROM, TO = "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"
CORPUS = Corpus()
TEXT = ("string", "stringOptions", "null")
PATHS = {"traces": "/traces", "observations": "/v2/observations", "scores": "/v2/scores"}
ROWS = {"traces": CORPUS.traces, "observations": CORPUS.observations, "scores": CORPUS.scores}
#: Column → (types it takes, values to compare with).
KINDS: dict[str, tuple[tuple[str, ...], tuple[Any, ...]]] = {
    "name": (TEXT, ("ask", "Call", "quality")), "userId": (TEXT, ("ann",)), "version": (TEXT, ("2",)), "id": (TEXT, ("t7",)),
    "sessionId": (TEXT, ("s1",)), "environment": (TEXT, ("staging",)), "release": (TEXT, ("r1",)),
    "level": (("stringOptions",), ("ERROR",)), "type": (("stringOptions", "string"), ("TOOL",)),
    "statusMessage": (TEXT, ("broke",)), "traceName": (TEXT, ("plan%_",)), "traceId": (TEXT, ("t1",)),
    "model": (TEXT, ("gpt-4o",)), "promptName": (TEXT, ("p",)), "input": (("string",), ("hello world",)),
    "tags": (("arrayOptions", "null"), ("a", "c, d")), "traceTags": (("arrayOptions",), ("b",)),
    "timestamp": (("datetime",), (DAY + timedelta(days=5),)), "startTime": (("datetime",), (DAY + timedelta(days=9),)),
    "endTime": (("datetime",), (DAY + timedelta(days=9),)), "latency": (("number",), (2.5,)),
    "timeToFirstToken": (("number", "null"), (0.2,)), "tokensPerSecond": (("number",), (100,)),
    "promptVersion": (("number", "null"), (2,)), "isRootObservation": (("boolean",), (True,)),
    "bookmarked": (("boolean",), (True,)), "dataType": (TEXT, ("BOOLEAN",)), "source": (("stringOptions",), ("API",)),
    "value": (("number",), (0.5,)), "stringValue": (TEXT, ("good",)), "comment": (TEXT, ("done",)),
    "observationId": (TEXT, ("t1-0",)), "parentObservationId": (TEXT, ("t5-0",)), "traceRelease": (TEXT, ("r2",)),
    "metadata": (("stringObject",), ("pro team", "one", "me")),
    "scores_avg": (("numberObject",), (0.5,)), "score_categories": (("categoryOptions",), ("good",)),
    "score_booleans": (("booleanObject",), (True,)),
    **{f"{side}{what}": (("number",), (at,)) for side in ("input", "output", "total") for what, at in (("Tokens", 300), ("Cost", 0.05))},
    **{f"{level}Count": (("number",), (0, 1)) for level in ("error", "warning", "default", "debug")},
}  # fmt: skip
#: Text columns that get every operator: one for each way a column is stored. The other texts get one.
EVERY = {"name", "userId", "statusMessage", "traceName", "type", "comment", "metadata"}
KEYS = {
    "scores_avg": ("quality",),
    "score_categories": ("kind",),
    "score_booleans": ("ok",),
    "metadata": ("plan", "step", "who"),
}


@pytest.fixture(scope="module", autouse=True)
def _sent(send: Send) -> None:
    send(*CORPUS.events)


def ids(http: httpx.Client, view: str, condition: dict[str, Any]) -> list[str]:
    """Ids of the rows that a filter finds; all fit on one page."""
    limit = 1_000 if view == "observations" else 100
    params = {"filter": json.dumps([condition]), "limit": limit, **({} if view == "scores" else {"fields": "core"})}
    answer = http.get(PATHS[view], params=params)
    assert answer.status_code == 200, (condition, answer.text)
    return [row["id"] for row in answer.json()["data"]]


def _expected(view: str, condition: dict[str, Any]) -> set[str]:
    column, kind, operator, value, key = (condition[k] for k in ("column", "type", "operator", "value", "key"))
    if isinstance(value, str) and kind == "datetime":
        value = datetime.fromisoformat(value)
    found: set[str] = set()
    for row in ROWS[view]:
        if key is not None and column != "metadata":
            fits = oracle.scored(row, kind, operator, value, key)
        else:
            name = "outputRate" if column == "tokensPerSecond" else column
            fits = oracle.holds(row["metadata"].get(key) if key else row.get(name), kind, operator, value)
        if fits:
            found.add(row["id"])
    return found


def _conditions(view: str, columns: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for column in columns:
        types, values = KINDS.get(column, ((), ()))
        for kind in types:
            for operator in sorted(OPERATORS[kind]) if column in EVERY or kind != "string" else ("starts with",):
                for value in values if kind != "null" and "set" not in operator.split() else ("",):
                    for key in KEYS.get(column, (None,)):
                        if isinstance(value, datetime):
                            value = iso(value)
                        given = [value] if kind.endswith("Options") else value
                        found.append({"type": kind, "column": column, "operator": operator, "value": given, "key": key})
    return found


@pytest.mark.parametrize(("view", "columns"), [("traces", TRACES), ("observations", OBSERVATIONS), ("scores", SCORES)])
def test_every_operator_of_every_column(http: httpx.Client, view: str, columns: Any) -> None:
    wrong: list[Any] = []
    selective = 0
    for condition in _conditions(view, columns):
        found, expected = ids(http, view, condition), _expected(view, condition)
        selective += 0 < len(expected) < len(ROWS[view])
        if set(found) != expected or len(found) != len(expected):
            wrong.append((condition, sorted(expected ^ set(found))[:5]))
    assert not wrong
    assert selective > 25  # the corpus tells operators apart


def test_metadata_of_every_type(http: httpx.Client) -> None:
    cases: list[tuple[str, str, str, Any, Callable[[Row], bool]]] = [
        ("numberObject", "n", ">=", 3, lambda m: m.get("n", -1) >= 3),
        ("numberObject", "n", "=", 2, lambda m: m.get("n") == 2),
        ("booleanObject", "ok", "=", True, lambda m: m["ok"]),
        ("booleanObject", "ok", "<>", True, lambda m: not m["ok"]),
        ("stringObject", "n", "is set", "", lambda m: "n" in m),
        ("stringObject", "n", "is not set", "", lambda m: "n" not in m),
        ("categoryOptions", "plan", "any of", ["free"], lambda m: m["plan"] == "free"),
        ("null", "n", "is null", "", lambda m: "n" not in m),
    ]
    for kind, key, operator, value, fits in cases:
        condition = {"type": kind, "column": "metadata", "operator": operator, "value": value, "key": key}
        assert set(ids(http, "traces", condition)) == {t["id"] for t in CORPUS.traces if fits(t["metadata"])}, condition


def test_what_does_not_fit_is_refused(http: httpx.Client) -> None:
    choose = random.Random(1)
    values = ["x", "", 1, 2.5, True, ["GENERATION"], ["x"], [], "2026-03-05T00:00:00Z", None]
    for _ in range(100):
        view, columns = choose.choice((("traces", TRACES), ("observations", OBSERVATIONS), ("scores", SCORES)))
        kind = choose.choice(list(OPERATORS))
        item = {
            "type": kind, "column": choose.choice(list(columns)), "operator": choose.choice(sorted(OPERATORS[kind])),
            "value": choose.choice(values), "key": choose.choice(("quality", None)),
        }  # fmt: skip
        answer = http.get(PATHS[view], params={"filter": json.dumps([item]), "limit": 1})
        assert answer.status_code in (200, 400), (item, answer.text)
        assert answer.status_code == 200 or answer.json()["message"], item


# --- metrics ---------------------------------------------------------------------------------------------------
AGGREGATIONS = ("sum", "avg", "count", "min", "max", "p50", "p75", "p90", "p95", "p99", "histogram")
_MS = ("latency", "timeToFirstToken", "streamingLatency")
USAGE = ("inputTokens", "outputTokens", "totalTokens", "inputCost", "outputCost", "totalCost", "latency")
MEASURES = {
    "traces": (*USAGE, "observationsCount", "scoresCount"),
    "observations": (
        *USAGE, "timeToFirstToken", "streamingLatency", "tokensPerSecond", "outputTokensPerSecond", "countScores", "toolCalls",
        "toolDefinitions",
    ),
    "scores-numeric": ("value",), "scores-boolean": ("value",),
}  # fmt: skip
OF_TRACES = ("name", "version", "environment", "userId", "sessionId", "tags", "release", "level")
DIMENSIONS = {
    "traces": OF_TRACES,
    "observations": (
        *OF_TRACES, "type", "traceName", "providedModelName", "promptName", "promptVersion", "isRootObservation", "traceRelease",
        "traceVersion", "calledToolNames",
    ),
    "scores-numeric": ("name", "source", "dataType", "environment", "traceName", "tags", "userId", "sessionId",
                       "observationName", "observationModelName", "observationPromptName", "observationPromptVersion"),
    "scores-categorical": ("stringValue", "name"),
}  # fmt: skip


def rows_of(view: str) -> list[Row]:
    """The oracle's rows of a view."""
    types = {
        "scores-numeric": ("NUMERIC", "BOOLEAN"),
        "scores-boolean": ("BOOLEAN",),
        "scores-categorical": ("CATEGORICAL",),
    }
    return [s for s in CORPUS.scores if s["dataType"] in types[view]] if view in types else ROWS[view]


def value_of(row: Row, name: str) -> Any:
    """A measure of a row; durations are in milliseconds."""
    value = len(row["scores"]) if name == "countScores" else row[name]
    return value * 1000 if name in _MS and value is not None else value


def ask(http: httpx.Client, view: str, **more: Any) -> list[Row]:
    """A metrics query; both versions must answer the same where both have the view."""
    query = {"view": view, "fromTimestamp": FROM, "toTimestamp": TO, **more}
    found: list[Any] = []
    for path in ("/metrics",) if view == "traces" else ("/metrics", "/v2/metrics"):
        answer = http.get(path, params={"query": json.dumps(query)})
        assert answer.status_code == 200, (query, answer.text)
        found.append(answer.json()["data"])
    assert found[0] == found[-1]
    return found[0]


@pytest.mark.parametrize("view", MEASURES)
def test_every_aggregation_of_every_measure(http: httpx.Client, view: str) -> None:
    for measure in MEASURES[view]:
        [row] = ask(http, view, metrics=[{"measure": measure, "aggregation": a} for a in AGGREGATIONS])
        values = [value_of(each, measure) for each in rows_of(view)]
        for aggregation in AGGREGATIONS:
            found, expected = row[f"{aggregation}_{measure}"], aggregated(values, aggregation)
            if aggregation == "histogram":
                assert sum(n for _, _, n in found) == expected, measure
                assert found[0][0] == pytest.approx(min(v for v in values if v is not None)), measure
            elif aggregation == "count":
                assert found == len(values), measure
            else:
                assert found == pytest.approx(expected), (measure, aggregation)
    if view in ("traces", "observations"):
        unique = [{"measure": m, "aggregation": "count"} for m in ("uniqueUserIds", "uniqueSessionIds")]
        assert ask(http, view, metrics=unique) == [{"count_uniqueUserIds": 2, "count_uniqueSessionIds": 2}]


@pytest.mark.parametrize("view", DIMENSIONS)
def test_every_dimension(http: httpx.Client, view: str) -> None:
    measure = next(iter(MEASURES.get(view, ())), None)
    metrics = [{"measure": "count", "aggregation": "count"}]
    metrics += [{"measure": measure, "aggregation": "sum"}] if measure else []
    for dimension in DIMENSIONS[view]:
        groups: dict[Any, list[Row]] = defaultdict(list)
        for row in rows_of(view):
            name = "sessionOfTrace" if view.startswith("scores") and dimension == "sessionId" else dimension
            for value in row[name] if name in ("tags", "calledToolNames") else [row[name]]:
                groups[value].append(row)
        found = ask(http, view, metrics=metrics, dimensions=[{"field": dimension}])
        assert {row[dimension]: row["count_count"] for row in found} == {v: len(g) for v, g in groups.items()}, (
            dimension
        )
        assert found == sorted(found, key=lambda row: -row["count_count"]), "the largest first"
        for row in found if measure else ():
            expected = aggregated([value_of(each, measure or "") for each in groups[row[dimension]]], "sum")
            assert row[f"sum_{measure}"] == pytest.approx(expected), (dimension, row)


@pytest.mark.parametrize(
    ("dimension", "measure", "name"), [("costType", "costByType", "cost"), ("usageType", "usageByType", "usage")]
)
def test_amounts_by_type(http: httpx.Client, dimension: str, measure: str, name: str) -> None:
    metrics = [{"measure": measure, "aggregation": "sum"}]
    expected: dict[tuple[str, str], float] = defaultdict(float)
    for row in CORPUS.observations:
        for key, amount in row[name].items():
            expected[row["model"], key] += amount
    found = ask(
        http, "observations", metrics=metrics, dimensions=[{"field": "providedModelName"}, {"field": dimension}]
    )
    got = {(r["providedModelName"], r[dimension]): r[f"sum_{measure}"] for r in found if r["providedModelName"]}
    assert got == pytest.approx(dict(expected))
    [total] = ask(http, "observations", metrics=metrics)
    assert total[f"sum_{measure}"] == pytest.approx(sum(expected.values()))


@pytest.mark.parametrize("granularity", ["hour", "day", "week", "month"])
def test_series_have_every_period(http: httpx.Client, granularity: str) -> None:
    counts: dict[str, int] = defaultdict(int)
    for row in CORPUS.traces:
        at = row["timestamp"].replace(minute=0, second=0, microsecond=0)
        at = at if granularity == "hour" else at.replace(hour=0)
        at = (
            at - timedelta(days=at.weekday())
            if granularity == "week"
            else at.replace(day=1)
            if granularity == "month"
            else at
        )
        counts[iso(at)] += 1
    more: dict[str, Any] = {"timeDimension": {"granularity": granularity}, "config": {"row_limit": 1000}}
    metrics = [{"measure": "count", "aggregation": "count"}, {"measure": "latency", "aggregation": "avg"}]
    found = ask(http, "traces", metrics=metrics, **more)
    assert {r["time_dimension"]: r["count_count"] for r in found if r["count_count"]} == counts
    assert [r["time_dimension"] for r in found] == sorted(r["time_dimension"] for r in found)
    assert len(found) == {"hour": 31 * 24, "day": 31, "week": 6, "month": 1}[granularity]
    assert all(r["avg_latency"] is None for r in found if not r["count_count"])
    busiest = [{"field": "count_count", "direction": "desc"}]
    found = ask(http, "traces", metrics=metrics, orderBy=busiest, **more | {"config": {"row_limit": 3}})
    assert [r["count_count"] for r in found] == sorted(counts.values(), reverse=True)[: len(found)]
    assert len(found) == min(3, len(counts))


def test_filters_of_metrics(http: httpx.Client) -> None:
    condition = {"type": "string", "column": "userId", "operator": "=", "value": "ann"}
    [row] = ask(http, "observations", metrics=[{"measure": "count", "aggregation": "count"}], filters=[condition])
    assert row["count_count"] == sum(o["userId"] == "ann" for o in CORPUS.observations)


def test_daily_metrics(http: httpx.Client) -> None:
    page = http.get("/metrics/daily", params={"fromTimestamp": FROM, "toTimestamp": TO, "limit": 100}).json()
    days = sorted({t["timestamp"].date().isoformat() for t in CORPUS.traces}, reverse=True)
    assert [day["date"] for day in page["data"]] == days
    for day in page["data"]:
        own = [t for t in CORPUS.traces if t["timestamp"].date().isoformat() == day["date"]]
        assert (day["countTraces"], day["countObservations"]) == (len(own), sum(t["observationsCount"] for t in own))
        assert day["totalCost"] == pytest.approx(sum(t["totalCost"] for t in own))
        calls = [o for o in CORPUS.observations if o["model"] and o["startTime"].date().isoformat() == day["date"]]
        for usage in day["usage"]:
            of_model = [o for o in calls if o["model"] == usage["model"]]
            assert usage["countObservations"] == len(of_model) > 0
            assert usage["countTraces"] == len({o["traceId"] for o in of_model})
            assert usage["totalUsage"] == sum(o["totalTokens"] for o in of_model)
            assert usage["totalCost"] == pytest.approx(sum(o["totalCost"] for o in of_model))


# --- cursors ---------------------------------------------------------------------------------------------------
def walk(http: httpx.Client, path: str, **params: Any) -> list[Row]:
    """All rows, page by page; no page is longer than asked and none is empty."""
    found: list[Row] = []
    while True:
        page = http.get(path, params={k: v for k, v in params.items() if v is not None}).json()
        assert len(page["data"]) <= params["limit"]
        found += page["data"]
        params["cursor"] = page["meta"].get("cursor")
        if params["cursor"] is None:
            return found
        assert page["data"]


@pytest.mark.parametrize("limit", [1, 7, 1_000])
def test_cursors_of_observations_and_scores(http: httpx.Client, limit: int) -> None:
    some = {} if limit > 1 else {"name": "x"}
    observations = [o for o in CORPUS.observations if o["name"] == some.get("name", o["name"])]
    found = walk(http, "/v2/observations", limit=limit, fromStartTime=FROM, **some)
    newest = sorted(observations, key=lambda o: o["startTime"], reverse=True)
    assert [row["id"] for row in found] == [o["id"] for o in newest]
    some = {"name": "kind"} if limit == 1 else {}
    scores = [s for s in CORPUS.scores if s["name"] == some.get("name", s["name"])]
    found = walk(http, "/v3/scores", limit=min(limit, 100), **some)
    assert sorted(row["id"] for row in found) == sorted(s["id"] for s in scores)
    assert [row["timestamp"] for row in found] == sorted((row["timestamp"] for row in found), reverse=True)


def test_cursors_of_experiments(http: httpx.Client) -> None:
    http.post("/v2/datasets", json={"name": "cursors"})
    for n in range(5):
        http.post("/dataset-items", json={"datasetName": "cursors", "id": f"item-{n}", "input": n})
        body = {"runName": f"run {n}", "datasetItemId": f"item-{n}", "traceId": f"t{n}"}
        assert http.post("/dataset-run-items", json=body).status_code == 200
    assert http.get("/experiments").status_code == http.get("/experiment-items").status_code == 400  # no start
    for limit in (1, 2, 100):
        found = walk(http, "/experiments", limit=limit, fromStartTime=FROM)
        assert sorted(row["name"] for row in found) == [f"run {n}" for n in range(5)]
        items = walk(http, "/experiment-items", limit=limit, fromStartTime=FROM)
        assert sorted(row["experimentItemId"] for row in items) == [f"item-{n}" for n in range(5)]


def test_cursors_of_evaluators_and_rules(http: httpx.Client) -> None:
    for n in range(5):
        body = {"name": f"e{n}", "type": "code", "sourceCode": "1", "sourceCodeLanguage": "PYTHON"}
        answer = http.post("/v2/evaluators", json=body)
        assert answer.status_code == 200, answer.text
        rule = {"name": f"rule {n}", "enabled": False, "evaluatorAssignments": [{"evaluatorId": answer.json()["id"]}]}
        answer = http.post("/v2/evaluation-rules", json=rule)
        assert answer.status_code == 200, answer.text
    for limit in (1, 2, 100):
        assert [row["name"] for row in walk(http, "/v2/evaluators", limit=limit)] == [f"e{n}" for n in range(4, -1, -1)]
        assert sorted(row["name"] for row in walk(http, "/v2/evaluation-rules", limit=limit)) == [
            f"rule {n}" for n in range(5)
        ]


@pytest.mark.parametrize(
    ("path", "most"),
    [("/traces", 100), ("/observations", 100), ("/v2/scores", 100), ("/sessions", 100), ("/models", 100)],
)
def test_limits_of_pages(http: httpx.Client, path: str, most: int) -> None:
    meta = http.get(path, params={"limit": 5_000}).json()["meta"]
    assert meta["limit"] == most
    assert meta["totalPages"] == -(-meta["totalItems"] // most)
