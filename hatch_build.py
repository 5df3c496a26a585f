"""Builds the browser UI into ``twinlens/web`` when a wheel is built and the UI is not there yet.

Editable installations skip it: ``make ui`` builds the UI of a checkout.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class UiBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs ``npm ci`` and ``npm run build`` with Node from a PyPI wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, unless it is an editable installation or there is nothing to do.

        Raises:
            RuntimeError: the build failed.
        """
        root = Path(self.root)
        if version == "editable" or (root / "twinlens" / "web" / "index.html").exists():
            return
        sys.path.insert(0, str(root / "tools"))
        from npm import npm

        for step in (["ci"], ["run", "build"]):
            if npm(*step, folder=root / "ui") != 0:
                raise RuntimeError(f"npm {' '.join(step)} failed")
