"""Scores: add, change, delete."""

from __future__ import annotations

import msgspec
from litestar import delete, patch, post
from litestar.params import FromPath, JSONBody

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.ids import canonical_trace_id
from twinlens.domain.score import Score
from twinlens.faces.http import AnyRequest, in_thread, project_principal, services
from twinlens.faces.native import trace_schemas as ts
from twinlens.faces.native.reply import whole_id, writing
from twinlens.faces.native.rows import score_row
from twinlens.features.scores import ScoreDraft
from twinlens.ingest.batch import Batch


@post("/projects/{project_id:str}/scores", summary="Add a score")
async def add_score(request: AnyRequest, project_id: FromPath[str], data: JSONBody[ts.NewScore]) -> ts.ScoreRow:
    """To a trace, a span of it, or a session. A score with a known ``score_id`` is replaced."""
    who = await project_principal(request, whole_id(project_id))
    who.require("score")
    graph = services(request)
    draft = ScoreDraft(
        name=data.name,
        value=data.value,
        score_id=data.score_id,
        data_type=data.data_type,
        trace_id=canonical_trace_id(data.trace_id) if data.trace_id else None,
        span_id=data.span_id,
        session_id=data.session_id,
        comment=data.comment,
        metadata=data.metadata,
        author_user_id=who.user_id,
    )
    score = await in_thread(graph.scores.accept, who.project_id, draft)
    score.source = "human"
    score.source_id = who.user_name
    score.kind = data.kind
    await graph.ingest.submit(Batch(project_id=who.project_id, scores=[score]))
    return score_row(score)


@patch("/projects/{project_id:str}/scores/{score_id:str}", summary="Change a score")
async def edit_score(
    request: AnyRequest, project_id: FromPath[str], score_id: FromPath[str], data: JSONBody[ts.ScoreEdit]
) -> ts.ScoreRow:
    """Value and comment; name and type stay."""
    allowed = await writing(request, whole_id(project_id))
    graph = services(request)
    found: Score = await in_thread(graph.scores.get, allowed, whole_id(score_id))
    changed = msgspec.structs.replace(found, updated_ns=now_ns())
    if data.value is not None:
        _set_value(changed, data.value)
    if data.comment is not None:
        changed.comment = data.comment or None
    await graph.ingest.submit(Batch(project_id=allowed, scores=[changed]))
    return score_row(changed)


@delete("/projects/{project_id:str}/scores/{score_id:str}", summary="Delete a score")
async def delete_score(request: AnyRequest, project_id: FromPath[str], score_id: FromPath[str]) -> None:
    """Gone when this answers."""
    allowed = await writing(request, whole_id(project_id))
    await in_thread(services(request).scores.delete, allowed, whole_id(score_id))


def _set_value(score: Score, value: float | bool | str) -> None:
    if score.data_type == "NUMERIC":
        if isinstance(value, str | bool):
            raise InvalidArgument("value: this score is a number")
        score.value = float(value)
    elif score.data_type == "BOOLEAN":
        if value not in (True, False, 0, 1):
            raise InvalidArgument("value: this score is true or false")
        score.value = float(value)
        score.string_value = "True" if value else "False"
    elif score.data_type == "JSON":
        score.json_value = msgspec.json.encode(value).decode()
    elif isinstance(value, str):
        score.string_value = value
    else:
        raise InvalidArgument("value: this score is text")


HANDLERS = [add_score, edit_score, delete_score]
