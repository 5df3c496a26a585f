"""What the built-in observers of model clients share: one span per call, with text, tokens, streaming and errors."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from twinlens.sdk import runtime
from twinlens.sdk.instrument.nested import inside_call
from twinlens.sdk.observation import Observation

#: Arguments that are worth showing as the model's parameters.
_PARAMETERS = (
    "temperature", "top_p", "max_tokens", "max_completion_tokens", "max_output_tokens", "seed", "stop", "n",
    "frequency_penalty", "presence_penalty", "reasoning_effort", "reasoning", "response_format", "tool_choice",
)  # fmt: skip


def wrap(owner: Any, name: str, scope: str, *, kind: str = "generation", asynchronous: bool = False) -> None:
    """Replace ``owner.name``, a function that calls a model with keyword arguments, by one that is observed.

    Args:
        owner: class or module.
        name: of the attribute; when it is absent nothing happens.
        scope: of the spans.
        kind: ``generation`` or ``embedding``.
        asynchronous: it is awaited.
    """
    original = getattr(owner, name, None)
    if original is None or hasattr(original, "__twinlens__"):
        return

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if inside_call() or not runtime.current().active:
            return original(*args, **kwargs)
        observed = _open(scope, kind, args, kwargs)
        observed.attach()
        try:
            answer = original(*args, **kwargs)
        except BaseException as error:
            observed.detach()
            observed.fail(error)
            observed.end()
            raise
        observed.detach()
        return _finish(observed, answer, kwargs)

    @functools.wraps(original)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        if inside_call() or not runtime.current().active:
            return await original(*args, **kwargs)
        observed = _open(scope, kind, args, kwargs)
        observed.attach()
        try:
            answer = await original(*args, **kwargs)
        except BaseException as error:
            observed.detach()
            observed.fail(error)
            observed.end()
            raise
        observed.detach()
        return _finish(observed, answer, kwargs)

    wrapper: Any = call_async if asynchronous else call
    wrapper.__twinlens__ = True
    setattr(owner, name, wrapper)


def _open(scope: str, kind: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Observation:
    model = kwargs.get("model") or next((a for a in args if isinstance(a, str)), None)
    asked = next((kwargs[k] for k in ("messages", "input", "prompt") if k in kwargs), None)
    if kwargs.get("tools"):
        asked = {"messages": asked, "tools": kwargs["tools"]}
    operation = "chat" if kind == "generation" else "embeddings"
    return Observation(
        f"{operation} {model}" if model else operation, kind, tracer=runtime.scoped(scope), model=model, input=asked,
        model_parameters={k: kwargs[k] for k in _PARAMETERS if isinstance(kwargs.get(k), (str, int, float, list, dict))},
    )  # fmt: skip


def _finish(observed: Observation, answer: Any, kwargs: Mapping[str, Any]) -> Any:
    """End the span now, or with its stream."""
    if kwargs.get("stream") and (hasattr(answer, "__iter__") or hasattr(answer, "__aiter__")):
        return Stream(observed, answer)
    try:
        raw = (kwargs.get("extra_headers") or {}).get("X-Stainless-Raw-Response")
        if raw == "true" and not kwargs.get("stream") and hasattr(answer, "parse"):
            report(observed, answer.parse())  # the client keeps what it parsed
        elif not raw:
            report(observed, answer)
    except Exception as error:  # an answer of a shape we do not know
        observed.update(metadata={"twinlens.unread": type(error).__name__})
    observed.end()
    return answer


def report(observed: Observation, answer: Any) -> None:
    """Read model, text and tokens from an answer of the OpenAI shape (chat, text, responses, embeddings)."""
    observed.update(model=_get(answer, "model"), usage=usage_of(_get(answer, "usage")))
    choices = _get(answer, "choices")
    if choices:
        first = choices[0]
        message = _get(first, "message")
        observed.update(output=_plain(message) if message is not None else _get(first, "text"))
    elif _get(answer, "output") is not None:
        observed.update(output=_get(answer, "output_text") or _plain(answer)["output"])


def usage_of(usage: Any) -> dict[str, int]:
    """OpenAI's usage as disjoint counts: cached and reasoning tokens are parts of the totals they name."""
    if usage is None:
        return {}
    found: dict[str, int] = {}
    into, out = (
        _count(usage, a, b) for a, b in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    )
    cached = _count(_details(usage, "prompt_tokens_details", "input_tokens_details"), "cached_tokens")
    thought = _count(_details(usage, "completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    if into is not None:
        found["input"] = into - (cached or 0)
    if cached:
        found["input_cached_tokens"] = cached
    if out is not None:
        found["output"] = out - (thought or 0)
    if thought:
        found["output_reasoning_tokens"] = thought
    if into is not None or out is not None:
        found["total"] = (into or 0) + (out or 0)
    return found


def _details(usage: Any, *names: str) -> Any:
    return next((d for d in (_get(usage, n) for n in names) if d is not None), None)


def _count(holder: Any, *names: str) -> int | None:
    found = next((_get(holder, n) for n in names if _get(holder, n) is not None), None)
    return found if isinstance(found, int) and found >= 0 else None


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_none=True) if hasattr(value, "model_dump") else value


class Stream:
    """A stream of chunks, handed on as they come; its span ends with it. Everything else is the original's."""

    def __init__(self, observed: Observation, stream: Any) -> None:
        self._observed, self._stream = observed, stream
        self._text: list[str] = []
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._stream)
        except BaseException as error:
            self._end(None if isinstance(error, StopIteration) else error)
            raise
        self._take(chunk)
        return chunk

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await self._stream.__anext__()
        except BaseException as error:
            self._end(None if isinstance(error, StopAsyncIteration) else error)
            raise
        self._take(chunk)
        return chunk

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._end(None)
        if hasattr(self._stream, "close"):
            await self._stream.close()

    def close(self) -> Any:
        """End early. For asynchronous streams the answer is to be awaited."""
        self._end(None)
        return self._stream.close() if hasattr(self._stream, "close") else None

    def _take(self, chunk: Any) -> None:
        try:
            if not self._text:
                self._observed.update(completion_start_time=datetime.now(UTC))
            whole = _get(chunk, "response")  # the responses API repeats everything at its end
            if whole is not None and _get(chunk, "type") == "response.completed":
                report(self._observed, whole)
                return
            if _get(chunk, "usage") is not None:
                self._observed.update(usage=usage_of(_get(chunk, "usage")))
            if _get(chunk, "model"):
                self._observed.update(model=_get(chunk, "model"))
            for choice in _get(chunk, "choices") or []:
                text = _get(_get(choice, "delta"), "content") or _get(choice, "text")
                if text:
                    self._text.append(text)
        except Exception:  # noqa: S110 - a chunk of a shape we do not know is still the program's
            pass

    def _end(self, error: BaseException | None) -> None:
        if self._ended:
            return
        self._ended = True
        if self._text:
            self._observed.update(output="".join(self._text))
        if error is not None:
            self._observed.fail(error)
        self._observed.end()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # the interpreter may be ending
            self._end(None)
