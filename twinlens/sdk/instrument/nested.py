"""One call, one span: a library that calls a model through another library must not be reported twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

_CALLS = frozenset(("chat", "text_completion", "generate_content", "embeddings"))
_KINDS = frozenset(("LLM", "EMBEDDING"))
_NAMES = ("chat ", "text_completion ", "generate_content ", "embeddings ")
#: Whose spans of model calls report tokens, by the start of their scope's name. Spans that the program makes itself
#: (scope ``twinlens``) are not among them: the call inside may be all that knows the tokens.
_SCOPES = (
    "twinlens.", "opentelemetry.instrumentation.", "opentelemetry.util.genai", "openinference.instrumentation.",
    "pydantic-ai", "gcp.vertex.agent",
)  # fmt: skip
_WITHOUT_TOKENS = ("openinference.instrumentation.dspy", "openinference.instrumentation.crewai")


def is_call(name: str, attributes: Mapping[str, Any] | None) -> bool:
    """Whether a span looks like a call of a model, by what is known of it."""
    if attributes:
        if attributes.get("gen_ai.operation.name") in _CALLS or attributes.get("openinference.span.kind") in _KINDS:
            return True
        if "traceloop.span.kind" not in attributes and "llm.request.type" in attributes:
            return True
    return name.startswith(_NAMES)


def inside_call(context: Any = None) -> bool:
    """Whether the current span is a model call that an observer reports with its tokens."""
    parent: Any = trace.get_current_span(context)
    scope = getattr(parent, "instrumentation_scope", None)
    if scope is None or not scope.name.startswith(_SCOPES) or scope.name in _WITHOUT_TOKENS:
        return False
    return is_call(parent.name, parent.attributes)


class OneSpanPerCall(Sampler):
    """Keeps everything but model calls right inside other model calls, and what hangs below a span that was not kept."""

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, kind: Any = None, attributes: Any = None,
        links: Any = None, trace_state: Any = None,
    ) -> SamplingResult:  # fmt: skip
        """Decide about a span that starts."""
        parent = trace.get_current_span(parent_context)
        if parent is trace.INVALID_SPAN:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        context = parent.get_span_context()
        dropped = context.is_valid and not context.trace_flags.sampled
        if dropped or (is_call(name, attributes) and inside_call(parent_context)):
            return SamplingResult(Decision.DROP, None, context.trace_state)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, context.trace_state)

    def get_description(self) -> str:
        """For people."""
        return "OneSpanPerCall"
