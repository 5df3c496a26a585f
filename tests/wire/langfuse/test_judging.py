"""Annotation queues, evaluators and rules with the real clients that have them."""

from __future__ import annotations

import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import PROGRAMS, run_json


@pytest.mark.peer
@pytest.mark.parametrize("client", ["langfuse4", "langfuse5"])
def test_the_real_client_judges(client: str, live_server: LiveServer) -> None:
    with live_server.client() as native:
        person = {"email": f"{client}@x.example", "role": "MEMBER"}
        user = native.post("/api/twinlens/v1/organization/members", json=person).raise_for_status().json()["user_id"]
    told = run_json(client, PROGRAMS / "judging.py", live_server.url, CLIENT=client, USER_ID=user)
    assert told == {
        "queue": [True, True],
        "item": ["PENDING", "TRACE", "COMPLETED", True],
        "items": [[], ["t1"]],
        "one": True,
        "assigned": True,
        "taken back": True,
        "deleted": True,
        "absent": [404, 404],
        "evaluator": [True, 1],
        "versions": [1],
        "listed": True,
        "rule": [0.5, False, "all", True],
        "gone": [True, True],
        "then": [404, 404],
    }
