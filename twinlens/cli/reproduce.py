"""``twinlens reproduce``: what produced a run, put together again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from twinlens.cli.deployment import Server


def reproduce(
    run: Annotated[str, Parameter(help="Id of the run.")],
    /,
    *,
    to: Annotated[Path | None, Parameter(help="New folder. [default: reproduce-RUN]")] = None,
    repository: Annotated[
        Path | None,
        Parameter(help="A clone that has the commit, asked before the run's remote. [default: this folder]"),
    ] = None,
    start: Annotated[bool, Parameter(negative=(), help="Run it again, after asking.")] = False,
    install: Annotated[bool, Parameter(help="With --start: make an environment from the run's packages.")] = True,
    yes: Annotated[bool, Parameter(negative=(), help="With --start: do not ask.")] = False,
    server: Server = None,
) -> None:
    """Rebuild what produced a run: source and changes, packages, command, parameters, data digests, seeds.

    Says what was not logged. Exit status 1 when something is missing without which it cannot be started.
    """
    from twinlens.sdk import reproduce as rebuilding
    from twinlens.sdk.server import Server as Connection

    connection = Connection(server)
    try:
        made = rebuilding.rebuild(
            connection, run, to or Path(f"reproduce-{Path(run).name[:12]}"), repository=repository or Path.cwd()
        )
        print(rebuilding.report(made))
        print(f"In {made.folder}")
        if not start:
            sys.exit(0 if made.command else 1)
        if not yes and made.command:
            print("It runs what the run's author wrote. Start it? [y/N] ", end="", flush=True)
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                sys.exit(1)
        sys.exit(rebuilding.start(made, connection, install=install))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
