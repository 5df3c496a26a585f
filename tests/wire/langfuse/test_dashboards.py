"""Dashboards: the real client's calls, and what widgets answer through the native API."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import PROGRAMS, run_json

NATIVE = "/api/twinlens/v1/projects/default"
START = datetime.now(UTC) - timedelta(minutes=30)


@pytest.mark.peer
def test_the_real_client_makes_dashboards(live_server: LiveServer) -> None:
    assert run_json("langfuse5", PROGRAMS / "dashboards.py", live_server.url) == {
        "widget": ["observations", "HORIZONTAL_BAR", 5, ["GENERATION"]],
        "first": ["widget", 0, 0, 6, 6],
        "second": ["preset", "own", 6, 3],
        "moved": [9, 6],
        "twice": [409, "conflict"],
        "off the grid": [400, "invalid_request"],
        "no such widget": [400, "invalid_request"],
        "unknown measure": [400, "invalid_request"],
        "on a dashboard": [409, "conflict"],
        "built in": [400, "invalid_request"],
        "absent": [404, "resource_not_found"],
        "pie": ["Shares", "PIE", "PIE", None],
        "changed": ["Ours", "d", 2, "production"],
        "left": ["own"],
        "listed": [["Ours"], [True]],
        "same": "Shares",
        "deleted": [True, True, 0],
    }


@pytest.fixture(scope="module")
def native(live_server: LiveServer, send: Any) -> httpx.Client:
    """The native API, over a project with three calls of two models half an hour ago."""
    for n, (model, seconds, environment) in enumerate(
        (("gpt-4o", 1, "production"), ("gpt-4o", 3, "staging"), ("gpt-4o-mini", 2, "production"))
    ):
        send(("generation-create", {
            "id": f"d{n}", "traceId": f"t{n}", "model": model, "environment": environment, "name": "answer",
            "startTime": START.isoformat(), "endTime": (START + timedelta(seconds=seconds)).isoformat(),
            "usageDetails": {"input": 100, "output": 50}, "promptName": "greet", "promptVersion": 1,
        }, START.isoformat()))  # fmt: skip
    send(("score-create", {"traceId": "t0", "name": "good", "value": 0.5}, START.isoformat()))
    return live_server.client()


def answer(native: httpx.Client, filters: list[Any] | None = None, **widget: Any) -> list[dict[str, Any]]:
    form = {"name": "w", "view": "observations", **widget}
    found = native.get(
        f"{NATIVE}/widget-answer", params={"widget": json.dumps(form), "filters": json.dumps(filters or [])}
    )
    assert found.status_code == 200, found.text
    return found.json()["rows"]


def test_widgets_answer_in_the_form_of_their_charts(native: httpx.Client) -> None:
    tokens = [{"measure": "totalTokens", "agg": "sum"}]
    by_model = answer(native, dimensions=["model"], metrics=tokens, chart_type="HORIZONTAL_BAR")
    assert by_model == [
        {"model": "gpt-4o", "sum_totalTokens": 300}, {"model": "gpt-4o-mini", "sum_totalTokens": 150},
    ]  # fmt: skip
    one = answer(native, dimensions=["model"], metrics=tokens, chart_type="PIE", chart_config={"row_limit": 1})
    assert len(one) == 1
    number = answer(native, metrics=[{"measure": "latency", "agg": "max"}], chart_type="NUMBER")
    assert number == [{"max_latency": 3000}]
    line = answer(native, dimensions=["model"], metrics=tokens, chart_type="LINE_TIME_SERIES")
    assert {(row["model"], row["sum_totalTokens"]) for row in line} == {("gpt-4o", 300), ("gpt-4o-mini", 150)}
    hour = START.replace(minute=0, second=0, microsecond=0)
    assert {row["time_ms"] for row in line} == {int(hour.timestamp() * 1e3)}
    largest = answer(
        native, dimensions=["model"], metrics=tokens, chart_type="BAR_TIME_SERIES", chart_config={"row_limit": 1}
    )
    assert {row["model"] for row in largest} == {"gpt-4o"}
    bins = answer(
        native, metrics=[{"measure": "latency", "agg": "histogram"}], chart_type="HISTOGRAM", chart_config={"bins": 2}
    )
    assert [n for _, _, n in bins[0]["histogram_latency"]] == [1, 2]
    production = [{"type": "string", "column": "environment", "operator": "=", "value": "production"},
                  {"type": "string", "column": "absentHere", "operator": "=", "value": "x"}]  # fmt: skip
    assert answer(native, production, metrics=tokens, chart_type="NUMBER") == [{"sum_totalTokens": 300}]
    scores = answer(native, view="scores-numeric", metrics=[{"measure": "value", "agg": "avg"}], chart_type="NUMBER")
    assert scores == [{"avg_value": 0.5}]


@pytest.mark.parametrize(
    ("widget", "says"),
    [
        (
            {"metrics": [{"measure": "count", "agg": "count"}], "chart_type": "NUMBER", "dimensions": ["model"]},
            "no dimension",
        ),
        ({"metrics": [], "chart_type": "NUMBER"}, "at least one metric"),
        ({"metrics": [{"measure": "weight", "agg": "sum"}], "chart_type": "NUMBER"}, "unknown measure"),
        ({"metrics": [{"measure": "latency", "agg": "p95"}], "chart_type": "HISTOGRAM"}, "belong together"),
        ({"metrics": [{"measure": "latency", "agg": "p95"}], "chart_type": "CANDLES"}, "CANDLES"),
    ],
)
def test_a_widget_that_cannot_be_drawn_is_refused(widget: dict[str, Any], says: str, native: httpx.Client) -> None:
    form = json.dumps({"name": "w", "view": "observations", **widget})
    refused = native.get(f"{NATIVE}/widget-answer", params={"widget": form})
    assert refused.status_code == 400
    assert says in refused.json()["message"]


def test_every_built_in_widget_answers_and_a_copy_can_be_changed(native: httpx.Client) -> None:
    listed = native.get(f"{NATIVE}/dashboards").json()["dashboards"]
    assert len(listed) >= 5 and all(board["built_in"] for board in listed)
    for board in listed:
        detail = native.get(f"{NATIVE}/dashboards/{board['id']}").json()
        assert {tile["widget_id"] for tile in detail["tiles"]} == {widget["id"] for widget in detail["widgets"]}
        for widget in detail["widgets"]:
            form = {k: v for k, v in widget.items() if k not in ("id", "built_in")}
            answer(native, **form)
    assert native.patch(f"{NATIVE}/dashboards/twinlens-cost", json={"name": "x"}).status_code == 400
    made = native.post(f"{NATIVE}/dashboards", json={"copy_of": "twinlens-cost", "name": "Ours"}).json()
    board_id = made["dashboard"]["id"]
    form = {
        "name": "p95",
        "view": "observations",
        "metrics": [{"measure": "latency", "agg": "p95"}],
        "chart_type": "NUMBER",
    }
    grown = native.post(f"{NATIVE}/dashboards/{board_id}/widgets", json=form).json()
    assert len(grown["tiles"]) == len(made["tiles"]) + 1
    new = grown["tiles"][-1]
    assert (new["width"], new["y"]) == (3, max(tile["y"] + tile["height"] for tile in made["tiles"]))
    kept = native.patch(f"{NATIVE}/dashboards/{board_id}", json={"tiles": [{**new, "x": 9}]}).json()
    assert [(tile["id"], tile["x"]) for tile in kept["tiles"]] == [(new["id"], 9)]
    renamed = native.put(f"{NATIVE}/widgets/{new['widget_id']}", json={**form, "name": "Slowest"}).json()
    assert (renamed["name"], renamed["built_in"]) == ("Slowest", False)
    assert native.delete(f"{NATIVE}/dashboards/{board_id}").status_code == 204
    assert native.get(f"{NATIVE}/dashboards/{board_id}").status_code == 404
