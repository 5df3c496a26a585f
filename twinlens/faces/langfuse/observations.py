"""``/observations`` (v1) and ``/v2/observations``."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import canonical_trace_id
from twinlens.domain.trace import Span
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse import rows
from twinlens.faces.langfuse.traces import chosen_groups, time_range
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable
from twinlens.query import langfuse_filter as filters
from twinlens.store.telemetry.query import Cmp, Expr, Or, Order, Query, all_of

routes = RouteTable()

MAX_LIMIT = 1_000
GROUPS = frozenset({"core", "metadata", "trace_context", "prompt", *rows.GROUPS})
DEFAULT_GROUPS = frozenset({"core", "basic"})
#: Groups whose fields are not in the row itself but stored apart.
_WHOLE = frozenset({"io", "metadata", "model"})
_NEWEST = (Order("start_ns"),)


class ObservationsQuery(PageQuery, rename="camel", kw_only=True):
    """Parameters both versions share."""

    name: str | None = None
    user_id: str | None = None
    type: str | None = None
    trace_id: str | None = None
    level: str | None = None
    parent_observation_id: str | None = None
    environment: list[str] = msgspec.field(default_factory=list[str])
    from_start_time: str | None = None
    to_start_time: str | None = None
    version: str | None = None
    filter: str | None = None

    def where(self) -> Expr:
        """The condition. ``filter``, when given, takes the place of the simple parameters."""
        if self.filter is not None:
            return filters.parse(self.filter, filters.OBSERVATIONS)
        return all_of(*self.simple())

    def simple(self) -> list[Expr]:
        """Conditions of the simple parameters."""
        found: list[Expr] = [
            Cmp(field, "=", value)
            for field, value in (
                ("name", self.name), ("version", self.version), ("level", self.level),
                ("trace_id", canonical_trace_id(self.trace_id) if self.trace_id else None),
                ("parent_id", self.parent_observation_id or None),
            )
            if value is not None
        ]  # fmt: skip
        if self.user_id is not None:
            found.append(filters.of_span_or_trace("user_id", "=", self.user_id))
        if self.parent_observation_id == "":
            found.append(Cmp("is_root", "=", True))
        if self.type is not None:
            found.append(filters.one_of("kind", filters.KINDS_OF, [self.type]))
        if self.environment:
            found.append(Cmp("environment", "in", self.environment))
        return found + time_range("start_ns", self.from_start_time, self.to_start_time)


class ObservationsQueryV2(ObservationsQuery, rename="camel", kw_only=True):
    """Parameters of ``GET /v2/observations``."""

    cursor: str | None = None
    session_id: str | None = None
    is_root_observation: bool | None = None
    fields: str | None = None
    expand_metadata: str | None = None
    parse_io_as_json: bool = False

    def simple(self) -> list[Expr]:
        """Also session and root."""
        found = super().simple()
        if self.session_id is not None:
            found.append(filters.of_span_or_trace("session_id", "=", self.session_id))
        if self.is_root_observation is not None:
            found.append(_root(self.is_root_observation))
        return found


def _root(wanted: bool) -> Expr:
    if wanted:
        return Or((Cmp("is_root", "=", True), Cmp("is_app_root", "=", True)))
    return all_of(Cmp("is_root", "=", False), Cmp("is_app_root", "=", False))


@routes.on("GET", "/observations", scope="read", listed=True)
async def list_v1(call: Call) -> Result:
    """A page of observations, newest first."""
    query = call.query(ObservationsQuery)
    limit, offset = query.window()
    where, project = all_of(query.where(), call.shown()), call.project_id

    def read() -> dict[str, Any]:
        telemetry = call.services.telemetry
        wanted = Query(
            project_id=project, where=where, order=_NEWEST, limit=limit, offset=offset, with_io=True, with_attributes=True
        )  # fmt: skip
        with telemetry.together():
            spans: list[Span] = telemetry.spans(wanted).rows
            total = telemetry.count("spans", wanted)
        prompt_ids = call.services.prompts.version_ids(project, rows.prompt_links(spans))
        data = [rows.observation_v1(span, project, prompt_ids) for span in spans]
        return {"data": data, "meta": query.meta(total)}

    return await in_thread(read)


@routes.on("GET", "/observations/{id}", scope="read", listed=True)
async def get_v1(call: Call) -> Result:
    """One observation. Span ids are unique within a trace only: the newest one of that id is meant."""
    project = call.project_id

    def read() -> dict[str, Any]:
        telemetry = call.services.telemetry
        span = telemetry.span(project, None, call.path["id"])
        if span is not None and call.visible("experiment", "trace") is not None:
            owner = all_of(Cmp("trace_id", "=", span.trace_id), call.shown())
            span = span if telemetry.count("traces", Query(project_id=project, where=owner)) else None
        if span is None:
            raise NotFound("Observation not found within authorized project")
        prompt_ids = call.services.prompts.version_ids(project, rows.prompt_links([span]))
        return rows.observation_v1(span, project, prompt_ids)

    return await in_thread(read)


@routes.on("GET", "/v2/observations", scope="read", listed=True)
async def list_v2(call: Call) -> Result:
    """Observations newest first, by cursor, in the field groups asked for."""
    query = call.query(ObservationsQueryV2)
    if query.parse_io_as_json:
        raise InvalidArgument("parseIoAsJson is no longer supported: input and output are returned as text")
    limit, _ = query.window(MAX_LIMIT)
    groups = chosen_groups(query.fields, GROUPS, DEFAULT_GROUPS)
    expand = frozenset((query.expand_metadata or "").split(","))
    where, project = all_of(query.where(), call.shown()), call.project_id

    def read() -> dict[str, Any]:
        telemetry = call.services.telemetry
        with telemetry.together():
            page = telemetry.spans(
                Query(
                    project_id=project, where=where, order=_NEWEST, limit=limit, cursor=query.cursor,
                    with_io=bool(groups & _WHOLE), with_attributes="metadata" in groups,
                )
            )  # fmt: skip
            spans: list[Span] = page.rows
            ids: set[str] = set()
            if "trace_context" in groups:
                ids = {span.trace_id for span in spans}
            elif "basic" in groups:
                ids = {span.trace_id for span in spans if span.user_id is None or span.session_id is None}
            found = telemetry.trace_table(project, list(ids), rows.OWNER)
            owners = {trace_id: rows.Owner(*facts) for trace_id, facts in found.items()}
        links = rows.prompt_links(spans) if "prompt" in groups else ()
        prompt_ids = call.services.prompts.version_ids(project, links)
        data = [
            rows.observation_v2(span, project, groups, expand, owners.get(span.trace_id), prompt_ids) for span in spans
        ]
        return {"data": data, "meta": {"cursor": page.next_cursor} if page.next_cursor else {}}

    return await in_thread(read)
