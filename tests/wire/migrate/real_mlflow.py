"""Real ``mlflow server`` processes with empty SQLite stores."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.envs import python_of


@contextlib.contextmanager
def mlflow_servers(folder: Path, count: int) -> Iterator[list[str]]:
    """Start some side by side; their URLs, once all answer."""
    started: list[tuple[subprocess.Popen[bytes], str]] = []
    try:
        for number in range(count):
            home = folder / f"mlflow{number}"
            home.mkdir()
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            command = [
                python_of("mlflow"), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", str(home / "artifacts"),
            ]  # fmt: skip
            env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
            process = subprocess.Popen(command, cwd=home, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
            started.append((process, f"http://127.0.0.1:{port}"))
        deadline = time.monotonic() + 120
        for process, url in started:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(f"{url}/health").status_code == 200:
                        break
                assert process.poll() is None and time.monotonic() < deadline, "the MLflow server did not start"
                time.sleep(0.2)
        yield [url for _, url in started]
    finally:
        for process, _ in started:
            os.killpg(process.pid, signal.SIGTERM)
        for process, _ in started:
            process.wait(30)
