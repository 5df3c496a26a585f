"""The servers under measurement, each started as its users start it, on a loopback port and a folder of its own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from bench import processes
from bench.connection import BadAnswer, Connection, encode, encode_json
from bench.envs import ENVIRONMENTS


class Server:
    """One server process (tree). Use as a context manager.

    Attributes:
        name: column of the result table.
        speaks_mlflow: answers MLflow's tracking REST API.
        otlp_headers: what its OTLP path needs besides the content type.
    """

    name = ""
    speaks_mlflow = False
    health = "/health"
    otlp_path = "/v1/traces"
    otlp_headers: dict[str, str] = {}  # noqa: RUF012 (never changed)
    start_limit = 120.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.cold_start = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def command(self) -> list[str]:
        """What is run."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Variables beside the inherited ones."""
        return {}

    def stored_spans(self) -> int:
        """How many spans a reader finds now."""
        raise NotImplementedError

    def list_request(self, limit: int) -> bytes:
        """Asks for the newest traces, as its own page or client does."""
        raise NotImplementedError

    def listed(self, answer: bytes) -> list[str]:
        """Trace ids in the answer to ``list_request``."""
        raise NotImplementedError

    def trace_request(self, trace_id: str) -> bytes:
        """Asks for one trace with its spans."""
        raise NotImplementedError

    def disk(self) -> int:
        """Bytes on disk of everything it stores."""
        return processes.folder_bytes(self.folder)

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder.with_suffix(".log")

    def start(self) -> None:
        """Start and wait for the first answer to its health check; ``cold_start`` holds the seconds that took.

        Raises:
            RuntimeError: it ended or did not answer in time; the text holds the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = processes.free_port()
        self._log = self.log.open("ab")
        # A shell may forbid byte code; no installation runs without, and it would be most of the cold start.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        begun = time.monotonic()
        self.process = subprocess.Popen(
            self.command(), cwd=self.folder, env={**inherited, **self.environment()},
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() - begun > self.start_limit:
                self.stop()
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.01)
        self.cold_start = time.monotonic() - begun

    def _answers(self) -> bool:
        try:
            with Connection(self.port, timeout=10) as connection:
                connection.call("GET", self.health)
        except (OSError, BadAnswer):
            return False
        except ValueError:  # the body is not JSON: an answer all the same
            return True
        return True

    def stop(self) -> None:
        """End the process tree."""
        if self.process is not None:
            processes.end(self.process)
            self.process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def connect(self, timeout: float = 60) -> Connection:
        """A keep-alive connection."""
        return Connection(self.port, timeout)

    def pids(self) -> list[int]:
        """The process tree."""
        assert self.process is not None
        return processes.tree(self.process.pid)

    def version(self) -> str:
        """Version of what is measured."""
        raise NotImplementedError


class Twinlens(Server):
    """``twinlens serve`` of this working tree."""

    name = "Twinlens"
    speaks_mlflow = True

    def command(self) -> list[str]:
        program = Path(sys.executable).parent / "twinlens"
        return [str(program), "serve", "--host", "127.0.0.1", "--port", str(self.port), "--data", str(self.folder)]

    def stored_spans(self) -> int:
        with self.connect() as connection:
            page = connection.call("GET", "/api/public/observations?limit=1")
        return int(page["meta"]["totalItems"])

    def list_request(self, limit: int) -> bytes:
        return encode("GET", f"/api/twinlens/v1/projects/default/traces?limit={limit}")

    def listed(self, answer: bytes) -> list[str]:
        return [row["trace_id"] for row in json.loads(answer)["traces"]]

    def trace_request(self, trace_id: str) -> bytes:
        return encode("GET", f"/api/twinlens/v1/projects/default/traces/{trace_id}")

    def version(self) -> str:
        from importlib.metadata import version

        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        return f"{version('twinlens')} ({commit})" if commit else version("twinlens")


class Mlflow(Server):
    """``mlflow server`` with nothing but host and port: four workers, job runner, SQLite in the working folder."""

    name = "MLflow"
    speaks_mlflow = True
    otlp_headers = {"x-mlflow-experiment-id": "0"}  # noqa: RUF012
    options: Sequence[str] = ()

    def command(self) -> list[str]:
        program = ENVIRONMENTS["mlflow"].path / "bin" / "mlflow"
        return [str(program), "server", "--host", "127.0.0.1", "--port", str(self.port), *self.options]

    def environment(self) -> dict[str, str]:
        return {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "PATH": _path("mlflow")}

    @property
    def database(self) -> Path:
        """Its default backend store."""
        return self.folder / "mlflow.db"

    def stored_spans(self) -> int:
        return int(_sqlite(self.database, "select count(*) from spans"))

    def list_request(self, limit: int) -> bytes:
        locations = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]
        return encode_json("POST", "/api/3.0/mlflow/traces/search", {"locations": locations, "max_results": limit})

    def listed(self, answer: bytes) -> list[str]:
        return [trace["trace_id"] for trace in json.loads(answer)["traces"]]

    def trace_request(self, trace_id: str) -> bytes:
        return encode("GET", f"/api/3.0/mlflow/traces/get?trace_id={trace_id}&allow_partial=true")

    def version(self) -> str:
        return ENVIRONMENTS["mlflow"].version()


class MlflowOneWorker(Mlflow):
    """The same with one worker: fewer processes that lock one another out of SQLite."""

    name = "MLflow, 1 worker"
    options = ("--workers", "1")


class Phoenix(Server):
    """``phoenix serve`` with its defaults: SQLite in its working folder."""

    name = "Phoenix"
    health = "/healthz"

    def command(self) -> list[str]:
        return [str(ENVIRONMENTS["phoenix"].path / "bin" / "phoenix"), "serve"]

    def environment(self) -> dict[str, str]:
        return {
            "PHOENIX_WORKING_DIR": str(self.folder),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(processes.free_port()),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
            "PATH": _path("phoenix"),
        }

    def stored_spans(self) -> int:
        return int(_sqlite(self.folder / "phoenix.db", "select count(*) from spans"))

    def list_request(self, limit: int) -> bytes:
        return encode("GET", f"/v1/projects/default/traces?limit={limit}")

    def listed(self, answer: bytes) -> list[str]:
        return [trace["trace_id"] for trace in json.loads(answer)["data"]]

    def trace_request(self, trace_id: str) -> bytes:
        return encode("GET", f"/v1/projects/default/spans?trace_id={trace_id}&limit=1000")

    def version(self) -> str:
        return ENVIRONMENTS["phoenix"].version()


def _path(name: str) -> str:
    return f"{ENVIRONMENTS[name].path / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"


def _sqlite(database: Path, query: str) -> Any:
    """One value, read beside the running server: what any reader of the same database would see."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()


SERVERS: dict[str, type[Server]] = {
    "twinlens": Twinlens,
    "mlflow": Mlflow,
    "mlflow-1": MlflowOneWorker,
    "phoenix": Phoenix,
}
