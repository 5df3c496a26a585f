"""An unmodified SuperOptiX agent, observed: ``python -m examples.superoptix [--backend twinlens|mlflow] [--record]``.

Makes ``.envs/superoptix`` (about 350 MB, once), a SuperOptiX project with its stock ``developer`` agent, and a stand-in for the model
provider; puts the guide's ``observability:`` block into the playbook and runs ``twinlens run -- super agent run developer``, then the
same by the start-up hook without ``twinlens run``. Then
the MLflow client (and, for Twinlens, the Langfuse client) read back what arrived: one trace with 123 and 45 tokens and a cost,
and one run. ``--record`` rewrites the recording that the test suites replay.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from tests.envs import python_of
from tests.fixtures import capture
from tests.mlflow_server import mlflow_server
from tests.servers import LiveServer
from tests.stub_llm import stub_llm
from tests.wire.langfuse.clients import run_json

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "tests" / "guide" / "setup.md").read_text("utf-8")
MLFLOW, LANGFUSE = (
    yaml.safe_load(block)["observability"] for block in re.findall(r"^observability:\n(?: .*\n)+", GUIDE, re.MULTILINE)
)
READ_MLFLOW = """
import json, mlflow
from mlflow import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name("developer_agent")
[run] = client.search_runs([experiment.experiment_id])
[trace] = mlflow.search_traces(experiment_ids=[experiment.experiment_id], return_type="list")
print(json.dumps({
    "run": run.info.run_name, "metrics": run.data.metrics, "params": run.data.params, "usage": trace.info.token_usage,
    "linked": "tr-" + run.data.tags["twinlens.trace_id"] == trace.info.trace_id,
    "spans": [[s.name, s.span_type] for s in trace.data.spans],
    "files": sorted(f.path for f in client.list_artifacts(run.info.run_id)),
}))
"""
READ_LANGFUSE = """
import json
from langfuse import get_client
[found] = get_client().api.trace.list(name="developer").data
trace = get_client().api.trace.get(found.id)
print(json.dumps({"cost": trace.total_cost, "input": trace.input, "observations": [
    [o.name, o.type, o.usage_details] for o in trace.observations]}))
"""


class Project:
    """A SuperOptiX project in a folder, with its agent pulled and compiled."""

    def __init__(self, folder: Path, model_url: str) -> None:
        self.bin = Path(python_of("superoptix")).parent
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TWINLENS_", "LANGFUSE_", "MLFLOW_", "OTEL_"))}
        self.env = kept | {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), "PYTHONPATH": str(ROOT),
            "OPENAI_API_KEY": "sk-none", "OPENAI_BASE_URL": model_url, "OPENAI_API_BASE": model_url,
            "SUPEROPTIX_TELEMETRY": "false", "DO_NOT_TRACK": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "TWINLENS_SPOOL": str(folder / "spool"), "COLUMNS": "120",
        }  # fmt: skip
        self.folder = folder
        self.call("super", "init", "demo")
        self.folder = folder / "demo"
        self.call("super", "agent", "pull", "developer")
        [self.playbook] = self.folder.glob("*/agents/developer/playbook/developer_playbook.yaml")
        self.write({"enabled": False})
        self.call("super", "agent", "compile", "developer", "--cloud", "--provider", "openai", "--model", "gpt-4o-mini")

    def call(self, *command: str) -> str:
        """Run a command in the project; its output.

        Raises:
            SystemExit: it failed.
        """
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr

    def write(self, block: dict[str, Any]) -> None:
        """Put a block into the playbook, under ``spec:``."""
        document = yaml.safe_load(self.playbook.read_text("utf-8"))
        document["spec"]["language_model"] = {"provider": "openai", "model": "gpt-4o-mini"}
        document["spec"]["observability"] = block
        self.playbook.write_text(yaml.safe_dump(document, sort_keys=False))

    def run(self, *, hook: bool = False) -> None:
        """Run the agent, observed; deliver what a busy machine did not within the second it has at the end.

        Args:
            hook: by the start-up hook, with SuperOptiX's own command; else by ``twinlens run``.
        """
        goal = f"add two numbers {time.time_ns()}"  # DSPy keeps answers on disk; a known goal has no tokens
        python = str(self.bin / "python")
        command = ("super", "agent", "run", "developer", "--goal", goal)
        if hook:
            print(self.call(python, "-m", "twinlens", "hook", "install").strip())
            try:
                self.call(*command)
            finally:
                self.call(python, "-m", "twinlens", "hook", "remove")
        else:
            said = self.call(python, "-m", "twinlens", "run", "--", *command)
            print(next(line for line in said.splitlines() if line.startswith("twinlens: ")))
        self.call(python, "-m", "twinlens", "spool", "push", "--config", str(self.playbook))


def both(url: str) -> dict[str, Any]:
    """The guide's two blocks as one, at another address."""
    return {
        "enabled": True, "backends": ["mlflow", "langfuse"], "mlflow": MLFLOW["mlflow"] | {"tracking_uri": url},
        "langfuse": LANGFUSE["langfuse"] | {"host": url},
    }  # fmt: skip


def check_mlflow(url: str) -> None:
    """What the MLflow client sees."""
    env = os.environ | {"MLFLOW_TRACKING_URI": url, "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [python_of("mlflow"), "-W", "ignore", "-c", READ_MLFLOW]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(found, indent=1))
    assert found["usage"] == {"input_tokens": 123, "output_tokens": 45, "total_tokens": 168}
    assert (found["run"], found["linked"], found["metrics"]["total_tokens"]) == ("developer", True, 168)
    assert found["metrics"]["cost"] > 0
    assert [kind for _, kind in found["spans"]].count("CHAT_MODEL") == 1


def check_langfuse(url: str) -> None:
    """What the Langfuse client sees."""
    found = run_json("langfuse3", READ_LANGFUSE, url, keys=("your-public-key", "your-secret-key"))
    print(json.dumps(found, indent=1))
    assert found["cost"] > 0
    [usage] = [usage for _, kind, usage in found["observations"] if kind == "GENERATION"]
    assert (usage["input"], usage["output"]) == (123, 45)


def record(project: Project) -> None:
    """Rewrite the recording that the test suites replay."""
    receiver = capture.Recorder()
    project.write({"backends": ["otlp"], "otlp": {"endpoint": receiver.url}})
    project.run()
    receiver.shutdown()
    capture.save("superoptix", receiver)


def main() -> None:
    """Run it against the chosen backends."""
    parser = argparse.ArgumentParser(prog="python -m examples.superoptix", description=__doc__)
    parser.add_argument("--backend", choices=("twinlens", "mlflow"), action="append", default=[])
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, stub_llm() as model_url:
        folder = Path(name)
        project = Project(folder, model_url)
        if options.record:
            record(project)
        if "twinlens" in options.backend or not (options.backend or options.record):
            for hook in (False, True):
                with LiveServer(folder / f"data-{hook}") as server:
                    project.write(both(server.url))
                    project.run(hook=hook)
                    check_mlflow(server.url)
                    check_langfuse(server.url)
        if "mlflow" in options.backend:
            for hook in (False, True):
                (folder / f"mlflow-{hook}").mkdir()
                with mlflow_server(folder / f"mlflow-{hook}") as url:
                    project.write(MLFLOW | {"mlflow": MLFLOW["mlflow"] | {"tracking_uri": url}})
                    project.run(hook=hook)
                    check_mlflow(url)


if __name__ == "__main__":
    main()
