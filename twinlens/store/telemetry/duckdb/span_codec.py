"""Spans to columns and rows to spans."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from twinlens.domain.counting import sides, total_tokens
from twinlens.domain.preview import preview
from twinlens.domain.trace import Scope, Span, SpanEvent, SpanLink
from twinlens.store.telemetry.duckdb.cells import INLINE, MARK, form_of
from twinlens.store.telemetry.duckdb.keys import span_key
from twinlens.store.telemetry.duckdb.payloads import PayloadSink, PayloadSource

_MAP_INLINE = 1024  #: maps up to this many bytes of JSON stay in their row as they are
_INDEXED = re.compile(r"(.+?)\.(\d{1,6})\.")
_FAMILY = 4  #: numbers from which on an indexed attribute family is stored as an array
_EMPTY_SCOPE = Scope()
_NONE = (None, None)
_encode = msgspec.json.encode
_decode = msgspec.json.decode


class Detail(msgspec.Struct, omit_defaults=True):
    """What is rarely asked for, and where the large entries of the maps are. Names are short: they are in every row."""

    a: dict[str, Any] = {}  #: large attributes: ["s", form] for text, ["v", form] for other values
    g: list[Any] = []  #: forms of JSON arrays of objects: families of indexed attributes
    m: dict[str, Any] = {}  #: large metadata entries, like ``a``
    e: Any = None  #: events: form of their JSON text
    li: Any = None  #: links
    p: Any = None  #: model parameters
    t: str = ""  #: trace state
    w: bool = False  #: partial
    v: list[str] | None = None  #: given


class Context(msgspec.Struct, omit_defaults=True):
    """What many spans share; stored once as a payload."""

    resource: dict[str, Any] = {}
    scope: Scope = msgspec.field(default_factory=Scope)
    rules: dict[str, str] = {}


_detail = msgspec.json.Decoder(Detail).decode
_context = msgspec.json.Decoder(Context).decode
_events = msgspec.json.Decoder(list[SpanEvent]).decode
_links = msgspec.json.Decoder(list[SpanLink]).decode
_usage = msgspec.json.Decoder(dict[str, int]).decode
_cost = msgspec.json.Decoder(dict[str, float]).decode

#: Columns that are a field of the same meaning, copied as they are.
_COPIED = (
    ("trace_id", "trace_id"), ("span_id", "span_id"), ("parent_id", "parent_id"), ("name", "name"), ("kind", "kind"),
    ("start_ns", "start_ns"), ("end_ns", "end_ns"), ("status", "status"), ("level", "level"),
    ("first_token_ns", "completion_start_ns"), ("is_app_root", "is_app_root"), ("counted", "counted"),
    ("model", "model"), ("provider", "provider"), ("usage_source", "usage_source"), ("cost_source", "cost_source"),
    ("prompt_name", "prompt_name"), ("prompt_version", "prompt_version"), ("tool_name", "tool_name"),
    ("agent_name", "agent_name"), ("user_id", "user_id"), ("session_id", "session_id"),
    ("environment", "environment"), ("release", "release"), ("version", "version"), ("service", "service"),
    ("dialect", "dialect"), ("source", "source"), ("price_id", "price_id"), ("otel_kind", "otel_kind"),
)  # fmt: skip
_copied = attrgetter(*(field for _, field in _COPIED))

SKELETON = (
    "trace_id", "span_id", "parent_id", "name", "kind", "start_ns", "end_ns", "status", "level", "status_message",
    "first_token_ns", "is_app_root", "counted", "model", "provider", "usage", "cost", "usage_source", "cost_source",
    "input_preview", "output_preview", "prompt_name", "prompt_version", "tool_name", "agent_name", "user_id",
    "session_id", "environment", "release", "version", "service", "scope", "dialect", "source", "price_id", "otel_kind",
    "created_ns", "updated_ns",
)  # fmt: skip
_N = len(SKELETON)


def preview_of(text: str | None, given: str | None) -> str | None:
    """The preview of an input or output, made of its text when none was given."""
    return preview(text) if text and given is None else given


def _tokens(span: Span) -> tuple[int | None, int | None]:
    return sides(span.usage) if span.usage else _NONE


def _paid(span: Span) -> tuple[float | None, float | None]:
    return sides(span.cost) if span.cost else _NONE


#: Columns that are made of more than one field, or written in another form.
_MADE: dict[str, Callable[[Span], Any]] = {
    "status_message": lambda s: s.status_message or None,
    "scope": lambda s: s.scope.name,
    "created_ns": lambda s: s.created_ns,
    "updated_ns": lambda s: s.updated_ns,
    "input_preview": lambda s: preview_of(s.input, s.input_preview),
    "output_preview": lambda s: preview_of(s.output, s.output_preview),
    "usage": lambda s: _encode(s.usage).decode() if s.usage else None,
    "cost": lambda s: _encode(s.cost).decode() if s.cost else None,
    "input_tokens": lambda s: _tokens(s)[0],
    "output_tokens": lambda s: _tokens(s)[1],
    "total_tokens": lambda s: total_tokens(s.usage) if s.usage else None,
    "input_cost": lambda s: _paid(s)[0],
    "output_cost": lambda s: _paid(s)[1],
    "total_cost": lambda s: s.total_cost if s.cost else None,
}
_FIELD_OF = dict(_COPIED)
#: The column of a field that has one of its own.
COLUMN_OF = {field: column for column, field in _COPIED} | {
    name: name
    for name in ("status_message", "usage", "cost", "input_preview", "output_preview", "created_ns", "updated_ns")
}


def column(name: str, spans: Sequence[Span]) -> list[Any] | None:
    """One of the columns that come from the span itself, without its payloads; None for others."""
    field = _FIELD_OF.get(name)
    if field is not None:
        return [getattr(s, field) for s in spans]
    if name in ("attributes", "metadata"):
        return _nowhere.maps(name, spans)
    made = _MADE.get(name)
    return None if made is None else [made(s) for s in spans]


class SpanColumns:
    """Turns the spans of one commit into columns. Whoever holds the tables only."""

    def __init__(self, sink: PayloadSink, seq: int, now_ns: int) -> None:
        self._sink = sink
        self._seq = seq
        self._now = now_ns
        self._contexts: dict[tuple[int, int, bytes], int] = {}
        self._near: dict[tuple[int, int, int], int] = {}
        self._current: Detail | None = None
        self.columns: dict[str, list[Any]] = {}

    def add(self, project_id: str, spans: Sequence[Span], keys: dict[str, int]) -> None:
        """Append spans of one project; ``keys`` maps trace ids to row keys."""
        self._contexts.clear()
        self._near.clear()
        n = len(spans)
        put = self._put
        put("seq", [self._seq] * n)
        put("project", [project_id] * n)
        put("tkey", [keys[s.trace_id] for s in spans])
        for (column, _), values in zip(_COPIED, zip(*map(_copied, spans), strict=True), strict=True):
            put(column, list(values))
        put("skey", [span_key(s.span_id) for s in spans])
        put("status_message", [s.status_message or None for s in spans])
        put("scope", [s.scope.name for s in spans])
        put("created_ns", [s.created_ns or self._now for s in spans])
        put("updated_ns", [s.updated_ns or self._now for s in spans])
        put("input_preview", [preview_of(s.input, s.input_preview) for s in spans])
        put("output_preview", [preview_of(s.output, s.output_preview) for s in spans])
        self._numbers(spans)
        self._cells(spans)

    def _put(self, column: str, values: list[Any]) -> None:
        known = self.columns.get(column)
        if known is None:
            self.columns[column] = values
        else:
            known.extend(values)

    def _numbers(self, spans: Sequence[Span]) -> None:
        put = self._put
        for name in ("usage", "cost", "total_tokens", "total_cost"):
            put(name, list(map(_MADE[name], spans)))
        tokens = list(map(_tokens, spans))
        put("input_tokens", [n for n, _ in tokens])
        put("output_tokens", [n for _, n in tokens])
        paid = list(map(_paid, spans))
        put("input_cost", [usd for usd, _ in paid])
        put("output_cost", [usd for _, usd in paid])

    def _cells(self, spans: Sequence[Span]) -> None:
        sink = self._sink
        cell = sink.cell
        inputs: list[str | None] = []
        outputs: list[str | None] = []
        attributes: list[str | None] = []
        metadatas: list[str | None] = []
        details: list[str | None] = []
        contexts: list[int | None] = []
        refs: list[list[int] | None] = []
        for span in spans:
            sink.used = []
            text = span.input
            inputs.append(cell(text) if text is not None else None)
            text = span.output
            outputs.append(cell(text) if text is not None else None)
            attributes.append(self._map(span.attributes, "a") if span.attributes else None)
            metadatas.append(self._map(span.metadata, "m") if span.metadata else None)
            rare = span.events or span.links or span.model_parameters or span.trace_state or span.partial
            details.append(self._detail(span) if rare or self._current is not None else None)
            refs.append(sink.used or None)
            contexts.append(self._context_of(span))
        put = self._put
        put("input", inputs)
        put("output", outputs)
        put("attributes", attributes)
        put("metadata", metadatas)
        put("detail", details)
        put("context", contexts)
        put("refs", refs)

    def _map(self, values: dict[str, Any], into: str) -> str:
        """The small entries as a JSON object (SQL can look into it); the others as payloads named in the detail."""
        long = 0
        for value in values.values():
            if value.__class__ is str and len(value) > INLINE:
                long += len(value)
        if long <= _MAP_INLINE:
            whole = _encode(values)
            if len(whole) <= _MAP_INLINE:
                return whole.decode()
        form = self._sink.form
        if into == "a" and len(values) > _FAMILY and any(".0." in key for key in values):
            values = self._families(values)
        small: dict[str, Any] = {}
        large: dict[str, Any] = {}
        for key, value in values.items():
            if isinstance(value, str):
                if len(value) > INLINE:
                    large[key] = ["s", form(value)]
                    continue
            elif isinstance(value, list | dict):
                text = _encode(value).decode()
                if len(text) > INLINE:
                    large[key] = ["v", form(text)]
                    continue
            small[key] = value
        if large:
            setattr(self._rare(), into, large)
        return _encode(small).decode()

    def maps(self, field: str, spans: Sequence[Span]) -> list[str | None]:
        """What SQL can look into of attributes or metadata."""
        into = field[0]
        found = [self._map(values, into) if (values := getattr(span, field)) else None for span in spans]
        self._current = None
        return found

    def _families(self, values: dict[str, Any]) -> dict[str, Any]:
        """Take out indexed attributes (``llm.input_messages.7.…``): each family is stored like an array with one object
        per number, so that the beginning of a growing conversation is stored once. Returns what is left."""
        families: dict[str, dict[int, dict[str, Any]]] = {}
        rest: dict[str, Any] = {}
        for key, value in values.items():
            found = _INDEXED.match(key)
            if found:
                families.setdefault(found[1], {}).setdefault(int(found[2]), {})[key] = value
            else:
                rest[key] = value
        groups: list[Any] = []
        for members in families.values():
            if len(members) > _FAMILY:
                text = _encode([members[i] for i in sorted(members)]).decode()
                groups.append(self._form(text))
            else:
                for each in members.values():
                    rest.update(each)
        if groups:
            self._rare().g = groups
        return rest

    def _rare(self) -> Detail:
        """The detail of the span at hand, made when first needed: most spans have none."""
        detail = self._current
        if detail is None:
            detail = self._current = Detail()
        return detail

    def _detail(self, span: Span) -> str | None:
        """The cell of what was collected for this span, and of its rare fields."""
        if span.events:
            self._rare().e = self._form(_encode(span.events).decode())
        if span.links:
            self._rare().li = self._form(_encode(span.links).decode())
        if span.model_parameters:
            self._rare().p = self._form(_encode(span.model_parameters).decode())
        if span.trace_state:
            self._rare().t = span.trace_state
        if span.partial:
            detail = self._rare()
            detail.w = True
            detail.v = sorted(span.given or ())
        detail, self._current = self._current, None
        return None if detail is None else _encode(detail).decode()

    def _form(self, text: str) -> Any:
        return text if len(text) <= INLINE else self._sink.form(text)

    def _context_of(self, span: Span) -> int | None:
        """Locator of what the span shares with its neighbours. Decoders hand the same objects to all spans of a group."""
        near = (
            id(span.resource),
            id(span.scope),
            id(span.rules),
        )  # alive as long as the commit, so an id is one object
        known = self._near.get(near)
        if known is not None:
            return known or None
        rules = _encode(span.rules) if span.rules else b""
        key = (near[0], near[1], rules)
        known = self._contexts.get(key)
        if known is None:
            scope = span.scope
            if not span.resource and not rules and scope == _EMPTY_SCOPE:
                known = 0
            else:
                data = _encode(Context(resource=span.resource, scope=scope, rules=span.rules))
                known = self._sink.put(data)
            self._contexts[key] = known
        self._near[near] = known
        return known or None


class _NoSink(PayloadSink):
    """Takes payloads of rows that are not being stored."""

    def __init__(self) -> None: ...

    def form(self, text: str) -> Any:
        """Nothing refers to it."""
        return 0


_nowhere = SpanColumns(_NoSink(), 0, 0)


def columns_for(with_io: bool, with_attributes: bool) -> tuple[str, ...]:
    """Columns that ``decode_spans`` needs, in its order."""
    columns = SKELETON
    if with_io or with_attributes:
        columns = (*columns, "metadata", "detail")
    if with_attributes:
        columns = (*columns, "attributes", "context")
    if with_io:
        columns = (*columns, "input", "output")
    return columns


def decode_spans(
    rows: Sequence[tuple[Any, ...]], source: PayloadSource, with_io: bool, with_attributes: bool
) -> list[Span]:
    """Whole spans from rows of ``columns_for``. Loads payloads."""
    spans = [_skeleton(row) for row in rows]
    if not (with_io or with_attributes):
        return spans
    details = [_detail(row[_N + 1]) if row[_N + 1] else None for row in rows]
    source.load(_forms(rows, details, with_io, with_attributes))
    contexts: dict[int, Context] = {}
    for row, span, detail in zip(rows, spans, details, strict=True):
        at = _N
        span.metadata = _map_of(row[at], detail.m if detail else {}, (), source)
        at += 2
        if detail is not None:
            _fill_detail(span, detail, source, with_attributes)
        if with_attributes:
            span.attributes = _map_of(row[at], detail.a if detail else {}, detail.g if detail else (), source)
            locator = row[at + 1]
            if locator is not None:
                context = contexts.get(locator)
                if context is None:
                    data = source.bytes_of(locator)
                    context = contexts[locator] = _context(data) if data else Context()
                span.resource = context.resource
                span.rules = context.rules
                if context.scope != _EMPTY_SCOPE:
                    span.scope = context.scope
            at += 2
        if with_io:
            span.input = source.text(row[at])
            span.output = source.text(row[at + 1])
    return spans


def field_values(field: str, cells: list[Any]) -> list[Any]:
    """What the cells of the field's column say; equal texts become one object."""
    if field == "status_message":
        return [cell or "" for cell in cells]
    if field not in ("usage", "cost"):
        return cells
    decode: Callable[[str], Any] = _usage if field == "usage" else _cost
    known: dict[str | None, Any] = {cell: decode(cell) if cell else {} for cell in set(cells)}
    return [known[cell] for cell in cells]


def _forms(
    rows: Sequence[tuple[Any, ...]], details: Sequence[Detail | None], with_io: bool, with_attributes: bool
) -> Iterable[Any]:
    for row, detail in zip(rows, details, strict=True):
        if detail is not None:
            yield from (v[1] for v in detail.m.values())
            yield detail.p
            if with_attributes:
                yield from (v[1] for v in detail.a.values())
                yield from detail.g
                yield detail.e
                yield detail.li
        if with_attributes and row[_N + 3] is not None:
            yield row[_N + 3]
        if with_io:
            for cell in row[-2:]:
                if cell is not None and cell.startswith(MARK):
                    yield form_of(cell)


def _map_of(cell: str | None, large: dict[str, Any], groups: Iterable[Any], source: PayloadSource) -> dict[str, Any]:
    values: dict[str, Any] = _decode(cell) if cell else {}
    for form in groups:
        data = source.bytes_of(form)
        if data is not None:
            for members in _decode(data):
                values.update(members)
    for key, (kind, form) in large.items():
        data = source.bytes_of(form)
        if data is not None:
            values[key] = data.decode("utf-8", "surrogatepass") if kind == "s" else _decode(data)
    return values


def _fill_detail(span: Span, detail: Detail, source: PayloadSource, with_attributes: bool) -> None:
    span.partial = detail.w
    span.given = frozenset(detail.v) if detail.v is not None else None
    if detail.p is not None and (data := source.bytes_of(detail.p)):
        span.model_parameters = _decode(data)
    if with_attributes:
        span.trace_state = detail.t
        if detail.e is not None and (data := source.bytes_of(detail.e)):
            span.events = _events(data)
        if detail.li is not None and (data := source.bytes_of(detail.li)):
            span.links = _links(data)


def _skeleton(row: tuple[Any, ...]) -> Span:
    (
        trace_id, span_id, parent_id, name, kind, start_ns, end_ns, status, level, status_message, first_token_ns,
        is_app_root, counted, model, provider, usage, cost, usage_source, cost_source, input_preview, output_preview,
        prompt_name, prompt_version, tool_name, agent_name, user_id, session_id, environment, release, version,
        service, scope, dialect, source, price_id, otel_kind, created_ns, updated_ns,
    ) = row[:_N]  # fmt: skip
    return Span(
        trace_id=trace_id, span_id=span_id, parent_id=parent_id, name=name, kind=kind, start_ns=start_ns,
        end_ns=end_ns, status=status, level=level, status_message=status_message or "",
        completion_start_ns=first_token_ns, is_app_root=is_app_root, counted=counted, model=model, provider=provider,
        usage=_usage(usage) if usage else {}, cost=_cost(cost) if cost else {}, usage_source=usage_source,
        cost_source=cost_source, input_preview=input_preview, output_preview=output_preview, prompt_name=prompt_name,
        prompt_version=prompt_version, tool_name=tool_name, agent_name=agent_name, user_id=user_id,
        session_id=session_id, environment=environment, release=release, version=version, service=service,
        scope=Scope(name=scope) if scope else _EMPTY_SCOPE, dialect=dialect, source=source, price_id=price_id, otel_kind=otel_kind,
        created_ns=created_ns, updated_ns=updated_ns,
    )  # fmt: skip
