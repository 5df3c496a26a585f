"""``@observe``: a span around a function, coroutine, generator or async generator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from opentelemetry import context as otel_context

from twinlens.sdk import runtime
from twinlens.sdk.observation import Observation

#: Items of a stream that are kept for the span's output.
KEPT_ITEMS = 10_000


class _Plan:
    """What the decorator was told, and the function's signature read once."""

    def __init__(self, function: Callable[..., Any], name: str | None, kind: str, capture: tuple[bool, bool]) -> None:
        self.name = name or function.__name__
        self.kind = kind
        self.input, self.output = capture
        try:
            self.signature = inspect.signature(function)
        except (TypeError, ValueError):
            self.signature = None
        kinds = [p.kind for p in self.signature.parameters.values()] if self.signature else []
        plain = all(kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for kind in kinds)
        #: Parameter names when a call can be understood by counting, which is ten times faster than ``bind``.
        self.names = tuple(self.signature.parameters) if self.signature and plain else None

    def open(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Observation:
        found = runtime.current()
        if self.input and found.active and found.block.capture_content:
            return Observation(self.name, self.kind, input=self._arguments(args, kwargs))
        return Observation(self.name, self.kind)

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.signature is None:
            return {"args": list(args), "kwargs": kwargs}
        if self.names is not None and len(args) <= len(self.names):
            found = dict(zip(self.names, args, strict=False)) | kwargs
            found.pop("self", None)
            found.pop("cls", None)
            return found
        try:
            bound = self.signature.bind(*args, **kwargs).arguments
        except TypeError:  # the call itself will say so
            return {"args": list(args), "kwargs": kwargs}
        return {name: value for name, value in bound.items() if name not in ("self", "cls")}

    def result(self, observation: Observation, value: Any) -> None:
        if self.output and value is not None:
            observation.update(output=value)


def decorate(
    function: Callable[..., Any], *, name: str | None = None, as_type: str = "span", capture_input: bool = True,
    capture_output: bool = True,
) -> Callable[..., Any]:  # fmt: skip
    """Wrap a function. The wrapper is of the same kind: sync, async, generator or async generator."""
    plan = _Plan(function, name, as_type, (capture_input, capture_output))
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        def async_stream(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            return _async_stream(plan, function(*args, **kwargs), args, kwargs)

        return async_stream
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def stream(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return _stream(plan, function(*args, **kwargs), args, kwargs)

        return stream
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with plan.open(args, kwargs) as observation:
                value = await function(*args, **kwargs)
                plan.result(observation, value)
                return value

        return coroutine

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with plan.open(args, kwargs) as observation:
            value = function(*args, **kwargs)
            plan.result(observation, value)
            return value

    return call


class _Streamed:
    """The span of a stream. It is current only while the generator's body runs, never in its consumer."""

    def __init__(self, plan: _Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.plan = plan
        self.observation = plan.open(args, kwargs)
        self.items: list[Any] = []
        self.observation.attach()
        self._inside = otel_context.get_current()
        self.observation.detach()
        self._token: Any = None

    def resume(self) -> None:
        self._token = otel_context.attach(self._inside)

    def pause(self) -> None:
        self._inside = otel_context.get_current()
        otel_context.detach(self._token)

    def keep(self, item: Any) -> None:
        if self.plan.output and len(self.items) < KEPT_ITEMS:
            self.items.append(item)

    def close(self, error: BaseException | None, value: Any = None) -> None:
        if error is not None:
            self.observation.fail(error)
        texts = self.items and all(isinstance(item, str) for item in self.items)
        self.plan.result(self.observation, "".join(self.items) if texts else self.items or value)
        self.observation.end()


def _stream(plan: _Plan, body: Generator[Any, Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    state = _Streamed(plan, args, kwargs)
    step: Callable[[], Any] = lambda: next(body)  # noqa: E731
    try:
        while True:
            state.resume()
            try:
                item = step()
            finally:
                state.pause()
            state.keep(item)
            try:
                sent = yield item
                step = functools.partial(body.send, sent)
            except GeneratorExit:
                body.close()
                raise
            except BaseException as thrown:
                step = functools.partial(body.throw, thrown)
    except StopIteration as end:
        state.close(None, end.value)
        return end.value
    except BaseException as error:
        state.close(error)
        raise


async def _async_stream(
    plan: _Plan, body: AsyncGenerator[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> AsyncGenerator[Any, Any]:
    state = _Streamed(plan, args, kwargs)
    step: Callable[[], Any] = body.__anext__
    try:
        while True:
            state.resume()
            try:
                item = await step()
            finally:
                state.pause()
            state.keep(item)
            try:
                sent = yield item
                step = functools.partial(body.asend, sent)
            except GeneratorExit:
                await body.aclose()
                raise
            except BaseException as thrown:
                step = functools.partial(body.athrow, thrown)
    except StopAsyncIteration:
        state.close(None)
    except BaseException as error:
        state.close(error)
        raise
