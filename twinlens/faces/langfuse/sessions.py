"""``/sessions``."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.faces.http import in_thread
from twinlens.faces.langfuse import rows
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable, iso, time_of
from twinlens.features.sessions import Session

routes = RouteTable()


def session_row(session: Session, project_id: str) -> dict[str, Any]:
    """A session as clients read it."""
    return {
        "id": session.session_id,
        "createdAt": iso(session.created_ns),
        "projectId": project_id,
        "environment": session.environment,
    }


class SessionsQuery(PageQuery, rename="camel", kw_only=True):
    """Parameters of the list."""

    from_timestamp: str | None = None
    to_timestamp: str | None = None
    environment: list[str] = msgspec.field(default_factory=list[str])


@routes.on("GET", "/sessions", scope="read", listed=True)
async def list_sessions(call: Call) -> Result:
    """A page of sessions, newest first."""
    query = call.query(SessionsQuery)
    limit, offset = query.window()
    found, total = await in_thread(
        call.services.sessions.list, call.project_id, from_ns=time_of(query.from_timestamp, "fromTimestamp"),
        to_ns=time_of(query.to_timestamp, "toTimestamp"), environments=query.environment, limit=limit, offset=offset,
        shown=call.shown(),
    )  # fmt: skip
    return {"data": [session_row(session, call.project_id) for session in found], "meta": query.meta(total)}


@routes.on("GET", "/sessions/{id*}", scope="read", listed=True)
async def get_session(call: Call) -> Result:
    """One session with all its traces."""

    def read() -> dict[str, Any]:
        session, traces = call.services.sessions.get(call.project_id, call.path["id"], shown=call.shown())
        return session_row(session, call.project_id) | {"traces": [rows.trace(t, call.project_id) for t in traces]}

    return await in_thread(read)
