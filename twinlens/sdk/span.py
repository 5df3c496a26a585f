"""The SDK's own span: an OpenTelemetry span for everybody who holds one, at a third of the price of the OpenTelemetry SDK's.

It does on the agent's thread only what cannot wait: ids, times, references. It has the attributes of the OpenTelemetry SDK's
``ReadableSpan`` that the OTLP encoder reads. ``provider.Tracer`` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

if TYPE_CHECKING:
    from collections.abc import Callable

#: Most attributes and events of one span; further ones are dropped and counted.
MAX_ATTRIBUTES, MAX_EVENTS = 1_024, 128
_PLAIN = frozenset((str, bool, int, float, bytes))
_UNSET = Status(StatusCode.UNSET)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NO_STATE = TraceState()


class Scope(NamedTuple):
    """Who made a span."""

    name: str
    version: str | None = None
    schema_url: str | None = None
    attributes: Mapping[str, Any] | None = None


class Resource:
    """What is said about the process."""

    schema_url = ""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.attributes = attributes


class Event(NamedTuple):
    """Something that happened at one time (Unix nanoseconds) of a span."""

    name: str
    timestamp: int
    attributes: Mapping[str, Any]
    dropped_attributes: int = 0


class Span(trace.Span):
    """A span that records. Any thread may write to it; what is written after its end is ignored, as OpenTelemetry asks."""

    __slots__ = (
        "_context", "_finish", "attributes", "dropped_attributes", "dropped_events", "end_time", "events",
        "instrumentation_scope", "kind", "links", "name", "number", "parent", "resource", "start_time", "status", "trace_number",
    )  # fmt: skip
    dropped_links = 0

    def __init__(
        self, name: str, trace_number: int, number: int, parent: SpanContext | None, attributes: dict[str, Any],
        scope: Scope, resource: Resource, finish: Callable[[Span], None], kind: SpanKind, links: Sequence[trace.Link],
        start_time: int | None,
    ) -> None:  # fmt: skip
        self.name = name
        self.trace_number, self.number = trace_number, number
        self.parent = parent
        self.attributes = attributes
        self.instrumentation_scope = scope
        self.resource = resource
        self.kind = kind
        self.links = links
        self.events: list[Event] = []
        self.status = _UNSET
        self.dropped_attributes = self.dropped_events = 0
        self._finish = finish
        self._context: SpanContext | None = None
        self.end_time: int | None = None
        self.start_time = start_time or time_ns()

    @property
    def context(self) -> SpanContext:
        """Its ids, made when somebody asks."""
        found = self._context
        if found is None:
            state = self.parent.trace_state if self.parent is not None else _NO_STATE
            found = self._context = SpanContext(self.trace_number, self.number, False, _SAMPLED, state)
        return found

    def get_span_context(self) -> SpanContext:
        """Its ids."""
        return self.context

    def is_recording(self) -> bool:
        """It has not ended."""
        return self.end_time is None

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes."""
        if self.end_time is None:
            self.dropped_attributes += put(self.attributes, attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute."""
        self.set_attributes({key: value})

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        """Note that something happened."""
        if self.end_time is not None:
            return
        if len(self.events) >= MAX_EVENTS:
            self.dropped_events += 1
            return
        kept: dict[str, Any] = {}
        dropped = put(kept, attributes or {})
        self.events.append(Event(name, timestamp or time_ns(), kept, dropped))

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Point to another span."""
        if self.end_time is None and len(self.links) < MAX_EVENTS:
            self.links = [*self.links, trace.Link(context, attributes)]

    def update_name(self, name: str) -> None:
        """Name it anew."""
        if self.end_time is None:
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Say how it went; OK is final, UNSET is ignored."""
        if isinstance(status, StatusCode):
            status = Status(status, description)
        if self.end_time is None and self.status.status_code is not StatusCode.OK and not status.is_unset:
            self.status = status

    def record_exception(
        self, exception: BaseException, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:  # fmt: skip
        """Keep an exception as an event, in OpenTelemetry's conventions."""
        from traceback import format_exception

        kind = type(exception)
        module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
        said = {
            "exception.type": f"{module}{kind.__qualname__}", "exception.message": str(exception),
            "exception.stacktrace": "".join(format_exception(exception)), "exception.escaped": str(escaped),
        }  # fmt: skip
        self.add_event("exception", said | dict(attributes or {}), timestamp)

    def end(self, end_time: int | None = None) -> None:
        """It is over: hand it on. A second call changes nothing."""
        if self.end_time is None:
            self.end_time = end_time or time_ns()
            self._finish(self)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is not None and self.end_time is None:
            self.record_exception(error)
            self.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        self.end()


def put(target: dict[str, Any], attributes: Mapping[str, Any]) -> int:
    """Add attributes: plain values as they are, sequences of them as tuples, others as text, None not at all.

    Returns:
        How many were dropped because there are too many.
    """
    dropped = 0
    for key, value in attributes.items():
        if type(value) not in _PLAIN:
            if value is None:
                continue
            value = _other(value)
        if len(target) < MAX_ATTRIBUTES or key in target:
            target[key] = value
        else:
            dropped += 1
    return dropped


def _other(value: Any) -> Any:
    if isinstance(value, (str, bool, int, float, bytes)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        items: Any = value
        return tuple(item if type(item) in _PLAIN else str(item) for item in items)
    if isinstance(value, Mapping):
        pairs: Any = value.items()
        return {str(key): item if type(item) in _PLAIN else _other(item) for key, item in pairs}
    try:
        return str(value)
    except Exception:  # a program's own __str__
        return f"<{type(value).__name__}>"
