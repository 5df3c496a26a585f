"""Tells observers of model clients when they are inside a LangChain model, whose own span is not the current one of the context."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from typing import Any

from opentelemetry import context as otel_context

from twinlens.sdk.instrument.nested import INSIDE

_HOMES = (
    ("langchain_core.language_models.chat_models", "BaseChatModel", "_generate_with_cache", "_agenerate_with_cache"),
    ("langchain_core.language_models.llms", "BaseLLM", "_generate_helper", "_agenerate_helper"),
)


def install() -> None:
    """Wrap what every call of a LangChain model goes through, streamed or not."""
    for module, name, direct, asynchronous in _HOMES:
        model: Any = getattr(import_module(module), name)
        for method, wrapper in (
            (direct, _call), (asynchronous, _acall), ("stream", _stream), ("astream", _astream),
        ):  # fmt: skip
            original = getattr(model, method, None)
            if original is not None and not hasattr(original, "__twinlens__"):
                wrapped: Any = functools.wraps(original)(wrapper(original))
                wrapped.__twinlens__ = True
                setattr(model, method, wrapped)


def _enter() -> Any:
    return otel_context.attach(otel_context.set_value(INSIDE, True))


def _call(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        token = _enter()
        try:
            return original(*args, **kwargs)
        finally:
            otel_context.detach(token)

    return call


def _acall(original: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        token = _enter()
        try:
            return await original(*args, **kwargs)
        finally:
            otel_context.detach(token)

    return call


def _stream(original: Callable[..., Any]) -> Callable[..., Any]:
    def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        body = original(*args, **kwargs)
        try:
            while True:
                token = _enter()  # while the model works, not while its reader does
                try:
                    item = next(body)
                except StopIteration:
                    return
                finally:
                    otel_context.detach(token)
                yield item
        finally:
            body.close()

    return stream


def _astream(original: Callable[..., Any]) -> Callable[..., Any]:
    async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        body = original(*args, **kwargs)
        try:
            while True:
                token = _enter()
                try:
                    item = await anext(body)
                except StopAsyncIteration:
                    return
                finally:
                    otel_context.detach(token)
                yield item
        finally:
            await body.aclose()

    return stream
