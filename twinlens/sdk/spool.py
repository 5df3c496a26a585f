"""The disk spool: what could not be delivered yet waits here, survives ``kill -9`` of the agent and drains later.

One folder per destination below ``root``. A parcel is one file: a line of JSON (path, headers without secrets, content
type) and the body. It is written under a temporary name and renamed, so a reader never sees half of one. Names sort by
time. A sender claims a parcel by renaming it to ``*.claim-<pid>``; claims of dead processes are given back. When the
folder exceeds its size or a parcel its age, the oldest go first.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_counter = itertools.count()


class Parcel(NamedTuple):
    """One request that waits. ``head`` holds what is needed to send it again, never a secret."""

    path: Path
    head: dict[str, Any]
    body: bytes


def default_root() -> str:
    """``TWINLENS_SPOOL``, else a folder in the user's state directory."""
    named = os.environ.get("TWINLENS_SPOOL")
    if named:
        return named
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return f"{state}/twinlens/spool"


class Spool:
    """The parcels of one destination.

    Args:
        root: folder of all spools.
        destination: URL that tells destinations apart; written to ``destination.json`` for ``twinlens spool push``.
        max_bytes: oldest parcels are dropped beyond it.
        max_age_s: parcels older than this are dropped.
    """

    def __init__(
        self, root: str | Path, destination: str, *, max_bytes: int = 256 << 20, max_age_s: float = 7 * 86_400
    ) -> None:
        self.root = root
        self.destination = destination
        self.max_bytes = max_bytes
        self.max_age_s = max_age_s
        self.dropped = 0
        self._held: set[str] = set()
        self._listed: deque[str] = deque()

    @cached_property
    def folder(self) -> Path:
        """Where the parcels are."""
        import hashlib  # here, because the agent's start must not pay for them
        from pathlib import Path

        return Path(self.root) / hashlib.sha256(self.destination.encode()).hexdigest()[:16]

    def put(self, head: dict[str, Any], body: bytes) -> Path:
        """Store a parcel.

        Raises:
            OSError: the disk refuses.
        """
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.folder / "destination.json").write_text(json.dumps({"destination": self.destination}))
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(_counter)}"
        temporary = self.folder / f".{name}"
        temporary.write_bytes(json.dumps(head).encode() + b"\n" + body)
        final = self.folder / f"{name}.parcel"
        temporary.rename(final)
        return final

    def names(self) -> list[str]:
        """Waiting parcels, oldest first."""
        try:
            return sorted(n for n in os.listdir(self.folder) if n.endswith(".parcel"))
        except OSError:
            return []

    def claim(self) -> Parcel | None:
        """Take the oldest parcel for sending; None when nothing waits (or others hold what does)."""
        for name in self._candidates():
            claimed = self.folder / f"{name}.claim-{os.getpid()}"
            try:
                (self.folder / name).rename(claimed)
                self._held.add(claimed.name)
                head, _, body = claimed.read_bytes().partition(b"\n")
                return Parcel(claimed, json.loads(head), body)
            except FileNotFoundError:
                continue  # someone else took it
            except ValueError:
                claimed.unlink(missing_ok=True)  # damaged: it can never be sent
                self.dropped += 1
        return None

    def _candidates(self) -> Iterator[str]:
        """Waiting parcels, oldest first. The folder is listed anew when the last list is used up: new parcels come after it."""
        for _ in range(2):
            while self._listed:
                yield self._listed.popleft()
            self._listed.extend(self.names())

    def done(self, parcel: Parcel) -> None:
        """The parcel was delivered or refused for good."""
        parcel.path.unlink(missing_ok=True)
        (self.folder / "silent").unlink(missing_ok=True)
        self._held.discard(parcel.path.name)

    def back(self, parcel: Parcel) -> None:
        """The parcel could not be delivered: it waits again."""
        with contextlib.suppress(FileNotFoundError):
            parcel.path.rename(parcel.path.with_name(parcel.path.name.partition(".claim-")[0]))
        self._held.discard(parcel.path.name)
        self._listed.clear()  # it comes first again

    def gave_up(self) -> None:
        """Tell the processes after this one that the destination does not answer."""
        with contextlib.suppress(OSError):
            (self.folder / "silent").touch()

    def given_up_s(self) -> float:
        """Seconds since a process gave up on the destination; infinite when none did or it answered since."""
        try:
            return time.time() - (self.folder / "silent").stat().st_mtime
        except OSError:
            return float("inf")

    def tidy(self) -> None:
        """Give back claims of dead processes and keep to the limits."""
        try:
            entries = sorted(os.scandir(self.folder), key=lambda e: e.name)
        except FileNotFoundError:
            return
        kept = 0
        now = time.time()
        for entry in entries:
            base, _, owner = entry.name.partition(".claim-")
            mine = owner == str(os.getpid())  # a process before us may have had our number (containers: always 1)
            if owner and (entry.name not in self._held if mine else not _alive(int(owner))):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(entry.path, self.folder / base)
        for entry in sorted(os.scandir(self.folder), key=lambda e: e.name, reverse=True):
            if not entry.name.endswith(".parcel"):
                continue
            with contextlib.suppress(FileNotFoundError):
                stat = entry.stat()
                kept += stat.st_size
                if kept > self.max_bytes or now - stat.st_mtime > self.max_age_s:
                    os.unlink(entry.path)
                    self.dropped += 1


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
