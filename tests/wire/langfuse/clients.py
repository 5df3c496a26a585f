"""Runs programs with a real Langfuse client of a given major, each in its own environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.envs import python_of

PROGRAMS = Path(__file__).parent / "programs"


def run(
    environment: str, program: Path | str, url: str, *, keys: tuple[str, str] = ("pk-lf-1", "sk-lf-1"), **env: str
) -> str:
    """Run a program against a server; what it printed.

    Raises:
        AssertionError: it failed; the text holds its output.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LANGFUSE_", "OTEL_", "TWINLENS_"))}
    wanted = {
        "LANGFUSE_PUBLIC_KEY": keys[0], "LANGFUSE_SECRET_KEY": keys[1], "LANGFUSE_HOST": url,
        "LANGFUSE_BASE_URL": url, **env,
    }  # fmt: skip
    command = [python_of(environment), "-W", "ignore"]
    command += [str(program)] if isinstance(program, Path) else ["-c", program]
    done = subprocess.run(command, env=kept | wanted, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def run_json(environment: str, program: Path | str, url: str, **more: Any) -> dict[str, Any]:
    """``run``, and its last line as JSON."""
    return json.loads(run(environment, program, url, **more).splitlines()[-1])


def api(url: str, keys: tuple[str, str] = ("pk-lf-1", "sk-lf-1")) -> httpx.Client:
    """A plain HTTP client of the public API."""
    return httpx.Client(base_url=url + "/api/public", auth=keys, timeout=20)
