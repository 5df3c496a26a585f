"""Traces and spans as every face and store sees them.

A ``Span`` is what one exporter reported about one unit of work, already normalised: canonical fields filled by the
dialect rules, the raw attributes kept beside them. A ``TracePatch`` is what somebody said about a trace as a whole
(Langfuse ``trace-create``, MLflow ``TraceInfo``, trace attributes on a span). A ``TraceSummary`` is the stored row that
lists read; it is derived from spans and patches at commit by ``twinlens.domain.merge`` and never computed on read.

Times are nanoseconds since the epoch; money is USD; token counts are whole numbers.
``input`` and ``output`` are JSON *text* (a plain string arrives as a JSON string), never parsed on the write path.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SpanKind = Literal[
    "span", "generation", "event", "agent", "tool", "chain", "retriever", "embedding", "evaluator", "guardrail",
    "reranker", "parser", "memory", "workflow", "task", "unknown",
]  # fmt: skip
#: Kinds that stand for one call of one model; only these are priced.
MODEL_KINDS: frozenset[str] = frozenset({"generation", "embedding", "reranker"})

Status = Literal["unset", "ok", "error"]
Level = Literal["DEBUG", "DEFAULT", "WARNING", "ERROR"]
#: Where a span's cost comes from: the client's own figure, a price row, or nowhere.
CostSource = Literal["client", "computed", "none"]
#: Where a span's token counts come from. ``masked``: text and counts were both withheld, so the truth is "unknown".
UsageSource = Literal["client", "estimated", "masked", "none"]


# ``gc=False`` throughout: none of these can be part of a cycle, and the collector need not walk what the write path holds.
class SpanEvent(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A point in time inside a span (exceptions, messages)."""

    name: str
    time_ns: int
    attributes: dict[str, Any] = {}


class SpanLink(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A pointer to a span of another trace."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any] = {}


class Scope(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The instrumentation library that made the span."""

    name: str = ""
    version: str = ""
    attributes: dict[str, Any] = {}


class Span(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One span (Langfuse: observation).

    ``usage`` keys are disjoint: ``input``, ``input_cached_tokens``, ``input_cache_creation`` (``_5m``/``_1h``),
    ``input_audio_tokens``, ``input_image_tokens``, ``output``, ``output_reasoning_tokens``, ``output_audio_tokens``…,
    and ``total``, which is their sum unless the client said otherwise. ``cost`` has the same keys in USD.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    name: str = ""
    kind: str = "span"
    start_ns: int = 0
    end_ns: int | None = None  #: None while the work is still going on
    status: str = "unset"
    status_message: str = ""
    level: str = "DEFAULT"
    completion_start_ns: int | None = None  #: first token
    is_app_root: bool = False  #: stands for a root although a parent exists elsewhere

    model: str | None = None  #: as reported
    provider: str | None = None
    model_parameters: dict[str, Any] = {}
    usage: dict[str, int] = {}
    cost: dict[str, float] = {}
    usage_source: str = "none"
    cost_source: str = "none"
    price_id: str | None = None  #: which price row computed the cost
    counted: bool = True  #: False when a parent or twin span reports the same usage (see domain.merge)

    input: str | None = None
    output: str | None = None
    metadata: dict[str, Any] = {}
    prompt_name: str | None = None
    prompt_version: int | None = None
    tool_name: str | None = None
    agent_name: str | None = None

    user_id: str | None = None
    session_id: str | None = None
    environment: str | None = None
    release: str | None = None
    version: str | None = None
    service: str | None = None

    attributes: dict[str, Any] = {}  #: raw span attributes, as received
    events: list[SpanEvent] = []
    links: list[SpanLink] = []
    resource: dict[str, Any] = {}
    scope: Scope = msgspec.field(default_factory=Scope)
    otel_kind: int = 0  #: OTLP SpanKind number
    trace_state: str = ""

    dialect: str = ""  #: name of the dialect table that recognised the span
    rules: dict[str, str] = {}  #: canonical field -> name of the rule that filled it
    source: str = "otlp"  #: otlp | langfuse | mlflow | native
    partial: bool = False  #: an update without its create: only the fields in ``given`` are meant
    #: For partial updates: the field names the client really sent; of a create that came with updates: what those said.
    given: frozenset[str] | None = None

    # filled by the store
    created_ns: int = 0
    updated_ns: int = 0
    input_preview: str | None = None
    output_preview: str | None = None

    @property
    def latency_ns(self) -> int | None:
        """Duration, or None while the span is open."""
        return None if self.end_ns is None else max(0, self.end_ns - self.start_ns)

    @property
    def total_cost(self) -> float:
        """USD; ``total`` when present, else the sum of the parts."""
        cost = self.cost
        return cost["total"] if "total" in cost else sum(cost.values())


class TracePatch(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What a writer says about a trace. ``None`` means "not said" and never erases.

    ``authority`` orders the writers of one trace: ``spans`` (derived from span attributes) gives way to
    ``client`` (Langfuse trace-create and friends) for every field both name, and MLflow's final TraceInfo (``final``)
    also fixes times, status and previews against what spans say (reference: MLflow 3.18, two writers in any order).
    """

    trace_id: str
    experiment_id: str | None = None
    name: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    status: str | None = None
    input: str | None = None
    output: str | None = None
    input_preview: str | None = None
    output_preview: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    environment: str | None = None
    release: str | None = None
    version: str | None = None
    public: bool | None = None
    bookmarked: bool | None = None
    tags: list[str] | None = None  #: united with what is there
    tag_values: dict[str, str | None] | None = None  #: MLflow's key-value tags; None deletes a key
    metadata: dict[str, Any] | None = None  #: deep-merged
    client_request_id: str | None = None
    run_ids: list[str] | None = None  #: linked runs, united
    prompts: list[str] | None = None  #: linked prompt versions as ``name/version``, united
    usage: dict[str, int] | None = None  #: totals the client reports for the whole trace; win over computed ones
    cost: dict[str, float] | None = None
    authority: str = "spans"  #: spans | client | final
    replace_tags: bool = False  #: the list replaces instead of uniting (native and UI edits)
    said_ns: int = 0  #: when it was said: among equals the latest word wins; 0 = now (arrival order)


class SummaryState(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What ``domain.summary`` has to remember between commits so that the order of arrival does not matter."""

    origins: dict[str, int] = {}  #: field -> time of the statement (or start of the span) its value comes from
    root_rank: int = 3  #: 0 no parent, 1 stands for a root, 2 any other span, 3 no span yet
    root_start_ns: int = 0
    weakest: int = 0  #: weakest usage source so far, as a rank
    reporters: int = 0  #: spans that report usage or cost
    wrappers: int = 0  #: those of them that are not model calls
    scopes: list[str] = []  #: instrumentation scopes that reported model usage


class TraceSummary(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The row that lists read: one per trace, maintained at commit."""

    trace_id: str
    experiment_id: str = "0"
    name: str | None = None
    root_span_id: str | None = None
    start_ns: int = 0
    end_ns: int | None = None  #: latest end seen; None while nothing has ended
    status: str = "unset"  #: unset (in progress) | ok | error
    level: str = "DEFAULT"  #: worst level of its spans
    input: str | None = None  #: explicit trace input, else the root span's (loaded on demand)
    output: str | None = None
    input_preview: str | None = None
    output_preview: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    environment: str = "default"
    release: str | None = None
    version: str | None = None
    service: str | None = None
    public: bool = False
    bookmarked: bool = False
    tags: list[str] = []
    tag_values: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    client_request_id: str | None = None
    run_ids: list[str] = []
    prompts: list[str] = []
    models: list[str] = []
    span_count: int = 0
    error_count: int = 0
    warning_count: int = 0
    model_call_count: int = 0
    usage: dict[str, int] = {}  #: totals over counted spans, disjoint keys plus ``total``
    cost: dict[str, float] = {}
    usage_source: str = "none"  #: weakest source among counted spans: client | estimated | masked | none
    client_usage: bool = False  #: the totals are the client's own (TraceInfo), not computed
    final: bool = False  #: MLflow's TraceInfo has arrived
    client_fields: frozenset[str] = frozenset()  #: fields set by an authority above ``spans``
    source: str = "otlp"
    created_ns: int = 0
    updated_ns: int = 0
    state: SummaryState = msgspec.field(default_factory=SummaryState)  #: for ``domain.summary`` only

    @property
    def latency_ns(self) -> int | None:
        """Duration, or None while nothing has ended."""
        return None if self.end_ns is None else max(0, self.end_ns - self.start_ns)

    @property
    def total_cost(self) -> float:
        """USD over the whole trace."""
        return self.cost.get("total", 0.0)

    @property
    def total_tokens(self) -> int:
        """Tokens over the whole trace, every class once."""
        return self.usage.get("total", 0)
