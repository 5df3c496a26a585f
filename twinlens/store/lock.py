"""One process owns a data folder. The lock is the kernel's (``flock``), so a killed process never leaves one behind."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import IO

from twinlens.domain.clock import iso_ms, now_ns
from twinlens.domain.errors import Conflict

#: Lies in a data folder from the beginning of a restore to its end.
RESTORING = "restoring"


class FolderLock:
    """Held from construction to ``release``.

    Args:
        restoring: whoever puts a backup into the folder. Nobody else gets a folder where that was begun and not ended.

    Raises:
        Conflict: another process has it; the message says which. Or it holds half of a backup.
    """

    def __init__(self, folder: Path, *, restoring: bool = False) -> None:
        self.path = folder / "lock"
        folder.mkdir(parents=True, exist_ok=True)
        file: IO[str] = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115 - held open as long as the lock
        for patience in (0.05, 0.1, 0.0):  # somebody who only looks (``read_holder``) is gone in a moment
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if patience:
                    time.sleep(patience)
                    continue
                holder = _holder(file)
                file.close()
                raise Conflict(
                    f"the data folder {folder} is in use by {holder}. "
                    "Stop that process, or give this one another folder with --data."
                ) from error
        self._file = file
        if not restoring and (folder / RESTORING).exists():
            file.close()
            raise Conflict(
                f"a restore into {folder} did not come to its end, so half of the data is missing. Run "
                f"`twinlens restore BACKUP --data {folder}` again, or remove the folder."
            )
        self.describe()

    def describe(self, **more: object) -> None:
        """Write down who holds the lock, for whoever finds it taken (``doctor`` reads ``url``)."""
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": iso_ms(now_ns()), "command": sys.argv[:2]}
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps(facts | more))
        self._file.flush()

    def release(self) -> None:
        """Give the folder back."""
        self._file.close()


def read_holder(folder: Path) -> dict[str, object] | None:
    """What the present holder wrote down; None when nobody holds the folder."""
    try:
        with open(folder / "lock", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return json.loads(file.read() or "{}")
    except (FileNotFoundError, ValueError):
        pass
    return None


def _holder(file: IO[str]) -> str:
    try:
        file.seek(0)
        facts = json.load(file)
        return f"process {facts['pid']} on {facts['host']} since {facts['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
