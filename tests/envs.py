"""Environments of the real clients that tests run against the server: ``.envs/mlflow``, ``.envs/langfuse3`` …

    python -m tests.envs                      # all that tests need
    python -m tests.envs mlflow langfuse3     # some

Each client gets its own environment, because their dependencies contradict each other and ours. An environment is made by
uv from the package index, and left alone while its list of requirements stays the same. Tests call ``python_of``.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

from bench.envs import ENVS, uv

#: What the SDK and its command need; the package itself is put on the path (``PYTHONPATH``), so that tests run this code.
SDK = (
    "opentelemetry-sdk>=1.38",
    "opentelemetry-exporter-otlp-proto-http>=1.38",
    "cyclopts>=4.0",
    "rich>=14.0",
    "pyyaml>=6.0",
)
#: Pinned: these are the protocols that the tests are about. mlflow 3.17.2 is the newest release whose companion packages
#: (mlflow-skinny, mlflow-tracing) are published in the same version.
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "mlflow": ("mlflow==3.17.2", "scikit-learn>=1.5"),
    "s3": ("moto[server]==5.2.5",),
    "langfuse2": ("langfuse==2.60.10",),
    "langfuse3": ("langfuse==3.15.0",),
    "langfuse4": ("langfuse==4.18.0",),
    "langfuse5": ("langfuse==5.0.4",),
    "openai": ("openai==3.54.0", "opentelemetry-instrumentation-genai-openai==1.3b0", *SDK),
}
#: Heavy ones, made only when they are named: `make examples`.
OPTIONAL: dict[str, tuple[str, ...]] = {"superoptix": ("superoptix==0.3.16", *SDK)}


def requirements(name: str) -> tuple[str, ...]:
    """What an environment holds."""
    return REQUIREMENTS.get(name) or OPTIONAL[name]


def _key(name: str) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return hashlib.sha256("\n".join((version, *requirements(name))).encode()).hexdigest()


def ensure(name: str) -> Path:
    """Make an environment unless it is there and current; its interpreter. Safe to call from several processes.

    Raises:
        subprocess.CalledProcessError: the packages could not be installed.
    """
    folder = ENVS / name
    python, marker = folder / "bin" / "python", folder / ".requirements"
    ENVS.mkdir(exist_ok=True)
    with open(ENVS / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if python.exists() and marker.exists() and marker.read_text() == _key(name):
            return python
        tool = uv()
        if not python.exists():
            subprocess.run([*tool, "venv", "-q", "--clear", "-p", sys.executable, folder], check=True)
        subprocess.run(
            [*tool, "pip", "install", "-q", "--compile-bytecode", "-p", python, *requirements(name)], check=True
        )
        marker.write_text(_key(name))
    return python


def python_of(name: str) -> str:
    """The interpreter of a client's environment, made when it is not there yet."""
    return str(ensure(name))


def main(names: list[str]) -> None:
    """Make the named environments, all without names."""
    known = {**REQUIREMENTS, **OPTIONAL}
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    for name in names or REQUIREMENTS:
        print(f"{name}: {ensure(name)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
