"""Runs the examples against a fresh server and a local stand-in for a model provider; each checks what it finds afterwards.

make examples                                   # all; makes the environments on first use (large downloads)
make examples ARGS="mlflow_genai"               # one folder
make examples ARGS="mlflow/big_artifact.py"     # one program
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import agent_runs
from tests.envs import ensure
from tests.servers import LiveServer
from tests.stub_llm import stub_llm

HERE = Path(__file__).resolve().parent
#: Folder -> environment under ``.envs``.
ENVIRONMENTS = {
    "mlflow": "mlflow-ml",
    "mlflow_torch": "mlflow-torch",
    "mlflow_genai": "mlflow-genai",
    "frameworks": "frameworks",
    "agents": "",
}


def programs(wanted: list[str]) -> list[Path]:
    """The programs whose path begins with one of the words, all without words. Those that start with ``_`` are helpers."""
    found = [path for folder in ENVIRONMENTS for path in sorted((HERE / folder).glob("[!_]*.py"))]
    return [path for path in found if not wanted or str(path.relative_to(HERE)).startswith(tuple(wanted))]


def _agents(names: list[str], folder: Path, provider: str) -> int:
    """Run programs that know nothing of us under ``twinlens run``, one process per environment; how many failed the check."""
    failed = 0
    for environment in sorted({agent_runs.EXPECTED[name].environment for name in names}):
        mine = [name for name in names if agent_runs.EXPECTED[name].environment == environment]
        (folder / environment).mkdir()
        begun = time.monotonic()
        with LiveServer(folder / environment / "data") as server:
            done = agent_runs.run(mine, server, provider, folder / environment)
            try:
                said = [line for line in done.stdout.splitlines() if line == "Because."]
                assert (done.returncode, len(said)) == (0, len(mine)), done.stdout + done.stderr[-3000:]
                lines = agent_runs.check(mine, server)
            except AssertionError as error:
                failed += len(mine)
                print(f"FAILED agents of {environment}: {', '.join(mine)}\n{error}", flush=True)
                continue
        for name, line in zip(mine, lines, strict=True):
            print(f"ok     agents/{name}.py: {line}", flush=True)
        print(f"       {environment}: {time.monotonic() - begun:.0f} s", flush=True)
    return failed


def main(wanted: list[str]) -> int:
    """Run; the number of programs that failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder, stub_llm() as provider:
        chosen = programs(wanted)
        failed += _agents([path.stem for path in chosen if path.parent.name == "agents"], Path(folder), provider)
        for path in chosen:
            if path.parent.name == "agents":
                continue
            name = str(path.relative_to(HERE))
            python = ensure(ENVIRONMENTS[path.parent.name])
            begun = time.monotonic()
            with LiveServer(Path(folder) / path.stem) as server:
                env = os.environ | {
                    "MLFLOW_TRACKING_URI": server.url, "TWINLENS_EXAMPLE_PID": str(server.pid),
                    "OPENAI_BASE_URL": provider, "OPENAI_API_BASE": provider, "OPENAI_API_KEY": "sk-none", "PATH": f"{python.parent}:{os.environ['PATH']}",
                    "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "GIT_PYTHON_REFRESH": "quiet",
                    "LANGFUSE_HOST": server.url, "LANGFUSE_PUBLIC_KEY": "pk-lf-any", "LANGFUSE_SECRET_KEY": "sk-lf-any",
                    "OPENAI_AGENTS_DISABLE_TRACING": "0", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                }  # fmt: skip
                if path.parent.name == "frameworks":  # MLflow would take it for itself
                    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.url
                done = subprocess.run(
                    [python, "-W", "ignore", path], env=env, cwd=folder, capture_output=True, text=True
                )
            lines = done.stdout.strip().splitlines()
            print(
                f"{'ok    ' if done.returncode == 0 else 'FAILED'} {name}: {lines[-1] if lines else ''} ({time.monotonic() - begun:.0f} s)",
                flush=True,
            )
            if done.returncode:
                failed += 1
                print(done.stderr[-3000:])
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
