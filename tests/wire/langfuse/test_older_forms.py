"""Forms of the API from before batches and cursors, which no SDK of the matrix uses any more but other clients do."""

from __future__ import annotations

import httpx
import pytest

from tests.wire.langfuse.conftest import Send


def test_one_object_per_request(http: httpx.Client) -> None:
    """SDK 1 and small clients in other languages write each object by itself; the answer is its id."""
    assert http.post("/traces", json={"id": "single", "name": "t", "userId": "u"}).json() == {"id": "single"}
    span = {"id": "single-s", "traceId": "single", "name": "s", "startTime": "2026-11-23T10:00:00Z"}
    assert http.post("/spans", json=span).json() == {"id": "single-s"}
    ended = {"spanId": "single-s", "traceId": "single", "endTime": "2026-11-23T10:00:02Z", "output": {"a": 1}}
    assert http.patch("/spans", json=ended).status_code == 200
    generation = {"traceId": "single", "parentObservationId": "single-s", "name": "g", "model": "gpt-4o",
                  "usage": {"promptTokens": 100, "completionTokens": 50}}  # fmt: skip
    made = http.post("/generations", json=generation).json()["id"]
    changed = {"generationId": made, "traceId": "single", "completion": "because", "level": "WARNING"}
    assert http.patch("/generations", json=changed).status_code == 200
    http.post("/events", json={"traceId": "single", "name": "e"})
    trace = http.get("/traces/single").json()
    rows = {row["name"]: row for row in trace["observations"]}
    assert {name: row["type"] for name, row in rows.items()} == {"s": "SPAN", "g": "GENERATION", "e": "EVENT"}
    assert (rows["s"]["latency"], rows["s"]["output"]) == (2.0, {"a": 1})
    assert (rows["g"]["usageDetails"]["total"], rows["g"]["level"]) == (150, "WARNING")
    assert http.patch("/spans", json={"name": "nameless"}).status_code == 400


def test_scores_of_v1(http: httpx.Client, send: Send) -> None:
    send(
        ("trace-create", {"id": "scored", "userId": "ada", "tags": ["x"]}),
        ("score-create", {"id": "v1-a", "traceId": "scored", "name": "fit", "value": 0.25}),
        ("score-create", {"id": "v1-b", "traceId": "scored", "name": "tone", "value": "dry"}),
    )
    for path in ("/scores", "/v2/scores"):
        page = http.get(path, params={"name": "fit", "userId": "ada"}).json()
        assert [(row["id"], row["value"], row["dataType"]) for row in page["data"]] == [("v1-a", 0.25, "NUMERIC")]
        assert page["meta"] == {"page": 1, "limit": 50, "totalItems": 1, "totalPages": 1}
        found = http.get(path, params={"operator": "<", "value": "0.5", "dataType": "NUMERIC"}).json()["data"]
        assert "v1-a" in {row["id"] for row in found}
    assert http.get("/scores/v1-b").json()["stringValue"] == "dry"
    assert http.get("/v2/scores/absent").json()["error"] == "LangfuseNotFoundError"


@pytest.mark.parametrize("version", ["", "/v2"])
def test_datasets_of_both_versions(version: str, http: httpx.Client) -> None:
    name = f"old forms{version}"
    made = http.post(f"{version}/datasets", json={"name": name, "description": "d", "metadata": {"a": [1]}}).json()
    http.post("/dataset-items", json={"datasetName": name, "id": f"i{version}", "input": {"q": 1}})
    http.post("/dataset-run-items", json={"runName": "r1", "datasetItemId": f"i{version}", "traceId": "any"})
    assert name in {row["name"] for row in http.get(f"{version}/datasets").json()["data"]}
    one = http.get(f"{version}/datasets/old%20forms{version.replace('/', '%2F')}").json()
    assert (one["id"], one["description"], one["metadata"]) == (made["id"], "d", {"a": [1]})
    if not version:
        assert ([item["id"] for item in one["items"]], one["runs"]) == (["i"], ["r1"])
    linked = http.get("/dataset-run-items", params={"datasetId": made["id"], "runName": "r1"}).json()
    assert [(row["datasetItemId"], row["traceId"]) for row in linked["data"]] == [(f"i{version}", "any")]
    assert linked["meta"]["totalItems"] == 1


def test_a_model_can_be_read_by_id(http: httpx.Client) -> None:
    row = {"modelName": "house", "matchPattern": "(?i)^house$", "unit": "TOKENS", "inputPrice": 0.001}
    made = http.post("/models", json=row).json()
    assert http.get(f"/models/{made['id']}").json() == made
    assert made["prices"]["input"] == {"price": 0.001}
    assert http.delete(f"/models/{made['id']}").status_code in (200, 204)
    assert http.get(f"/models/{made['id']}").status_code == 404


def test_feedback_is_kept_for_administrators(http: httpx.Client) -> None:
    body = {"targetType": "skill", "target": "langfuse", "feedback": "It helped.", "goal": "Find slow traces"}
    made = http.post("/feedback", json=body)
    assert made.status_code == 201
    for bad in ({"targetType": "x"}, {"target": ""}, {"feedback": "x" * 3_001}, {"referenceUrl": "file:///etc/passwd"}):
        assert http.post("/feedback", json=body | bad).status_code == 400
    log = http.get(str(http.base_url.copy_with(path="/api/twinlens/v1/projects/default/audit"))).json()["entries"]
    [entry] = [e for e in log if e["object_type"] == "feedback"]
    assert (entry["object_id"], entry["detail"]["feedback"]) == (made.json()["id"], "It helped.")


def test_spans_of_an_unknown_form_are_refused(http: httpx.Client) -> None:
    for version, status in (("4", 200), ("5", 400), ("new", 400)):
        answer = http.post(
            "/otel/v1/traces", json={"resourceSpans": []}, headers={"x-langfuse-ingestion-version": version}
        )
        assert answer.status_code == status


def test_metrics_over_otlp_are_taken(http: httpx.Client) -> None:
    """OpenLIT sends them to the same base address; a 404 there would fill its user's log."""
    answer = http.post("/otel/v1/metrics", json={"resourceMetrics": []})
    assert (answer.status_code, answer.json()) == (200, {})
