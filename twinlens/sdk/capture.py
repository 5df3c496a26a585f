"""What MLflow does not keep of a run's origin: uncommitted changes, installed packages, the command line, seeds.

``twinlens.capture()`` records them on the current MLflow run. With Twinlens installed MLflow does it by itself
(``twinlens.sdk.mlflow_context``); ``TWINLENS_CAPTURE=off`` switches that off. Everything travels as tags, so that it works
against any MLflow server: small facts as they are, files compressed in pieces. ``twinlens reproduce`` puts them together again.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from twinlens.sdk import redact

#: Prefix of all tags.
PREFIX = "twinlens.capture."
#: MLflow truncates or refuses longer values (3.18: 8,000; before 2.20: 5,000).
PIECE = 4_900
#: Pieces of one file at most: about 70 kB compressed.
MOST_PIECES = 20
#: A new file that is larger is named but not kept; so is everything behind the sum.
MAX_NEW_FILE, MAX_NEW_FILES = 128 << 10, 1 << 20
MAX_DIFF = 4 << 20
_GIT_SECONDS = 10.0
_SECRET_FILES = (".env", ".pem", ".key", ".p12", "id_rsa", "id_ed25519", "credentials", "secrets", ".netrc", ".pypirc")
#: Variables that change what a program computes.
_VARIABLES = (
    "PYTHONHASHSEED", "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM", "TF_DETERMINISTIC_OPS", "PL_GLOBAL_SEED", "SLURM_JOB_ID",
    "WORLD_SIZE", "RANK", "LOCAL_RANK", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID",
)  # fmt: skip


def enabled() -> bool:
    """Whether runs are captured without being asked."""
    return os.environ.get("TWINLENS_CAPTURE", "on").lower() not in ("0", "off", "false", "no")


def capture(run_id: str | None = None, *, seeds: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Record where this run comes from on an MLflow run.

    Args:
        run_id: the run; the active one by default.
        seeds: seeds that you set, by name. Those of PyTorch and NumPy are found by themselves where possible.

    Returns:
        The tags that were set.

    Raises:
        RuntimeError: there is no active run.
    """
    import mlflow  # pyright: ignore[reportMissingImports]

    active = mlflow.active_run()
    wanted = run_id or (active.info.run_id if active else None)
    if wanted is None:
        raise RuntimeError("no run is active: call twinlens.capture() inside mlflow.start_run(), or name a run_id")
    found = tags(seeds)
    client = mlflow.MlflowClient()
    for key, value in found.items():
        client.set_tag(wanted, key, value)
    return found


def tags(seeds: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Everything as tags. Never raises: what cannot be found is left out, and ``twinlens reproduce`` says so."""
    found: dict[str, str] = {}
    repository = _repository()
    facts = {
        "command": {"argv": _command(), "cwd": _place(repository)},
        "python": {"version": platform.python_version(), "platform": platform.platform()},
        "environment": redact.environment({n: os.environ[n] for n in _VARIABLES if n in os.environ}),
        "seeds": _seeds() | dict(seeds or {}),
    }
    for name, value in facts.items():
        if value:
            found[PREFIX + name] = json.dumps(value, default=str)[:PIECE]
    if origin := os.environ.get("TWINLENS_REPRODUCES"):
        found[PREFIX + "reproduces"] = origin
    found |= _pieces("lock", lock())
    if repository is not None:
        found |= _git(repository)
    return found


def lock() -> str:
    """Installed packages as ``pip install -r`` reads them."""
    lines: set[str] = set()
    for distribution in metadata.distributions():
        try:
            name, version = distribution.metadata["Name"], distribution.version
            direct = distribution.read_text("direct_url.json")
        except (OSError, KeyError, ValueError):
            continue
        if not name:
            continue
        lines.add(_pinned(name, version, json.loads(direct)) if direct else f"{name}=={version}")
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def _pinned(name: str, version: str, direct: dict[str, Any]) -> str:
    url = redact.text(str(direct.get("url", "")))
    vcs = direct.get("vcs_info") or {}
    if vcs.get("commit_id"):
        return f"{name} @ {vcs.get('vcs', 'git')}+{url}@{vcs['commit_id']}"
    if url.startswith("file:"):
        return f"# {name}=={version} was installed from a folder of that machine"
    return f"{name} @ {url}" if url else f"{name}=={version}"


# --- git -----------------------------------------------------------------------------------------------------------
def _repository() -> Path | None:
    found = _run("rev-parse", "--show-toplevel", cwd=Path.cwd())
    return Path(found.strip()) if found else None


def _git(repository: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    commit = (_run("rev-parse", "HEAD", cwd=repository) or "").strip()
    if not commit:
        return found
    facts: dict[str, Any] = {
        "commit": commit,
        "branch": (_run("rev-parse", "--abbrev-ref", "HEAD", cwd=repository) or "").strip(),
    }
    remote = (_run("config", "--get", "remote.origin.url", cwd=repository) or "").strip()
    if remote:
        facts["remote"] = redact.text(remote)
    diff, left_out = _diff(repository)
    if diff:
        clean, hidden = redact.patch(diff)
        pieces = _pieces("diff", clean)
        found |= pieces
        if hidden:
            facts["secrets_hidden"] = hidden
        if not pieces:
            facts["diff_too_large"] = len(clean)
    if left_out:
        facts["files_left_out"] = left_out[:20]
    found[PREFIX + "git"] = json.dumps(facts)[:PIECE]
    return found


def _diff(repository: Path) -> tuple[str, list[str]]:
    """Changes against the commit, new files included, and the names of new files that were left out.

    New files are added to a copy of the index, so that the real one stays as it is.
    """
    fresh = [n for n in (_run("ls-files", "-o", "--exclude-standard", "-z", cwd=repository) or "").split("\0") if n]
    kept: list[str] = []
    left_out: list[str] = []
    total = 0
    for name in fresh:
        try:
            size = (repository / name).stat().st_size
        except OSError:
            continue
        if size > MAX_NEW_FILE or total + size > MAX_NEW_FILES or any(s in name.lower() for s in _SECRET_FILES):
            left_out.append(name)
        else:
            total += size
            kept.append(name)
    with tempfile.TemporaryDirectory(prefix="twinlens-") as folder:
        index = Path(folder) / "index"
        real = (_run("rev-parse", "--git-path", "index", cwd=repository) or "").strip()
        if real and (repository / real).exists():
            shutil.copyfile(repository / real, index)
        env = {"GIT_INDEX_FILE": str(index)}
        if kept:
            _run("add", "--intent-to-add", "--", *kept[:500], cwd=repository, env=env)
        diff = _run("diff", "--binary", "--no-color", "--no-ext-diff", "HEAD", cwd=repository, env=env) or ""
    return (diff if len(diff) <= MAX_DIFF else ""), left_out + (
        ["(the changes are too large)"] if len(diff) > MAX_DIFF else []
    )


def _run(*args: str, cwd: Path, env: Mapping[str, str] | None = None) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-c", "core.quotepath=off", *args], cwd=cwd, capture_output=True, timeout=_GIT_SECONDS, check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **(env or {})},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return (
        done.stdout.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
        if done.returncode == 0
        else None
    )


# --- command, seeds ------------------------------------------------------------------------------------------------
def _command() -> list[str]:
    argv = [*sys.orig_argv]
    if argv:
        argv[0] = "python"
    return redact.command(argv)


def _place(repository: Path | None) -> str:
    """The working directory, as a path inside the repository where it is in one."""
    here = Path.cwd()
    if repository is not None and here.is_relative_to(repository):
        return here.relative_to(repository).as_posix()
    return str(here)


def _seeds() -> dict[str, Any]:
    """Seeds that can still be seen. Python's own generator does not tell."""
    found: dict[str, Any] = {}
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "initial_seed"):
        found["torch"] = int(torch.initial_seed())
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):
        try:
            _, key, position, *_ = numpy.random.get_state()
            if position == 624:  # nothing drawn yet: the first word is the seed (numpy.random.seed with an int)
                found["numpy"] = int(key[0])
        except (ValueError, TypeError):
            pass
    return found


# --- files in tags -------------------------------------------------------------------------------------------------
def _pieces(name: str, text: str) -> dict[str, str]:
    """A text, compressed, in tags ``name.0``, ``name.1`` …; nothing if it would take too many."""
    packed = base64.b85encode(zlib.compress(text.encode(), 9)).decode()
    parts = [packed[i : i + PIECE] for i in range(0, len(packed), PIECE)]
    if len(parts) > MOST_PIECES:
        return {}
    return {f"{PREFIX}{name}.{i}": part for i, part in enumerate(parts)}


def joined(found: Mapping[str, str], name: str) -> str | None:
    """The text that ``_pieces`` took apart; None if it is not there or damaged."""
    parts: list[str] = []
    while (part := found.get(f"{PREFIX}{name}.{len(parts)}")) is not None:
        parts.append(part)
    if not parts:
        return None
    try:
        inflated = zlib.decompressobj().decompress(base64.b85decode("".join(parts)), 64 << 20)
    except (ValueError, zlib.error):
        return None
    return inflated.decode("utf-8", "replace")
