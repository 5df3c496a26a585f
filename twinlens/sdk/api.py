"""The public functions of ``import twinlens``. None of them raises for telemetry's sake, and none waits for a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast, overload

from opentelemetry import context as otel_context
from opentelemetry import trace

from twinlens.sdk import runtime
from twinlens.sdk.decorator import decorate
from twinlens.sdk.observation import Observation, put_score, trace_attributes, write
from twinlens.sdk.runtime import PROPAGATED, Runtime

F = TypeVar("F", bound=Callable[..., Any])


@overload
def observe(target: F, /) -> F: ...
@overload
def observe(target: str | os.PathLike[str] | Mapping[str, Any] | None = None, /) -> Runtime: ...
@overload
def observe(
    *, name: str | None = None, as_type: str = "span", capture_input: bool = True, capture_output: bool = True
) -> Callable[[F], F]: ...
def observe(
    target: Any = None, /, *, name: str | None = None, as_type: str | None = None, capture_input: bool = True,
    capture_output: bool = True,
) -> Any:  # fmt: skip
    """Decorate a function, or start observing as a playbook says.

    ``@observe``, ``@observe()`` and ``@observe(name=…, as_type="agent")`` put a span around every call; arguments become
    its input, the result (for generators: what was yielded) its output, exceptions its error. ``observe("playbook.yaml")``
    reads the ``observability:`` block; so do ``observe({...})`` and, with the file that ``TWINLENS_CONFIG`` names,
    ``observe()``.

    Args:
        target: function, path or mapping.
        name: of the span; the function's by default.
        as_type: ``span``, ``generation``, ``agent``, ``tool``, ``retriever``, ``chain``, ``embedding``, ``evaluator`` or
            ``guardrail``.
        capture_input: False leaves arguments out.
        capture_output: False leaves results out.

    Returns:
        The wrapped function, a decorator, or the ``Runtime``.
    """
    if callable(target) and not isinstance(target, (Runtime, Mapping)):
        return decorate(
            target, name=name, as_type=as_type or "span", capture_input=capture_input, capture_output=capture_output
        )
    if name is not None or as_type is not None or not (capture_input and capture_output):

        def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
            return decorate(
                function,
                name=name,
                as_type=as_type or "span",
                capture_input=capture_input,
                capture_output=capture_output,
            )

        return wrap
    if target is None:
        return runtime.current()
    return runtime.configure(
        dict(target) if isinstance(target, Mapping) else os.fspath(cast("str | os.PathLike[str]", target))
    )


def span(name: str, *, as_type: str = "span", **fields: Any) -> Observation:
    """A step: ``with twinlens.span("plan") as step: …``. Fields as in ``update``."""
    return Observation(name, as_type, **fields)


def generation(name: str, *, model: str | None = None, **fields: Any) -> Observation:
    """A call of a model. Report ``usage={"input": n, "output": n}`` when known; servers count and price the rest."""
    return Observation(name, "generation", model=model, **fields)


def agent(name: str, **fields: Any) -> Observation:
    """An agent's work as a whole."""
    return Observation(name, "agent", **fields)


def tool(name: str, **fields: Any) -> Observation:
    """A call of a tool."""
    return Observation(name, "tool", **fields)


def retriever(name: str, **fields: Any) -> Observation:
    """A look-up of documents."""
    return Observation(name, "retriever", **fields)


def update(
    *, user_id: str | None = None, session_id: str | None = None, tags: Sequence[str] | None = None, **fields: Any
) -> None:
    """Add to the current span.

    Args:
        user_id: of the trace.
        session_id: of the trace.
        tags: of the trace.
        fields: ``input``, ``output``, ``metadata``, ``model``, ``model_parameters``, ``usage`` (token counts), ``cost`` (USD:
            a number or parts), ``level`` (DEBUG, DEFAULT, WARNING, ERROR), ``status_message``, ``version``, ``name``.
    """
    current = trace.get_current_span()
    write(current, **fields)
    if current.is_recording():
        current.set_attributes(trace_attributes(user_id=user_id, session_id=session_id, tags=tags))


def score(name: str, value: float | str | bool, *, whole_trace: bool = False, **more: Any) -> None:
    """Score the current span, or with ``whole_trace=True`` its trace.

    Args:
        name: what is judged.
        value: number, truth value or category.
        whole_trace: about the trace.
        more: ``comment``, ``data_type`` (NUMERIC, BOOLEAN, CATEGORICAL), ``metadata``, ``score_id``.
    """
    put_score(trace.get_current_span(), name, value, whole_trace=whole_trace, **more)


def feedback(
    value: float | str | bool, *, trace_id: str | None = None, name: str = "user-feedback", comment: str | None = None,
    user_id: str | None = None, span_id: str | None = None,
) -> None:  # fmt: skip
    """What a person thinks of an answer: a score with source HUMAN. It may come long after the trace, from another process.

    Args:
        value: thumbs (a truth value), stars (a number) or a word.
        trace_id: 32 hex digits; the current trace by default. Without either nothing happens.
        name: of the score.
        comment: the person's words.
        user_id: who it was.
        span_id: 16 hex digits, when it is about one span.
    """
    from twinlens.sdk.score import Score

    context = trace.get_current_span().get_span_context()
    about = trace_id or (f"{context.trace_id:032x}" if context.is_valid else None)
    if about is not None:
        judged = Score(
            name, value, about, span_id, comment=comment, source="HUMAN", author=user_id, elsewhere=trace_id is not None
        )
        runtime.current().put_score(judged)


@contextmanager
def propagate(
    *, user_id: str | None = None, session_id: str | None = None, tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Generator[None]:  # fmt: skip
    """Set user, session, tags and metadata on every span that starts inside, those of instrumented libraries too."""
    added = trace_attributes(user_id=user_id, session_id=session_id, tags=tags, metadata=metadata)
    outer = cast("dict[str, Any]", otel_context.get_value(PROPAGATED) or {})
    token = otel_context.attach(otel_context.set_value(PROPAGATED, outer | added))
    current = trace.get_current_span()
    if current.is_recording():
        current.set_attributes(added)
    try:
        yield
    finally:
        otel_context.detach(token)


def set_mask(function: Callable[[str], str] | None) -> None:
    """Let the program mask texts itself, after the patterns and detectors of the block.

    Args:
        function: gets every text of a span (prompts, answers, metadata, errors) and answers what may leave the process. It runs on
            the export thread; a text for which it raises is replaced by ``***``. None: no longer.
    """
    runtime.current().pipeline.mask_hook = function


def flush(timeout: float = 5.0) -> bool:
    """Deliver what there is, waiting at most ``timeout`` seconds.

    Returns:
        Whether everything arrived. What did not waits in the spool.
    """
    return runtime.current().flush(timeout)
