"""Comments on traces, spans and sessions, and the people whom they can mention."""

from __future__ import annotations

from typing import Literal

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from twinlens.domain.comment import Comment
from twinlens.domain.ids import canonical_trace_id
from twinlens.faces.http import AnyRequest, in_thread, project_principal, services
from twinlens.faces.native import feedback_schemas as f
from twinlens.faces.native.annotation import reviewer_of
from twinlens.faces.native.reply import reading, whole_id, writing
from twinlens.faces.native.rows import ms
from twinlens.features.comments import mentions


def _row(comment: Comment, names: dict[str, str], people: list[str]) -> f.CommentRow:
    return f.CommentRow(
        comment_id=comment.comment_id, object_type=comment.object_type, object_id=comment.object_id,
        content=comment.content, author=names.get(comment.author_user_id or "", comment.author_user_id),
        created_ms=ms(comment.created_ns), mentions=mentions(comment.content, people),
    )  # fmt: skip


def _object_id(object_type: str, object_id: str) -> str:
    return canonical_trace_id(object_id) if object_type == "TRACE" else object_id


@get("/projects/{project_id:str}/people", summary="People of a project")
async def list_people(request: AnyRequest, project_id: FromPath[str]) -> f.People:
    """Members of its organization; nobody where nobody signs in."""
    allowed = await reading(request, whole_id(project_id))
    found = await in_thread(services(request).projects.people, allowed)
    return f.People(people=[f.Person(name=user.name or user.email, email=user.email) for user in found])


@get("/projects/{project_id:str}/comments", summary="Comments on one thing")
async def list_comments(
    request: AnyRequest, project_id: FromPath[str], object_type: Literal["TRACE", "OBSERVATION", "SESSION", "PROMPT"],
    object_id: str,
) -> f.CommentList:  # fmt: skip
    """Oldest first; the newest 500 where there are more."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)

    def read() -> f.CommentList:
        found, _ = graph.comments.list(
            allowed, object_type=object_type, object_id=_object_id(object_type, object_id), limit=500, offset=0
        )
        users = graph.projects.people(allowed)
        names = {user.id: user.name or user.email for user in users}
        return f.CommentList(comments=[_row(comment, names, list(names.values())) for comment in reversed(found)])

    return await in_thread(read)


@post("/projects/{project_id:str}/comments", summary="Comment on something")
async def add_comment(request: AnyRequest, project_id: FromPath[str], data: JSONBody[f.NewComment]) -> f.CommentRow:
    """``@name`` mentions a person."""
    who = await project_principal(request, whole_id(project_id))
    who.require("score")
    graph = services(request)

    def write() -> f.CommentRow:
        made = graph.comments.create(
            who.project_id, data.object_type, _object_id(data.object_type, data.object_id), data.content,
            who.user_id or reviewer_of(who, data.author),
        )  # fmt: skip
        users = graph.projects.people(who.project_id)
        names = {user.id: user.name or user.email for user in users}
        return _row(made, names, list(names.values()))

    return await in_thread(write)


@delete("/projects/{project_id:str}/comments/{comment_id:str}", summary="Delete a comment")
async def delete_comment(request: AnyRequest, project_id: FromPath[str], comment_id: FromPath[str]) -> None:
    """Gone when this answers."""
    allowed = await writing(request, whole_id(project_id))
    await in_thread(services(request).comments.delete, allowed, whole_id(comment_id))


HANDLERS = [list_people, list_comments, add_comment, delete_comment]
