"""Unmodified agent programs (``examples/agents``) started by ``twinlens run``, and what a server must know of each of them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.envs import python_of
from tests.servers import LiveServer
from tests.wire.langfuse.clients import api

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "examples" / "agents"
#: Runs programs one after another in one process, so that their common imports are paid for once.
_ALL = "import runpy, sys\nfor path in sys.argv[1:]: runpy.run_path(path, run_name='__main__')"


@dataclass(frozen=True)
class Expected:
    """What one program does.

    Args:
        environment: where it runs (``tests/envs.py``).
        library: its row of the table of libraries.
        calls: of a model, 123 + 45 tokens each.
        kinds: observation types that its trace has beside.
        names: spans that its trace has.
        traces: how many it leaves.
    """

    environment: str
    library: str
    calls: int = 1
    kinds: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    traces: int = 1


EXPECTED = {
    "openai_client": Expected("frameworks", "OpenAI"),
    "openai_agents": Expected("frameworks", "OpenAI Agents", 2, frozenset({"AGENT", "TOOL"}), frozenset({"MCP send tools/call fact"})),
    "pydantic_ai_agent": Expected("frameworks", "Pydantic AI", 2, frozenset({"AGENT", "TOOL"})),
    "langgraph_agent": Expected("frameworks", "LangChain/LangGraph", 2, frozenset({"CHAIN", "TOOL"})),
    "anthropic_client": Expected("frameworks", "Anthropic"),
    "dspy_module": Expected("agents", "DSPy", 1, frozenset({"CHAIN"})),
    "litellm_call": Expected("agents", "LiteLLM"),
    "llama_index_query": Expected("agents", "LlamaIndex", 1, frozenset({"RETRIEVER"}), traces=2),  # one for making the index
    "crewai_crew": Expected("crewai", "CrewAI", 1, frozenset({"AGENT", "CHAIN"})),
    "google_adk_agent": Expected("google-adk", "Google ADK", 1, frozenset({"AGENT"})),
}  # fmt: skip


def run(names: list[str], server: LiveServer, provider: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run programs of one environment in one process, observed, and deliver what they left."""
    (folder / "playbook.yaml").write_text(
        f"observability:\n  backends: [twinlens]\n  twinlens: {{url: '{server.url}'}}\n"
    )
    foreign = ("TWINLENS_", "LANGFUSE_", "MLFLOW_", "OTEL_", "OPENAI_", "ANTHROPIC_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | {
        "PYTHONPATH": str(ROOT), "HOME": str(folder), "TWINLENS_SPOOL": str(folder / "spool"),
        "OPENAI_BASE_URL": provider, "OPENAI_API_BASE": provider, "OPENAI_API_KEY": "sk-none",
        "ANTHROPIC_BASE_URL": provider.removesuffix("/v1"), "ANTHROPIC_API_KEY": "sk-none",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True", "CREWAI_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1",
    }  # fmt: skip
    python = python_of(EXPECTED[names[0]].environment)
    files = [str(PROGRAMS / f"{name}.py") for name in names]
    done = subprocess.run(
        [python, "-m", "twinlens", "run", "--", python, *(files if len(files) == 1 else ["-c", _ALL, *files])],
        cwd=folder, env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    pushed = subprocess.run(
        [python, "-m", "twinlens", "spool", "push", "--config", "playbook.yaml"],
        cwd=folder, env=env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    return done


def check(names: list[str], server: LiveServer) -> list[str]:
    """One trace per program, each model call once, with its tokens and a cost, for both kinds of client; a line per program.

    Raises:
        AssertionError
    """
    lines: list[str] = []
    with api(server.url) as langfuse, server.client() as mlflow:
        rows: list[dict[str, Any]] = langfuse.get("/traces", params={"orderBy": "timestamp.asc", "limit": 100}).json()[
            "data"
        ]
        traces = [langfuse.get(f"/traces/{row['id']}").json() for row in rows]
        assert len(traces) == sum(EXPECTED[name].traces for name in names), [trace["name"] for trace in traces]
        for name in names:
            expected = EXPECTED[name]
            for _ in range(expected.traces - 1):
                assert traces.pop(0)["totalCost"] == 0
            trace = traces.pop(0)
            seen = trace["observations"]
            calls = [row for row in seen if row["type"] == "GENERATION"]
            assert len(calls) == expected.calls, (name, [(row["name"], row["type"]) for row in seen])
            assert [(c["usageDetails"]["input"], c["usageDetails"]["output"]) for c in calls] == [(123, 45)] * len(
                calls
            ), name
            assert all("Because." in json.dumps(c["output"]) or c is not calls[-1] for c in calls), (name, calls)
            assert all(c["costDetails"]["total"] > 0 for c in calls), (name, calls)
            assert abs(trace["totalCost"] - sum(c["costDetails"]["total"] for c in calls)) < 1e-9, name
            assert {row["type"] for row in seen} >= expected.kinds, (name, [(row["name"], row["type"]) for row in seen])
            assert {row["name"] for row in seen} >= expected.names, (name, [row["name"] for row in seen])
            assert [row["parentObservationId"] for row in seen].count(None) == 1, (name, seen)
            info = mlflow.get(f"/api/3.0/mlflow/traces/tr-{trace['id']}").json()["trace"]["trace_info"][
                "trace_metadata"
            ]
            usage, cost = json.loads(info["mlflow.trace.tokenUsage"]), json.loads(info["mlflow.trace.cost"])
            assert usage["total_tokens"] == 168 * expected.calls, (name, usage)
            assert abs(cost["total_cost"] - trace["totalCost"]) < 1e-9, (name, cost)
            lines.append(
                f"{expected.library}: {len(seen)} spans, {len(calls)} model calls, {trace['totalCost']:.6f} USD"
            )
    return lines
