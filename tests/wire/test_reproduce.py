"""A plain MLflow program with Twinlens installed beside it; ``twinlens reproduce`` puts it together and starts it again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.envs import python_of
from tests.plugin import installed
from tests.servers import LiveServer
from tests.servers import run_command as command

pytestmark = pytest.mark.peer

PROGRAM = """
import random, sys
import mlflow, numpy
from helper import factor

seed = int(sys.argv[2])
random.seed(seed); numpy.random.seed(seed)
mlflow.set_experiment("repro")
with mlflow.start_run() as run:
    mlflow.log_param("seed", seed)
    mlflow.log_input(mlflow.data.from_numpy(numpy.arange(4), name="numbers"))
    mlflow.log_metric("answer", random.random() * factor())
print(run.info.run_id)
"""


class World:
    """A git repository with uncommitted changes, and how to run programs in the client's environment."""

    def __init__(self, folder: Path, server: LiveServer) -> None:
        self.server = server
        self.repository = folder / "repo"
        self.repository.mkdir()
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "MLFLOW_TRACKING_URI": server.url, "PYTHONHASHSEED": "7",
            "PYTHONPATH": installed(folder), "GIT_PYTHON_REFRESH": "quiet", "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        }  # fmt: skip
        (folder / "gitconfig").write_text("[user]\nname=t\nemail=t@example.com\n")
        (self.repository / "train.py").write_text("print('before the change')\n")
        self.git("init", "-q")
        self.git("add", "-A")
        self.git("commit", "-qm", "first")
        (self.repository / "train.py").write_text(PROGRAM)
        (self.repository / "helper.py").write_text('API_KEY = "sk-abcdefghijklmnop1234"\ndef factor(): return 3\n')
        (self.repository / ".env").write_text("TOKEN=very-secret-value\n")

    def git(self, *args: str) -> None:
        subprocess.run(["git", *args], cwd=self.repository, env=self.env, check=True, capture_output=True)

    def run(self, *args: str, cwd: Path | None = None, **env: str) -> str:
        done = subprocess.run(
            [python_of("mlflow"), *args], cwd=cwd or self.repository, env=self.env | env, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def world(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), live_server)


def test_a_run_is_rebuilt_and_started_again(world: World, tmp_path: Path) -> None:
    index = (world.repository / ".git" / "index").read_bytes()
    run_id = world.run("train.py", "--seed", "42")
    assert (world.repository / ".git" / "index").read_bytes() == index
    made = tmp_path / "made"
    ran = command("reproduce", run_id, "--to", str(made), "--repository", str(world.repository),
                  env={"TWINLENS_URL": world.server.url})  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert (made / "source" / "train.py").read_text() == PROGRAM
    helper = (made / "source" / "helper.py").read_text()
    assert "def factor" in helper and "sk-abc" not in helper
    facts = json.loads((made / "run.json").read_text())
    assert facts["command"] == ["python", "train.py", "--seed", "42"]
    assert facts["params"] == {"seed": "42"} and facts["seeds"]["seed"] == "42" and facts["seeds"]["numpy"] == 42
    assert facts["environment"]["PYTHONHASHSEED"] == "7"
    assert facts["datasets"][0]["name"] == "numbers" and facts["datasets"][0]["digest"]
    assert "mlflow==3.17.2" in (made / "requirements.lock.txt").read_text().splitlines()
    report = (made / "REPORT.md").read_text()
    assert "1 lines of the changes held secrets" in report and ".env was not captured" in report
    with world.server.client() as client:
        tags = client.get(f"/api/twinlens/v1/projects/default/runs/{run_id}").json()["run"]["tags"]
        assert "very-secret-value" not in json.dumps(tags)
        world.run("-c", "\n".join((
            "import sys; from pathlib import Path; from twinlens.sdk import reproduce; from twinlens.sdk.server import Server",
            f"server = Server({world.server.url!r}); root = Path({str(world.repository)!r})",
            f"made = reproduce.rebuild(server, {run_id!r}, Path({str(tmp_path / 'again')!r}), repository=root)",
            "sys.exit(reproduce.start(made, server, install=False))",
        )))  # fmt: skip
        body = {"experiment_ids": [facts_experiment(client, run_id)]}
        found = client.post("/api/2.0/mlflow/runs/search", json=body).json()["runs"]
    answers = {m["value"] for r in found for m in r["data"]["metrics"]}
    assert len(found) == 2 and len(answers) == 1
    again = next(r for r in found if r["info"]["run_id"] != run_id)
    assert {"key": "twinlens.capture.reproduces", "value": run_id} in again["data"]["tags"]


def facts_experiment(client: object, run_id: str) -> str:
    return client.get(f"/api/twinlens/v1/projects/default/runs/{run_id}").json()["run"]["experiment_id"]  # type: ignore[attr-defined]


def test_what_is_missing_is_said(world: World, tmp_path: Path) -> None:
    with world.server.client() as client:
        made = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).raise_for_status()
    bare = made.json()["run"]["info"]["run_id"]
    env = {"TWINLENS_URL": world.server.url}
    ran = command("reproduce", bare, "--to", str(tmp_path / "bare"), env=env)
    assert ran.returncode == 1
    for words in (
        "no git commit",
        "packages were not captured",
        "command was not captured",
        "no seed",
        "no input data",
    ):
        assert words in ran.stdout, words
    in_use = command("reproduce", bare, "--to", str(tmp_path / "bare"), env=env)
    assert in_use.returncode == 1 and "not empty" in in_use.stderr
    started = command("reproduce", bare, "--to", str(tmp_path / "bare2"), "--start", "--yes", env=env)
    assert started.returncode == 1 and "cannot be started" in started.stderr
    unknown = command("reproduce", "0" * 32, "--to", str(tmp_path / "none"), env=env)
    assert unknown.returncode == 1 and "Traceback" not in unknown.stderr and not (tmp_path / "none").exists()
