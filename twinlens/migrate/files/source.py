"""A folder, file or address of another tool as a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twinlens.domain.record import ArtifactRecord
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.spool import Spool
from twinlens.migrate.system import Content, Page

#: Fills the spool with everything there is.
Reader = Callable[[Spool], None]


class FileSource:
    """See ``twinlens.migrate.system.Source``. Everything is read when it is made.

    Raises:
        MigrationError: the place cannot be read, or holds nothing.
    """

    def __init__(self, read: Reader) -> None:
        self._spool = Spool()
        read(self._spool)
        self.kinds = self._spool.kinds
        if not self.kinds:
            raise MigrationError("there is nothing to carry in the source" + "".join(f"; {n}" for n in self.notes[:3]))

    @property
    def notes(self) -> list[str]:
        """What was left out, and why."""
        return self._spool.notes

    def count(self, kind: str) -> int | None:
        """Exact."""
        return self._spool.count(kind)

    def read(self, kind: str, after: Any = None) -> Iterator[Page]:
        """See ``Source.read``."""
        return self._spool.read(kind, after)

    def content(self, record: Content) -> Iterator[bytes]:
        """See ``Source.content``."""
        assert isinstance(record, ArtifactRecord)
        found = self._spool.content(record.key)
        if isinstance(found, Path):
            with found.open("rb") as file:
                while chunk := file.read(1 << 20):
                    yield chunk
        elif found:
            yield found
