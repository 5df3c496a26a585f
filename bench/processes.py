"""Process trees from ``/proc``: who belongs to a server, and what memory all of them hold together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def tree(pid: int) -> list[int]:
    """The process and all its descendants that live now."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                with suppress(OSError):
                    found += [int(child) for child in Path(f"/proc/{parent}/task/{task}/children").read_text().split()]
    return found


def memory(pids: Sequence[int]) -> tuple[int, int]:
    """(resident, proportional) bytes of the processes together. Proportional counts shared pages once."""
    resident = proportional = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    resident += int(line.split()[1]) * 1024
                elif line.startswith("Pss:"):
                    proportional += int(line.split()[1]) * 1024
    return resident, proportional


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time the processes have spent so far."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def folder_bytes(folder: Path) -> int:
    """What the files of a folder occupy on disk (allocated blocks, so that sparse files do not count double)."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
    return total


def end(process: subprocess.Popen[bytes], patience: float = 15) -> None:
    """Ask the tree to stop, wait, then end what is left of it."""
    pids = tree(process.pid)
    process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + patience
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    while any(_alive(pid) for pid in pids[1:]) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in pids:
        if pid != process.pid or process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait(10)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
