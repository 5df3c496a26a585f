"""Skills with the real client: versions, labels, tags, files by hash, and what is refused."""

from __future__ import annotations

import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import PROGRAMS, run_json


@pytest.mark.peer
def test_the_real_client_keeps_skills(live_server: LiveServer) -> None:
    assert run_json("langfuse5", PROGRAMS / "skills.py", live_server.url) == {
        "first": [1, ["latest"], "MIT", "first", "Fill PDF forms."],
        "script": [11, "text/plain"],
        "second": [2, ["latest"], ["SKILL.md", "lib/fill.py"]],
        "unlabelled": [404, "resource_not_found"],
        "labelled": ["production", "staging"],
        "moved": [["latest", "production"], 2, ["staging"]],
        "tagged": [2, ["office", "pdf"], ["office", "pdf"]],
        "listed": [["pdf-forms", 2, 2], False],
        "none": [0, 0],
        "texts": "print('ä')",
        "no front matter": [400, "invalid_request"],
        "no skill file": [400, "invalid_request"],
        "leads out": [400, "invalid_request"],
        "unknown hash": [400, "invalid_request"],
        "latest again": 1,
        "kept": "print('ä')",
        "deleted": True,
        "gone": [404, "resource_not_found"],
        "starts again": 1,
    }
