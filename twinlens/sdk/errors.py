"""The one exception of the SDK that a program may meet."""

from __future__ import annotations


class ServerError(Exception):
    """The server refused, or cannot be reached. ``status`` is its HTTP status, 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
