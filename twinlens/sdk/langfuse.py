"""The Langfuse client's calls, as the guide writes them, over our own: ``from twinlens import Langfuse, langfuse``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context

from twinlens.sdk import datasets, prompts, runtime
from twinlens.sdk.block import Backend, Block
from twinlens.sdk.observation import Observation, put_score, trace_attributes
from twinlens.sdk.prompts import Prompt
from twinlens.sdk.score import Score

_FIELDS = {"usage_details": "usage", "cost_details": "cost"}


class LangfuseObservation(Observation):
    """An observation with the names that Langfuse's client gives to things."""

    __slots__ = ()

    def update(self, **fields: Any) -> Observation:
        """Add to the span. Arguments as Langfuse's, ``usage_details`` and ``cost_details`` among them."""
        return super().update(**{_FIELDS.get(k, k): v for k, v in fields.items()})

    def score(self, name: str, value: float | str | bool, **more: Any) -> None:
        """Score this span."""
        put_score(self.span, name, value, **_score_fields(more))

    def score_trace(self, *, name: str, value: float | str | bool, **more: Any) -> None:
        """Score the trace."""
        put_score(self.span, name, value, whole_trace=True, **_score_fields(more))

    def update_trace(self, **fields: Any) -> LangfuseObservation:
        """Say something about the trace: name, user_id, session_id, tags, metadata, input, output, version, public."""
        self.span.set_attributes(trace_attributes(**fields))
        return self


class Langfuse:
    """Langfuse's client by name, ours by nature.

    When ``twinlens.observe(…)`` has configured the process, that holds and the arguments only serve ``get_trace_url`` and
    ``auth_check``. Else they (or ``LANGFUSE_*``) configure a ``langfuse`` backend, and without keys a ``twinlens`` one.
    """

    def __init__(
        self, *, public_key: str | None = None, secret_key: str | None = None, host: str | None = None,
        base_url: str | None = None, environment: str | None = None, release: str | None = None, mask: Callable[..., Any] | None = None, **ignored: Any,
    ) -> None:  # fmt: skip
        del ignored
        self._configure(public_key, secret_key, base_url or host, environment, release)
        if mask is not None:  # Langfuse's masks take data by keyword
            runtime.current().pipeline.mask_hook = lambda text: mask(data=text)

    @staticmethod
    def _configure(
        public_key: str | None, secret_key: str | None, host: str | None, environment: str | None, release: str | None
    ) -> None:
        given = {
            "public_key": public_key or os.environ.get("LANGFUSE_PUBLIC_KEY"),
            "secret_key": secret_key or os.environ.get("LANGFUSE_SECRET_KEY"),
            "host": host or os.environ.get("LANGFUSE_BASE_URL") or os.environ.get("LANGFUSE_HOST"),
            "environment": environment, "release": release,
        }  # fmt: skip
        options = {k: v for k, v in given.items() if v}
        if runtime.current().active or runtime.current().block.found:
            return
        if "public_key" in options and "secret_key" in options:
            runtime.configure(Block(backends=[Backend("langfuse", options)]))
        else:
            address = {"url": options["host"]} if "host" in options else {}
            runtime.configure(Block(backends=[Backend("twinlens", address)]))

    # --- spans -----------------------------------------------------------------------------------------------------
    def start_as_current_span(self, *, name: str, **fields: Any) -> LangfuseObservation:
        """``with langfuse.start_as_current_span(name=…) as span``."""
        return self.start_observation(name=name, **fields)

    def start_as_current_generation(self, *, name: str, **fields: Any) -> LangfuseObservation:
        """``with langfuse.start_as_current_generation(name=…, model=…, input=…) as generation``."""
        return self.start_observation(name=name, as_type="generation", **fields)

    def start_as_current_observation(self, *, name: str, as_type: str = "span", **fields: Any) -> LangfuseObservation:
        """The spelling of client 4 and later."""
        return self.start_observation(name=name, as_type=as_type, **fields)

    def start_observation(self, *, name: str, as_type: str = "span", **fields: Any) -> LangfuseObservation:
        """A span to be ended by hand. ``trace_context={"trace_id": …, "parent_span_id": …}`` continues a trace; ``end_on_exit`` is
        not supported and left out."""
        fields.pop("end_on_exit", None)
        continued = fields.pop("trace_context", None)
        parent = remote_parent(continued) if continued else None
        return LangfuseObservation(name, as_type, parent=parent, **fields)

    start_span = start_observation

    def start_generation(self, *, name: str, **fields: Any) -> LangfuseObservation:
        """A generation to be ended by hand."""
        return self.start_observation(name=name, as_type="generation", **fields)

    def update_current_span(self, **fields: Any) -> None:
        """Add to the current span."""
        _Current().update(**fields)

    update_current_generation = update_current_span

    def update_current_trace(self, **fields: Any) -> None:
        """Say something about the current trace."""
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes(trace_attributes(**fields))

    # --- scores ----------------------------------------------------------------------------------------------------
    def score_current_span(self, *, name: str, value: float | str | bool, **more: Any) -> None:
        """Score the span we are in."""
        put_score(trace.get_current_span(), name, value, **_score_fields(more))

    def score_current_trace(self, *, name: str, value: float | str | bool, **more: Any) -> None:
        """Score the trace we are in."""
        put_score(trace.get_current_span(), name, value, whole_trace=True, **_score_fields(more))

    def create_score(
        self, *, name: str, value: float | str | bool, trace_id: str, observation_id: str | None = None,
        score_id: str | None = None, data_type: str | None = None, comment: str | None = None,
        metadata: Mapping[str, Any] | None = None, **ignored: Any,
    ) -> None:  # fmt: skip
        """Score any trace or span by id (32 and 16 hex digits)."""
        del ignored
        score = Score(
            name, value, trace_id, observation_id, data_type or "", comment, dict(metadata) if metadata else None,
            elsewhere=True,
        )  # fmt: skip
        if score_id:
            score.score_id = score_id
        runtime.current().put_score(score)

    # --- prompts and datasets ----------------------------------------------------------------------------------------
    def get_prompt(self, name: str, **more: Any) -> Prompt:
        """As ``twinlens.get_prompt``: ``version``, ``label``, ``fallback``, ``cache_ttl_seconds``."""
        known = ("version", "label", "fallback", "cache_ttl_seconds")
        return prompts.get_prompt(name, **{k: v for k, v in more.items() if k in known})

    def create_prompt(self, *, name: str, prompt: Any, **more: Any) -> Prompt:
        """As ``twinlens.create_prompt``; ``type`` follows from the prompt."""
        return prompts.create_prompt(name, prompt, **{k: v for k, v in more.items() if k != "type"})

    def get_dataset(self, name: str) -> datasets.Dataset:
        """As ``twinlens.get_dataset``."""
        return datasets.get_dataset(name)

    def create_dataset(self, *, name: str, **more: Any) -> datasets.Dataset:
        """As ``twinlens.create_dataset``."""
        return datasets.create_dataset(name, **more)

    def create_dataset_item(
        self, *, dataset_name: str, input: Any = None, expected_output: Any = None, metadata: Any = None,
        id: str | None = None, source_trace_id: str | None = None,
    ) -> datasets.Item:  # fmt: skip
        """As ``twinlens.add_item``."""
        return datasets.add_item(
            dataset_name, input, expected_output, metadata=metadata, item_id=id, trace_id=source_trace_id
        )

    # --- the rest --------------------------------------------------------------------------------------------------
    def flush(self) -> None:
        """Deliver what there is (at most 5 s)."""
        runtime.current().flush()

    def shutdown(self) -> None:
        """As ``flush``."""
        self.flush()

    def auth_check(self) -> bool:
        """Whether the server takes our keys. The one call that uses the network on the caller's thread."""
        from twinlens.sdk.wire import Unreachable

        backend = _server()
        if backend is None:
            return False
        from twinlens.sdk.backends import base

        try:
            probe = base.Remote(backend.url, backend.account, backend.headers)
            return probe.call("GET", "/api/public/projects").ok
        except Unreachable:
            return False

    def get_current_trace_id(self) -> str | None:
        """32 hex digits; None outside any span."""
        context = trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid else None

    def get_current_observation_id(self) -> str | None:
        """16 hex digits; None outside any span."""
        context = trace.get_current_span().get_span_context()
        return f"{context.span_id:016x}" if context.is_valid else None

    def get_trace_url(self, *, trace_id: str | None = None) -> str | None:
        """Where a trace can be looked at; the current one by default."""
        chosen, backend = trace_id or self.get_current_trace_id(), _server()
        return f"{backend.url}/trace/{chosen}" if chosen and backend else None


def remote_parent(continued: Mapping[str, Any]) -> Context | None:
    """The context of a span elsewhere; None when the ids cannot be read."""
    try:
        trace_id = int(str(continued["trace_id"]), 16)
        span_id = int(str(continued.get("parent_span_id") or "1"), 16)
    except (KeyError, ValueError):
        return None
    known = trace.SpanContext(trace_id, span_id, True, trace.TraceFlags(trace.TraceFlags.SAMPLED))
    return trace.set_span_in_context(trace.NonRecordingSpan(known)) if known.is_valid else None


class _Current(LangfuseObservation):
    """The span we are in, whoever started it."""

    __slots__ = ()

    def __init__(self) -> None:
        self.kind, self.span, self._token = "span", trace.get_current_span(), None


def _server() -> Any:
    backends = runtime.current().pipeline.backends
    return next((b for name in ("langfuse", "twinlens") for b in backends if b.name == name), None)


def _score_fields(more: Mapping[str, Any]) -> dict[str, Any]:
    known: Sequence[str] = ("comment", "data_type", "metadata", "score_id")
    return {key: value for key, value in more.items() if key in known}


_client: Langfuse | None = None


def client() -> Langfuse:
    """The process's client, configured from the environment; ``from twinlens import langfuse``."""
    global _client
    if _client is None:
        _client = Langfuse()
    return _client
