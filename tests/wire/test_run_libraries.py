"""Unmodified programs of the light agent libraries under ``twinlens run``; the heavy ones are ``make examples ARGS=agents``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent_runs import EXPECTED, check, run
from tests.servers import LiveServer
from tests.stub_llm import stub_llm

pytestmark = pytest.mark.peer


def test_every_model_call_is_one_span_with_tokens_and_cost(live_server: LiveServer, tmp_path: Path) -> None:
    names = [name for name, expected in EXPECTED.items() if expected.environment == "frameworks"]
    with stub_llm() as provider:
        done = run(names, live_server, provider, tmp_path)
    assert (done.returncode, done.stdout) == (0, "Because.\n" * len(names)), done.stderr
    assert all(f"{EXPECTED[name].library} (" in done.stderr for name in names)
    assert len(check(names, live_server)) == len(names)
