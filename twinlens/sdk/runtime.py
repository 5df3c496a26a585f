"""The one runtime of a process: block, OpenTelemetry provider, pipeline. Made by ``configure``; replaced by a second call."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import create_key, get_value

from twinlens.sdk.block import Backend as Choice
from twinlens.sdk.block import Block, BlockError, read
from twinlens.sdk.loading import after_fork, before_fork
from twinlens.sdk.pipeline import LINGER_S, Pipeline
from twinlens.sdk.provider import Provider, Tracer, numbers
from twinlens.sdk.span import Span as OwnSpan

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from twinlens.sdk.score import Score

log = logging.getLogger("twinlens")
#: Where ``propagate`` keeps attributes in the OpenTelemetry context.
PROPAGATED = create_key("twinlens-propagated")
#: Longest wait at the program's end, in seconds; a backend known to be dead is not waited for at all.
EXIT_S = 1.0
_MAX_ID = (1 << 64) - 1

_lock = threading.RLock()
_current: Runtime | None = None
_tracer: trace.Tracer | None = None
_provider: trace.TracerProvider | None = None
_scoped: dict[str, trace.Tracer] = {}


class Processor:
    """What OpenTelemetry calls: on the agent's threads, so it only sets propagated attributes and appends to the queue."""

    runtime: Runtime | None = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """A span starts."""
        propagated = get_value(PROPAGATED, parent_context)
        if propagated:
            span.set_attributes(propagated)  # pyright: ignore[reportArgumentType]
        runtime = self.runtime
        if (
            runtime is not None
            and runtime.tags
            and span.parent is None
            and "langfuse.trace.tags" not in (span.attributes or {})
        ):
            span.set_attribute("langfuse.trace.tags", runtime.tags)

    def _on_ending(self, span: Span) -> None:
        """Part of the interface of SDK 1.30 and later."""

    def on_end(self, span: ReadableSpan) -> None:
        """A span ended."""
        runtime = self.runtime
        if runtime is None:
            return
        context = span.context
        if context is not None and context.trace_flags.sampled and runtime.keeps(context.trace_id):
            runtime.pipeline.put(span)

    def shutdown(self) -> None:
        """The provider ends."""
        if self.runtime is not None:
            self.runtime.pipeline.close(EXIT_S)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """The provider is flushed."""
        return self.runtime is None or self.runtime.pipeline.flush(timeout_millis / 1000)


_processor = Processor()


class Runtime:
    """What ``observe`` returns when it configures. ``block.remarks`` tell what was not understood."""

    def __init__(self, block: Block, environ: Mapping[str, str] | None = None) -> None:
        from twinlens.sdk.backends import build
        from twinlens.sdk.backends.base import Backend, Remote
        from twinlens.sdk.delivery import Courier
        from twinlens.sdk.spool import Spool, default_root

        env = os.environ if environ is None else environ
        self.block = block
        self.tags = list(block.tags)
        self.problems: list[str] = []
        backends: list[Backend] = []
        couriers: list[Courier] = []
        root = block.spool.get("path") or default_root()
        max_bytes = int(_number(block.spool.get("max_mb"), 256) * (1 << 20))
        max_age_s = _number(block.spool.get("max_age_hours"), 168) * 3600
        for choice in _without_twins(block.backends) if block.enabled else ():
            try:
                backend = build(choice.name, choice.options, env, block.source)
            except ValueError as error:
                self.problems.append(f"{choice.name}: {error}")
                continue
            backends.append(backend)
            if isinstance(backend, Remote):
                spool = Spool(root, backend.destination, max_bytes=max_bytes, max_age_s=max_age_s)
                couriers.append(Courier(backend, spool))
        waits = [_number(b.options.get("flush_interval"), LINGER_S) for b in block.backends]
        self.pipeline = Pipeline(
            backends,
            couriers,
            mask=block.mask,
            capture_content=block.capture_content,
            linger=min(waits, default=LINGER_S),
        )
        self._bound = round(block.sample_rate * _MAX_ID)

    @property
    def active(self) -> bool:
        """Anything is recorded at all."""
        return bool(self.pipeline.backends)

    def keeps(self, trace_id: int) -> bool:
        """Whether sampling keeps this trace: the same answer for all its spans and in every process."""
        return (trace_id & _MAX_ID) <= self._bound if self._bound else False

    def put_score(self, score: Score) -> None:
        """Send a score, unless its trace is sampled out."""
        if self.active and self.keeps(int(score.trace_id, 16)):
            self.pipeline.put(score)

    def flush(self, timeout: float = 5.0) -> bool:
        """Deliver what there is, waiting at most ``timeout`` seconds; whether all arrived."""
        return self.pipeline.flush(timeout)

    def __call__(self, function: Any) -> Any:
        """``@observe()`` decorates too."""
        from twinlens.sdk.decorator import decorate

        return decorate(function)


def _without_twins(choices: list[Choice]) -> list[Choice]:
    """One run per agent run: when ``mlflow`` and ``twinlens`` name one experiment, only the first of them makes runs."""
    seen: set[str] = set()
    kept: list[Choice] = []
    for choice in choices:
        options = dict(choice.options)
        experiment = options.get("experiment_name")
        if choice.name in ("mlflow", "twinlens") and experiment:
            if experiment in seen and _same_place(choices):
                options |= {"log_params": False, "log_metrics": False, "log_artifacts": False}
            seen.add(experiment)
        kept.append(Choice(choice.name, options))
    return kept


def _same_place(choices: list[Choice]) -> bool:
    places = {
        str(c.options.get("tracking_uri") or c.options.get("url") or "")
        .rstrip("/")
        .replace("//localhost", "//127.0.0.1")
        for c in choices
        if c.name in ("mlflow", "twinlens")
    }
    return len(places) == 1


def _number(value: Any, default: float) -> float:
    try:
        return max(float(value), 0.0) if value is not None else default
    except (TypeError, ValueError):
        return default


def configure(source: str | Path | Mapping[str, Any] | Block | None = None) -> Runtime:
    """Read the block and start sending. Never raises for what the block says: one warning, and the agent runs on.

    Args:
        source: playbook path, mapping, or None for the file that ``TWINLENS_CONFIG`` names (without one: the ``twinlens``
            backend when ``TWINLENS_URL`` is set, else nothing).
    """
    try:
        block = source if isinstance(source, Block) else read(source)
        if source is None and not block.source and not block.found and os.environ.get("TWINLENS_URL"):
            block.backends.append(Choice("twinlens", {}))
        said = [f"{block.source or 'observability'}: {remark}" for remark in block.remarks]
    except BlockError as error:
        block, said = Block(enabled=False), [f"{error}; nothing is recorded"]
    except Exception as error:  # whatever it is, the agent must run
        block, said = Block(enabled=False), [f"{source}: {type(error).__name__}: {error}; nothing is recorded"]
    try:
        runtime = Runtime(block)
    except Exception as error:  # whatever it is, the agent must run
        said.append(f"{type(error).__name__}: {error}; nothing is recorded")
        runtime = Runtime(Block(enabled=False))
    said += runtime.problems
    try:
        install(runtime)
    except Exception as error:
        said.append(f"OpenTelemetry cannot be set up: {type(error).__name__}: {error}; nothing is recorded")
    if said:
        log.warning("twinlens: %s", "; ".join(said))
    return runtime


def install(runtime: Runtime) -> None:
    """Make it the process's runtime; the one before delivers what it has."""
    global _current
    with _lock:
        before, _current = _current, runtime
        if before is None:
            atexit.register(_at_exit)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(before=before_fork, after_in_parent=after_fork, after_in_child=_after_fork)
        _processor.runtime = runtime if runtime.active else None
        if runtime.active:
            _attach(runtime)
    if before is not None and before.active:
        before.pipeline.close(EXIT_S)


def _attach(runtime: Runtime) -> None:
    """Hang the processor on the program's provider, or make one. A provider of another kind is left alone."""
    global _tracer, _provider
    if _tracer is not None:
        return
    from twinlens import __version__

    provider: Any = trace.get_tracer_provider()
    sdk: Any = sys.modules.get("opentelemetry.sdk.trace")
    if sdk is not None and isinstance(provider, sdk.TracerProvider):
        provider.add_span_processor(_processor)
        _provider, _tracer = provider, provider.get_tracer("twinlens", __version__)
        return
    name = os.environ.get("OTEL_SERVICE_NAME") or runtime.block.service_name or _program()
    attributes = {
        "service.name": name, "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "python",
        "telemetry.distro.name": "twinlens", "telemetry.distro.version": __version__,
    }  # fmt: skip
    own = Provider(attributes, _finish, lambda: _sdk_provider(attributes), _inherited)
    if isinstance(provider, trace.ProxyTracerProvider):
        trace.set_tracer_provider(own)
    _provider, _tracer = own, Tracer(own, "twinlens", __version__)


def _program() -> str:
    """What was started, without folder and ending."""
    return os.path.splitext(os.path.basename(sys.argv[0] or "agent"))[0]


def _sdk_provider(attributes: dict[str, str]) -> Any:
    """The OpenTelemetry SDK's provider, for libraries."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    from twinlens.sdk.instrument.sampler import OneSpanPerCall

    class Ids(IdGenerator):
        def generate_span_id(self) -> int:
            return numbers.getrandbits(64) or 1

        def generate_trace_id(self) -> int:
            return numbers.getrandbits(128) or 1

    sampler = None if "OTEL_TRACES_SAMPLER" in os.environ else OneSpanPerCall()
    made = TracerProvider(sampler, Resource(attributes), shutdown_on_exit=False, id_generator=Ids())
    made.add_span_processor(_processor)  # pyright: ignore[reportArgumentType]
    return made


def _finish(span: OwnSpan) -> None:
    """One of our own spans ended."""
    runtime = _processor.runtime
    if runtime is not None and runtime.keeps(span.trace_number):
        runtime.pipeline.put(span)


def _inherited(context: Context | None, root: bool) -> Mapping[str, Any] | None:
    """What one of our own spans starts with."""
    propagated: Any = get_value(PROPAGATED, context)
    runtime = _processor.runtime
    if root and runtime is not None and runtime.tags:
        return {"langfuse.trace.tags": runtime.tags} | (propagated or {})
    return propagated


def current() -> Runtime:
    """The runtime; configured from the environment when nobody did."""
    found = _current
    if found is None:
        with _lock:
            found = _current or configure()
    return found


def tracer() -> trace.Tracer:
    """Our tracer; the global one (often a no-op) while nothing is configured."""
    current()
    return _tracer or trace.get_tracer("twinlens")


def provider() -> trace.TracerProvider | None:
    """The provider that instrumentors of libraries shall write to; None while nothing is recorded."""
    return _provider if current().active else None


def scoped(name: str) -> trace.Tracer:
    """A tracer for one of our own observers of a library; its scope tells them from spans of the program."""
    from twinlens import __version__

    source = provider()
    if source is None:
        return tracer()
    found = _scoped.get(name)
    if found is None:
        full = f"twinlens.{name}"
        found = Tracer(source, full, __version__) if type(source) is Provider else source.get_tracer(full, __version__)
        _scoped[name] = found
    return found


def _at_exit() -> None:
    if _current is not None:
        with contextlib.suppress(Exception):
            _current.pipeline.close(EXIT_S)


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    numbers.seed()
    after_fork()
    if _current is None:
        return
    _current.pipeline.reset()
    workers = sys.modules.get("multiprocessing.util")
    if workers is not None:  # its children skip atexit
        workers.register_after_fork(_current, lambda _: workers.Finalize(None, _at_exit, exitpriority=0))
