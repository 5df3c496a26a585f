"""The ``twinlens`` command. Each command lives in its own module and imports what it needs when it runs, so that
``twinlens --help`` and ``twinlens version`` work, quickly, without the server extra."""

from __future__ import annotations


def main() -> None:
    """Entry point of the command."""
    from twinlens.cli.app import run

    run()
