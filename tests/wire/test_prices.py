"""Price rows and re-pricing through the native API, seen by the Langfuse face too."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.servers import LiveServer

BASE = "/api/twinlens/v1/projects/default/prices"
TRACE = f"{0x9A1:032x}"


@pytest.fixture
def client(live_server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server.url) as client:
        yield client


def cost(client: httpx.Client) -> float:
    return client.get(f"/api/public/traces/{TRACE}").json()["totalCost"]


def test_a_row_prices_what_comes_and_on_request_what_is_there(client: httpx.Client) -> None:
    attributes = {"gen_ai.operation.name": {"stringValue": "chat"}, "gen_ai.request.model": {"stringValue": "house-model"},
                  "gen_ai.usage.input_tokens": {"intValue": "1000"}, "gen_ai.usage.output_tokens": {"intValue": "100"}}  # fmt: skip
    span = {"traceId": TRACE, "spanId": f"{1:016x}", "name": "s", "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000001000000000",
            "attributes": [{"key": k, "value": v} for k, v in attributes.items()]}  # fmt: skip
    assert client.post("/v1/traces", json={"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).status_code == 200
    assert cost(client) == 0
    made = client.post(
        BASE, json={"model_name": "house", "match_pattern": "house-.*", "prices": {"input": 1e-6, "output": 2e-6}}
    )
    assert made.status_code == 201, made.text
    row = made.json()
    assert client.get(BASE).json()["prices"] == [row]
    assert [m["modelName"] for m in client.get("/api/public/models").json()["data"] if m["id"] == row["id"]] == [
        "house"
    ]
    dry = client.post(f"{BASE}/reprice", json={}).json()
    assert (dry["spans_changed"], dry["dry_run"], dry["cost_after"]) == (1, True, pytest.approx(0.0012))
    assert cost(client) == 0
    assert client.post(f"{BASE}/reprice", json={"dry_run": False}).json()["spans_changed"] == 1
    assert cost(client) == pytest.approx(0.0012)
    changed = {
        "model_name": "house",
        "match_pattern": "house-.*",
        "tiers": [{"name": "S", "is_default": True, "prices": {"input": 2e-6}}],
    }
    assert client.put(f"{BASE}/{row['id']}", json=changed).json()["tiers"][0]["prices"] == {"input": 2e-6}
    assert client.delete(f"{BASE}/{row['id']}").status_code == 204
    assert client.get(BASE).json()["prices"] == []


@pytest.mark.parametrize(
    "body",
    [{"model_name": "m", "match_pattern": "("}, {"model_name": "m"}, {"model_name": "m", "match_pattern": "m", "prices": {"input": -1}}],
)  # fmt: skip
def test_unusable_rows_are_refused(client: httpx.Client, body: dict[str, object]) -> None:
    assert client.post(BASE, json=body).status_code == 400
    assert client.get(BASE).json()["prices"] == []


def test_unknown_rows_are_not_found(client: httpx.Client) -> None:
    assert client.delete(f"{BASE}/none").status_code == 404
    assert (
        client.put(f"{BASE}/none", json={"model_name": "m", "match_pattern": "m", "prices": {"input": 1}}).status_code
        == 404
    )
