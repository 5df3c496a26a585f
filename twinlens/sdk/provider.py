"""Where spans come from when the program has no OpenTelemetry SDK set up: our own tracer, and the SDK's once a library needs it.

The OpenTelemetry SDK costs as much start-up time as everything else together, and its spans cost three times ours, so it is loaded
when somebody else asks for a tracer (an instrumented library) or for anything that only the SDK has (a processor of their own).
"""

from __future__ import annotations

import os
import threading
from _random import Random  # what ``random.Random`` is made of, without the distributions that take 1.4 ms to load
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from twinlens.sdk.instrument.nested import inside_call, is_call
from twinlens.sdk.span import Resource, Scope, Span, put

_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)
#: Our own, so that a program that seeds Python's does not get the same ids in every run.
numbers = Random()


class Provider(trace.TracerProvider):
    """OpenTelemetry's global provider in a program that has none.

    Args:
        attributes: of the resource.
        finish: takes every span of ours that ended.
        make: the OpenTelemetry SDK's provider, with our processor; called once, when it is needed.
        inherited: attributes that a span starts with, by its context and whether it is a root.
    """

    def __init__(
        self, attributes: Mapping[str, Any], finish: Callable[[Span], None], make: Callable[[], Any],
        inherited: Callable[[Context | None, bool], Mapping[str, Any] | None],
    ) -> None:  # fmt: skip
        self.described = Resource(attributes)
        self.finish = finish
        self.inherited = inherited
        self._make = make
        self.made: Any = None
        self._lock = threading.RLock()
        #: A sampler that the environment names is the SDK's business.
        self.plain = not {"OTEL_TRACES_SAMPLER", "OTEL_SDK_DISABLED"} & set(os.environ)

    @property
    def sdk(self) -> Any:
        """The OpenTelemetry SDK's provider."""
        if self.made is None:
            with self._lock:
                if self.made is None:
                    self.made = self._make()
        return self.made

    @property
    def shared(self) -> bool:
        """Somebody else wants to see spans too, so they must be the SDK's."""
        if self.made is None:
            return not self.plain
        joined = getattr(self.made, "_active_span_processor", None)  # there is no public way to ask
        return not self.plain or len(getattr(joined, "_span_processors", ())) > 1

    def get_tracer(
        self, instrumenting_module_name: str, instrumenting_library_version: str | None = None, schema_url: str | None = None,
        attributes: Any = None,
    ) -> trace.Tracer:  # fmt: skip
        """A tracer for a library: the SDK's."""
        return self.sdk.get_tracer(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.sdk, name)

    # Libraries look whether the global provider is the SDK's before they use it.
    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self.sdk)


class Tracer(trace.Tracer):
    """Makes our own spans, by the same rules as ``OneSpanPerCall`` makes the SDK's."""

    def __init__(self, provider: Provider, name: str, version: str) -> None:
        self._provider = provider
        self._scope = Scope(name, version)

    def start_span(
        self, name: str, context: Context | None = None, kind: SpanKind = SpanKind.INTERNAL, attributes: Any = None,
        links: Sequence[trace.Link] | None = None, start_time: int | None = None, record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:  # fmt: skip
        """Start a span below the current one, or the one of ``context``."""
        provider = self._provider
        if provider.shared:
            tracer = provider.sdk.get_tracer(self._scope.name, self._scope.version)
            return tracer.start_span(name, context, kind, attributes, links or (), start_time, record_exception)
        above: Any = trace.get_current_span(context)
        if above is trace.INVALID_SPAN:
            parent, number = None, numbers.getrandbits(128) or 1
            if is_call(name, attributes) and inside_call(context):
                return trace.INVALID_SPAN
        elif type(above) is Span:
            parent = above.context
            number = above.trace_number
            if is_call(name, attributes) and inside_call(context):
                return NonRecordingSpan(self._unsampled(parent))
        else:
            parent = above.get_span_context()
            if not parent.is_valid:
                parent, number = None, numbers.getrandbits(128) or 1
            elif not parent.trace_flags.sampled or (is_call(name, attributes) and inside_call(context)):
                return NonRecordingSpan(self._unsampled(parent))
            else:
                number = parent.trace_id
        kept: dict[str, Any] = {}
        inherited = provider.inherited(context, parent is None)
        dropped = put(kept, inherited) if inherited else 0
        if attributes:
            dropped += put(kept, attributes)
        span = Span(
            name, number, numbers.getrandbits(64) or 1, parent, kept, self._scope, provider.described, provider.finish, kind,
            links or (), start_time,
        )  # fmt: skip
        span.dropped_attributes = dropped
        return span

    @staticmethod
    def _unsampled(parent: SpanContext) -> SpanContext:
        return SpanContext(parent.trace_id, numbers.getrandbits(64) or 1, False, _NOT_SAMPLED, parent.trace_state)

    def start_as_current_span(self, name: str, *arguments: Any, **more: Any) -> Any:
        """Start a span and make it the current one until the ``with`` block ends."""
        end = more.pop("end_on_exit", True)
        span = self.start_span(name, *arguments, **more)
        return trace.use_span(span, end, more.get("record_exception", True), more.get("set_status_on_exception", True))
