"""The live stream: server-sent events of what has just been committed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import MediaType, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from twinlens.domain.live import Notice
from twinlens.domain.trace import TraceSummary
from twinlens.faces.http import AnyRequest, services
from twinlens.faces.native import schemas as s
from twinlens.faces.native.reply import reading, to_json, whole_id
from twinlens.faces.native.rows import trace_row
from twinlens.features.live import LiveBus

HEARTBEAT_SECONDS = 15.0
_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


@get(
    "/projects/{project_id:str}/live",
    summary="Live events",
    media_type="text/event-stream",
    responses={
        200: ResponseSpec(
            s.LiveEvent, media_type=MediaType.TEXT, description="`data` of each event.", generate_examples=False
        )
    },
)
async def live(
    request: AnyRequest,
    project_id: FromPath[str],
    kinds: Annotated[str, QueryParameter(description="Comma-separated kinds of events; all when empty.")] = "",
) -> Stream:
    """Server-sent events, each a ``LiveEvent``; ends with the client or the server.

    Everything committed after the first byte is reported, or a ``gap`` event says that something was missed.
    """
    allowed = await reading(request, whole_id(project_id))
    wanted = frozenset(kind.strip() for kind in kinds.split(",") if kind.strip())
    return Stream(_events(services(request).live, allowed, wanted), media_type="text/event-stream", headers=_HEADERS)


async def _events(bus: LiveBus, project_id: str, kinds: frozenset[str]) -> AsyncIterator[bytes]:
    with bus.subscribe(project_id) as subscription:
        yield b"retry: 1000\n: connected\n\n"
        while not subscription.ended:
            notices = await subscription.next(HEARTBEAT_SECONDS)
            chosen = [n for n in notices if not kinds or n.kind in kinds or n.kind == "gap"]
            if chosen:
                yield b"".join(_event(notice) for notice in chosen)
            elif not notices:
                yield b": still here\n\n"


def _event(notice: Notice) -> bytes:
    return b"event: " + notice.kind.encode() + b"\ndata: " + to_json(live_event(notice)) + b"\n\n"


def live_event(notice: Notice) -> s.LiveEvent:
    """A notice as browsers see it."""
    data = dict(notice.data)
    event = s.LiveEvent(kind=notice.kind, id=notice.id)  # pyright: ignore[reportArgumentType] - kinds grow
    if notice.kind == "trace":
        summary = data.pop("summary", None)
        if isinstance(summary, TraceSummary):
            event.trace = trace_row(summary)
        elif isinstance(summary, dict):
            event.trace = trace_row(msgspec.convert(summary, TraceSummary))
        event.trace_id = notice.id
    for name in ("trace_id", "experiment_id", "keys"):
        if name in data:
            setattr(event, name, data.pop(name))
    if notice.kind == "metric" and isinstance(data.get("metrics"), dict):
        event.keys = list(data["metrics"])
    event.data = {key: value for key, value in data.items() if _plain(value)}
    return event


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | list | dict | None)


HANDLERS = [live]
