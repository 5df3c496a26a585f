"""Makes the environments the peers (and the profiler) run in: ``.envs/bench-mlflow``, ``bench-phoenix``, ``bench-tools``.

    python -m bench.envs            # all
    python -m bench.envs phoenix    # one

Each peer gets its own environment, made by uv from the package index, so that neither its dependencies nor Twinlens'
can slow the other down. An environment that is complete is left alone; its versions are read from it, never assumed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVS = ROOT / ".envs"


@dataclass(frozen=True)
class Environment:
    """One peer: what to install and which distribution's version to report."""

    name: str
    requirements: tuple[str, ...]
    distribution: str

    @property
    def path(self) -> Path:
        """The environment's folder."""
        return ENVS / f"bench-{self.name}"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    @property
    def marker(self) -> Path:
        """Written last, so that an interrupted installation is not mistaken for a complete one."""
        return self.path / ".complete"

    @property
    def ready(self) -> bool:
        """Installed to the end with these requirements."""
        return self.marker.exists() and self.marker.read_text() == "\n".join(self.requirements)

    def version(self) -> str:
        """Installed version of the peer's distribution."""
        code = f"from importlib.metadata import version; print(version({self.distribution!r}))"
        return subprocess.run([self.python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


ENVIRONMENTS = {
    # 3.17.2 is the newest release whose companions (mlflow-skinny, mlflow-tracing) are published in the same version.
    "mlflow": Environment("mlflow", ("mlflow==3.17.2",), "mlflow"),
    "phoenix": Environment("phoenix", ("arize-phoenix",), "arize-phoenix"),
    "langfuse": Environment("langfuse", ("langfuse==5.0.4",), "langfuse"),
    # What the base install of the SDK needs; the code under measurement is on the path.
    "sdk": Environment(
        "sdk",
        ("opentelemetry-sdk>=1.38", "opentelemetry-exporter-otlp-proto-http>=1.38", "pyyaml>=6.0"),
        "opentelemetry-sdk",
    ),
    "tools": Environment("tools", ("py-spy",), "py-spy"),
}


def uv() -> list[str]:
    """How to call uv: the program on the path or ``$UV``, else the module, else a private copy in ``.envs/uv``."""
    for candidate in (os.environ.get("UV"), shutil.which("uv")):
        if candidate:
            return [candidate]
    probe = subprocess.run([sys.executable, "-m", "uv", "--version"], capture_output=True, check=False)
    if probe.returncode == 0:
        return [sys.executable, "-m", "uv"]
    private = ENVS / "uv"
    if not (private / "bin" / "uv").exists():
        subprocess.run([sys.executable, "-m", "venv", private], check=True)
        subprocess.run([private / "bin" / "pip", "install", "-q", "uv"], check=True)
    return [str(private / "bin" / "uv")]


def ensure(name: str) -> Environment:
    """Make one environment unless it is there; returns it.

    Raises:
        subprocess.CalledProcessError: the packages could not be installed.
    """
    environment = ENVIRONMENTS[name]
    if not environment.ready:
        tool = uv()
        ENVS.mkdir(exist_ok=True)
        subprocess.run([*tool, "venv", "-q", "--clear", environment.path], check=True)
        # Peers start from byte code, as any second start of a real installation would.
        subprocess.run(
            [*tool, "pip", "install", "-q", "--compile-bytecode", "-p", environment.python, *environment.requirements],
            check=True,
        )
        environment.marker.write_text("\n".join(environment.requirements))
    return environment


def main(names: list[str]) -> None:
    """Make the named environments (all without names) and print their versions as JSON."""
    print(json.dumps({name: ensure(name).version() for name in names or ENVIRONMENTS}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
