"""Frameworks through their real integrations, against a local provider: one call is one trace, with its tokens and cost once.

The programs are ``examples/frameworks``. The provider always says 123 tokens in and 45 out. Those of one environment run as forks of one
process, because importing the frameworks takes longer than all else.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.envs import node_command, python_of
from tests.servers import LiveServer
from tests.stub_llm import stub_llm
from tests.wire.langfuse.clients import PROGRAMS as HELPERS
from tests.wire.langfuse.clients import environment_for

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "frameworks"
#: Environment → what to import before forking, and the programs that run in it.
PYTHON = {
    "frameworks": (
        "langfuse.langchain,langchain_openai,agents,pydantic_ai",
        (
            "genai_openai", "langchain_callback", "langfuse_openai", "openai_agents", "openinference_langchain",
            "openinference_openai", "pydantic_agent", "two_reporters",
        ),
    ),
    "frameworks-litellm": (
        "dspy,litellm,langfuse",
        ("dspy_and_litellm", "litellm_callback", "litellm_otel", "openinference_dspy"),
    ),
}  # fmt: skip
NODE = ("vercel_ai5", "vercel_ai7")
PROGRAMS = sorted(path.stem for path in FOLDER.iterdir() if path.stem[0] != "_")
#: OpenInference's instrumentation of DSPy does not say what a call used: it is estimated from the text.
ESTIMATED = "openinference_dspy"
COST = 123 * 0.15e-6 + 45 * 0.6e-6  # gpt-4o-mini
pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def traces(live_server: LiveServer) -> Iterator[dict[str, dict[str, Any]]]:
    """The trace of every program, by its name, as Langfuse's list shows it."""
    url = live_server.url
    with stub_llm() as provider, httpx.Client(base_url=url, auth=("pk-lf-1", "sk-lf-1"), timeout=60) as http:
        env = environment_for(
            url, OPENAI_BASE_URL=provider, OPENAI_API_KEY="sk-none", OTEL_EXPORTER_OTLP_ENDPOINT=url,
            LANGSMITH_TRACING="false", LITELLM_LOCAL_MODEL_COST_MAP="True", PYTHONWARNINGS="ignore",
        )  # fmt: skip
        commands = [
            [
                python_of(name),
                str(HELPERS / "fork_each.py"),
                modules,
                *(str(FOLDER / f"{each}.py") for each in programs),
            ]
            for name, (modules, programs) in PYTHON.items()
        ]
        commands += [node_command("vercel-ai", FOLDER / f"{name}.mjs") for name in NODE]
        running = [
            subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for command in commands
        ]
        for process in running:
            said, _ = process.communicate(timeout=240)
            assert process.returncode == 0, said
        rows = http.get("/api/public/traces", params={"limit": 100}).json()["data"]
        assert sorted(row["name"] for row in rows) == PROGRAMS  # one trace each
        yield {row["name"]: row for row in rows}


@pytest.mark.parametrize("program", PROGRAMS)
def test_tokens_and_cost_appear_once(program: str, traces: dict[str, dict[str, Any]], http: httpx.Client) -> None:
    found = traces[program]
    url = str(http.base_url).replace("/api/public/", f"/api/twinlens/v1/projects/default/traces/{found['id']}")
    trace = httpx.get(url).json()["trace"]
    query = {"traceId": found["id"], "type": "GENERATION"}
    calls = [row for row in http.get("/observations", params=query).json()["data"] if row["usage"]["total"]]
    if program == ESTIMATED:
        assert trace["usage_source"] == "estimated"
        [call] = calls
        assert trace["total_tokens"] == call["usage"]["total"] > 0
        assert found["totalCost"] == pytest.approx(call["calculatedTotalCost"])
        return
    assert found["totalCost"] == pytest.approx(COST)
    assert (trace["input_tokens"], trace["output_tokens"], trace["total_tokens"]) == (123, 45, 168)
    assert trace["total_cost"] == pytest.approx(COST)
    assert any(row["usageDetails"]["input"] == 123 and row["usageDetails"]["output"] == 45 for row in calls)


def test_usage_over_all_is_the_sum_of_the_calls(traces: dict[str, dict[str, Any]], http: httpx.Client) -> None:
    [day] = http.get("/metrics/daily").json()["data"]
    counted = len(PROGRAMS) - 1
    estimated = traces[ESTIMATED]["totalCost"]
    assert day["totalCost"] == pytest.approx(COST * counted + estimated)
    assert sum(usage["totalCost"] for usage in day["usage"]) == pytest.approx(day["totalCost"])
