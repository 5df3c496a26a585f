"""Rebuilds what produced a run into a folder, as far as it was logged, and says what is missing.

    source/                  the repository at the run's commit, with its uncommitted changes
    changes.patch            those changes
    requirements.lock.txt    the packages that were installed
    model-requirements.txt   what the logged model asks for
    run.json                 command, working directory, parameters, seeds, data digests, variables
    REPORT.md                what was found and what is missing

What a run says is somebody's word: commits, addresses and names are checked before git or the file system sees them, and
nothing is run unless ``start`` is called.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinlens.sdk.capture import PREFIX, joined
from twinlens.sdk.redact import HIDDEN
from twinlens.sdk.server import Server, ServerError, part

_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
_REMOTE = re.compile(r"(?:https?://|ssh://|git://|file:///|git@[\w.\-]+:)[^\s]+\Z")
_REQUIREMENTS = ("requirements.txt", "conda.yaml", "python_env.yaml", "MLmodel")
_MOST_FOLDERS = 30
Say = Callable[[str], None]


@dataclass
class Rebuilt:
    """What was put into the folder. ``missing`` are sentences; ``command`` is None when nothing can be started."""

    folder: Path
    run_id: str
    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    command: list[str] | None = None
    cwd: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    experiment_id: str = "0"


def rebuild(server: Server, run_id: str, folder: Path, *, repository: Path | None = None) -> Rebuilt:
    """Fill ``folder`` with what produced ``run_id``.

    Args:
        folder: must not exist or be empty.
        repository: a clone that may know the commit, asked before the run's own remote.

    Raises:
        ServerError: no such run, no such server.
        ValueError: the folder is in use.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not empty; name a new folder with --to")
    detail = server.ask("GET", f"/runs/{part(run_id)}")
    run = detail["run"]
    tags: dict[str, str] = run["tags"]
    folder.mkdir(parents=True, exist_ok=True)
    made = Rebuilt(folder, run["run_id"], experiment_id=run["experiment_id"])
    facts = {
        name: _json(tags.get(PREFIX + name)) or {} for name in ("command", "python", "environment", "seeds", "git")
    }
    _source(made, tags, facts["git"], repository)
    _packages(made, server, tags, facts["python"])
    _command(made, tags, facts["command"], facts["environment"])
    seeds = facts["seeds"] | {k: v for k, v in run["params"].items() if "seed" in k.lower() or k == "random_state"}
    if seeds:
        made.found.append("seeds: " + ", ".join(f"{k}={v}" for k, v in seeds.items()))
    else:
        made.missing.append("no seed was logged: log one as a parameter, or twinlens.capture(seeds={...})")
    for data in detail["datasets"]:
        made.found.append(f"data: {data['name']} (digest {data['digest']}, {data['source_type']})")
    if not detail["datasets"]:
        made.missing.append("no input data was logged (mlflow.log_input)")
    if run["params"]:
        made.found.append(f"{len(run['params'])} parameters")
    whole = {
        "run_id": made.run_id, "name": run["name"], "experiment": detail["experiment"]["name"], "status": run["status"],
        "user": run["user"], "start_ms": run["start_ms"], "params": run["params"], "seeds": seeds,
        "datasets": detail["datasets"], "models": detail["models"], "command": made.command,
        "cwd": str(made.cwd) if made.cwd else None, "python": facts["python"], "git": facts["git"],
        "environment": made.environment,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(whole, indent=2), "utf-8")
    (folder / "REPORT.md").write_text(report(made), "utf-8")
    return made


def report(made: Rebuilt) -> str:
    """What was found and what is missing, as Markdown."""
    lines = [f"# Run {made.run_id}", "", "Found:", "", *(f"* {line}" for line in made.found or ["nothing"]), ""]
    if made.missing:
        lines += ["Missing:", "", *(f"* {line}" for line in made.missing), ""]
    if made.command:
        lines += ["Start:", "", "```", f"cd {shlex.quote(str(made.cwd))}", shlex.join(made.command), "```", ""]
    return "\n".join(lines)


def start(made: Rebuilt, server: Server, *, install: bool = True, say: Say = print) -> int:
    """Run the command again, tracked as a new run of the same experiment; its exit status.

    Args:
        install: make an environment from the lock first; without it this Python is used.

    Raises:
        ValueError: nothing can be started; says why.
    """
    if made.command is None or made.cwd is None:
        raise ValueError("this run cannot be started: " + "; ".join(made.missing))
    if HIDDEN in " ".join(made.command):
        raise ValueError(
            f"the command holds a secret that was hidden ({HIDDEN}); start it by hand: {shlex.join(made.command)}"
        )
    python = Path(sys.executable)
    lock = made.folder / "requirements.lock.txt"
    if install and lock.exists():
        say("installing the packages of the run …")
        place = made.folder / "environment"
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        done = subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(lock)], check=False)
        if done.returncode:
            raise ValueError("the packages could not be installed; edit requirements.lock.txt, or use --no-install")
    command = [str(python), *made.command[1:]]
    say(f"{made.cwd}$ {shlex.join(command)}")
    env = os.environ | {
        name: value for name, value in made.environment.items() if not name.startswith("MLFLOW_") and HIDDEN not in value
    }  # fmt: skip
    env |= {
        "MLFLOW_TRACKING_URI": server.url,
        "MLFLOW_EXPERIMENT_ID": made.experiment_id,
        "TWINLENS_REPRODUCES": made.run_id,
    }
    env.pop("MLFLOW_RUN_ID", None)
    return subprocess.run(command, cwd=made.cwd, env=env, check=False).returncode


# --- source --------------------------------------------------------------------------------------------------------
def _source(made: Rebuilt, tags: dict[str, str], git: dict[str, Any], repository: Path | None) -> None:
    commit = str(git.get("commit") or tags.get("mlflow.source.git.commit") or "")
    remote = str(git.get("remote") or tags.get("mlflow.source.git.repoURL") or "")
    diff = joined(tags, "diff")
    if diff is not None:
        (made.folder / "changes.patch").write_bytes(diff.encode())
    if not commit:
        made.missing.append("no git commit was logged: the program did not run inside a git repository")
        return
    if not _COMMIT.match(commit):
        made.missing.append(f"the logged commit {commit[:60]!r} is no commit")
        return
    for place in (str(repository) if repository else "", remote if _REMOTE.match(remote) else ""):
        if place and _checkout(place, commit, made.folder / "source"):
            made.found.append(f"source: {commit[:12]} from {place}")
            break
    else:
        where = f"{remote} does not have it or cannot be reached" if remote else "no remote was logged"
        made.missing.append(f"commit {commit[:12]} could not be checked out: {where}. Name a clone with --repository")
        return
    if diff is None:
        if git.get("diff_too_large"):
            made.missing.append("the uncommitted changes were too large to log")
        elif git:
            made.found.append("no uncommitted changes")
        else:
            made.missing.append("uncommitted changes were not captured (pip install twinlens beside MLflow does that)")
    elif _git(
        "apply", "--whitespace=nowarn", str((made.folder / "changes.patch").resolve()), cwd=made.folder / "source"
    ):
        made.found.append(f"uncommitted changes: {diff.count(chr(10) + '+++ ') + diff.startswith('+++ ')} files")
    else:
        made.missing.append("the uncommitted changes do not apply; they are in changes.patch")
    if git.get("secrets_hidden"):
        made.missing.append(
            f"{git['secrets_hidden']} lines of the changes held secrets, which were replaced by {HIDDEN}"
        )
    for name in git.get("files_left_out") or ():
        made.missing.append(f"new file {str(name)[:200]} was not captured (too large, or looks like a secret)")


def _checkout(place: str, commit: str, target: Path) -> bool:
    return _git("clone", "--quiet", "--no-checkout", "--", place, str(target.resolve()), cwd=target.parent) and _git(
        "checkout", "--quiet", "--detach", commit, cwd=target
    )


def _git(*args: str, cwd: Path) -> bool:
    try:
        done = subprocess.run(
            ["git", "-c", "protocol.ext.allow=never", *args], cwd=cwd, capture_output=True, check=False, timeout=600,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


# --- environment ---------------------------------------------------------------------------------------------------
def _packages(made: Rebuilt, server: Server, tags: dict[str, str], python: dict[str, Any]) -> None:
    lock = joined(tags, "lock")
    if lock:
        (made.folder / "requirements.lock.txt").write_text(lock, "utf-8")
        count = sum(1 for line in lock.splitlines() if line and not line.startswith("#"))
        made.found.append(f"environment: Python {python.get('version', '?')}, {count} packages")
        for line in lock.splitlines():
            if line.startswith("# "):
                made.missing.append(line.removeprefix("# "))
    else:
        made.missing.append("installed packages were not captured (pip install twinlens beside MLflow does that)")
    asked = _model_files(server, made.run_id)
    for name, text in asked.items():
        (made.folder / ("model-" + name)).write_bytes(text)
    if asked:
        made.found.append("the model's own: " + ", ".join(f"model-{name}" for name in asked))


def _model_files(server: Server, run_id: str) -> dict[str, bytes]:
    """Requirements beside an ``MLmodel`` file among the run's artifacts."""
    base = f"/runs/{part(run_id)}/artifacts"
    folders, seen = [""], 0
    while folders and seen < _MOST_FOLDERS:
        seen += 1
        here = folders.pop(0)
        try:
            entries = server.ask("GET", base, path=here or None)["entries"]
        except ServerError:
            return {}
        names = {entry["name"]: entry for entry in entries}
        if "MLmodel" in names:
            return {
                name: server.raw(f"{base}/file", path=names[name]["path"])
                for name in _REQUIREMENTS
                if name in names and (names[name]["size"] or 0) < 1 << 20
            }
        folders += [entry["path"] for entry in entries if entry["is_dir"]]
    return {}


def _command(made: Rebuilt, tags: dict[str, str], said: dict[str, Any], environment: dict[str, Any]) -> None:
    made.environment = {str(k): str(v) for k, v in environment.items()}
    argv = [str(a) for a in said.get("argv") or ()]
    source = made.folder / "source"
    if not argv and tags.get("mlflow.source.type") == "LOCAL" and tags.get("mlflow.source.name", "").endswith(".py"):
        argv = ["python", Path(tags["mlflow.source.name"]).name]
        made.missing.append("arguments of the command were not captured; only the script's name is known")
    if not argv:
        made.missing.append("the command was not captured")
        return
    if any("ipykernel" in a for a in argv):
        made.missing.append("it ran in a notebook, which cannot be started from here")
        return
    place = Path(str(said.get("cwd") or "."))
    here = (source / place).resolve() if not place.is_absolute() else None
    if here is None or not here.is_relative_to(source.resolve()) or not here.is_dir():
        made.missing.append(f"the working directory {place} is not part of the source")
        made.found.append("command: " + shlex.join(argv))
        return
    made.command, made.cwd = argv, here
    made.found.append("command: " + shlex.join(argv))


def _json(text: str | None) -> Any:
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
