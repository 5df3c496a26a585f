"""``/traces``: v1 reads and deletion."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import canonical_trace_id
from twinlens.domain.trace import TraceSummary
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse import rows
from twinlens.faces.langfuse.otel_metadata import MOST_IN_A_TRACE
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable, time_of
from twinlens.query import langfuse_filter as filters
from twinlens.store.telemetry.query import Cmp, Expr, Or, Order, Query, all_of

routes = RouteTable()

FIELD_GROUPS = frozenset({"core", "io", "scores", "observations", "metrics"})
_ORDER = {
    "id": "trace_id", "timestamp": "start_ns", "name": "name", "userId": "user_id", "release": "release",
    "version": "version", "public": "public", "bookmarked": "bookmarked", "sessionId": "session_id",
}  # fmt: skip
_NOT_FOUND = "Trace {} not found within authorized project"


class TracesQuery(PageQuery, rename="camel", kw_only=True):
    """Parameters of ``GET /traces``."""

    user_id: str | None = None
    name: str | None = None
    session_id: str | None = None
    from_timestamp: str | None = None
    to_timestamp: str | None = None
    order_by: str | None = None
    tags: list[str] = msgspec.field(default_factory=list[str])
    version: str | None = None
    release: str | None = None
    environment: list[str] = msgspec.field(default_factory=list[str])
    fields: str | None = None
    filter: str | None = None

    def where(self) -> Expr:
        """The condition. ``filter``, when given, takes the place of the simple parameters."""
        if self.filter is not None:
            return filters.parse(self.filter, filters.TRACES)
        return all_of(
            *(
                Cmp(field, "=", value)
                for field, value in (
                    ("user_id", self.user_id), ("name", self.name), ("session_id", self.session_id),
                    ("version", self.version), ("release", self.release),
                )
                if value is not None
            ),
            *time_range("start_ns", self.from_timestamp, self.to_timestamp),
            tagged(self.tags),
            Cmp("environment", "in", self.environment) if self.environment else None,
        )  # fmt: skip

    def order(self) -> tuple[Order, ...]:
        """The order; newest first by default."""
        if self.order_by is None:
            return (Order("start_ns"),)
        field, _, direction = self.order_by.partition(".")
        if field not in _ORDER or direction.lower() not in ("", "asc", "desc"):
            raise InvalidArgument(f"orderBy: '{self.order_by}' is not one of {', '.join(_ORDER)} with .asc or .desc")
        return (Order(_ORDER[field], descending=direction.lower() == "desc"),)

    def groups(self) -> frozenset[str]:
        """Field groups; all by default."""
        return chosen_groups(self.fields, FIELD_GROUPS, FIELD_GROUPS)


def chosen_groups(text: str | None, known: frozenset[str], default: frozenset[str]) -> frozenset[str]:
    """A comma list of field groups.

    Raises:
        InvalidArgument: an unknown group.
    """
    if text is None:
        return default
    wanted = frozenset(part.strip() for part in text.split(",") if part.strip())
    if unknown := wanted - known:
        raise InvalidArgument(f"fields: unknown group {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    return wanted


def tagged(tags: list[str]) -> Expr | None:
    """All of ``tags``. JS 3 sends a list as one text with commas, which may also be one tag with a comma in it."""
    if not tags:
        return None
    if len(tags) == 1 and "," in tags[0]:
        return Or((Cmp("tags", "all of", tags), Cmp("tags", "all of", tags[0].split(","))))
    return Cmp("tags", "all of", tags)


def time_range(field: str, start: str | None, end: str | None) -> list[Expr]:
    """``start`` ≤ field < ``end``."""
    found: list[Expr] = []
    if (lower := time_of(start, "fromTimestamp")) is not None:
        found.append(Cmp(field, ">=", lower))
    if (upper := time_of(end, "toTimestamp")) is not None:
        found.append(Cmp(field, "<", upper))
    return found


@routes.on("GET", "/traces", scope="read", listed=True)
async def list_traces(call: Call) -> Result:
    """A page of traces with ids of their observations and scores."""
    query = call.query(TracesQuery)
    limit, offset = query.window()
    where, order, groups = all_of(query.where(), call.shown()), query.order(), query.groups()
    project = call.project_id

    def read() -> dict[str, Any]:
        telemetry = call.services.telemetry
        wanted = Query(project_id=project, where=where, order=order, limit=limit, offset=offset, with_io="io" in groups)
        with telemetry.together():
            found: list[TraceSummary] = telemetry.traces(wanted).rows
            total = telemetry.count("traces", wanted)
            ids = [row.trace_id for row in found]
            spans = telemetry.span_ids(project, ids) if "observations" in groups else {}
            scores = telemetry.scores_for(project, ids) if "scores" in groups else {}
        data = [
            rows.trace(row, project, with_io="io" in groups)
            | {
                "htmlPath": rows.trace_path(project, row.trace_id),
                "latency": rows.seconds(row.latency_ns) if "metrics" in groups else -1,
                "totalCost": row.total_cost if "metrics" in groups else -1,
                "observations": spans.get(row.trace_id, []),
                "scores": [score.score_id for score in scores.get(row.trace_id, []) if score.valid],
            }
            for row in found
        ]
        return {"data": data, "meta": query.meta(total)}

    return await in_thread(read)


@routes.on("GET", "/traces/{id}", scope="read")
async def get_trace(call: Call) -> Result:
    """One trace with everything."""
    project, trace_id = call.project_id, canonical_trace_id(call.path["id"])

    def read() -> dict[str, Any]:
        telemetry = call.services.telemetry
        with telemetry.together():
            row = telemetry.trace(project, trace_id)
            if row is None:
                raise NotFound(_NOT_FOUND.format(call.path["id"]))
            attributes = row.span_count <= MOST_IN_A_TRACE
            spans = telemetry.trace_spans(project, [trace_id], with_attributes=attributes).get(trace_id, [])
            scores = telemetry.scores_for(project, [trace_id]).get(trace_id, [])
        prompt_ids = call.services.prompts.version_ids(project, rows.prompt_links(spans))
        return rows.trace_details(row, project, spans, scores, prompt_ids)

    return await in_thread(read)


@routes.on("DELETE", "/traces/{id}", scope="write")
async def delete_trace(call: Call) -> Result:
    """Delete one trace; it is gone when this answers."""
    trace_id = canonical_trace_id(call.path["id"])
    if not await _delete(call, [trace_id]):
        raise NotFound(_NOT_FOUND.format(call.path["id"]))
    return {"message": "Trace deleted successfully"}


class DeleteTraces(msgspec.Struct, rename="camel"):
    """Body of ``DELETE /traces``."""

    trace_ids: list[str]


@routes.on("DELETE", "/traces", scope="write")
async def delete_traces(call: Call) -> Result:
    """Delete several traces; ids that do not exist are no error."""
    body = await call.json(DeleteTraces)
    await _delete(call, [canonical_trace_id(id) for id in body.trace_ids])
    return {"message": "Traces deleted successfully"}


async def _delete(call: Call, trace_ids: list[str]) -> int:
    return await in_thread(call.services.traces.remove, call.project_id, trace_ids)
