"""Prompts through real clients, and what SDK 2 spells in its own way; the rest is in the matrix (``test_sdks``)."""

from __future__ import annotations

import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import PROGRAMS, api, run_json

pytestmark = pytest.mark.peer
MODERN = ["langfuse3", "langfuse4", "langfuse5"]


@pytest.mark.parametrize("client", MODERN)
def test_prompts(client: str, live_server: LiveServer) -> None:
    with api(live_server.url) as http:
        for name in ("chat", "folder%2Fgreeting%20one"):
            http.delete(f"/v2/prompts/{name}")
    read = run_json(client, PROGRAMS / "prompts.py", live_server.url)
    assert read["default"] == "Hello Ada"
    assert read["staging"] == "Hi Ada"
    assert read["latest"] == 2
    assert read["v1"] == {"temperature": 0.1}
    assert read["message"] == "first"
    assert read["moved"] == "Hi {{name}}"
    assert [(m["role"], m["content"]) for m in read["chat"]] == [("system", "Hi Ada"), ("user", "x")]
    assert read["fallback"] is True
    assert read["listed"] == [
        ["chat", [1], ["latest", "production"]],
        ["folder/greeting one", [1, 2], ["latest", "production", "staging"]],
    ]


def test_sdk_2(live_server: LiveServer) -> None:
    told = run_json("langfuse2", PROGRAMS / "sdk2_features.py", live_server.url)
    assert told == {
        "prompt": ["hi 1", {"k": 1}],
        "items": [["two-1", {"q": 1}]],
        "linked": [["two-1", True]],
        "cost": pytest.approx(0.0025),
        "used": ["two/greeting 2", 1],
    }
