"""Other trackers' own data, moved: ``python -m examples.moving [wandb|trackio|tensorboard|phoenix …]``.

Runs each tool for real (``.envs/trackers``, ``.envs/bench-phoenix``; large downloads, once), moves what it wrote with ``twinlens migrate`` into a
fresh server, twice, and asks the server for it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from bench.envs import ENVIRONMENTS
from tests.envs import ensure
from tests.servers import LiveServer, clean_environment

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / "tests" / "fixtures" / "programs"


def migrate(source: str, server: LiveServer, project: str, folder: Path, env: dict[str, str]) -> dict[str, Any]:
    """Move it twice; what the server counts."""
    command = [sys.executable, "-m", "twinlens", "migrate", source, f"twinlens+{server.url}/{project}"]
    variables = clean_environment() | {"PYTHONPATH": str(ROOT)} | env
    found: list[dict[str, Any]] = []
    for _ in range(2):
        subprocess.run(command, cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
        found.append(httpx.get(f"{server.url}/api/twinlens/v1/projects/{project}/counts").raise_for_status().json())
    assert found[0] == found[1], "moving again has doubled something"
    return found[0]


def tracker(name: str) -> Callable[[LiveServer, Path], str]:
    """An example of one of the trackers that write files."""

    def run(server: LiveServer, folder: Path) -> str:
        python = ensure("trackers")
        env = {"HOME": str(folder), "PATH": os.environ["PATH"], "USER": "example"}
        subprocess.run([python, PROGRAMS / f"{name}_run.py"], cwd=folder, env=env, check=True, capture_output=True)
        # W&B keeps the files of artifacts apart until they are uploaded
        found = migrate(str(folder / name), server, name, folder, {"WANDB_DATA_DIR": str(folder / "data")})
        assert found["runs"] >= 1
        if name == "wandb":
            listed = httpx.get(f"{server.url}/api/2.0/mlflow/artifacts/list", params={"run_id": "r1abc234", "path": "model/m"},
                               headers={"x-twinlens-project": name}).raise_for_status().json()  # fmt: skip
            assert [file["path"] for file in listed["files"]] == ["model/m/model.txt"], listed
        return f"{found['runs']} runs, {found['traces']} traces"

    return run


def phoenix(server: LiveServer, folder: Path) -> str:
    """A running Phoenix with spans, annotations, a dataset and an experiment."""
    python = ENVIRONMENTS["phoenix"].path / "bin" / "python"
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, grpc = free.getsockname()[1], other.getsockname()[1]
    env = clean_environment() | {
        "PHOENIX_WORKING_DIR": str(folder), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc), "PHOENIX_TELEMETRY_ENABLED": "false",
    }  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [python, "-m", "phoenix.server.main", "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(240):
            try:
                httpx.get(f"{url}/healthz").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.5)
        # -P: a program beside it has the name of a package that Phoenix needs
        subprocess.run(
            [python, "-P", PROGRAMS / "phoenix_fill.py", url], env=env, check=True, stdout=subprocess.DEVNULL
        )
        found = migrate(f"phoenix+{url}", server, "phoenix", folder, {})
        assert (found["traces"], found["scores"]) == (8, 7), found
        runs = httpx.get(f"{server.url}/api/public/datasets/qa/runs", headers={"x-twinlens-project": "phoenix"})
        assert [run["name"] for run in runs.raise_for_status().json()["data"]] == ["first"]
        return f"{found['traces']} traces, {found['scores']} scores, one dataset run"
    finally:
        process.kill()
        process.wait()


EXAMPLES: dict[str, Callable[[LiveServer, Path], str]] = {
    "wandb": tracker("wandb"), "trackio": tracker("trackio"), "tensorboard": tracker("tensorboard"), "phoenix": phoenix,
}  # fmt: skip


def main(names: list[str]) -> None:
    """Run the named examples, all without names."""
    for name in names or EXAMPLES:
        with tempfile.TemporaryDirectory() as folder, LiveServer(Path(folder) / "server") as server:
            place = Path(folder) / "tool"
            place.mkdir()
            print(f"ok     {name}: {EXAMPLES[name](server, place)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
