"""Finds the playbook of the agent that is about to run, when nobody named it. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def find_playbook(command: Sequence[str], folder: Path) -> Path | None:
    """The playbook with an ``observability:`` block that a command is about.

    Args:
        command: program and arguments. ``super agent run NAME`` means the playbook of that agent below ``folder``.
        folder: where the command runs; else its ``playbook.yaml``, or its only ``*_playbook.yaml``, is taken.
    """
    words = list(command)
    for index in range(len(words) - 2):
        if words[index : index + 2] == ["agent", "run"] and not words[index + 2].startswith("-"):
            name = words[index + 2]
            pattern = f"*/agents/{name}/playbook/{name}_playbook.y*ml"
            return next((p for p in sorted(folder.glob(pattern)) if _has_block(p)), None)
    plain = [p for p in (folder / "playbook.yaml", folder / "playbook.yml") if p.is_file()]
    named = sorted(folder.glob("*_playbook.y*ml"))
    found = [p for p in (plain or named) if _has_block(p)]
    return found[0] if len(found) == 1 else None


def _has_block(path: Path) -> bool:
    try:
        return "observability:" in path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
