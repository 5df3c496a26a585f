"""``twinlens reclaim``."""

from __future__ import annotations

from twinlens.cli.options import Config, Data


def reclaim(*, data: Data = None, config: Config = None) -> None:
    """Give back the disk space of deleted data."""
