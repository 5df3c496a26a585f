"""Makes this checkout look installed in a client's environment, entry points and all, without touching that environment."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def installed(folder: Path) -> str:
    """A ``PYTHONPATH`` under which ``import twinlens`` works and MLflow finds our plugins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    site = folder / "site"
    info = site / f"twinlens-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (site / "twinlens").symlink_to(ROOT / "twinlens")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: twinlens\nVersion: {project['version']}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return str(site)
