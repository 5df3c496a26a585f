"""Score configs and annotation queues: manage them, fill them, work them off."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from twinlens.domain.annotation import AnnotationQueue, QueueItem
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.ids import canonical_trace_id
from twinlens.domain.project import Principal
from twinlens.domain.score_config import ScoreCategory, ScoreConfig
from twinlens.faces.http import AnyRequest, in_thread, project_principal, services
from twinlens.faces.native import feedback_schemas as f
from twinlens.faces.native import schemas as s
from twinlens.faces.native.reply import Limit, reading, whole_id, writing
from twinlens.faces.native.rows import maybe_ms, ms, score_row
from twinlens.features.reviews import Answer
from twinlens.features.services import Services

_MOST = 1_000
Reviewer = Annotated[str | None, QueryParameter(description="Whose answers; heeded only where nobody has to sign in.")]


def reviewer_of(who: Principal, said: str | None) -> str:
    """The person behind a request. Where nobody signs in, people name themselves."""
    return who.user_name or (said or "").strip() or "anonymous"


def config_row(config: ScoreConfig) -> f.ScoreConfigRow:
    """One question."""
    form = config.form
    return f.ScoreConfigRow(
        config_id=config.config_id, name=config.name, data_type=config.data_type, kind=form.kind,  # type: ignore[arg-type]
        description=config.description, min_value=config.min_value, max_value=config.max_value,
        categories=[f.Category(label=c.label, value=c.value) for c in config.categories or []],
        multi_select=form.multi_select, enable_comment=form.enable_comment, max_length=form.max_length,
        positive_label=form.positive_label, negative_label=form.negative_label, experiment_id=config.experiment_id,
        archived=config.archived, standard=form.standard, created_ms=ms(config.created_ns),
    )  # fmt: skip


def queue_row(queue: AnnotationQueue, progress: dict[str, int]) -> f.QueueRow:
    """One queue."""
    return f.QueueRow(
        queue_id=queue.queue_id, name=queue.name, description=queue.description, experiment_id=queue.experiment_id,
        personal=queue.personal, config_ids=queue.config_ids, reviewers=queue.reviewers,
        reviews_needed=queue.reviews_needed, created_by=queue.created_by, created_ms=ms(queue.created_ns),
        pending=progress.get("PENDING", 0), completed=progress.get("COMPLETED", 0), declined=progress.get("DECLINED", 0),
    )  # fmt: skip


def item_row(item: QueueItem, reviewed_by: list[str]) -> f.ItemRow:
    """One item."""
    return f.ItemRow(
        item_id=item.item_id, object_type=item.object_type, object_id=item.object_id, status=item.status,
        completed_by=item.completed_by, completed_ms=maybe_ms(item.completed_ns), created_ms=ms(item.created_ns),
        reviewed_by=reviewed_by,
    )  # fmt: skip


def _said(data: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(data).items() if value is not msgspec.UNSET}


# --- score configs -----------------------------------------------------------------------------------------------------
@get("/projects/{project_id:str}/score-configs", summary="List score configs")
async def list_score_configs(request: AnyRequest, project_id: FromPath[str]) -> f.ScoreConfigList:
    """The newest 1,000."""
    allowed = await reading(request, whole_id(project_id))
    found, _ = await in_thread(services(request).score_configs.list, allowed, limit=_MOST, offset=0)
    return f.ScoreConfigList(configs=[config_row(config) for config in found])


@post("/projects/{project_id:str}/score-configs", summary="Create a score config")
async def create_score_config(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[f.NewScoreConfig]
) -> f.ScoreConfigRow:
    """A question that can be asked in the whole project."""
    allowed = await writing(request, whole_id(project_id))
    config = ScoreConfig(
        config_id="", name=data.name, data_type=data.data_type, description=data.description, min_value=data.min_value,
        max_value=data.max_value,
        categories=[ScoreCategory(c.label, c.value) for c in data.categories] if data.categories else None,
    )  # fmt: skip
    return config_row(await in_thread(services(request).score_configs.create, allowed, config))


@patch("/projects/{project_id:str}/score-configs/{config_id:str}", summary="Change or archive a score config")
async def edit_score_config(
    request: AnyRequest, project_id: FromPath[str], config_id: FromPath[str], data: JSONBody[f.ScoreConfigEdit]
) -> f.ScoreConfigRow:
    """What is left out stays. An archived one is not offered any more; its scores stay."""
    allowed = await writing(request, whole_id(project_id))
    return config_row(
        await in_thread(services(request).score_configs.update, allowed, whole_id(config_id), **_said(data))
    )


# --- queues ------------------------------------------------------------------------------------------------------------
@get("/projects/{project_id:str}/queues", summary="List annotation queues")
async def list_queues(
    request: AnyRequest,
    project_id: FromPath[str],
    object_id: Annotated[
        str | None, QueryParameter(description="Only queues that hold this trace, span or session.")
    ] = None,
) -> f.QueueList:
    """The newest 1,000, with their progress."""
    allowed = await reading(request, whole_id(project_id))
    annotation = services(request).annotation

    def read() -> f.QueueList:
        wanted = canonical_trace_id(object_id) if object_id else None
        found, _ = annotation.list(allowed, object_id=wanted, limit=_MOST, offset=0)
        progress = annotation.progress(allowed, [queue.queue_id for queue in found])
        return f.QueueList(queues=[queue_row(queue, progress[queue.queue_id]) for queue in found])

    return await in_thread(read)


@post("/projects/{project_id:str}/queues", summary="Create an annotation queue")
async def create_queue(request: AnyRequest, project_id: FromPath[str], data: JSONBody[f.NewQueue]) -> f.QueueRow:
    """A queue of the whole project."""
    who = await project_principal(request, whole_id(project_id))
    who.require("write")
    queue = AnnotationQueue(queue_id="", created_by=who.user_name, **msgspec.structs.asdict(data))
    return queue_row(await in_thread(services(request).annotation.create, who.project_id, queue), {})


@get("/projects/{project_id:str}/queues/{queue_id:str}", summary="One annotation queue")
async def get_queue(request: AnyRequest, project_id: FromPath[str], queue_id: FromPath[str]) -> f.QueueDetail:
    """With its questions and how far people agree on them."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)
    wanted = whole_id(queue_id)

    def read() -> f.QueueDetail:
        queue = graph.annotation.get(allowed, wanted)
        measured = [
            f.AgreementRow(
                config_id=config.config_id, name=config.name, numeric=config.data_type == "NUMERIC",
                **msgspec.structs.asdict(found),
            )
            for config, found in graph.reviews.agreement(allowed, wanted)
        ]  # fmt: skip
        return f.QueueDetail(
            queue=_shown(graph, allowed, queue),
            questions=[config_row(config) for config in graph.annotation.questions(allowed, queue)],
            agreement=measured,
        )

    return await in_thread(read)


def _shown(graph: Services, project_id: str, queue: AnnotationQueue) -> f.QueueRow:
    return queue_row(queue, graph.annotation.progress(project_id, [queue.queue_id])[queue.queue_id])


@patch("/projects/{project_id:str}/queues/{queue_id:str}", summary="Change an annotation queue")
async def edit_queue(
    request: AnyRequest, project_id: FromPath[str], queue_id: FromPath[str], data: JSONBody[f.QueueEdit]
) -> f.QueueRow:
    """What is left out stays. Questions can be changed only while the queue has no items."""
    allowed = await writing(request, whole_id(project_id))
    graph = services(request)

    def write() -> f.QueueRow:
        return _shown(graph, allowed, graph.annotation.update(allowed, whole_id(queue_id), **_said(data)))

    return await in_thread(write)


@delete("/projects/{project_id:str}/queues/{queue_id:str}", summary="Delete an annotation queue")
async def delete_queue(request: AnyRequest, project_id: FromPath[str], queue_id: FromPath[str]) -> None:
    """With its items. What people have answered stays."""
    allowed = await writing(request, whole_id(project_id))
    await in_thread(services(request).annotation.delete, allowed, whole_id(queue_id))


# --- items -------------------------------------------------------------------------------------------------------------
@get("/projects/{project_id:str}/queues/{queue_id:str}/items", summary="Items of a queue")
async def list_items(
    request: AnyRequest,
    project_id: FromPath[str],
    queue_id: FromPath[str],
    status: Literal["PENDING", "COMPLETED", "DECLINED"] | None = None,
    limit: Limit = 100,
    offset: Annotated[int, QueryParameter(ge=0)] = 0,
) -> f.ItemPage:
    """Oldest first, in the order in which they are worked off."""
    allowed = await reading(request, whole_id(project_id))
    annotation = services(request).annotation

    def read() -> f.ItemPage:
        found, total = annotation.items(
            allowed, whole_id(queue_id), status=status, limit=limit, offset=offset, oldest_first=True
        )
        by = annotation.reviewed(allowed, [item.item_id for item in found])
        return f.ItemPage(items=[item_row(item, by.get(item.item_id, [])) for item in found], total=total)

    return await in_thread(read)


@post("/projects/{project_id:str}/queues/{queue_id:str}/items", status_code=200, summary="Put things into a queue")
async def add_items(
    request: AnyRequest, project_id: FromPath[str], queue_id: FromPath[str], data: JSONBody[f.NewItems]
) -> s.Done:
    """What is in the queue already stays as it is. At most 10,000 at once."""
    allowed = await writing(request, whole_id(project_id))
    objects = [(o.type, canonical_trace_id(o.id) if o.type == "TRACE" else o.id) for o in data.objects]
    added = await in_thread(services(request).annotation.add_items, allowed, whole_id(queue_id), objects)
    return s.Done(count=len(added))


@get("/projects/{project_id:str}/queues/{queue_id:str}/items/{item_id:str}", summary="One item of a queue")
async def get_item(
    request: AnyRequest, project_id: FromPath[str], queue_id: FromPath[str], item_id: FromPath[str],
    reviewer: Reviewer = None,
) -> f.ItemDetail:  # fmt: skip
    """Where its object is, and what the person who asks has answered."""
    who = await project_principal(request, whole_id(project_id))
    who.require("read")
    graph = services(request)

    def read() -> f.ItemDetail:
        item = graph.annotation.item(who.project_id, whole_id(queue_id), item_id=whole_id(item_id))
        place = graph.reviews.place(who.project_id, item)
        given = graph.reviews.given(who.project_id, item.queue_id, item, reviewer_of(who, reviewer))
        by = graph.annotation.reviewed(who.project_id, [item.item_id]).get(item.item_id, [])
        return f.ItemDetail(
            item=item_row(item, by), trace_id=place.trace_id, span_id=place.span_id, session_id=place.session_id,
            answers=[score_row(score) for score in given],
        )  # fmt: skip

    return await in_thread(read)


@post(
    "/projects/{project_id:str}/queues/{queue_id:str}/items/{item_id:str}/review",
    status_code=200,
    summary="Judge an item",
)
async def review_item(
    request: AnyRequest, project_id: FromPath[str], queue_id: FromPath[str], item_id: FromPath[str],
    data: JSONBody[f.Review],
) -> f.ItemRow:  # fmt: skip
    """Answers become scores; the item is done once enough people have judged it. Answering again replaces the answers."""
    who = await project_principal(request, whole_id(project_id))
    who.require("score")
    graph = services(request)

    def write() -> f.ItemRow:
        item = graph.reviews.answer(
            who.project_id, whole_id(queue_id), whole_id(item_id), reviewer=reviewer_of(who, data.reviewer),
            answers=[Answer(config_id=a.config_id, value=a.value, comment=a.comment) for a in data.answers],
            correction=data.correction, user_id=who.user_id,
        )  # fmt: skip
        return item_row(item, graph.annotation.reviewed(who.project_id, [item.item_id]).get(item.item_id, []))

    return await in_thread(write)


@patch("/projects/{project_id:str}/queues/{queue_id:str}/items/{item_id:str}", summary="Decline or reopen an item")
async def edit_item(
    request: AnyRequest, project_id: FromPath[str], queue_id: FromPath[str], item_id: FromPath[str],
    data: JSONBody[f.ItemEdit],
) -> f.ItemRow:  # fmt: skip
    """Reopening forgets who had judged it; the scores stay."""
    who = await project_principal(request, whole_id(project_id))
    who.require("write")
    annotation = services(request).annotation
    by = None if data.status == "PENDING" else reviewer_of(who, data.reviewer)

    def write() -> f.ItemRow:
        item = annotation.item(who.project_id, whole_id(queue_id), item_id=whole_id(item_id))
        item = annotation.set_status(who.project_id, item.queue_id, item, data.status, by)
        return item_row(item, annotation.reviewed(who.project_id, [item.item_id]).get(item.item_id, []))

    return await in_thread(write)


@post(
    "/projects/{project_id:str}/queues/{queue_id:str}/items/remove",
    status_code=200,
    summary="Take things out of a queue",
)
async def remove_items(
    request: AnyRequest, project_id: FromPath[str], queue_id: FromPath[str], data: JSONBody[f.NewItems]
) -> s.Done:
    """What is not in the queue does not matter. At most 10,000 at once."""
    allowed = await writing(request, whole_id(project_id))
    if len(data.objects) > 10_000:
        raise InvalidArgument("objects: at most 10,000 at once")
    ids = [canonical_trace_id(o.id) if o.type == "TRACE" else o.id for o in data.objects]
    return s.Done(count=await in_thread(services(request).annotation.remove_objects, allowed, whole_id(queue_id), ids))


HANDLERS = [
    list_score_configs, create_score_config, edit_score_config, list_queues, create_queue, get_queue, edit_queue,
    delete_queue, list_items, add_items, get_item, review_item, edit_item, remove_items,
]  # fmt: skip
