"""A plain HTTP client of the running server, and helpers to send events."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import api
from tests.wire.langfuse.recording import endpoints_of_file, endpoints_of_test

__all__ = ["endpoints_of_file", "endpoints_of_test"]

_ids = itertools.count()
Send = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """As in every test file, but it logs its requests."""
    with LiveServer(tmp_path_factory.mktemp("data"), env={"TWINLENS_LOG_LEVEL": "info"}) as server:
        yield server


@pytest.fixture(scope="module")
def http(live_server: LiveServer) -> Iterator[httpx.Client]:
    """The public API of the module's server."""
    with api(live_server.url) as client:
        yield client


def event(type: str, body: dict[str, Any], at: str = "2026-11-23T10:00:00.000Z") -> dict[str, Any]:
    """One ingestion event."""
    return {"id": f"event-{next(_ids)}", "type": type, "timestamp": at, "body": body}


@pytest.fixture(scope="module")
def send(http: httpx.Client) -> Send:
    """Send events as ``(type, body)`` or ``(type, body, timestamp)``; the answer, checked to be without errors."""

    def now(*events: tuple[Any, ...], errors: int = 0) -> dict[str, Any]:
        answer = http.post("/ingestion", json={"batch": [event(*e) for e in events]})
        assert answer.status_code == 207
        found = answer.json()
        assert len(found["errors"]) == errors, found
        return found

    return now
