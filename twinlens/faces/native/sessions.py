"""Sessions: traces that share a session id."""

from __future__ import annotations

from typing import Any

from litestar import get
from litestar.params import FromPath

from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native import trace_schemas as ts
from twinlens.faces.native.guard import shown_traces
from twinlens.faces.native.reply import Cursor, FromMs, Limit, ToMs, reading, time_range, whole_id
from twinlens.faces.native.rows import ms


@get("/projects/{project_id:str}/sessions", summary="List sessions")
async def list_sessions(
    request: AnyRequest,
    project_id: FromPath[str],
    from_ms: FromMs = None,
    to_ms: ToMs = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ts.SessionPage:
    """Most recently active first; by default of the last 30 days."""
    allowed = await reading(request, whole_id(project_id))
    start, end = time_range(from_ms, to_ms, default_hours=720)
    sessions = services(request).overviews.sessions
    shown = shown_traces(request)
    found, following = await in_thread(sessions, allowed, start, end, limit=limit, cursor=cursor, shown=shown)
    return ts.SessionPage(sessions=[_row(row) for row in found], next_cursor=following)


def _row(row: dict[str, Any]) -> ts.SessionRow:
    return ts.SessionRow(
        session_id=row["session_id"],
        traces=int(row["traces"]),
        errors=int(row["errors"] or 0),
        first_ms=ms(int(row["first"])),
        last_ms=ms(int(row["last"])),
        total_tokens=int(row["total_tokens"] or 0),
        total_cost=float(row["total_cost"] or 0.0),
        users=int(row["users"] or 0),
    )


HANDLERS = [list_sessions]
