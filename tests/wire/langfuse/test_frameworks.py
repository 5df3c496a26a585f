"""Frameworks through their real integrations, against a local provider: one call has its tokens and its cost once.

The programs are ``examples/frameworks``. The provider always says 123 tokens in and 45 out.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.envs import python_of
from tests.servers import LiveServer
from tests.stub_llm import stub_llm
from tests.wire.langfuse.clients import environment_for

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "frameworks"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
COST = 123 * 0.15e-6 + 45 * 0.6e-6  # gpt-4o-mini
pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def traces(live_server: LiveServer) -> Iterator[dict[str, dict[str, Any]]]:
    """The trace of every program, by its name, as Langfuse's list shows it."""
    url = live_server.url
    with stub_llm() as provider, httpx.Client(base_url=url, auth=("pk-lf-1", "sk-lf-1"), timeout=30) as http:
        env = environment_for(
            url, OPENAI_BASE_URL=provider, OPENAI_API_KEY="sk-none", OTEL_EXPORTER_OTLP_ENDPOINT=url,
            LANGSMITH_TRACING="false",
        )  # fmt: skip
        for at in range(0, len(PROGRAMS), 3):  # three at a time: imports are heavy
            running = [
                subprocess.Popen(
                    [python_of("frameworks"), "-W", "ignore", FOLDER / f"{name}.py"],
                    env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                )
                for name in PROGRAMS[at : at + 3]
            ]  # fmt: skip
            for process in running:
                said, _ = process.communicate(timeout=120)
                assert process.returncode == 0, said
        yield {row["name"]: row for row in http.get("/api/public/traces", params={"limit": 100}).json()["data"]}


@pytest.mark.parametrize("program", PROGRAMS)
def test_tokens_and_cost_appear_once(program: str, traces: dict[str, dict[str, Any]], http: httpx.Client) -> None:
    found = traces[program]
    assert found["totalCost"] == pytest.approx(COST)
    url = str(http.base_url).replace("/api/public/", f"/api/twinlens/v1/projects/default/traces/{found['id']}")
    trace = httpx.get(url).json()["trace"]
    assert (trace["input_tokens"], trace["output_tokens"], trace["total_tokens"]) == (123, 45, 168)
    assert trace["total_cost"] == pytest.approx(COST)
    query = {"traceId": found["id"], "type": "GENERATION"}
    calls = [row for row in http.get("/observations", params=query).json()["data"] if row["usage"]["total"]]
    assert calls, "no generation carries the tokens"
    assert all(row["usageDetails"]["input"] == 123 and row["usageDetails"]["output"] == 45 for row in calls)


def test_usage_over_all_is_the_sum_of_the_calls(traces: dict[str, dict[str, Any]], http: httpx.Client) -> None:
    assert set(PROGRAMS) <= set(traces)
    [day] = http.get("/metrics/daily").json()["data"]
    assert sum(row["inputUsage"] for row in day["usage"]) == 123 * len(PROGRAMS)
    assert day["totalCost"] == pytest.approx(COST * len(PROGRAMS))
