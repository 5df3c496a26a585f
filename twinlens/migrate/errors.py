"""What can go wrong in a migration."""

from __future__ import annotations

from twinlens.domain.errors import TwinlensError


class MigrationError(TwinlensError):
    """A source cannot be read, a target refuses, or both differ afterwards. The message says what to do."""

    status = 1


class BusyError(MigrationError):
    """A server asks to come again in so many ``seconds``."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class ArchiveError(MigrationError):
    """An archive that is damaged, too new or not to be trusted. Nothing has been written."""
