"""The ``twinlens`` command. A command's module is loaded when that command is asked for, and imports what it needs when it
runs: ``twinlens run`` stands in front of every agent, and ``twinlens --help`` works without the server extra."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the command."""
    if sys.argv[1:] in (["--version"], ["version"]):  # asked by scripts and images, so without loading anything
        from twinlens import __version__

        print(__version__)
        return
    from twinlens.cli.app import run

    run()
