"""Server-side masking over every way in: what the pattern finds never reaches the store."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.servers import LiveServer

TRACE = f"{0xACE:032x}"


def test_masked_before_it_is_stored(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(TWINLENS_MASK_PATTERN="secret-\\d+\nhunter2", TWINLENS_MASK_REPLACEMENT="[gone]")
    span = {
        "traceId": TRACE, "spanId": f"{1:016x}", "name": "s", "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000001000000000",
        "attributes": [{"key": "langfuse.observation.input", "value": {"stringValue": '{"a": "secret-123"}'}},
                       {"key": "langfuse.trace.metadata.note", "value": {"stringValue": "hunter2"}},
                       {"key": "other", "value": {"stringValue": "secret-9"}}],
    }  # fmt: skip
    record = {"traceId": TRACE, "spanId": f"{1:016x}", "eventName": "gen_ai.choice", "timeUnixNano": "1",
              "body": {"stringValue": "it is secret-7"}}  # fmt: skip
    event = {
        "id": "e1",
        "type": "trace-create",
        "timestamp": "2026-11-23T00:00:00Z",
        "body": {"id": "t2", "input": "secret-5"},
    }
    with httpx.Client(base_url=server.url) as client:
        for path, body in (
            ("/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}),
            ("/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}),
            ("/api/public/ingestion", {"batch": [event]}),
        ):
            assert client.post(path, json=body).status_code in (200, 207)
        texts = [client.get(f"/api/public/traces/{t}").text for t in (TRACE, "t2")]
    assert "[gone]" in texts[0]
    for text in texts:
        assert "secret-" not in text
        assert "hunter2" not in text
