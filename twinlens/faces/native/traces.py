"""Traces: list, counts, filter menus, one trace, one span, edits, deletion."""

from __future__ import annotations

from typing import Annotated

from litestar import get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import canonical_trace_id
from twinlens.domain.live import Notice
from twinlens.domain.score import Score
from twinlens.domain.trace import TracePatch, TraceSummary
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native import schemas as s
from twinlens.faces.native import trace_schemas as ts
from twinlens.faces.native.guard import shown_traces
from twinlens.faces.native.reply import (
    Cursor,
    FilterText,
    FromMs,
    Limit,
    ToMs,
    ns,
    order_of,
    reading,
    time_range,
    whole_id,
    writing,
)
from twinlens.faces.native.rows import PREVIEW_FIELDS, SPAN_FIELDS, ms, score_row, span_detail, span_rows, trace_row
from twinlens.features.overview import bucket_seconds
from twinlens.ingest.batch import Batch
from twinlens.query.text_filter import parse
from twinlens.query.text_filter_fields import FIELDS, KEYED, PLAIN
from twinlens.store.telemetry.query import Cmp, Expr, Query, all_of

#: What the list sorts by, in the words of the API.
ORDERS = {
    "start": "start_ns", "latency": "latency_ns", "name": "name", "user": "user_id", "session": "session_id",
    "tokens": "total_tokens", "cost": "total_cost", "spans": "span_count", "errors": "error_count",
    "status": "status", "updated": "updated_ns", "environment": "environment",
}  # fmt: skip
MAX_SPANS = 50_000
#: Up to so many spans the skeleton of a trace carries previews.
PREVIEWS = 2_000

Experiment = Annotated[str | None, QueryParameter(name="experiment_id", description="Only of this experiment.")]
RunId = Annotated[str | None, QueryParameter(name="run_id", description="Only linked to this run.")]
SessionId = Annotated[str | None, QueryParameter(name="session_id", description="Only of this session.")]
UserId = Annotated[str | None, QueryParameter(name="user_id", description="Only of this user.")]


def _where(
    filter: str,
    from_ms: float | None,
    to_ms: float | None,
    experiment_id: str | None = None,
    run_id: str | None = None,
    session_id: str | None = None,
    user_id: str | None = None,
) -> Expr:
    return all_of(
        parse(filter) if filter.strip() else None,
        None if from_ms is None else Cmp("start_ns", ">=", ns(from_ms)),
        None if to_ms is None else Cmp("start_ns", "<", ns(to_ms)),
        None if experiment_id is None else Cmp("experiment_id", "=", experiment_id),
        None if run_id is None else Cmp("run_ids", "any of", [run_id]),
        None if session_id is None else Cmp("session_id", "=", session_id),
        None if user_id is None else Cmp("user_id", "=", user_id),
    )


@get("/projects/{project_id:str}/traces", summary="List traces")
async def list_traces(
    request: AnyRequest,
    project_id: FromPath[str],
    filter_text: FilterText = "",
    from_ms: FromMs = None,
    to_ms: ToMs = None,
    experiment_id: Experiment = None,
    run_id: RunId = None,
    session_id: SessionId = None,
    user_id: UserId = None,
    order: Annotated[
        str | None,
        QueryParameter(description="Field to sort by, `-` for descending: `-start`, `cost`, `-score.quality`."),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ts.TracePage:
    """Newest first unless ``order`` says otherwise. With scores and previews, without payloads."""
    allowed = await reading(request, whole_id(project_id))
    query = Query(
        project_id=allowed,
        where=all_of(
            _where(filter_text, from_ms, to_ms, experiment_id, run_id, session_id, user_id), shown_traces(request)
        ),
        order=order_of(order, ORDERS),
        limit=limit,
        cursor=cursor,
    )
    telemetry = services(request).telemetry

    def read() -> ts.TracePage:
        with telemetry.together():
            page = telemetry.traces(query)
            found: list[TraceSummary] = page.rows
            scores = telemetry.scores_for(allowed, [t.trace_id for t in found])
        rows = [trace_row(t, scores.get(t.trace_id, ())) for t in found]
        return ts.TracePage(traces=rows, next_cursor=page.next_cursor)

    return await in_thread(read)


@get("/projects/{project_id:str}/traces/count", summary="Count traces")
async def count_traces(
    request: AnyRequest, project_id: FromPath[str], filter_text: FilterText = "", from_ms: FromMs = None, to_ms: ToMs = None,
    experiment_id: Experiment = None, run_id: RunId = None,
) -> ts.CountAnswer:  # fmt: skip
    """How many traces the same parameters would list."""
    allowed = await reading(request, whole_id(project_id))
    query = Query(
        project_id=allowed,
        where=all_of(_where(filter_text, from_ms, to_ms, experiment_id, run_id), shown_traces(request)),
    )
    return ts.CountAnswer(count=await in_thread(services(request).telemetry.count, "traces", query))


@get("/projects/{project_id:str}/traces/histogram", summary="Traces over time")
async def trace_histogram(
    request: AnyRequest, project_id: FromPath[str], filter_text: FilterText = "", from_ms: FromMs = None, to_ms: ToMs = None,
    experiment_id: Experiment = None, run_id: RunId = None,
    buckets: Annotated[int, QueryParameter(ge=1, le=400, description="At most this many bars.")] = 100,
) -> ts.TraceHistogram:  # fmt: skip
    """The same filter as the list, counted over time, without gaps. By default the last 24 hours."""
    allowed = await reading(request, whole_id(project_id))
    start, end = time_range(from_ms, to_ms)
    step = bucket_seconds(end - start, buckets)
    where = all_of(_where(filter_text, None, None, experiment_id, run_id), shown_traces(request))
    bars = await in_thread(services(request).overviews.histogram, allowed, where, start, end, step)
    return ts.TraceHistogram(
        bucket_ms=step * 1_000.0,
        bars=[ts.HistogramBar(start_ms=ms(bar.key), traces=bar.count, errors=bar.errors) for bar in bars],
    )


@get("/projects/{project_id:str}/traces/fields", summary="Words of the filter language")
async def filter_fields(request: AnyRequest, project_id: FromPath[str]) -> ts.FilterFields:
    """For help and typeahead."""
    await reading(request, whole_id(project_id))
    return ts.FilterFields(
        fields=[
            ts.FilterField(
                name=f.name + ("." if f.keyed else ""),
                type="text" if f.kind == "list" else f.kind,
                help=f.help,
                example=f.example,
                choices=list(f.choices),
                suggests=f.suggests or f.keyed,
            )
            for f in FIELDS
        ]
    )


@get("/projects/{project_id:str}/traces/values", summary="Most frequent values of a field")
async def field_values(
    request: AnyRequest,
    project_id: FromPath[str],
    field_name: Annotated[
        str, QueryParameter(name="field", description="A word of the filter language: `user`, `metadata.plan`.")
    ],
    prefix: Annotated[str, QueryParameter(description="Only values that contain this text.")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> ts.FieldValues:
    """For filter menus and typeahead."""
    allowed = await reading(request, whole_id(project_id))
    name, dot, key = field_name.partition(".")
    field = KEYED.get(name) if dot and key else PLAIN.get(field_name)
    if field is None or (field.kind in ("number", "duration", "time") and field.target != "score"):
        raise InvalidArgument(f"field: there are no values to suggest for {field_name!r}")
    view = "spans" if field.span else "traces"
    wanted = 1_000 if prefix else limit
    telemetry = services(request).telemetry
    found = await in_thread(telemetry.values, allowed, view, field.target, key=key or None, limit=wanted)
    shown = [
        ("running" if field.target == "status" and value == "unset" else str(value), count) for value, count in found
    ]
    fits = [(value, count) for value, count in shown if prefix.lower() in value.lower()][:limit]
    return ts.FieldValues(values=[ts.FieldValue(value=value, count=count) for value, count in fits])


@get("/projects/{project_id:str}/traces/{trace_id:str}", summary="One trace: skeleton and scores")
async def get_trace(request: AnyRequest, project_id: FromPath[str], trace_id: FromPath[str]) -> ts.TraceDetail:
    """Spans without payloads, by start time; at most 50,000 of them."""
    allowed = await reading(request, whole_id(project_id))
    wanted = canonical_trace_id(whole_id(trace_id))
    telemetry = services(request).telemetry

    def read() -> ts.TraceDetail:
        with telemetry.together():
            trace = telemetry.trace(allowed, wanted)
            if trace is None:
                raise NotFound(f"there is no trace {wanted!r}")
            fields = SPAN_FIELDS if trace.span_count > PREVIEWS else (*SPAN_FIELDS, *PREVIEW_FIELDS)
            columns = telemetry.span_columns(allowed, wanted, fields)
            scores: list[Score] = telemetry.scores_for(allowed, [wanted]).get(wanted, [])
        return ts.TraceDetail(
            trace=trace_row(trace, scores),
            root_span_id=trace.root_span_id,
            input=trace.input,
            output=trace.output,
            metadata=trace.metadata,
            usage=trace.usage,
            cost=trace.cost,
            public=trace.public,
            client_request_id=trace.client_request_id,
            spans=span_rows([column[:MAX_SPANS] for column in columns]),
            scores=[score_row(score) for score in scores],
            truncated=len(columns[0]) > MAX_SPANS,
        )

    return await in_thread(read)


@get("/projects/{project_id:str}/traces/{trace_id:str}/spans/{span_id:str}", summary="One whole span")
async def get_span(
    request: AnyRequest, project_id: FromPath[str], trace_id: FromPath[str], span_id: FromPath[str]
) -> ts.SpanDetail:
    """With input, output, raw attributes, events and links."""
    allowed = await reading(request, whole_id(project_id))
    wanted, span_wanted = canonical_trace_id(whole_id(trace_id)), whole_id(span_id)
    telemetry = services(request).telemetry

    def read() -> ts.SpanDetail:
        span = telemetry.span(allowed, wanted, span_wanted)
        if span is None:
            raise NotFound(f"there is no span {span_wanted!r} in trace {wanted!r}")
        scores: list[Score] = telemetry.scores_for(allowed, [wanted]).get(wanted, [])
        return span_detail(span, [score for score in scores if score.span_id == span_wanted])

    return await in_thread(read)


@patch("/projects/{project_id:str}/traces/{trace_id:str}", summary="Bookmark, publish, tag")
async def edit_trace(
    request: AnyRequest, project_id: FromPath[str], trace_id: FromPath[str], data: JSONBody[ts.TraceEdit]
) -> ts.TraceRow:
    """Fields left out stay as they are."""
    allowed = await writing(request, whole_id(project_id))
    wanted = canonical_trace_id(whole_id(trace_id))
    graph = services(request)
    if await in_thread(graph.telemetry.trace, allowed, wanted, with_io=False) is None:
        raise NotFound(f"there is no trace {wanted!r}")
    change = TracePatch(
        trace_id=wanted,
        bookmarked=data.bookmarked,
        public=data.public,
        tags=data.tags,
        tag_values=data.tag_values,
        authority="client",
        replace_tags=data.tags is not None,
    )
    await graph.ingest.submit(Batch(project_id=allowed, patches=[change]))

    def read() -> ts.TraceRow:
        trace = graph.telemetry.trace(allowed, wanted, with_io=False)
        if trace is None:
            raise NotFound(f"there is no trace {wanted!r}")
        return trace_row(trace, graph.telemetry.scores_for(allowed, [wanted]).get(wanted, []))

    return await in_thread(read)


@post("/projects/{project_id:str}/traces/delete", status_code=200, summary="Delete traces")
async def delete_traces(request: AnyRequest, project_id: FromPath[str], data: JSONBody[ts.TraceIds]) -> s.Done:
    """With their spans and scores; gone when this answers. At most 1,000 at once."""
    allowed = await writing(request, whole_id(project_id))
    if len(data.trace_ids) > 1_000:
        raise InvalidArgument("trace_ids: at most 1,000 at once")
    ids = [canonical_trace_id(i) for i in data.trace_ids]
    graph = services(request)
    count = await in_thread(graph.traces.remove, allowed, ids)
    graph.live.publish([Notice(kind="deleted", project_id=allowed, id=one) for one in ids])
    return s.Done(count=count)


HANDLERS = [
    list_traces, count_traces, trace_histogram, filter_fields, field_values, get_trace, get_span, edit_trace,
    delete_traces,
]  # fmt: skip
