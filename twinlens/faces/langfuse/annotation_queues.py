"""``/annotation-queues``: queues, their items and assignments (server v4.16)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from twinlens.domain.annotation import AnnotationQueue, QueueItem
from twinlens.domain.ids import canonical_trace_id
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable, iso

routes = RouteTable()

Status = Literal["PENDING", "COMPLETED"]


def queue_row(queue: AnnotationQueue) -> dict[str, Any]:
    """A queue as clients read it."""
    return {
        "id": queue.queue_id,
        "name": queue.name,
        "description": queue.description,
        "scoreConfigIds": queue.config_ids,
        "createdAt": iso(queue.created_ns),
        "updatedAt": iso(queue.updated_ns),
    }


def item_row(item: QueueItem) -> dict[str, Any]:
    """An item as clients read it: here whatever is not pending is completed."""
    return {
        "id": item.item_id,
        "queueId": item.queue_id,
        "objectId": item.object_id,
        "objectType": item.object_type,
        "status": "PENDING" if item.status == "PENDING" else "COMPLETED",
        "completedAt": iso(item.completed_ns),
        "createdAt": iso(item.created_ns),
        "updatedAt": iso(item.updated_ns),
    }


class NewQueue(msgspec.Struct, rename="camel", kw_only=True):
    """Body of a create call."""

    name: str
    description: str | None = None
    score_config_ids: list[str]


@routes.on("GET", "/annotation-queues", scope="read")
async def list_queues(call: Call) -> Result:
    """A page, newest first."""
    query = call.query(PageQuery)
    limit, offset = query.window()
    found, total = await in_thread(call.services.annotation.list, call.project_id, limit=limit, offset=offset)
    return {"data": [queue_row(queue) for queue in found], "meta": query.meta(total)}


@routes.on("POST", "/annotation-queues", scope="write")
async def create(call: Call) -> Result:
    """A new queue."""
    body = await call.json(NewQueue)
    queue = AnnotationQueue(
        queue_id="", name=body.name, description=body.description, config_ids=body.score_config_ids,
        created_by=call.principal.user_name,
    )  # fmt: skip
    return queue_row(await in_thread(call.services.annotation.create, call.project_id, queue))


@routes.on("GET", "/annotation-queues/{queue}", scope="read")
async def get(call: Call) -> Result:
    """One queue."""
    return queue_row(await in_thread(call.services.annotation.get, call.project_id, call.path["queue"]))


class ItemsQuery(PageQuery, rename="camel", kw_only=True):
    """Parameters of the list of items."""

    status: Status | None = None


@routes.on("GET", "/annotation-queues/{queue}/items", scope="read")
async def list_items(call: Call) -> Result:
    """A page, newest first."""
    query = call.query(ItemsQuery)
    limit, offset = query.window()
    found, total = await in_thread(
        call.services.annotation.items, call.project_id, call.path["queue"], status=query.status, limit=limit,
        offset=offset,
    )  # fmt: skip
    return {"data": [item_row(item) for item in found], "meta": query.meta(total)}


class NewItem(msgspec.Struct, rename="camel", kw_only=True):
    """Body of an add call."""

    object_id: str
    object_type: str
    status: Status | None = None


@routes.on("POST", "/annotation-queues/{queue}/items", scope="write")
async def add_item(call: Call) -> Result:
    """Put an object into the queue; one that is there already is answered as it is."""
    body = await call.json(NewItem)
    object_id = canonical_trace_id(body.object_id) if body.object_type == "TRACE" else body.object_id
    items = await in_thread(
        call.services.annotation.add_items, call.project_id, call.path["queue"], [(body.object_type, object_id)],
        body.status or "PENDING",
    )  # fmt: skip
    return item_row(items[0])


async def _item(call: Call) -> QueueItem:
    return await in_thread(
        call.services.annotation.item, call.project_id, call.path["queue"], item_id=call.path["item"]
    )


@routes.on("GET", "/annotation-queues/{queue}/items/{item}", scope="read")
async def get_item(call: Call) -> Result:
    """One item."""
    return item_row(await _item(call))


class ChangedItem(msgspec.Struct, kw_only=True):
    """Body of a change."""

    status: Status | None = None


@routes.on("PATCH", "/annotation-queues/{queue}/items/{item}", scope="write")
async def change_item(call: Call) -> Result:
    """Complete or reopen an item."""
    body = await call.json(ChangedItem)
    item = await _item(call)
    if body.status is not None:
        item = await in_thread(
            call.services.annotation.set_status, call.project_id, call.path["queue"], item, body.status,
            call.principal.user_name,
        )  # fmt: skip
    return item_row(item)


@routes.on("DELETE", "/annotation-queues/{queue}/items/{item}", scope="write")
async def remove_item(call: Call) -> Result:
    """Take an item out of the queue."""
    await in_thread(call.services.annotation.remove_item, call.project_id, call.path["queue"], call.path["item"])
    return {"success": True, "message": "Annotation queue item deleted successfully"}


class Assignment(msgspec.Struct, rename="camel", kw_only=True):
    """Body of both assignment calls."""

    user_id: str


@routes.on("POST", "/annotation-queues/{queue}/assignments", scope="write")
async def assign(call: Call) -> Result:
    """Make somebody a reviewer of the queue."""
    body = await call.json(Assignment)
    await in_thread(call.services.annotation.assign, call.project_id, call.path["queue"], body.user_id)
    return {"userId": body.user_id, "queueId": call.path["queue"], "projectId": call.project_id}


@routes.on("DELETE", "/annotation-queues/{queue}/assignments", scope="write")
async def unassign(call: Call) -> Result:
    """Take a reviewer off the queue."""
    body = await call.json(Assignment)
    await in_thread(call.services.annotation.unassign, call.project_id, call.path["queue"], body.user_id)
    return {"success": True}
