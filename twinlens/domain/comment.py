"""Comments that people leave on traces, spans, sessions and prompts."""

from __future__ import annotations

import msgspec

from twinlens.domain.errors import InvalidArgument

OBJECT_TYPES = ("TRACE", "OBSERVATION", "SESSION", "PROMPT")
MAX_CONTENT = 5_000


class Comment(msgspec.Struct, kw_only=True):
    """One comment."""

    comment_id: str
    object_type: str
    object_id: str
    content: str
    author_user_id: str | None = None
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Raise ``InvalidArgument`` for an unknown kind of object or a content outside 1 … 5000 characters."""
        if self.object_type not in OBJECT_TYPES:
            raise InvalidArgument(f"objectType must be one of {', '.join(OBJECT_TYPES)}")
        if not 1 <= len(self.content) <= MAX_CONTENT:
            raise InvalidArgument(f"content must be 1 to {MAX_CONTENT} characters")
