"""Prompts through the native API: versions, labels, composition, usage by version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer

KEYS = ("pk-lf-1", "sk-lf-1")


@pytest.fixture(scope="module")
def native(live_server: LiveServer) -> Iterator[httpx.Client]:
    """The native API of the default project."""
    url = f"{live_server.url}/api/twinlens/v1/projects/default"
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


def add(native: httpx.Client, name: str, template: Any, **more: Any) -> dict[str, Any]:
    """A new version."""
    answer = native.post("/prompts", json={"name": name, "template": template, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_versions_and_labels(native: httpx.Client, live_server: LiveServer) -> None:
    first = add(native, "support/greet", "Hello {{name}}", labels=["production"], commit_message="first", tags=["t"])
    assert (first["version"], first["labels"], first["commit_message"]) == (1, ["latest", "production"], "first")
    add(native, "support/greet", "Hi {{name}}", config={"temperature": 0.2})
    add(native, "support/chat", [{"role": "system", "content": "x"}, {"type": "placeholder", "name": "history"}])
    listed = native.get("/prompts", params={"folder": "support/"}).json()
    assert [(row["name"], row["type"], row["versions"]) for row in listed["prompts"]] == [
        ("support/chat", "chat", 1),
        ("support/greet", "text", 2),
    ]
    read = httpx.Client(base_url=live_server.url + "/api/public/v2/prompts", auth=KEYS)
    path = "/prompts/support%2Fgreet"
    assert read.get("/support%2Fgreet").json()["prompt"] == "Hello {{name}}"
    assert native.put(f"{path}/labels/production", json={"version": 2}).json()["labels"] == ["latest", "production"]
    assert read.get("/support%2Fgreet").json()["prompt"] == "Hi {{name}}"
    detail = native.get(path).json()
    assert [(v["version"], v["labels"]) for v in detail["versions"]] == [(2, ["latest", "production"]), (1, [])]
    assert detail["prompt"]["labels"] == {"latest": 2, "production": 2}
    assert native.delete(f"{path}/labels/production").status_code == 204
    assert read.get("/support%2Fgreet").status_code == 404
    assert native.delete(path, params={"version": 2}).status_code == 204
    assert native.get(path).json()["prompt"]["labels"] == {"latest": 1}
    assert native.delete(path).status_code == 204
    assert native.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"name": "bad|name", "template": "x"}, "|"),
        ({"name": "t1", "template": "x", "labels": ["Not Allowed"]}, "label"),
        ({"name": "t1", "template": "@@@langfusePrompt:name=absent|label=production@@@"}, "absent"),
        ({"name": "t1", "template": [{"role": "user"}]}, ""),
        ({"name": "t1", "template": [{"role": "user", "content": "{{x}}"}, {"type": "placeholder", "name": "x"}]}, "x"),
    ],
)
def test_what_breaks_a_rule_is_refused_and_nothing_is_left(
    body: dict[str, Any], says: str, native: httpx.Client
) -> None:
    answer = native.post("/prompts", json=body)
    assert answer.status_code == 400
    assert says.lower() in answer.json()["message"].lower()
    assert native.get("/prompts/t1").status_code == 404


def test_included_prompts_are_put_in(native: httpx.Client) -> None:
    add(native, "parts/tone", "Be brief.", labels=["production"])
    add(native, "whole", "You help.\n@@@langfusePrompt:name=parts/tone|label=production@@@")
    resolved = native.get("/prompts/whole/versions/1/resolved").json()
    assert resolved == {"version": 1, "template": "You help.\nBe brief.", "includes": ["parts/tone v1"]}
    refused = native.delete("/prompts/parts%2Ftone")
    assert refused.status_code == 400
    assert "whole v1" in refused.json()["message"]


def test_usage_of_each_version(native: httpx.Client, live_server: LiveServer) -> None:
    add(native, "used", "one")
    add(native, "used", "two")
    start = datetime.now(UTC) - timedelta(hours=1)
    events: list[dict[str, Any]] = []

    def event(type: str, body: dict[str, Any]) -> None:
        stamp = start.isoformat()
        events.append({"id": f"e{len(events)}", "type": type, "timestamp": stamp, "body": body})

    for n, version, seconds in ((0, 1, 1), (1, 1, 3), (2, 2, 1)):
        event("trace-create", {"id": f"used-{n}", "timestamp": start.isoformat()})
        event("generation-create", {
            "id": f"g-{n}", "traceId": f"used-{n}", "model": "gpt-4o", "promptName": "used", "promptVersion": version,
            "startTime": start.isoformat(), "endTime": (start + timedelta(seconds=seconds)).isoformat(),
            "usageDetails": {"input": 100, "output": 50},
        })  # fmt: skip
    event("score-create", {"traceId": "used-0", "observationId": "g-0", "name": "good", "value": 1})
    event("score-create", {"traceId": "used-1", "name": "good", "value": 0})
    event("score-create", {"traceId": "used-2", "name": "good", "value": 1})
    sent = httpx.post(live_server.url + "/api/public/ingestion", json={"batch": events}, auth=KEYS)
    assert not sent.json()["errors"]
    usage = native.get("/prompts/used/usage").json()
    second, first = usage["versions"]
    assert (first["version"], first["calls"], first["input_tokens"], first["p50_ms"]) == (1, 2, 200, 2000)
    assert first["cost"] == pytest.approx(2 * 0.00075)
    assert first["scores"] == [{"name": "good", "mean": 0.5, "count": 2}]
    assert (second["version"], second["calls"], second["scores"][0]["mean"]) == (2, 1, 1.0)
    assert {(day["version"], day["calls"]) for day in usage["days"]} == {(1, 2), (2, 1)}
    listed = {row["name"]: row["calls"] for row in native.get("/prompts").json()["prompts"]}
    assert listed["used"] == 3
    later = native.get("/prompts/used/usage", params={"from_ms": 4e12, "to_ms": 5e12}).json()
    assert later == {"versions": [], "days": []}
