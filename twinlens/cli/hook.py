"""``twinlens hook``: observe agents of this environment without changing how they are started."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from cyclopts import App

hook = App(name="hook", help="Observe the agents of this environment without changing how they are started.")

#: Executed by every interpreter of the environment at its start; it loads nothing but a few lines of ours.
LINE = "import sys; exec('try:\\n import twinlens.sdk.instrument.startup\\nexcept Exception: pass')\n"


def place() -> Path:
    """The file in this environment."""
    return Path(sysconfig.get_path("purelib")) / "twinlens-hook.pth"


@hook.command
def install() -> None:
    """Put a start-up file into this environment: playbooks with an observability: block then work by themselves.

    The block that counts is TWINLENS_CONFIG's, or that of the playbook in the folder where the agent is started (for
    `super agent run NAME`: that agent's). Without one nothing is recorded.
    """
    place().write_text(LINE)
    print(f"installed {place()}")


@hook.command
def remove() -> None:
    """Take it out again."""
    if place().exists():
        place().unlink()
        print(f"removed {place()}")
    else:
        print("there is none")
