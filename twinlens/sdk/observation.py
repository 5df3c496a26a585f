"""A span that can be updated, scored and used in a ``with`` block. Writes the Langfuse dialect and ``gen_ai.*``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from twinlens.sdk import runtime

if TYPE_CHECKING:
    from datetime import datetime

Kind = Literal[
    "span", "generation", "agent", "tool", "retriever", "chain", "embedding", "evaluator", "guardrail", "event"
]
_OPERATIONS = {
    "generation": "chat", "agent": "invoke_agent", "tool": "execute_tool", "retriever": "retrieval",
    "embedding": "embeddings",
}  # fmt: skip
_NAMES = {"agent": "gen_ai.agent.name", "tool": "gen_ai.tool.name"}
_USAGE = {"input": "gen_ai.usage.input_tokens", "output": "gen_ai.usage.output_tokens"}
#: Spellings of usage keys that programs bring along, as Langfuse's.
_SPELLINGS = {
    "prompt_tokens": "input", "completion_tokens": "output", "total_tokens": "total",
    "input_tokens": "input", "output_tokens": "output",
}  # fmt: skip


class Observation:
    """A started span. End it with ``end`` or by leaving its ``with`` block; while inside, it is the current one."""

    __slots__ = ("_token", "kind", "span")

    def __init__(
        self, name: str, kind: str = "span", *, tracer: trace.Tracer | None = None,
        parent: otel_context.Context | None = None, **fields: Any,
    ) -> None:  # fmt: skip
        self.kind = kind
        attributes: dict[str, Any] = {"langfuse.observation.type": kind}
        if kind in _OPERATIONS:
            attributes["gen_ai.operation.name"] = _OPERATIONS[kind]
        if kind in _NAMES:
            attributes[_NAMES[kind]] = name
        if fields and not _LATER & fields.keys():  # one call into OpenTelemetry instead of two
            attributes |= attributes_of(**fields)
            fields = {}
        self._token: Any = None
        try:
            self.span: Span = (tracer or runtime.tracer()).start_span(name, parent, attributes=attributes)
        except Exception:  # a foreign provider's trouble is not the agent's
            self.span = trace.INVALID_SPAN
        if fields:
            self.update(**fields)

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return f"{self.span.get_span_context().trace_id:032x}"

    @property
    def id(self) -> str:
        """The span's id: 16 hex digits."""
        return f"{self.span.get_span_context().span_id:016x}"

    def update(self, **fields: Any) -> Observation:
        """Add to the span; see ``twinlens.update``."""
        write(self.span, **fields)
        return self

    def score(self, name: str, value: float | str | bool, **more: Any) -> None:
        """Score this span; see ``twinlens.score``."""
        put_score(self.span, name, value, **more)

    def end(self) -> None:
        """The span is over."""
        self.span.end()

    def is_current(self) -> bool:
        """Whether it is the current span of this context."""
        return trace.get_current_span() is self.span

    def attach(self) -> None:
        """Make it the current span of this context."""
        self._token = otel_context.attach(trace.set_span_in_context(self.span))

    def detach(self) -> None:
        """Undo ``attach``."""
        if self._token is not None:
            otel_context.detach(self._token)
            self._token = None

    def fail(self, error: BaseException) -> None:
        """Record an exception. Leaving quietly (``GeneratorExit``, ``sys.exit(0)``) is none."""
        if isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code):
            return
        if self.span.is_recording():
            text = f"{type(error).__name__}: {error}"
            self.span.record_exception(error)
            self.span.set_status(Status(StatusCode.ERROR, text))
            self.span.set_attribute("langfuse.observation.level", "ERROR")
            self.span.set_attribute("langfuse.observation.status_message", text)

    def __enter__(self) -> Observation:
        self.attach()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()
        if error is not None:
            self.fail(error)
        self.end()

    async def __aenter__(self) -> Observation:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


#: Fields that change more of a span than its attributes.
_LATER = frozenset(("name", "level"))


def write(
    span: Span, *, name: str | None = None, level: str | None = None, status_message: str | None = None, **fields: Any
) -> None:
    """Write what is given as attributes of a span. Values that are no JSON become text; nothing raises."""
    if not span.is_recording():
        return
    if name is not None:
        span.update_name(name)
    found = attributes_of(status_message=status_message, **fields)
    if level is not None:
        found["langfuse.observation.level"] = level.upper()
        if level.upper() == "ERROR":
            span.set_status(Status(StatusCode.ERROR, status_message))
    if found:
        span.set_attributes(found)


def attributes_of(
    *, input: Any = None, output: Any = None, metadata: Any = None, model: str | None = None,
    model_parameters: Mapping[str, Any] | None = None, usage: Mapping[str, Any] | None = None,
    cost: Mapping[str, float] | float | None = None, status_message: str | None = None, version: str | None = None,
    completion_start_time: datetime | None = None, prompt: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """What is said about a span, as attributes."""
    found: dict[str, Any] = {}
    if (input is not None or output is not None) and runtime.current().block.capture_content:
        if input is not None:
            found["langfuse.observation.input"] = dumps(input)
        if output is not None:
            found["langfuse.observation.output"] = dumps(output)
    if metadata is not None:
        found |= _spread("langfuse.observation.metadata", metadata)
    if model is not None:
        found["langfuse.observation.model.name"] = found["gen_ai.request.model"] = str(model)
    if model_parameters:
        found["langfuse.observation.model.parameters"] = dumps(dict(model_parameters))
    if usage:
        counts = usage_of(usage)
        found["langfuse.observation.usage_details"] = dumps(counts)
        found |= {theirs: counts[ours] for ours, theirs in _USAGE.items() if ours in counts}
    if cost is not None:
        found["langfuse.observation.cost_details"] = dumps(cost if isinstance(cost, Mapping) else {"total": cost})
    if status_message is not None:
        found["langfuse.observation.status_message"] = status_message
    if version is not None:
        found["langfuse.version"] = version
    if completion_start_time is not None:
        found["langfuse.observation.completion_start_time"] = completion_start_time.isoformat()
    if prompt is not None and getattr(prompt, "name", None) and not getattr(prompt, "is_fallback", False):
        found["langfuse.observation.prompt.name"] = prompt.name
        found["langfuse.observation.prompt.version"] = prompt.version
    return found


def trace_attributes(
    *, user_id: str | None = None, session_id: str | None = None, tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None, name: str | None = None, version: str | None = None,
    public: bool | None = None, input: Any = None, output: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """What is said about a whole trace, as attributes that any of its spans may carry."""
    found: dict[str, Any] = {}
    if user_id is not None:
        found["user.id"] = str(user_id)
    if session_id is not None:
        found["session.id"] = found["gen_ai.conversation.id"] = str(session_id)
    if tags:
        found["langfuse.trace.tags"] = [str(tag) for tag in tags]
    if metadata:
        found |= _spread("langfuse.trace.metadata", metadata)
    if name is not None:
        found["langfuse.trace.name"] = name
    if version is not None:
        found["langfuse.version"] = version
    if public is not None:
        found["langfuse.trace.public"] = public
    if runtime.current().block.capture_content:
        if input is not None:
            found["langfuse.trace.input"] = dumps(input)
        if output is not None:
            found["langfuse.trace.output"] = dumps(output)
    return found


def put_score(
    span: Span, name: str, value: float | str | bool, *, whole_trace: bool = False, comment: str | None = None,
    data_type: str | None = None, metadata: Mapping[str, Any] | None = None, score_id: str | None = None,
    source: str = "CODE", author: str | None = None,
) -> None:  # fmt: skip
    """Score a span or its trace. Without a recorded span: nothing happens."""
    from twinlens.sdk.score import Score  # here, because the agent's start need not pay for it

    context = span.get_span_context()
    if not context.is_valid:
        return
    score = Score(
        name, value, f"{context.trace_id:032x}", None if whole_trace else f"{context.span_id:016x}", data_type or "",
        comment, dict(metadata) if metadata else None, source, author,
    )  # fmt: skip
    if score_id:
        score.score_id = score_id
    runtime.current().put_score(score)


def usage_of(usage: Mapping[str, Any]) -> dict[str, int]:
    """Token counts under Langfuse's names; values that are no counts are left out."""
    counts: dict[str, int] = {}
    for key, value in usage.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
            counts[_SPELLINGS.get(key, key)] = int(value)
    return counts


def dumps(value: Any) -> str:
    """JSON text; texts as they are; what JSON cannot hold as its ``repr``."""
    if isinstance(value, str):
        return value
    try:
        return _encode(value)
    except Exception:  # circular, odd keys, a repr that raises
        try:
            return repr(value)
        except Exception:
            return f"<{type(value).__name__}>"


def _fallback(value: Any) -> Any:
    for method in ("model_dump", "to_dict", "dict", "isoformat"):
        found = getattr(value, method, None)
        if callable(found) and not isinstance(value, type):
            return found()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    return repr(value)


_encode = json.JSONEncoder(default=_fallback, ensure_ascii=False).encode


def _spread(prefix: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        return {prefix: dumps(values)}
    return {
        f"{prefix}.{key}": value if isinstance(value, (str, bool, int, float)) else dumps(value)
        for key, value in values.items()
    }
