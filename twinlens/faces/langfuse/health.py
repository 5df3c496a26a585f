"""``/health`` and ``/ready``."""

from __future__ import annotations

import msgspec

import twinlens
from twinlens.domain.clock import now_ns
from twinlens.domain.errors import TwinlensError
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.wire import Call, Reply, Result, RouteTable
from twinlens.store.telemetry.query import Query

routes = RouteTable()
#: ``failIfNoRecentEvents``: how recent (Langfuse server v4.16: three minutes).
RECENT_NS = 180 * 1_000_000_000


class HealthQuery(msgspec.Struct, rename="camel"):
    """What the caller wants to count as unhealthy."""

    fail_if_database_unavailable: bool = False
    fail_if_no_recent_events: bool = False


@routes.on("GET", "/health", scope=None, public=True)
async def health(call: Call) -> Result:
    """``{status, version}``; 503 when a demanded condition fails."""
    query = call.query(HealthQuery)
    services = call.services
    if query.fail_if_database_unavailable or query.fail_if_no_recent_events:
        try:
            projects = await in_thread(services.projects.list)
            newest = 0
            for project in projects if query.fail_if_no_recent_events else []:
                page = await in_thread(services.telemetry.traces, Query(project_id=project.id, limit=1))
                newest = max([newest, *(row.updated_ns for row in page.rows)])
        except TwinlensError as error:
            return Reply({"status": "Database not available", "error": error.message}, 503)
        if query.fail_if_no_recent_events and now_ns() - newest > RECENT_NS:
            return Reply({"status": "No recent events"}, 503)
    return {"status": "OK", "version": twinlens.__version__}


@routes.on("GET", "/ready", scope=None, public=True)
async def ready(call: Call) -> Result:
    """Whether requests are served; during shutdown the connection is refused instead."""
    return {"status": "OK", "version": twinlens.__version__}
