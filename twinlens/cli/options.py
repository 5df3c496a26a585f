"""Options that several commands share, and the way from them to ``Settings``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from twinlens.settings import Settings, load

Data = Annotated[Path | None, Parameter(help="Data folder. [default: ./twinlens-data]")]
Config = Annotated[Path | None, Parameter(help="TOML or YAML file with settings; see `twinlens config show`.")]


def settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Settings in force for a command; ``None`` means "not given on the command line"."""
    return load(config, overrides=overrides)
