"""One call, one span: a library that calls a model through another library must not be reported twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import create_key, get_value

_CALLS = frozenset(("chat", "text_completion", "generate_content", "embeddings"))
_KINDS = frozenset(("LLM", "EMBEDDING"))
_NAMES = ("chat ", "text_completion ", "generate_content ", "embeddings ")
#: LiteLLM's observer says what a span is only after it has started.
_LITELLM = frozenset(
    (
        "completion",
        "acompletion",
        "completion_with_retries",
        "responses",
        "aresponses",
        "embedding",
        "aembedding",
        "messages.create",
    )
)
#: Whose spans of model calls report tokens, by the start of their scope's name. Spans that the program makes itself
#: (scope ``twinlens``) are not among them: the call inside may be all that knows the tokens.
_SCOPES = (
    "twinlens.", "opentelemetry.instrumentation.", "opentelemetry.util.genai", "openinference.instrumentation.",
    "pydantic-ai", "gcp.vertex.agent",
)  # fmt: skip
#: LlamaIndex's observer says what a span is only when it ends; until then the method's name tells.
_LLAMA_INDEX = "openinference.instrumentation.llama_index"
_LLAMA_INDEX_CALLS = tuple(f".{way}{name}" for name in ("chat", "complete") for way in ("", "a", "stream_", "astream_"))
#: Set in the context inside a model call whose span is not the current one.
INSIDE = create_key("twinlens-inside-call")
_WITHOUT_TOKENS = ("openinference.instrumentation.dspy", "openinference.instrumentation.crewai")


def is_call(name: str, attributes: Mapping[str, Any] | None) -> bool:
    """Whether a span looks like a call of a model, by what is known of it."""
    if attributes:
        if attributes.get("gen_ai.operation.name") in _CALLS or attributes.get("openinference.span.kind") in _KINDS:
            return True
        if "traceloop.span.kind" not in attributes and "llm.request.type" in attributes:
            return True
    return name.startswith(_NAMES) or name in _LITELLM


def inside_call(context: Any = None) -> bool:
    """Whether we are inside a model call that an observer reports with its tokens."""
    if get_value(INSIDE, context):
        return True
    parent: Any = trace.get_current_span(context)
    scope = getattr(parent, "instrumentation_scope", None)
    if scope is None or not scope.name.startswith(_SCOPES) or scope.name in _WITHOUT_TOKENS:
        return False
    if scope.name == _LLAMA_INDEX and parent.name.endswith(_LLAMA_INDEX_CALLS):
        return True
    return is_call(parent.name, parent.attributes)
