"""Runs programs with a real Langfuse client of a given major, each in its own environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.envs import NODE_REQUIREMENTS, node_command, python_of

PROGRAMS = Path(__file__).parent / "programs"


def environment_for(url: str, keys: tuple[str, str] = ("pk-lf-1", "sk-lf-1"), **more: str) -> dict[str, str]:
    """The variables that point a client at a server, and no others that it would read."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LANGFUSE_", "OTEL_", "TWINLENS_"))}
    return kept | {
        "LANGFUSE_PUBLIC_KEY": keys[0], "LANGFUSE_SECRET_KEY": keys[1], "LANGFUSE_HOST": url,
        "LANGFUSE_BASE_URL": url, **more,
    }  # fmt: skip


def command_for(environment: str, program: Path) -> list[str]:
    """How to run a program with the client of an environment."""
    if environment in NODE_REQUIREMENTS:
        return node_command(environment, program)
    return [python_of(environment), "-W", "ignore", str(program)]


def start(environment: str, program: Path, url: str) -> subprocess.Popen[str]:
    """Start a program without waiting for it; it is told the environment's name as ``CLIENT``."""
    return subprocess.Popen(
        command_for(environment, program), env=environment_for(url, CLIENT=environment), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(
    environment: str, program: Path | str, url: str, *, keys: tuple[str, str] = ("pk-lf-1", "sk-lf-1"), **env: str
) -> str:
    """Run a program against a server; what it printed.

    Raises:
        AssertionError: it failed; the text holds its output.
    """
    command = (
        command_for(environment, program)
        if isinstance(program, Path)
        else [python_of(environment), "-W", "ignore", "-c", program]
    )
    done = subprocess.run(
        command, env=environment_for(url, keys, **env), capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def run_json(environment: str, program: Path | str, url: str, **more: Any) -> dict[str, Any]:
    """``run``, and its last line as JSON."""
    return json.loads(run(environment, program, url, **more).splitlines()[-1])


def api(url: str, keys: tuple[str, str] = ("pk-lf-1", "sk-lf-1")) -> httpx.Client:
    """A plain HTTP client of the public API."""
    return httpx.Client(base_url=url + "/api/public", auth=keys, timeout=60)
