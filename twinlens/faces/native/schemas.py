"""Requests and answers of the native API (``/api/twinlens/v1``). Its OpenAPI document is generated from these.

Conventions: ``snake_case``; times are milliseconds since the epoch as numbers (``*_ms``, fractions allowed, exact to
the microsecond; nanoseconds would not survive JavaScript); money is USD; ``None`` means "not known" or "not there".
Cursors are opaque: hand ``next_cursor`` back as ``cursor`` for the next page; its absence marks the last page.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class Problem(Struct, kw_only=True):
    """Every error of this API. ``position`` is the character offset in a filter text."""

    message: str
    error: str  #: class of error: InvalidArgument, NotFound, …
    position: int | None = None
    suggestion: str | None = None


# --- instance, projects ------------------------------------------------------------------------------------------------
class SnippetKeys(Struct, kw_only=True):
    """What to show in snippets. In open mode any key works; in secured mode the secret is a blank to fill in."""

    public_key: str
    secret_key: str
    needed: bool  #: False in open mode: clients that require a key may send these


class Session(Struct, kw_only=True):
    """``GET /session``: what the UI needs before anything else."""

    version: str
    mode: Literal["open", "secured"]
    signed_in: bool  #: False: the server is secured and the browser has to go to ``/login``
    user: str | None
    default_project_id: str
    base_url: str  #: address to print in snippets, no trailing slash
    grpc_port: int | None
    keys: SnippetKeys


class ProjectInfo(Struct, kw_only=True):
    """One project the caller may use."""

    id: str
    name: str
    organization_id: str
    created_ms: float
    retention_days: int | None = None


class ProjectList(Struct, kw_only=True):
    """``GET /projects``."""

    projects: list[ProjectInfo]


class NewProject(Struct, kw_only=True):
    """``POST /projects``."""

    name: str
    id: str | None = None
    retention_days: int | None = None


class KeyInfo(Struct, kw_only=True):
    """One API key. ``secret_key`` is present only in the answer that creates it."""

    id: str
    public_key: str
    hint: str
    kind: str
    note: str
    created_ms: float
    last_used_ms: float | None = None  #: to within ten minutes
    secret_key: str | None = None


class KeyList(Struct, kw_only=True):
    """``GET /projects/{project_id}/keys``."""

    keys: list[KeyInfo]


class NewKey(Struct, kw_only=True):
    """``POST /projects/{project_id}/keys``."""

    note: str = ""
    kind: Literal["project", "read-only", "ingest-only", "organization"] = "project"


class SignIn(Struct, kw_only=True):
    """``POST /sign-in``; the answer sets a cookie."""

    email: str
    password: str


class Done(Struct, kw_only=True):
    """How many things a change touched."""

    count: int


# --- overview ------------------------------------------------------------------------------------------------------------
class Percentiles(Struct, kw_only=True):
    """Of trace latency, in milliseconds."""

    p50: float | None
    p95: float | None
    p99: float | None


class TimeBucket(Struct, kw_only=True):
    """Everything that started in one slice of time."""

    start_ms: float
    traces: int
    errors: int
    total_tokens: int
    total_cost: float
    latency: Percentiles


class ModelUse(Struct, kw_only=True):
    """Calls of one model."""

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    total_cost: float
    latency: Percentiles


class NameUse(Struct, kw_only=True):
    """Traces of one name."""

    name: str
    traces: int
    errors: int
    total_cost: float
    latency: Percentiles


class ScoreUse(Struct, kw_only=True):
    """Scores of one name. ``average`` is None for categories and text."""

    name: str
    count: int
    average: float | None


class Totals(Struct, kw_only=True):
    """Over the whole range."""

    traces: int
    errors: int
    model_calls: int
    total_tokens: int
    input_tokens: int
    output_tokens: int
    total_cost: float
    users: int
    sessions: int
    latency: Percentiles


class Overview(Struct, kw_only=True):
    """``GET /projects/{project_id}/overview?from_ms&to_ms``. ``empty``: nothing was ever recorded in this project."""

    from_ms: float
    to_ms: float
    bucket_ms: float
    empty: bool
    totals: Totals
    previous: Totals  #: the range of the same length before, for comparison
    timeline: list[TimeBucket]  #: without gaps, oldest first
    models: list[ModelUse]  #: most expensive first
    names: list[NameUse]  #: most frequent first
    scores: list[ScoreUse]
    recent_traces: list[TraceRow]
    recent_runs: list[RunRow]


# --- traces --------------------------------------------------------------------------------------------------------------
class ScoreBadge(Struct, kw_only=True):
    """A valid score, as lists show it. ``count`` > 1: the average of several (numbers), or the newest (others)."""

    name: str
    value: float | None
    string_value: str | None
    data_type: str
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


class SpanRow(Struct, kw_only=True):
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


# --- experiments and runs ----------------------------------------------------------------------------------------------
class ExperimentRow(Struct, kw_only=True):
    """One experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: Literal["active", "deleted"]
    tags: dict[str, str]
    created_ms: float
    updated_ms: float
    run_count: int | None = None
    last_run_ms: float | None = None  #: start of the newest active run


class ExperimentList(Struct, kw_only=True):
    """``GET /projects/{project_id}/experiments``."""

    experiments: list[ExperimentRow]
    next_cursor: str | None = None


class NewExperiment(Struct, kw_only=True):
    """``POST /projects/{project_id}/experiments``."""

    name: str
    tags: dict[str, str] = {}


class ExperimentEdit(Struct, kw_only=True):
    """``PATCH /projects/{project_id}/experiments/{experiment_id}``."""

    name: str


class MetricValue(Struct, kw_only=True):
    """Newest value of a metric. Text for values that JSON numbers cannot hold: ``NaN``, ``Infinity``, ``-Infinity``."""

    value: float | str
    step: int
    timestamp_ms: float


class RunRow(Struct, kw_only=True):
    """One row of the run table; also the ``data`` of live ``run`` events (then without metrics, params and tags)."""

    run_id: str
    experiment_id: str
    name: str
    status: str  #: RUNNING | SCHEDULED | FINISHED | FAILED | KILLED
    lifecycle_stage: str
    user: str
    start_ms: float | None
    end_ms: float | None
    duration_ms: float | None
    metrics: dict[str, MetricValue] = {}
    params: dict[str, str] = {}
    tags: dict[str, str] = {}


class RunPage(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs``: ``filter`` and ``order_by`` are MLflow's grammar."""

    runs: list[RunRow]
    metric_keys: list[str]  #: of the runs of this page, sorted: the possible columns
    param_keys: list[str]
    tag_keys: list[str]
    next_cursor: str | None = None


class DatasetUse(Struct, kw_only=True):
    """A data set that went into a run."""

    name: str
    digest: str
    source_type: str
    context: str | None


class ModelLink(Struct, kw_only=True):
    """A logged model that a run made or used, or a registered version of it."""

    model_id: str | None
    name: str
    version: str | None
    status: str | None


class RunDetail(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs/{run_id}``."""

    run: RunRow
    experiment: ExperimentRow
    artifact_uri: str
    note: str | None  #: the description (tag ``mlflow.note.content``)
    datasets: list[DatasetUse]
    models: list[ModelLink]
    trace_count: int


class MetricKeys(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs/{run_id}/metrics``: newest values by key."""

    metrics: dict[str, MetricValue]


class SeriesBucket(Struct, kw_only=True):
    """All points of one pixel column. Values as in ``MetricValue`` (text for NaN and infinities)."""

    step_min: int
    step_max: int
    time_min_ms: float
    time_max_ms: float
    first: float | str | None
    last: float | str | None
    min: float | str | None
    max: float | str | None
    mean: float | str | None
    count: int
    nan_count: int = 0


class Series(Struct, kw_only=True):
    """One curve: one metric of one run, oldest bucket first."""

    run_id: str
    key: str
    buckets: list[SeriesBucket]


class SeriesList(Struct, kw_only=True):
    """``GET /projects/{project_id}/metrics/buckets?run_id=…&key=…&buckets=600&x=step``."""

    series: list[Series]


class RunCompare(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs/compare?run_id=…``: whole rows, and which keys differ."""

    runs: list[RunRow]
    differing_params: list[str]
    differing_metrics: list[str]
    differing_tags: list[str]


class RunIds(Struct, kw_only=True):
    """``POST /projects/{project_id}/runs/delete`` and ``…/restore``."""

    run_ids: list[str]


class RunEdit(Struct, kw_only=True, omit_defaults=True):
    """``PATCH /projects/{project_id}/runs/{run_id}``."""

    name: str | None = None
    note: str | None = None
    tags: dict[str, str | None] | None = None  #: merged; null deletes a key


class ArtifactRow(Struct, kw_only=True):
    """One entry of a folder. ``path`` is relative to the run's root."""

    path: str
    name: str
    is_dir: bool
    size: int | None


class ArtifactList(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs/{run_id}/artifacts?path=``."""

    path: str
    entries: list[ArtifactRow]


class ArtifactPreview(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs/{run_id}/artifacts/preview?path=``.

    ``text``/``json``/``csv``/``markdown`` carry ``text``; ``image``/``html``/``pdf`` are shown from ``url`` (html in a
    sandbox); ``binary`` (pickles too) is offered for download only and never opened.
    """

    path: str
    kind: Literal["text", "json", "csv", "markdown", "image", "html", "pdf", "binary"]
    size: int | None
    content_type: str
    url: str  #: the file itself, relative to the server
    text: str | None = None
    truncated: bool = False


# --- registry ------------------------------------------------------------------------------------------------------------
class ModelVersionRow(Struct, kw_only=True):
    """One version of a registered model."""

    name: str
    version: str
    status: str
    stage: str
    aliases: list[str]
    description: str
    source: str
    run_id: str | None
    tags: dict[str, str]
    created_ms: float
    updated_ms: float


class RegisteredModelRow(Struct, kw_only=True):
    """One registered model."""

    name: str
    description: str
    tags: dict[str, str]
    aliases: dict[str, str]  #: alias -> version
    latest_versions: list[ModelVersionRow]
    created_ms: float
    updated_ms: float


class RegisteredModelPage(Struct, kw_only=True):
    """``GET /projects/{project_id}/models``."""

    models: list[RegisteredModelRow]
    next_cursor: str | None = None


class RegisteredModelDetail(Struct, kw_only=True):
    """``GET /projects/{project_id}/models/{name}``: versions newest first."""

    model: RegisteredModelRow
    versions: list[ModelVersionRow]


# --- live ------------------------------------------------------------------------------------------------------------------
class LiveEvent(Struct, kw_only=True):
    """``data`` of one server-sent event of ``GET /projects/{project_id}/live?kinds=trace,metric``.

    The event name equals ``kind``. ``trace``: ``trace`` holds the row. ``metric``: ``id`` is the run, ``keys`` what
    grew. ``gap``: notices were lost, reload. ``score``: ``trace_id`` says where. Others carry the id only. A comment
    line comes every 15 seconds without events.
    """

    kind: Literal[
        "trace", "span", "score", "metric", "run", "experiment", "model", "prompt", "deployment", "gap", "deleted"
    ]
    id: str
    trace: TraceRow | None = None
    trace_id: str | None = None
    experiment_id: str | None = None
    keys: list[str] | None = None
    data: dict[str, Any] = {}


class InstanceStats(Struct, kw_only=True):
    """``GET /stats``: rows, bytes and queue of the instance."""

    version: str
    uptime_s: float
    telemetry: dict[str, Any]
    data_bytes: int
    free_bytes: int


class Reclaimed(Struct, kw_only=True):
    """``POST /reclaim``: what nothing referred to any more."""

    payloads_kept: int
    payloads_dropped: int
    bytes_dropped: int
