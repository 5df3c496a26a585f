"""What every endpoint shares: errors, methods, limits, cross-origin requests, pages."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest

from tests.wire.langfuse.conftest import Send


def test_health_and_ready_need_no_key(http: httpx.Client) -> None:
    for path in ("/health", "/ready", "/health?failIfDatabaseUnavailable=true"):
        answer = http.get(path, auth=httpx.BasicAuth("", ""))
        assert answer.status_code == 200
        assert answer.json()["status"] == "OK"


def test_health_can_demand_recent_events(http: httpx.Client, send: Send) -> None:
    send(("trace-create", {"id": "recent"}))
    assert http.get("/health?failIfNoRecentEvents=true").status_code == 200


def test_projects_is_what_auth_check_reads(http: httpx.Client) -> None:
    [project] = http.get("/projects").json()["data"]
    assert project["id"] == "default"
    assert project["organization"] == {"id": "default", "name": "Default"}


def test_errors_have_langfuses_shape(http: httpx.Client) -> None:
    missing = http.get("/traces/nothing")
    assert missing.status_code == 404
    assert missing.json()["error"] == "LangfuseNotFoundError"
    wrong = http.post("/scores", content=b'{"name": 5}')
    assert wrong.status_code == 400
    assert wrong.json()["message"] == "Invalid request data"
    assert wrong.json()["error"][0]["path"] == ["name"]
    assert http.post("/scores", content=b"{").status_code == 400
    assert http.get("/nothing").json()["error"] == "LangfuseNotFoundError"
    method = http.put("/scores", json={})
    assert (method.status_code, method.json()) == (405, {"message": "Method not allowed"})


def test_browsers_may_ask(http: httpx.Client) -> None:
    preflight = http.options("/scores", headers={"Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert http.get("/projects").headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("depth", [200, 100_000])
def test_deep_nesting_is_refused(http: httpx.Client, depth: int) -> None:
    body = b'{"batch": ' + b"[" * depth + b"]" * depth + b"}"
    answer = http.post("/ingestion", content=body)
    assert answer.status_code == 400
    assert "nested" in answer.json()["message"]


def test_compressed_bodies_are_read_and_broken_ones_refused(http: httpx.Client) -> None:
    body = gzip.compress(json.dumps({"batch": []}).encode())
    assert http.post("/ingestion", content=body, headers={"Content-Encoding": "gzip"}).status_code == 207
    assert http.post("/ingestion", content=body[:-4], headers={"Content-Encoding": "gzip"}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/traces?page=0", "/traces?limit=0", "/traces?limit=x", "/traces?orderBy=nope.asc", "/traces?fields=nope",
        "/traces?fromTimestamp=soon", "/traces?filter=x", "/observations?type=NOPE", "/v2/observations?fields=nope",
        "/v2/observations?parseIoAsJson=true", "/v2/observations?cursor=nope", "/v3/scores?cursor=nope",
        "/v3/scores?observationId=x", "/v2/scores?value=1&operator=~", "/v2/scores?source=NOPE", "/metrics",
        "/metrics?query=x", "/v2/metrics?query={}", "/v2/prompts/x?version=1&label=y", "/prompts",
        "/dataset-items?version=x", "/dataset-run-items", "/comments?objectId=x", "/experiments?fromStartTime=x",
        "/experiments?fromStartTime=2026-01-01T00:00:00Z&cursor=nope",
    ],
)  # fmt: skip
def test_bad_parameters_are_a_400_that_says_why(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]


def test_pages(http: httpx.Client, send: Send) -> None:
    send(
        *(
            ("trace-create", {"id": f"page-{n}", "userId": "pager", "timestamp": f"2026-01-01T00:00:0{n}Z"})
            for n in range(5)
        )
    )
    first = http.get("/traces", params={"userId": "pager", "limit": 2}).json()
    assert first["meta"] == {"page": 1, "limit": 2, "totalItems": 5, "totalPages": 3}
    assert [row["id"] for row in first["data"]] == ["page-4", "page-3"]
    last = http.get("/traces", params={"userId": "pager", "limit": 2, "page": 3}).json()
    assert [row["id"] for row in last["data"]] == ["page-0"]
    assert http.get("/traces", params={"userId": "pager", "limit": 2, "page": 4}).json()["data"] == []
    assert http.get("/traces", params={"userId": "nobody"}).json()["meta"]["totalPages"] == 0
