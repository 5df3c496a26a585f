"""Comments: add, read, delete; whom they mention."""

from __future__ import annotations

import re
from collections.abc import Sequence

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.comment import Comment
from twinlens.domain.errors import NotFound
from twinlens.domain.ids import new_uuid
from twinlens.store.catalog.comments import CommentTable
from twinlens.store.catalog.engine import Catalog
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Cmp, Query


class Comments:
    """All methods block."""

    def __init__(self, catalog: Catalog, telemetry: TelemetryStore, clock: Clock = now_ns) -> None:
        self._table = CommentTable(catalog)
        self._telemetry = telemetry
        self._clock = clock

    def create(
        self, project_id: str, object_type: str, object_id: str, content: str, author_user_id: str | None = None
    ) -> Comment:
        """Add a comment to something that exists.

        Raises:
            InvalidArgument: unknown kind of object, or a content that is empty or too long.
            NotFound: no such trace, observation or session.
        """
        now = self._clock()
        comment = Comment(
            comment_id=new_uuid(), object_type=object_type, object_id=object_id, content=content,
            author_user_id=author_user_id, created_ns=now, updated_ns=now,
        )  # fmt: skip
        comment.check()
        if not self._exists(project_id, object_type, object_id):
            raise NotFound(f"No {object_type.lower()} with id {object_id} found in project")
        self._table.add(project_id, comment)
        return comment

    def _exists(self, project_id: str, object_type: str, object_id: str) -> bool:
        if object_type == "TRACE":
            return self._telemetry.trace(project_id, object_id, with_io=False) is not None
        if object_type == "OBSERVATION":
            return self._telemetry.span(project_id, None, object_id) is not None
        if object_type == "SESSION":
            where = Cmp("session_id", "=", object_id)
            return bool(self._telemetry.traces(Query(project_id=project_id, where=where, limit=1)).rows)
        return True  # prompts are named by version ids of the client's choosing

    def get(self, project_id: str, comment_id: str) -> Comment:
        """One comment.

        Raises:
            NotFound: no such comment.
        """
        found = self._table.get(project_id, comment_id)
        if found is None:
            raise NotFound("Comment not found within authorized project")
        return found

    def list(
        self, project_id: str, *, object_type: str | None = None, object_id: str | None = None,
        author_user_id: str | None = None, limit: int, offset: int,
    ) -> tuple[list[Comment], int]:  # fmt: skip
        """Newest first, and the number of all that match."""
        return self._table.page(
            project_id, object_type=object_type, object_id=object_id, author_user_id=author_user_id, limit=limit,
            offset=offset,
        )  # fmt: skip

    def delete(self, project_id: str, comment_id: str) -> None:
        """Remove a comment.

        Raises:
            NotFound: no such comment.
        """
        if not self._table.delete(project_id, comment_id):
            raise NotFound("Comment not found within authorized project")


def mentions(content: str, people: Sequence[str]) -> list[str]:
    """The people whom a text mentions as ``@name``, in the order of ``people``. Names may hold spaces; case does not matter."""
    return [name for name in people if re.search(rf"(?<!\w)@{re.escape(name)}(?!\w)", content, re.IGNORECASE)]
