"""Review queues (API 3.0). Langfuse's annotation queues are the same rows; MLflow sees the traces in them."""

from __future__ import annotations

from typing import Any

from twinlens.domain.annotation import AnnotationQueue, QueueItem
from twinlens.domain.errors import NotFound
from twinlens.domain.ids import canonical_trace_id, mlflow_trace_id
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.pages import offset_of, token_behind
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, present

rpcs = RpcTable()

_AT = "/mlflow/review-queues"
_KINDS = ("USER", "CUSTOM")
_STATUSES = ("PENDING", "COMPLETE", "DECLINED")


def queue_json(queue: AnnotationQueue, experiment_id: str = "0") -> dict[str, Any]:
    """A queue on the wire; one of the whole project belongs to whichever experiment asks."""
    return present(
        queue_id=queue.queue_id, experiment_id=queue.experiment_id or experiment_id, name=queue.name,
        queue_type="USER" if queue.personal else "CUSTOM", created_by=queue.created_by,
        creation_time_ms=queue.created_ns // 1_000_000, last_update_time_ms=queue.updated_ns // 1_000_000,
        users=queue.reviewers or None, schema_ids=queue.config_ids or None,
    )  # fmt: skip


def item_json(item: QueueItem) -> dict[str, Any]:
    """An item on the wire. MLflow knows traces only; ids of spans and sessions are shown as they are."""
    return present(
        queue_id=item.queue_id, item_type="TRACE",
        item_id=mlflow_trace_id(item.object_id) if item.object_type == "TRACE" else item.object_id,
        status="COMPLETE" if item.status == "COMPLETED" else item.status, completed_by=item.completed_by,
        completed_time_ms=None if item.completed_ns is None else item.completed_ns // 1_000_000,
        creation_time_ms=item.created_ns // 1_000_000, last_update_time_ms=item.updated_ns // 1_000_000,
    )  # fmt: skip


def _people(names: list[str]) -> list[str]:
    """MLflow compares reviewers without regard to case and stores them in lower case."""
    return [name.strip().lower() for name in names]


def _experiment(call: Call) -> str:
    experiment_id = call.params.required("experiment_id")
    call.services.experiments.get(call.project_id, experiment_id)
    return experiment_id


def _status(call: Call) -> str | None:
    status = call.params.enum("status", _STATUSES)
    return "COMPLETED" if status == "COMPLETE" else status


def _ids(call: Call) -> list[str]:
    ids = [item_id.strip() for item_id in call.params.texts("item_ids")]
    if not ids or not all(ids):
        raise invalid("`item_ids` must be a non-empty list of trace ids.")
    return [canonical_trace_id(item_id) for item_id in ids]


@rpcs.rpc("POST", "3.0", _AT + "/create")
def create(call: Call) -> Reply:
    """A new queue in an experiment."""
    params = call.params
    experiment_id = _experiment(call)
    personal = params.enum("queue_type", _KINDS) == "USER"
    name = params.required("name").strip()
    people = _people(params.texts("users"))
    if personal:
        name = name.lower()
        people = people or [name]
    queue = AnnotationQueue(
        queue_id="", name=name, experiment_id=experiment_id, personal=personal, reviewers=people,
        config_ids=params.texts("schema_ids"), created_by=call.user or params.text("created_by") or None,
    )  # fmt: skip
    return {"review_queue": queue_json(call.services.annotation.create(call.project_id, queue))}


@rpcs.rpc("POST", "3.0", _AT + "/get-or-create-user")
def get_or_create_user(call: Call) -> Reply:
    """A reviewer's personal queue."""
    experiment_id = _experiment(call)
    found = call.services.annotation.of_person(call.project_id, experiment_id, call.params.required("user"))
    return {"review_queue": queue_json(found)}


@rpcs.rpc("GET", "3.0", _AT + "/get")
def get(call: Call) -> Reply:
    """One queue."""
    found = call.services.annotation.get(call.project_id, call.params.required("queue_id"))
    return {"review_queue": queue_json(found)}


@rpcs.rpc("GET", "3.0", _AT + "/get-by-name")
def get_by_name(call: Call) -> Reply:
    """The queue of an experiment with this name, whatever the case."""
    experiment_id = _experiment(call)
    found = call.services.annotation.named(call.project_id, experiment_id, call.params.required("name"))
    return {"review_queue": queue_json(found, experiment_id)}


@rpcs.rpc("GET", "3.0", _AT + "/list")
def list_queues(call: Call) -> Reply:
    """A page of an experiment's queues, newest first."""
    params = call.params
    experiment_id = _experiment(call)
    item_id = params.text("item_id")
    offset = offset_of(params.text("page_token"))
    found, total = call.services.annotation.list(
        call.project_id, experiment_id=experiment_id, reviewer=params.text("user") or None,
        object_id=canonical_trace_id(item_id) if item_id else None, limit=params.max_results(1_000, 50_000),
        offset=offset,
    )  # fmt: skip
    return present(
        review_queues=[queue_json(queue, experiment_id) for queue in found] or None,
        next_page_token=token_behind(offset, len(found), total),
    )


@rpcs.rpc("POST", "3.0", _AT + "/update")
def update(call: Call) -> Reply:
    """Change what is sent."""
    params = call.params
    changes: dict[str, Any] = {}
    if params.has("name"):
        changes["name"] = (params.text("name") or "").strip()
    if params.has("new_owner"):
        changes["created_by"] = params.required("new_owner").strip()
    if params.boolean("update_users"):
        changes["reviewers"] = _people(params.texts("users"))
    if params.boolean("update_schema_ids"):
        changes["config_ids"] = params.texts("schema_ids")
    changed = call.services.annotation.update(call.project_id, params.required("queue_id"), **changes)
    return {"review_queue": queue_json(changed)}


@rpcs.rpc("POST", "3.0", _AT + "/delete")
def delete(call: Call) -> Reply:
    """Remove a queue; none of that id is no error."""
    call.services.annotation.delete(call.project_id, call.params.required("queue_id"))
    return None


@rpcs.rpc("POST", "3.0", _AT + "/items/add")
def add_items(call: Call) -> Reply:
    """Put traces into a queue; those that are there already keep their status."""
    queue_id = call.params.required("queue_id")
    items = call.services.annotation.add_items(
        call.project_id, queue_id, [("TRACE", item_id) for item_id in _ids(call)]
    )
    return {"items": [item_json(item) for item in items]}


@rpcs.rpc("POST", "3.0", _AT + "/items/remove")
def remove_items(call: Call) -> Reply:
    """Take traces out of a queue; those that are not in it do not matter."""
    call.services.annotation.remove_objects(call.project_id, call.params.required("queue_id"), _ids(call))
    return None


@rpcs.rpc("GET", "3.0", _AT + "/items/list")
def list_items(call: Call) -> Reply:
    """A page of a queue's items, newest first."""
    params = call.params
    offset = offset_of(params.text("page_token"))
    found, total = call.services.annotation.items(
        call.project_id, params.required("queue_id"), status=_status(call), limit=params.max_results(1_000, 50_000),
        offset=offset,
    )  # fmt: skip
    return present(
        items=[item_json(item) for item in found] or None, next_page_token=token_behind(offset, len(found), total)
    )


@rpcs.rpc("POST", "3.0", _AT + "/items/set-status")
def set_status(call: Call) -> Reply:
    """Complete, decline or reopen an item."""
    params = call.params
    queue_id, status, by = params.required("queue_id"), _status(call), params.text("completed_by") or None
    if status is None:
        raise invalid(f"`status` must be one of {', '.join(_STATUSES)}.")
    if (by is None) != (status == "PENDING"):
        raise invalid("`completed_by` is required for COMPLETE and DECLINED, and not allowed for PENDING.")
    item_id = params.required("item_id")
    try:
        item = call.services.annotation.item(call.project_id, queue_id, object_id=canonical_trace_id(item_id))
    except NotFound:
        raise NotFound(f"Item '{item_id}' is not attached to review queue '{queue_id}'.") from None
    changed = call.services.annotation.set_status(call.project_id, queue_id, item, status, by and by.strip().lower())
    return {"item": item_json(changed)}
