"""``twinlens run -- COMMAND``: any Python agent, observed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import Parameter


def run(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    config: Annotated[
        Path | None,
        Parameter(help="Playbook with the observability: block (else TWINLENS_CONFIG, else the agent's own playbook)."),
    ] = None,
    skip: Annotated[
        list[str] | None, Parameter(help="Library or instrumentor package to leave alone; may be repeated.")
    ] = None,
    quiet: Annotated[bool, Parameter(negative=(), help="Do not say what is observed.")] = False,
) -> None:
    """Start an agent with its libraries observed: `twinlens run -- python agent.py`.

    The command takes this process's place, so its exit status, its input and output and its signals are its own. Prompts,
    tokens and tools of the libraries it uses go to the backends of the playbook.
    """
    from twinlens.sdk.instrument.choose import SKIP, choose, summary
    from twinlens.sdk.instrument.find import find_playbook

    if not command:
        fail("name a command: twinlens run -- python agent.py", 2)
    program = shutil.which(command[0])
    if program is None:
        fail(f"{command[0]}: command not found", 127)
    named = config or (Path(os.environ["TWINLENS_CONFIG"]) if os.environ.get("TWINLENS_CONFIG") else None)
    book = named or find_playbook(command, Path.cwd())
    if config is not None and not config.is_file():
        fail(f"{config}: no such file", 2)
    if book is not None:
        os.environ["TWINLENS_CONFIG"] = str(book.resolve())
    skipped = [name for part in (skip or []) for name in part.split(",")]
    if skipped:
        os.environ[SKIP] = ",".join(skipped)
    start = str(Path(__file__).resolve().parent.parent / "sdk" / "start")
    paths = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != start]
    os.environ["PYTHONPATH"] = os.pathsep.join([start, *paths])
    os.environ["TWINLENS_RUN"] = "1"
    if not quiet:
        said = f"playbook {book}" if book else _without_playbook()
        print(f"twinlens: {said}; {summary(choose(skipped))}", file=sys.stderr, flush=True)
    os.execv(program, command)  # noqa: S606 - the user's own command


def _without_playbook() -> str:
    if os.environ.get("TWINLENS_URL"):
        return os.environ["TWINLENS_URL"]
    return "no playbook and no TWINLENS_URL, so nothing is recorded (see --config)"


def fail(text: str, status: int) -> NoReturn:
    """Print one error and leave."""
    print(f"error: {text}", file=sys.stderr)
    sys.exit(status)
