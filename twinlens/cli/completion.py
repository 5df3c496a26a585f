"""``twinlens completion``: commands, options and their values, completed by the shell."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"] | None, Parameter(help="[default: the one you are in]")
    ] = None,
    /,
    *,
    install: Annotated[bool, Parameter(negative=(), help="Put it where the shell finds it at its next start.")] = False,
) -> None:
    """Print the script that makes a shell complete commands, options and their values.

    `twinlens completion --install` sets it up for good; `source <(twinlens completion bash)` only for this terminal.
    """
    from cyclopts.completion import ShellDetectionError

    from twinlens.cli.app import app, fail

    try:
        if install:
            print(f"installed {app.install_completion(shell=shell)}; it counts from the next shell on")
        else:
            print(app.generate_completion(shell=shell))
    except ShellDetectionError:
        fail("it is not clear which shell this is; name it: twinlens completion bash", 2)
