"""Langfuse's event batches (``POST /api/public/ingestion``) → spans, trace patches and scores.

Rules (Langfuse server v4.16): each event is checked alone and a bad one costs only itself. Events about one object are folded
in order of their timestamps, creates before updates at the same moment; what is sent later wins, what is not sent never
erases, ``input``/``output`` are the last non-empty ones, metadata is merged deeply, tags are united. What other requests
said about the same object is merged at commit by ``twinlens.domain.merge`` in the same spirit: ``Span.given`` names the
fields this batch really speaks about, and ``Span.partial`` says that no create event was among them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from twinlens.domain.clock import parse_iso
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.ids import canonical_trace_id, check_id, new_uuid
from twinlens.domain.trace import Span, TracePatch
from twinlens.features.scores import ScoreDraft
from twinlens.ingest import langfuse_fields as fields
from twinlens.ingest.langfuse_bodies import Event, ObservationBody, ScoreBody, TraceBody, text_of

T = TypeVar("T")

#: Event type -> (kind of the span, whether it creates). ``None``: the body says (legacy ``observation-*``).
OBSERVATION_EVENTS: dict[str, tuple[str | None, bool]] = {
    "span-create": ("span", True),
    "span-update": ("span", False),
    "generation-create": ("generation", True),
    "generation-update": ("generation", False),
    "event-create": ("event", True),
    "agent-create": ("agent", True),
    "tool-create": ("tool", True),
    "chain-create": ("chain", True),
    "retriever-create": ("retriever", True),
    "evaluator-create": ("evaluator", True),
    "embedding-create": ("embedding", True),
    "guardrail-create": ("guardrail", True),
    "observation-create": (None, True),
    "observation-update": (None, False),
}
_KINDS = frozenset(kind for kind, _ in OBSERVATION_EVENTS.values() if kind)
MAX_NAME = 1_000

_event = msgspec.json.Decoder(Event)
_trace = msgspec.json.Decoder(TraceBody)
_observation = msgspec.json.Decoder(ObservationBody)
_score = msgspec.json.Decoder(ScoreBody)


class Envelope(msgspec.Struct):
    """The request body."""

    batch: list[Event]


class _Loose(msgspec.Struct):
    """The same where an event may be no event; each is read by itself."""

    batch: list[msgspec.Raw]


_envelope = msgspec.json.Decoder(Envelope)


class EventError(msgspec.Struct, frozen=True):
    """Why one event was refused."""

    id: str
    status: int
    message: str
    error: str | None = None


class Decoded(msgspec.Struct, kw_only=True):
    """What a batch says. ``scores`` still have to be checked against score configs (``features.scores``)."""

    spans: list[Span] = []
    patches: list[TracePatch] = []
    scores: list[tuple[str, ScoreDraft]] = []  #: with the id of their event
    accepted: list[str] = []  #: ids of good events, scores included
    errors: list[EventError] = []
    orphans: list[Span] = []  #: members of ``spans``: updates that do not say which trace they belong to


class _Observed(msgspec.Struct):
    """One observation event, waiting to be folded."""

    at: int
    update: bool
    kind: str | None
    body: ObservationBody


def decode(body: bytes) -> Decoded:
    """Read a whole request.

    Raises:
        msgspec.DecodeError: not JSON, or no ``batch`` list.
    """
    result = Decoded()
    observations: dict[tuple[str, str], list[_Observed]] = {}
    traces: dict[str, list[tuple[int, TraceBody]]] = {}
    scores: list[tuple[int, str, ScoreDraft]] = []
    for index, raw in enumerate(_events(body)):
        event_id = str(index)
        try:
            event = raw if isinstance(raw, Event) else _event.decode(raw)
            event_id = event.id
            at = _time(event.timestamp, "timestamp")
            assert at is not None
            if event.type in OBSERVATION_EVENTS:
                kind, creates = OBSERVATION_EVENTS[event.type]
                observed = _Observed(at, not creates, kind, _observation.decode(event.body))
                _check_observation(observed)
                observations.setdefault((observed.body.id or "", observed.body.trace_id or ""), []).append(observed)
            elif event.type == "trace-create":
                trace = _trace.decode(event.body)
                trace.id = canonical_trace_id(check_id(trace.id)) if trace.id else new_uuid()
                _time(trace.timestamp, "timestamp")
                traces.setdefault(trace.id, []).append((at, trace))
            elif event.type == "score-create":
                scores.append((at, event_id, score_draft(_score.decode(event.body), at)))
            elif event.type != "sdk-log":
                raise InvalidArgument(f"Unknown event type '{event.type}'")
        except (msgspec.DecodeError, InvalidArgument, RecursionError) as error:
            event_id = raw.id if isinstance(raw, Event) else _id_of(raw) or event_id
            result.errors.append(EventError(event_id, 400, "Invalid request data", str(error)))
        else:
            result.accepted.append(event_id)
    scores.sort(key=lambda score: score[0])  # of several about one score the latest stays
    result.scores = [(event_id, draft) for _, event_id, draft in scores]
    for trace_id, said in traces.items():
        result.patches.append(_fold_trace(trace_id, said))
    for group in _joined(observations):
        span = _fold_observation(group)
        result.spans.append(span)
        if not span.trace_id:
            if span.partial:
                result.orphans.append(span)
            else:
                span.trace_id = span.span_id  # an observation without a trace is its own (Langfuse's wrapper trace)
    return result


def _events(body: bytes) -> list[Event] | list[msgspec.Raw]:
    """The events, or their text when not all of them are events."""
    try:
        return _envelope.decode(body).batch
    except msgspec.ValidationError:
        return msgspec.json.decode(body, type=_Loose).batch


def adopt(spans: list[Span], find: Callable[[str], str | None]) -> None:
    """Give updates without a trace id the trace of the stored observation, or one of their own.

    Args:
        spans: ``Decoded.orphans``.
        find: trace id of a stored span id, None if there is no such span.
    """
    for span in spans:
        span.trace_id = find(span.span_id) or span.span_id


def score_draft(body: ScoreBody, at: int) -> ScoreDraft:
    """A score as the client means it; ``at`` is its time unless the body has one.

    Raises:
        InvalidArgument: no name or value, or a bad time.
    """
    if not body.name:
        raise InvalidArgument("name: Required")
    if body.value is None:
        raise InvalidArgument("value: Required")
    return ScoreDraft(
        score_id=body.id or None, name=body.name, value=body.value,
        trace_id=canonical_trace_id(body.trace_id) if body.trace_id else None,
        span_id=body.observation_id or None, session_id=body.session_id or None,
        dataset_run_id=body.dataset_run_id or None, data_type=body.data_type or None, comment=body.comment,
        metadata=fields.as_object(body.metadata) or {},
        environment=fields.environment(body.environment) or fields.DEFAULT_ENVIRONMENT,
        config_id=body.config_id or None, queue_id=body.queue_id or None, source=(body.source or "api").lower(),
        author_user_id=body.author_user_id, timestamp_ns=_time(body.timestamp, "timestamp") or at,
    )  # fmt: skip


def _id_of(raw: msgspec.Raw) -> str | None:
    try:
        found = msgspec.json.decode(raw, type=dict[str, Any]).get("id")
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, str) else None


def _time(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    try:
        return _nanoseconds(text)
    except (ValueError, OverflowError):
        raise InvalidArgument(f"{name}: Invalid datetime") from None


@lru_cache(maxsize=4_096)  # an event's own time is often its object's, and each time is looked at twice
def _nanoseconds(text: str) -> int:
    return fields.storable_time(parse_iso(text))


def _check_observation(observed: _Observed) -> None:
    body = observed.body
    body.id = check_id(body.id) if body.id else new_uuid()
    if body.trace_id:
        body.trace_id = canonical_trace_id(check_id(body.trace_id, "traceId"))
    if body.parent_observation_id:
        check_id(body.parent_observation_id, "parentObservationId")
    if observed.kind is None:
        kind = (body.type or "span").lower()
        if kind not in _KINDS:
            raise InvalidArgument(f"type: Invalid observation type '{body.type}'")
        observed.kind = kind
    _time(body.start_time, "startTime")
    _time(body.end_time, "endTime")
    _time(body.completion_start_time, "completionStartTime")
    if body.name is not None and len(body.name) > MAX_NAME:
        body.name = body.name[:MAX_NAME]
    if body.model is not None and len(body.model) > MAX_NAME:
        body.model = body.model[:MAX_NAME]


def _joined(groups: dict[tuple[str, str], list[_Observed]]) -> list[list[_Observed]]:
    """Events that leave out the trace id join those about the same observation that name it."""
    named = {span_id: key for key in groups for span_id, trace_id in [key] if trace_id}
    for span_id, trace_id in list(groups):
        if not trace_id and span_id in named:
            groups[named[span_id]] += groups.pop((span_id, trace_id))
    return list(groups.values())


def _last(old: T | None, new: T | None) -> T | None:
    return old if new is None else new


def _fold_trace(trace_id: str, said: list[tuple[int, TraceBody]]) -> TracePatch:
    said.sort(key=lambda pair: pair[0])
    patch = TracePatch(trace_id=trace_id, authority="client")
    for _, body in said:
        patch.start_ns = _last(_time(body.timestamp, "timestamp"), patch.start_ns)  # the first one stays
        patch.environment = _last(fields.environment(body.environment), patch.environment)
        patch.name = _last(patch.name, body.name and body.name[:MAX_NAME])
        patch.user_id = _last(patch.user_id, body.user_id)
        patch.session_id = _last(patch.session_id, body.session_id)
        patch.release = _last(patch.release, body.release)
        patch.version = _last(patch.version, body.version)
        patch.public = _last(patch.public, body.public)
        patch.input = _last(patch.input, text_of(body.input))
        patch.output = _last(patch.output, text_of(body.output))
        if (metadata := fields.as_object(body.metadata)) is not None:
            patch.metadata = fields.merge_objects(patch.metadata or {}, metadata)
        if body.tags is not None:
            patch.tags = sorted({*(patch.tags or ()), *body.tags})
    patch.said_ns = said[-1][0]
    return patch


def _fold_observation(group: list[_Observed]) -> Span:
    group.sort(key=lambda observed: (observed.at, observed.update))
    first = group[0]
    assert first.body.id is not None
    span = Span(trace_id="", span_id=first.body.id, source="langfuse", dialect="langfuse-ingestion")
    span.partial = all(observed.update for observed in group)
    given: set[str] = set()
    updated: set[str] = set()  # by an update: such a field outweighs updates that came in earlier requests

    def put(name: str, value: Any, once: bool = False) -> None:
        if value is not None and not (once and name in given):
            setattr(span, name, value)
            given.add(name)
            if observed.update:
                updated.add(name)

    for observed in group:
        body = observed.body
        span.trace_id = span.trace_id or body.trace_id or ""
        if not observed.update:
            put("kind", observed.kind)
        elif "kind" not in given and observed.kind is not None:
            span.kind = observed.kind  # a guess until the create comes: SDKs update agents and tools by span-update
        put("start_ns", _time(body.start_time, "startTime"), once=True)
        put("environment", fields.environment(body.environment), once=True)
        for name, value in (
            ("end_ns", _time(body.end_time, "endTime")),
            ("completion_start_ns", _time(body.completion_start_time, "completionStartTime")),
            ("name", body.name), ("parent_id", body.parent_observation_id or None), ("level", body.level),
            ("status_message", body.status_message), ("version", body.version), ("model", body.model),
            ("model_parameters", body.model_parameters), ("input", text_of(body.input)),
            ("output", text_of(body.output)),
        ):  # fmt: skip
            put(name, value)
        if body.prompt_name and body.prompt_version is not None:  # only together do they name a prompt
            put("prompt_name", body.prompt_name)
            put("prompt_version", body.prompt_version)
        if (metadata := fields.as_object(body.metadata)) is not None:
            put("metadata", fields.merge_objects(span.metadata, metadata))
        if body.usage_details is None and body.usage is None and body.cost_details is None:
            continue
        if usage := fields.usage(body.usage_details, body.usage):
            put("usage", usage)
            put("usage_source", "client")
        if cost := fields.cost(body.cost_details, body.usage):
            put("cost", cost)
            put("cost_source", "client")
    if "level" in given:
        span.status = "error" if span.level == "ERROR" else "unset"
        given.add("status")
        updated |= {"status"} if "level" in updated else set()
    if "start_ns" not in given:  # a guess: not in ``given``, so a stored or later start stays
        span.start_ns = min(first.at, span.end_ns or first.at)
    if span.kind == "event":
        put("end_ns", span.start_ns)
    elif span.end_ns is not None and "start_ns" in given and span.end_ns < span.start_ns:
        span.end_ns = span.start_ns
    span.given = frozenset(given) if span.partial else frozenset(updated) or None
    return span
