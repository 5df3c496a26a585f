"""What the handlers of this face share: parameters, ids in paths, the shape of errors."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.params import QueryParameter

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.project import Principal
from twinlens.faces.http import AnyRequest, problem, project_principal
from twinlens.faces.native import schemas as s
from twinlens.store.telemetry.query import Order

MAX_PAGE = 500

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="Rows per page.")]
Cursor = Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")]
FromMs = Annotated[float | None, QueryParameter(description="Only what started at or after this time.")]
ToMs = Annotated[float | None, QueryParameter(description="Only what started before this time.")]
FilterText = Annotated[
    str, QueryParameter(name="filter", description="Filter text, like `user:alice cost>0.01 tag:prod`.")
]


async def reading(request: AnyRequest, project_id: str) -> str:
    """The project a request may read."""
    return (await reader(request, project_id)).project_id


async def reader(request: AnyRequest, project_id: str) -> Principal:
    """The caller, who may read the project."""
    who = await project_principal(request, project_id)
    who.require("read")
    return who


async def writing(request: AnyRequest, project_id: str) -> str:
    """The project a request may change."""
    return (await writer(request, project_id)).project_id


async def writer(request: AnyRequest, project_id: str) -> Principal:
    """The caller, who may change the project."""
    who = await project_principal(request, project_id)
    who.require("write")
    return who


def whole_id(part: str) -> str:
    """An id from a path. ``faces.paths`` leaves ``%2F`` in place so that ids with slashes stay one segment."""
    return part.replace("%2F", "/")


def ns(ms: float) -> int:
    """Milliseconds from a client as nanoseconds.

    Raises:
        InvalidArgument: not a time.
    """
    if not -1e15 < ms < 1e15:
        raise InvalidArgument(f"{ms} is not a time in milliseconds")
    return round(ms * 1_000) * 1_000


def time_range(from_ms: float | None, to_ms: float | None, *, default_hours: float = 24.0) -> tuple[int, int]:
    """``[from, to)`` in nanoseconds; by default the last hours up to now.

    Raises:
        InvalidArgument: the range is empty or backwards.
    """
    end = now_ns() if to_ms is None else ns(to_ms)
    start = end - int(default_hours * 3_600e9) if from_ms is None else ns(from_ms)
    if start >= end:
        raise InvalidArgument("from_ms must be before to_ms")
    return start, end


def order_of(text: str | None, allowed: dict[str, str]) -> tuple[Order, ...]:
    """``-cost`` or ``start`` as an order; empty for none.

    Raises:
        InvalidArgument: the field cannot be sorted by.
    """
    if not text:
        return ()
    name = text.lstrip("-")
    if name.startswith("score."):
        return (Order("score", text.startswith("-"), name.removeprefix("score.")),)
    if name not in allowed:
        raise InvalidArgument(f"order: {name!r} cannot be sorted by; known: {', '.join(allowed)}, score.NAME")
    return (Order(allowed[name], text.startswith("-")),)


def handle_error(_: AnyRequest, error: Exception) -> Response[s.Problem]:
    """Any exception in this face's shape."""
    found = problem(error)
    body = s.Problem(
        message=found.message,
        error=type(found.error).__name__ if found.status < 500 or found.status == 503 else "InternalError",
        position=getattr(error, "position", None),
        suggestion=getattr(error, "suggestion", None),
    )
    extra = getattr(error, "extra", None)
    if extra and found.status == 400:  # Litestar's validation errors: say which parameter
        body.message = "; ".join(_validation(item) for item in extra)
    headers = {k: v for k, v in found.headers.items() if k.lower() != "content-type"}
    return Response(body, status_code=found.status, headers=headers, media_type="application/json")


def _validation(item: Any) -> str:
    return f"{item.get('key', '')}: {item.get('message', '')}" if isinstance(item, dict) else str(item)


def to_json(value: object) -> bytes:
    """Encode an answer outside Litestar (streams)."""
    return msgspec.json.encode(value)
