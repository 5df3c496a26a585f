"""The tools of ``/mcp``: a name, what it is for, and the endpoint with the places of its arguments.

The prompt tools have the names and arguments of Langfuse's server (documentation of November 2026); the others follow them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from twinlens.domain.errors import InvalidArgument

Where = Literal["path", "query", "body"]
Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "integer"}
_TEXTS: Json = {"type": "array", "items": {"type": "string"}}
_TIME: Json = {"type": "string", "format": "date-time"}


class Argument(msgspec.Struct, frozen=True):
    """One argument of a tool; ``to`` is its name at the endpoint when that differs."""

    name: str
    where: Where
    schema: Json
    says: str = ""
    required: bool = False
    to: str | None = None


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """One tool. ``fixed`` is part of the body whatever the arguments are."""

    name: str
    says: str
    method: str
    path: str
    arguments: tuple[Argument, ...] = ()
    fixed: Json = {}
    destructive: bool = False

    def description(self) -> Json:
        """As ``tools/list`` shows it."""
        properties = {a.name: {**a.schema, **({"description": a.says} if a.says else {})} for a in self.arguments}
        return {
            "name": self.name, "description": self.says,
            "inputSchema": {
                "type": "object", "properties": properties, "additionalProperties": False,
                "required": [a.name for a in self.arguments if a.required],
            },
            "annotations": {"readOnlyHint": self.method == "GET", "destructiveHint": self.destructive},
        }  # fmt: skip

    def request(self, given: Json) -> tuple[dict[str, str], list[tuple[str, str]], Json]:
        """Path values, query and body of the endpoint.

        Raises:
            InvalidArgument: an argument is missing or unknown.
        """
        known = {a.name: a for a in self.arguments}
        if unknown := sorted(set(given) - set(known)):
            raise InvalidArgument(f"unknown argument {', '.join(unknown)}; known: {', '.join(known) or 'none'}")
        if missing := [a.name for a in self.arguments if a.required and given.get(a.name) is None]:
            raise InvalidArgument(f"missing argument: {', '.join(missing)}")
        path: dict[str, str] = {}
        query: list[tuple[str, str]] = []
        body: Json = dict(self.fixed)
        for name, value in given.items():
            at, to = known[name].where, known[name].to or name
            if value is None:
                continue
            if at == "path":
                path[to] = str(value)
            elif at == "body":
                body[to] = value
            else:
                query += [(to, _plain(one)) for one in (value if isinstance(value, list) else [value])]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return path, query, body


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _path(name: str, says: str = "", to: str | None = None, schema: Json = _TEXT) -> Argument:
    return Argument(name, "path", schema, says, required=True, to=to)


def _query(name: str, schema: Json = _TEXT, says: str = "", *, required: bool = False) -> Argument:
    return Argument(name, "query", schema, says, required)


def _body(name: str, schema: Json = _TEXT, says: str = "", *, required: bool = False) -> Argument:
    return Argument(name, "body", schema, says, required)


_PAGE = (_query("page", _NUMBER, "From 1."), _query("limit", _NUMBER, "At most 100."))
_FILTER = _query("filter", {"type": "array"}, "Conditions {type, column, operator, value, key?} in Langfuse's form.")
_PROMPT = (
    _body("name", says="May hold folders: support/greet.", required=True),
    _body("labels", _TEXTS, "They move here from other versions; production is what programs fetch."),
    _body("config", {"type": "object"}, "Model parameters and the like."),
    _body("tags", _TEXTS),
    _body("commitMessage", says="What changed."),
)
_MESSAGES: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"role": {"type": "string"}, "content": {"type": "string"}},
        "required": ["role", "content"],
    },
}
_QUERY: Json = {
    "type": "object",
    "description": (
        "{view: observations | scores-numeric | scores-boolean | scores-categorical, metrics: [{measure, aggregation}], "
        "dimensions: [{field}], filters: [], timeDimension: {granularity: auto|minute|hour|day|week|month}, fromTimestamp, "
        "toTimestamp, orderBy: [{field, direction}], config: {row_limit}}. Measures: count, latency (ms), timeToFirstToken, "
        "inputTokens, outputTokens, totalTokens, totalCost, value (scores). Dimensions: name, type, model, userId, traceName, "
        "environment, promptName, promptVersion, tags."
    ),
}

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            name="getPrompt", says="One version of a prompt with what it includes put in; production by default.",
            method="GET", path="/v2/prompts/{name*}",
            arguments=(_path("name"), _query("label"), _query("version", _NUMBER)),
        ),
        Tool(
            name="getPromptUnresolved", says="One version of a prompt as written, inclusions of other prompts as tokens.",
            method="GET", path="/v2/prompts/{name*}",
            arguments=(_path("name"), _query("label"), _query("version", _NUMBER), _query("resolve", {"type": "boolean", "default": False})),
        ),
        Tool(
            name="listPrompts", says="Prompts by name with versions, labels and tags.", method="GET", path="/v2/prompts",
            arguments=(_query("name", says="One prompt, or a folder when it ends in a slash."), _query("label"), _query("tag"),
                       _query("fromUpdatedAt", _TIME), _query("toUpdatedAt", _TIME), *_PAGE),
        ),
        Tool(
            name="createTextPrompt", says="Add a version of a text prompt, and the prompt if it is new.", method="POST",
            path="/v2/prompts", fixed={"type": "text"},
            arguments=(_body("prompt", says="Variables as {{name}}.", required=True), *_PROMPT),
        ),
        Tool(
            name="createChatPrompt", says="Add a version of a chat prompt, and the prompt if it is new.", method="POST",
            path="/v2/prompts", fixed={"type": "chat"}, arguments=(_body("prompt", _MESSAGES, required=True), *_PROMPT),
        ),
        Tool(
            name="updatePromptLabels", says="Put labels on a version, taking them from other versions.", method="PATCH",
            path="/v2/prompts/{name*}/versions/{version}", destructive=True,
            arguments=(_path("name"), _path("version", schema=_NUMBER), _body("newLabels", _TEXTS, required=True)),
        ),
        Tool(
            name="listTraces", says="Traces, newest first, without their observations' texts.", method="GET", path="/traces",
            arguments=(_query("userId"), _query("name"), _query("sessionId"), _query("tags", _TEXTS), _query("environment", _TEXTS),
                       _query("version"), _query("release"), _query("fromTimestamp", _TIME), _query("toTimestamp", _TIME),
                       _query("orderBy", says="timestamp.desc, and the like."), _FILTER, *_PAGE),
        ),
        Tool(
            name="getTrace", says="One trace with all observations and scores.", method="GET", path="/traces/{id}",
            arguments=(_path("traceId", to="id"),),
        ),
        Tool(
            name="listObservations", says="Observations (model calls, tools, steps), newest first; `meta.cursor` leads on.",
            method="GET", path="/v2/observations",
            arguments=(_query("traceId"), _query("name"), _query("type", says="GENERATION, SPAN, TOOL, AGENT …"), _query("level"),
                       _query("userId"), _query("environment", _TEXTS), _query("fromStartTime", _TIME), _query("toStartTime", _TIME),
                       _query("fields", says="Groups: core,basic,time,io,metadata,model,usage,prompt,metrics."), _FILTER,
                       _query("limit", _NUMBER), _query("cursor")),
        ),
        Tool(
            name="getObservation", says="One observation with input and output.", method="GET", path="/observations/{id}",
            arguments=(_path("observationId", to="id"),),
        ),
        Tool(
            name="listSessions", says="Sessions, newest first.", method="GET", path="/sessions",
            arguments=(_query("fromTimestamp", _TIME), _query("toTimestamp", _TIME), *_PAGE),
        ),
        Tool(
            name="queryMetrics", says="Counts, costs, tokens, latencies and scores, grouped and over time.", method="GET",
            path="/v2/metrics", arguments=(_query("query", _QUERY, required=True),),
        ),
        Tool(
            name="listScores", says="Scores, newest first.", method="GET", path="/v3/scores",
            arguments=(_query("name"), _query("traceId"), _query("observationId"), _query("sessionId"), _query("source"),
                       _query("dataType"), _query("fromTimestamp", _TIME), _query("toTimestamp", _TIME), _query("fields"),
                       _query("limit", _NUMBER), _query("cursor")),
        ),
        Tool(
            name="createScore", says="Judge a trace, an observation or a session.", method="POST", path="/scores",
            arguments=(_body("name", required=True), _body("value", {"type": ["number", "string", "boolean"]}, required=True),
                       _body("traceId"), _body("observationId"), _body("sessionId"), _body("dataType"), _body("comment"),
                       _body("configId"), _body("id", says="The same id again overwrites.")),
        ),
        Tool(
            name="listDatasets", says="Datasets.", method="GET", path="/v2/datasets", arguments=_PAGE,
        ),
        Tool(
            name="getDataset", says="One dataset by name.", method="GET", path="/v2/datasets/{name*}",
            arguments=(_path("datasetName", to="name"),),
        ),
        Tool(
            name="listDatasetItems", says="Items of a dataset, newest first.", method="GET", path="/dataset-items",
            arguments=(_query("datasetName", required=True), _query("version", _TIME, "As they were then."), *_PAGE),
        ),
        Tool(
            name="createDataset", says="A dataset, or other facts of the one of this name.", method="POST", path="/v2/datasets",
            arguments=(_body("name", required=True), _body("description"), _body("metadata", {"type": "object"})),
        ),
        Tool(
            name="createDatasetItem", says="Add an item, or overwrite the one of this id.", method="POST", path="/dataset-items",
            arguments=(_body("datasetName", required=True), _body("input", {}), _body("expectedOutput", {}),
                       _body("metadata", {"type": "object"}), _body("id"), _body("sourceTraceId"), _body("sourceObservationId")),
        ),
        Tool(
            name="listComments", says="Comments on traces, observations, sessions and prompts.", method="GET", path="/comments",
            arguments=(_query("objectType"), _query("objectId"), *_PAGE),
        ),
        Tool(
            name="listModels", says="Prices of models.", method="GET", path="/models", arguments=_PAGE,
        ),
    )
}  # fmt: skip
