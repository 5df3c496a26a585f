"""What can go wrong, in the product's own words. Faces translate these into their protocol's error shape.

A face never raises its own error for a rule that lives below it; it catches ``TwinlensError`` once and maps ``code``.
"""

from __future__ import annotations


class TwinlensError(Exception):
    """Base of every expected failure.

    Attributes:
        message: one sentence a user can act on.
        status: the HTTP status that fits when a face has no better rule.
    """

    status: int = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidArgument(TwinlensError):
    """The request is wrong and will stay wrong if it is sent again."""

    status = 400


class Unauthenticated(TwinlensError):
    """No credentials, or credentials nobody knows."""

    status = 401


class PermissionDenied(TwinlensError):
    """Known credentials without the right to do this."""

    status = 403


class NotFound(TwinlensError):
    """The thing does not exist in this project (things of other projects do not exist here)."""

    status = 404


class AlreadyExists(TwinlensError):
    """A name or id is taken."""

    status = 409


class Conflict(TwinlensError):
    """Someone else changed the same thing meanwhile; trying again may work."""

    status = 409


class InvalidState(TwinlensError):
    """The thing exists but is in a state that does not allow this (for example: it is deleted)."""

    status = 400


class TooLarge(TwinlensError):
    """A limit on size, nesting or count is exceeded."""

    status = 413


class Busy(TwinlensError):
    """The write queue is full. Nothing was stored; send again after ``retry_after`` seconds."""

    status = 429

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotSupported(TwinlensError):
    """This instance, as it is set up, cannot do this; another one may."""

    status = 501


class StoreUnavailable(TwinlensError):
    """A store cannot be written or read now (disk full, closed, connection lost). Nothing was acknowledged."""

    status = 503

    def __init__(self, message: str, retry_after: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
