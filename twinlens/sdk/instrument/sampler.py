"""The rule of ``nested`` for spans of the OpenTelemetry SDK, which instrumented libraries make."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from twinlens.sdk.instrument.nested import inside_call, is_call


class OneSpanPerCall(Sampler):
    """Keeps everything but model calls right inside other model calls, and what hangs below a span that was not kept."""

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, kind: Any = None, attributes: Any = None,
        links: Any = None, trace_state: Any = None,
    ) -> SamplingResult:  # fmt: skip
        """Decide about a span that starts."""
        parent = trace.get_current_span(parent_context)
        if parent is trace.INVALID_SPAN:
            if is_call(name, attributes) and inside_call(parent_context):
                return SamplingResult(Decision.DROP)
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        context = parent.get_span_context()
        dropped = context.is_valid and not context.trace_flags.sampled
        if dropped or (is_call(name, attributes) and inside_call(parent_context)):
            return SamplingResult(Decision.DROP, None, context.trace_state)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, context.trace_state)

    def get_description(self) -> str:
        """For people."""
        return "OneSpanPerCall"
