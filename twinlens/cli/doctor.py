"""``twinlens doctor``."""

from __future__ import annotations

from twinlens.cli.options import Config, Data


def doctor(*, data: Data = None, config: Config = None) -> None:
    """Check everything that commonly goes wrong, and say how to fix it."""
