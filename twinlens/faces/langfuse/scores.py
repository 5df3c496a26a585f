"""``/scores``: create (one or many), v1, v2 and v3 reads, delete."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import InvalidArgument, TooLarge
from twinlens.domain.ids import canonical_trace_id
from twinlens.domain.score import Score
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse import rows
from twinlens.faces.langfuse.errors import BadRequest, issue, issue_of
from twinlens.faces.langfuse.traces import chosen_groups, time_range
from twinlens.faces.langfuse.wire import Call, PageQuery, Reply, Result, RouteTable
from twinlens.ingest.batch import Batch
from twinlens.ingest.langfuse import score_draft
from twinlens.ingest.langfuse_bodies import ScoreBody
from twinlens.query import langfuse_filter as filters
from twinlens.query.visible import score_within
from twinlens.store.telemetry.query import Cmp, Expr, Order, Query, all_of

routes = RouteTable()

#: Largest array that is taken at once (server v4.16).
MAX_ARRAY = 1_000_000
V3_GROUPS = frozenset({"core", "details", "subject", "annotation"})
_NEWEST = (Order("timestamp_ns"),)
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)\s*$", re.IGNORECASE)
_VALID = Cmp("valid", "=", True)
_OPERATORS = {"<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "=": "=", "": "="}


# --- create ----------------------------------------------------------------------------------------------------
@routes.on("POST", "/scores", scope="score")
async def create(call: Call) -> Result:
    """One object: 200 with its id. An array (SDK 5): 202, or 207 when some of it was refused; times need a zone there."""
    body = await call.body()
    if body.lstrip()[:1] == b"[":
        return await _create_many(call, body)
    score = await _accept(call, msgspec.json.decode(body, type=ScoreBody))
    await call.services.ingest.submit(Batch(project_id=call.project_id, scores=[score], bytes=len(body)))
    return {"id": score.score_id}


async def _create_many(call: Call, body: bytes) -> Result:
    if len(body) > MAX_ARRAY:
        raise TooLarge(f"An array of scores may have at most {MAX_ARRAY} bytes")
    good: list[Score] = []
    errors: list[dict[str, str]] = []
    for index, raw in enumerate(msgspec.json.decode(body, type=list[msgspec.Raw])):
        try:
            score = msgspec.json.decode(raw, type=ScoreBody)
            if score.timestamp is not None and _ZONE.search(score.timestamp) is None:
                raise InvalidArgument("timestamp: a time zone is needed")
            good.append(await _accept(call, score))
        except InvalidArgument as error:
            errors.append({"message": f"[{index}] {error.message}"})
        except msgspec.DecodeError as error:
            errors.append({"message": f"[{index}] {issue_of(error)['message']}"})
    if good:
        await call.services.ingest.submit(Batch(project_id=call.project_id, scores=good, bytes=len(body)))
    if errors:
        return Reply({"accepted": len(good), "rejected": len(errors), "errors": errors}, 207)
    return Reply({"message": "Accepted"}, 202)


async def _accept(call: Call, body: ScoreBody) -> Score:
    draft = score_draft(body, now_ns())
    accept = call.services.scores.accept
    return await in_thread(accept, call.project_id, draft) if draft.config_id else accept(call.project_id, draft)


# --- read ------------------------------------------------------------------------------------------------------
class ScoresQuery(PageQuery, rename="camel", kw_only=True):
    """Parameters of v1 and v2 lists."""

    user_id: str | None = None
    name: str | None = None
    from_timestamp: str | None = None
    to_timestamp: str | None = None
    environment: list[str] = msgspec.field(default_factory=list[str])
    source: str | None = None
    operator: str = ""
    value: float | None = None
    score_ids: str | None = None
    config_id: str | None = None
    session_id: str | None = None
    dataset_run_id: str | None = None
    trace_id: str | None = None
    observation_id: str | None = None
    queue_id: str | None = None
    data_type: str | None = None
    trace_tags: list[str] = msgspec.field(default_factory=list[str])
    fields: str | None = None
    filter: str | None = None

    def where(self) -> Expr:
        """The condition."""
        if self.filter is not None:
            return all_of(filters.parse(self.filter, filters.SCORES), _VALID)
        found: list[Expr | None] = [
            Cmp(field, "=", value)
            for field, value in (
                ("name", self.name), ("config_id", self.config_id), ("session_id", self.session_id),
                ("dataset_run_id", self.dataset_run_id), ("queue_id", self.queue_id),
                ("trace_id", canonical_trace_id(self.trace_id) if self.trace_id else None),
                ("data_type", self.data_type), ("trace_user_id", self.user_id),
            )
            if value is not None
        ]  # fmt: skip
        if self.observation_id is not None:
            found.append(Cmp("span_id", "in", _split(self.observation_id)))
        if self.score_ids is not None:
            found.append(Cmp("score_id", "in", _split(self.score_ids)))
        if self.source is not None:
            found.append(filters.one_of("source", filters.SOURCES_OF, [self.source]))
        if self.environment:
            found.append(Cmp("environment", "in", self.environment))
        if self.trace_tags:
            tags = [tag for text in self.trace_tags for tag in _split(text)]
            found.append(Cmp("tags", "all of", tags))
        if self.value is not None:
            if self.operator not in _OPERATORS:
                raise BadRequest(issue(f"Invalid operator '{self.operator}'", "operator"))
            found.append(Cmp("value", _OPERATORS[self.operator], self.value))  # type: ignore[arg-type]
        return all_of(*found, *time_range("timestamp_ns", self.from_timestamp, self.to_timestamp), _VALID)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


_OF_TRACE = ("user_id", "tags", "environment", "session_id")


def _with_trace(call: Call, found: list[Score]) -> list[dict[str, Any]]:
    """v1/v2 rows with the few facts of their trace."""
    project = call.project_id
    ids = list({score.trace_id for score in found if score.trace_id})
    owners = {
        trace_id: {"userId": user_id, "tags": tags, "environment": environment, "sessionId": session_id}
        for trace_id, (user_id, tags, environment, session_id) in call.services.telemetry.trace_table(
            project, ids, _OF_TRACE
        ).items()
    }
    return [rows.score_v1(score, project) | {"trace": owners.get(score.trace_id or "")} for score in found]


async def _list(call: Call) -> Result:
    """A page of scores, newest first."""
    query = call.query(ScoresQuery)
    limit, offset = query.window()
    where = all_of(query.where(), score_within(call.visible("experiment", "trace")))
    with_trace = "trace" in chosen_groups(query.fields, frozenset({"score", "trace"}), frozenset({"score", "trace"}))

    def read() -> dict[str, Any]:
        telemetry = call.services.telemetry
        wanted = Query(project_id=call.project_id, where=where, order=_NEWEST, limit=limit, offset=offset)
        with telemetry.together():
            found: list[Score] = telemetry.scores(wanted).rows
            total = telemetry.count("scores", wanted)
            data = _with_trace(call, found) if with_trace else [rows.score_v1(s, call.project_id) for s in found]
        return {"data": data, "meta": query.meta(total)}

    return await in_thread(read)


async def _get(call: Call) -> Result:
    """One score."""
    score = await in_thread(
        call.services.scores.get,
        call.project_id,
        call.path["id"],
        shown=score_within(call.visible("experiment", "trace")),
    )
    return rows.score_v1(score, call.project_id)


for _version in ("", "/v2"):
    routes.on("GET", f"{_version}/scores", scope="read", listed=True)(_list)
    routes.on("GET", f"{_version}/scores/{{id}}", scope="read", listed=True)(_get)


class ScoresQueryV3(PageQuery, rename="camel", kw_only=True):
    """Parameters of ``GET /v3/scores``; most take comma lists."""

    cursor: str | None = None
    id: str | None = None
    name: str | None = None
    source: str | None = None
    data_type: str | None = None
    environment: str | None = None
    config_id: str | None = None
    queue_id: str | None = None
    author_user_id: str | None = None
    trace_id: str | None = None
    session_id: str | None = None
    observation_id: str | None = None
    experiment_id: str | None = None
    value: str | None = None
    value_min: float | None = None
    value_max: float | None = None
    from_timestamp: str | None = None
    to_timestamp: str | None = None
    fields: str | None = None

    def where(self) -> Expr:
        """The condition."""
        if self.observation_id is not None and self.trace_id is None:
            raise BadRequest(issue("observationId requires traceId", "observationId"))
        found: list[Expr | None] = [
            Cmp(field, "in", _split(text))
            for field, text in (
                ("score_id", self.id), ("name", self.name), ("data_type", self.data_type),
                ("environment", self.environment), ("config_id", self.config_id), ("queue_id", self.queue_id),
                ("author_user_id", self.author_user_id), ("session_id", self.session_id),
                ("span_id", self.observation_id), ("dataset_run_id", self.experiment_id),
            )
            if text is not None
        ]  # fmt: skip
        if self.trace_id is not None:
            found.append(Cmp("trace_id", "in", [canonical_trace_id(id) for id in _split(self.trace_id)]))
        if self.source is not None:
            found.append(filters.one_of("source", filters.SOURCES_OF, _split(self.source)))
        if self.value is not None:
            found.append(_value_is(self.value, self.data_type))
        if self.value_min is not None:
            found.append(Cmp("value", ">=", self.value_min))
        if self.value_max is not None:
            found.append(Cmp("value", "<=", self.value_max))
        return all_of(*found, *time_range("timestamp_ns", self.from_timestamp, self.to_timestamp), _VALID)


def _value_is(text: str, data_type: str | None) -> Expr:
    """The value of a v3 query is a number, ``true``/``false`` or text, as the asked data type says."""
    if data_type in ("CATEGORICAL", "TEXT", "CORRECTION"):
        return Cmp("string_value", "in", _split(text))
    if text in ("true", "false"):
        return Cmp("value", "=", float(text == "true"))
    try:
        return Cmp("value", "in", [float(part) for part in _split(text)])
    except ValueError:
        return Cmp("string_value", "in", _split(text))


@routes.on("GET", "/v3/scores", scope="read", listed=True)
async def list_v3(call: Call) -> Result:
    """Scores newest first, by cursor."""
    query = call.query(ScoresQueryV3)
    limit, _ = query.window()
    groups = chosen_groups(query.fields, V3_GROUPS, frozenset({"core"}))
    where = all_of(query.where(), score_within(call.visible("experiment", "trace")))
    wanted = Query(project_id=call.project_id, where=where, order=_NEWEST, limit=limit, cursor=query.cursor)
    page = await in_thread(call.services.telemetry.scores, wanted)
    meta: dict[str, Any] = {"limit": limit}
    if page.next_cursor:
        meta["cursor"] = page.next_cursor
    return {"data": [rows.score_v3(score, call.project_id, groups) for score in page.rows], "meta": meta}


@routes.on("DELETE", "/scores/{id}", scope="write")
async def delete(call: Call) -> Result:
    """202; the score is gone when this answers."""
    await in_thread(call.services.scores.delete, call.project_id, call.path["id"])
    return Reply({"message": "Score deletion request accepted"}, 202)
