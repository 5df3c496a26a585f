"""The guide's two ``observability:`` blocks, taken from its text, reach the servers they name; only the ports are free ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.envs import python_of
from tests.servers import LiveServer
from tests.wire.langfuse.clients import run_json

pytestmark = pytest.mark.peer

#: "Quick Setup Comparison" of the guide, word for word: two shell blocks that end in YAML.
GUIDE = (Path(__file__).parent / "setup.md").read_text("utf-8")
MLFLOW, LANGFUSE = re.findall(r"^observability:\n(?: .*\n)+", GUIDE, re.MULTILINE)

AGENT = """
import sys, twinlens
twinlens.observe("playbook.yaml")

@twinlens.observe(name="developer", as_type="agent")
def developer(goal):
    with twinlens.tool("search", input=goal) as call:
        call.update(output=["a fact"])
    with twinlens.generation("answer", model="gpt-4o-mini", input=[{"role": "user", "content": goal}],
                             model_parameters={"temperature": 0.2}) as call:
        call.update(output="Because.", usage={"prompt_tokens": 123, "completion_tokens": 45})
    twinlens.score("quality", 0.9, whole_trace=True)
    return "Because."

print(developer("why?"))
assert twinlens.flush(60)
"""
READ_MLFLOW = """
import json, mlflow
from mlflow import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name("developer_agent")
[run] = client.search_runs([experiment.experiment_id])
[trace] = mlflow.search_traces(experiment_ids=[experiment.experiment_id], return_type="list")
print(json.dumps({
    "status": run.info.status, "name": run.info.run_name, "params": run.data.params, "metrics": run.data.metrics,
    "files": sorted(f.path for f in client.list_artifacts(run.info.run_id)),
    "book": mlflow.artifacts.load_text(f"{run.info.artifact_uri}/playbook.yaml"),
    "tagged": "tr-" + run.data.tags["twinlens.trace_id"], "trace": trace.info.trace_id, "usage": trace.info.token_usage,
    "linked": [t.info.trace_id for t in mlflow.search_traces(
        experiment_ids=[experiment.experiment_id], run_id=run.info.run_id, return_type="list")],
    "types": sorted(span.span_type for span in trace.data.spans), "cost": (trace.info.cost or {}).get("total_cost"),
    "assessments": [[a.name, a.value] for a in trace.info.assessments],
}))
"""
READ_LANGFUSE = """
import json
from langfuse import get_client
client = get_client()
found, *_ = client.api.trace.list(name="developer").data  # newest first; the MLflow block made the other
trace = client.api.trace.get(found.id)
answer = next(o for o in trace.observations if o.name == "answer")
print(json.dumps({
    "metadata": trace.metadata, "cost": trace.total_cost, "usage": answer.usage_details, "model": answer.model,
    "types": sorted(o.type for o in trace.observations), "input": trace.input, "output": trace.output,
    "parameters": answer.model_parameters, "scores": [[s.name, s.value] for s in trace.scores],
}))
"""


def agent(folder: Path, block: str) -> None:
    """Run the agent in a folder with that block as its playbook."""
    (folder / "playbook.yaml").write_text(block)
    foreign = ("TWINLENS_", "LANGFUSE_", "MLFLOW_", "OTEL_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | {"TWINLENS_SPOOL": str(folder / "spool")}
    done = subprocess.run(
        [sys.executable, "-c", AGENT], cwd=folder, env=env, capture_output=True, text=True, timeout=90
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Because.\n", "")


def moved(block: str, written: str, url: str) -> str:
    """The block with another port."""
    assert written in block
    return block.replace(written, url)


def read_mlflow(url: str) -> dict[str, Any]:
    """What the real MLflow client sees."""
    env = os.environ | {"MLFLOW_TRACKING_URI": url, "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [python_of("mlflow"), "-W", "ignore", "-c", READ_MLFLOW]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check_mlflow(found: dict[str, Any]) -> None:
    """One run per agent run, complete and linked to its trace."""
    assert (found["name"], found["status"]) == ("developer", "FINISHED")
    assert found["params"] == {"agent": "developer", "model": "gpt-4o-mini", "temperature": "0.2"}
    metrics = found["metrics"]
    assert (metrics["input_tokens"], metrics["output_tokens"], metrics["total_tokens"]) == (123, 45, 168)
    assert (metrics["quality"], metrics["llm_calls"], metrics["tool_calls"], metrics["errors"]) == (0.9, 1, 1, 0)
    assert metrics["cost"] == pytest.approx(123 * 0.15e-6 + 45 * 0.6e-6)
    assert metrics["latency_s"] > 0
    assert found["files"] == ["playbook.yaml", "trace.json"]
    assert 'experiment_name: "developer_agent"' in found["book"]
    assert found["tagged"] == found["trace"]
    assert found["linked"] == [found["trace"]]
    assert found["usage"] == {"input_tokens": 123, "output_tokens": 45, "total_tokens": 168}
    assert found["types"] == ["AGENT", "CHAT_MODEL", "TOOL"]
    assert found["assessments"] == [["quality", 0.9]]


def test_both_blocks_against_one_twinlens_on_two_ports(start_server: Any, tmp_path: Path) -> None:
    server: LiveServer = start_server(args=["--port", "0", "--port", "0"])
    mlflow_url, langfuse_url = (url.replace("127.0.0.1", "localhost") for url in server.urls)
    agent(tmp_path, moved(MLFLOW, "http://localhost:5001", mlflow_url))
    check_mlflow(read_mlflow(server.urls[0]))

    agent(tmp_path, moved(LANGFUSE, "http://localhost:3000", langfuse_url))
    keys = ("your-public-key", "your-secret-key")
    found = run_json("langfuse3", READ_LANGFUSE, server.urls[1], keys=keys)
    assert found["metadata"]["project"] == "superoptix-agents"
    assert (found["usage"]["input"], found["usage"]["output"], found["model"]) == (123, 45, "gpt-4o-mini")
    assert found["cost"] == pytest.approx(123 * 0.15e-6 + 45 * 0.6e-6)
    assert found["types"] == ["AGENT", "GENERATION", "TOOL"]
    assert (found["input"], found["output"]) == ({"goal": "why?"}, "Because.")
    assert found["parameters"]["temperature"] in (0.2, "0.2")
    assert found["scores"] == [["quality", 0.9]]


@pytest.mark.slow
def test_the_mlflow_block_against_a_real_mlflow_server(tmp_path: Path, real_mlflow: str) -> None:
    agent(tmp_path, moved(MLFLOW, "http://localhost:5001", real_mlflow))
    check_mlflow(read_mlflow(real_mlflow))
