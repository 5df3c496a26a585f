"""Requests and answers of the native API about traces, their spans and scores, and sessions; the conventions are those of ``schemas``."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class ScoreBadge(Struct, kw_only=True):
    """A valid score, as lists show it. ``count`` > 1: the average of several (numbers), or the newest (others)."""

    name: str
    value: float | None
    string_value: str | None
    data_type: str
    kind: str = "feedback"  #: feedback | expectation | issue; then the name is an issue's id
    count: int = 1


class TraceRow(Struct, kw_only=True):
    """One row of the trace list; also the ``data`` of live ``trace`` events."""

    trace_id: str
    experiment_id: str
    name: str | None
    start_ms: float
    latency_ms: float | None  #: None while it runs
    status: str  #: unset (in progress) | ok | error
    level: str
    user_id: str | None
    session_id: str | None
    environment: str
    release: str | None
    version: str | None
    service: str | None
    bookmarked: bool
    tags: list[str]
    tag_values: dict[str, str]
    models: list[str]
    run_ids: list[str]
    prompts: list[str]
    input_preview: str | None
    output_preview: str | None
    span_count: int
    error_count: int
    warning_count: int
    model_call_count: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    total_cost: float | None  #: None: nobody knows (never 0 for "unknown")
    usage_source: str  #: client | estimated | masked | none
    source: str
    updated_ms: float
    scores: list[ScoreBadge] = []


class TracePage(Struct, kw_only=True):
    """``GET /projects/{project_id}/traces``: newest first unless ``order`` says otherwise."""

    traces: list[TraceRow]
    next_cursor: str | None = None


class CountAnswer(Struct, kw_only=True):
    """``GET /projects/{project_id}/traces/count``."""

    count: int


class HistogramBar(Struct, kw_only=True):
    """Traces that started in one slice."""

    start_ms: float
    traces: int
    errors: int


class TraceHistogram(Struct, kw_only=True):
    """``GET /projects/{project_id}/traces/histogram``: the same filter as the list, counted over time, without gaps."""

    bucket_ms: float
    bars: list[HistogramBar]


class FilterField(Struct, kw_only=True):
    """One word of the filter language."""

    name: str
    type: Literal["text", "number", "duration", "time", "choice", "boolean"]
    help: str
    example: str
    choices: list[str] = []  #: all values, for ``choice``
    suggests: bool = False  #: ``/traces/values`` knows this field


class FilterFields(Struct, kw_only=True):
    """``GET /projects/{project_id}/traces/fields``."""

    fields: list[FilterField]


class FieldValue(Struct, kw_only=True):
    """A value and how many traces have it."""

    value: str
    count: int


class FieldValues(Struct, kw_only=True):
    """``GET /projects/{project_id}/traces/values?field=user&prefix=al``: for filter menus and typeahead."""

    values: list[FieldValue]


class SpanRow(Struct, gc=False):
    """A span of the trace skeleton: everything but payloads."""

    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start_ms: float
    end_ms: float | None
    latency_ms: float | None
    ttft_ms: float | None  #: time to first token
    status: str
    level: str
    status_message: str
    model: str | None
    provider: str | None
    tool_name: str | None
    agent_name: str | None
    prompt_name: str | None
    prompt_version: int | None
    usage: dict[str, int]
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost: dict[str, float]
    total_cost: float | None
    usage_source: str
    cost_source: str
    counted: bool  #: False: a wrapper or twin whose usage another span already reports
    input_preview: str | None
    output_preview: str | None
    dialect: str


class ScoreRow(Struct, kw_only=True):
    """One score. ``value`` for numbers and booleans (0/1), ``string_value`` for text, ``json_value`` for the rest."""

    score_id: str
    name: str
    data_type: str
    kind: str  #: feedback | expectation | issue
    trace_id: str | None
    span_id: str | None
    session_id: str | None
    value: float | None
    string_value: str | None
    json_value: str | None
    source: str
    source_id: str | None
    comment: str | None
    metadata: dict[str, Any]
    timestamp_ms: float
    updated_ms: float
    valid: bool


class TraceDetail(Struct, kw_only=True):
    """``GET /projects/{project_id}/traces/{trace_id}``: the skeleton. Payloads of spans come on demand."""

    trace: TraceRow
    root_span_id: str | None
    input: str | None  #: JSON text
    output: str | None  #: JSON text
    metadata: dict[str, Any]
    usage: dict[str, int]
    cost: dict[str, float]
    public: bool
    client_request_id: str | None
    spans: list[SpanRow]  #: by start time
    scores: list[ScoreRow]  #: oldest first
    truncated: bool = False  #: more spans exist than were sent


class SpanEventRow(Struct, kw_only=True):
    """A point in time inside a span."""

    name: str
    time_ms: float
    attributes: dict[str, Any]


class SpanLinkRow(Struct, kw_only=True):
    """A pointer to a span of another trace."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


class SpanDetail(Struct, kw_only=True):
    """``GET /projects/{project_id}/traces/{trace_id}/spans/{span_id}``: one whole span."""

    span: SpanRow
    input: str | None  #: JSON text: often chat messages
    output: str | None
    metadata: dict[str, Any]
    model_parameters: dict[str, Any]
    attributes: dict[str, Any]  #: as received
    events: list[SpanEventRow]
    links: list[SpanLinkRow]
    resource: dict[str, Any]
    scope_name: str
    scope_version: str
    rules: dict[str, str]  #: canonical field -> rule that filled it
    price_id: str | None
    scores: list[ScoreRow]


class TraceEdit(Struct, kw_only=True, omit_defaults=True):
    """``PATCH /projects/{project_id}/traces/{trace_id}``: fields left out stay as they are."""

    bookmarked: bool | None = None
    public: bool | None = None
    tags: list[str] | None = None  #: replaces the list
    tag_values: dict[str, str | None] | None = None  #: merged; null deletes a key


class TraceIds(Struct, kw_only=True):
    """``POST /projects/{project_id}/traces/delete``."""

    trace_ids: list[str]


class NewScore(Struct, kw_only=True, omit_defaults=True):
    """``POST /projects/{project_id}/scores``. The data type follows from the value when not given."""

    name: str
    value: float | bool | str
    trace_id: str | None = None
    span_id: str | None = None
    session_id: str | None = None
    data_type: Literal["NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT"] | None = None
    kind: Literal["feedback", "expectation"] = "feedback"
    comment: str | None = None
    metadata: dict[str, Any] = {}
    score_id: str | None = None


class ScoreEdit(Struct, kw_only=True, omit_defaults=True):
    """``PATCH /projects/{project_id}/scores/{score_id}``: fields left out stay as they are."""

    value: float | bool | str | None = None
    comment: str | None = None


class SessionRow(Struct, kw_only=True):
    """A conversation: the traces that share a session id."""

    session_id: str
    traces: int
    errors: int
    first_ms: float
    last_ms: float
    total_tokens: int
    total_cost: float
    users: int


class SessionPage(Struct, kw_only=True):
    """``GET /projects/{project_id}/sessions``: most recently active first."""

    sessions: list[SessionRow]
    next_cursor: str | None = None
