"""A long-lived program in the ``mlflow`` peer environment that runs snippets: imports are paid once per test file."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.envs import overlay, python_of
from tests.wire.mlflow import recording

_LOOP = r"""
import io, json, os, sys, traceback
channel = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever the libraries print goes to stderr
import mlflow
from mlflow import MlflowClient
client = MlflowClient()
scope = {"mlflow": mlflow, "client": client, "json": json}

def plain(value):
    if hasattr(value, "to_dictionary"):
        return value.to_dictionary()
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return str(value)

for line in sys.stdin:
    try:
        scope["result"] = None
        exec(json.loads(line), scope)
        reply = {"result": scope["result"]}
    except Exception as error:
        reply = {"error": type(error).__name__, "message": str(error), "code": getattr(error, "error_code", None),
                 "trace": traceback.format_exc()}
    channel.write(json.dumps(reply, default=plain) + "\n")
    channel.flush()
"""


class ClientError(Exception):
    """What a snippet raised. ``code`` is MLflow's error code."""

    def __init__(self, reply: dict[str, Any]) -> None:
        super().__init__(reply["message"] + "\n" + reply["trace"])
        self.code = reply["code"]
        self.message = reply["message"]


class MlflowPeer:
    """The unmodified MLflow client, told by ``run`` what to do. ``mlflow`` and ``client`` are in scope of snippets.

    ``over``: a newer version of it, of ``tests.envs.OVERLAYS``.
    """

    def __init__(self, url: str, folder: Path, client: str = "mlflow", over: str | None = None, **env: str) -> None:
        script = folder / "peer.py"
        script.write_text(_LOOP)
        listening = recording.environment()
        if over is not None:
            listening["PYTHONPATH"] = os.pathsep.join((listening["PYTHONPATH"], str(overlay(over))))
        self._log = (folder / "peer.log").open("w+")
        self._process = subprocess.Popen(
            [python_of(client), str(script)],
            env={
                "PATH": "/usr/bin:/bin", "HOME": str(folder), "MLFLOW_TRACKING_URI": url,
                "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "GIT_PYTHON_REFRESH": "quiet",
                "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
                **listening, **env,
            },
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip

    def run(self, program: str) -> Any:
        """Execute a snippet; what it assigned to ``result``.

        Raises:
            ClientError: the snippet raised.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(textwrap.dedent(program)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError("the client process ended:\n" + self._log.read()[-4000:])
        reply = json.loads(line)
        if "error" in reply:
            raise ClientError(reply)
        return reply["result"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> MlflowPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
