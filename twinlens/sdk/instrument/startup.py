"""What the start-up hook runs in every interpreter of its environment: nothing, unless there is a block to honour."""

from __future__ import annotations

import os
import sys


def start() -> None:
    """Name the playbook for the SDK and watch imports, when a playbook or ``TWINLENS_URL`` asks for it."""
    if not os.environ.get("TWINLENS_CONFIG"):
        from pathlib import Path

        from twinlens.sdk.instrument.find import find_playbook

        found = find_playbook(sys.orig_argv[1:], Path.cwd())
        if found is not None:
            os.environ["TWINLENS_CONFIG"] = str(found)
        elif not os.environ.get("TWINLENS_URL"):
            return
    from twinlens.sdk.instrument.hook import install

    install()


start()
