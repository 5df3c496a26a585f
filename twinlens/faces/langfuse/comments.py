"""``/comments``."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.comment import Comment
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.ids import canonical_trace_id
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable, iso

routes = RouteTable()


def comment_row(comment: Comment, project_id: str) -> dict[str, Any]:
    """A comment as clients read it."""
    return {
        "id": comment.comment_id,
        "projectId": project_id,
        "createdAt": iso(comment.created_ns),
        "updatedAt": iso(comment.updated_ns),
        "objectType": comment.object_type,
        "objectId": comment.object_id,
        "content": comment.content,
        "authorUserId": comment.author_user_id,
    }


class NewComment(msgspec.Struct, rename="camel", kw_only=True):
    """Body of a create call."""

    project_id: str
    object_type: str
    object_id: str
    content: str
    author_user_id: str | None = None


def _object_id(object_type: str | None, object_id: str | None) -> str | None:
    return canonical_trace_id(object_id) if object_type == "TRACE" and object_id else object_id


@routes.on("POST", "/comments", scope="write")
async def create(call: Call) -> Result:
    """Add a comment; the answer is its id."""
    body = await call.json(NewComment)
    if body.project_id != call.project_id:
        raise InvalidArgument("projectId is not the project of the key")
    made = await in_thread(
        call.services.comments.create, call.project_id, body.object_type,
        _object_id(body.object_type, body.object_id) or "", body.content, body.author_user_id,
    )  # fmt: skip
    return {"id": made.comment_id}


class CommentsQuery(PageQuery, rename="camel", kw_only=True):
    """Parameters of the list."""

    object_type: str | None = None
    object_id: str | None = None
    author_user_id: str | None = None


@routes.on("GET", "/comments", scope="read")
async def list_comments(call: Call) -> Result:
    """A page, newest first."""
    query = call.query(CommentsQuery)
    limit, offset = query.window()
    if query.object_id is not None and query.object_type is None:
        raise InvalidArgument("objectId needs objectType")
    found, total = await in_thread(
        call.services.comments.list, call.project_id, object_type=query.object_type,
        object_id=_object_id(query.object_type, query.object_id), author_user_id=query.author_user_id, limit=limit,
        offset=offset,
    )  # fmt: skip
    return {"data": [comment_row(comment, call.project_id) for comment in found], "meta": query.meta(total)}


@routes.on("GET", "/comments/{id}", scope="read")
async def get(call: Call) -> Result:
    """One comment."""
    found = await in_thread(call.services.comments.get, call.project_id, call.path["id"])
    return comment_row(found, call.project_id)
