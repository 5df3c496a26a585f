"""Requests and answers of the native API (``/api/twinlens/v1``). Its OpenAPI document is generated from these.

Conventions: ``snake_case``; times are milliseconds since the epoch as numbers (``*_ms``, fractions allowed, exact to
the microsecond; nanoseconds would not survive JavaScript); money is USD; ``None`` means "not known" or "not there".
Cursors are opaque: hand ``next_cursor`` back as ``cursor`` for the next page; its absence marks the last page.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from twinlens.faces.native.run_schemas import RunRow
from twinlens.faces.native.trace_schemas import TraceRow


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
