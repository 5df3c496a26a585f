"""The built-in observer of SuperOptiX: one ``agent`` span around each ``super agent run``, whatever framework runs inside."""

from __future__ import annotations

import functools
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from twinlens.sdk import runtime
from twinlens.sdk.observation import Observation


def install() -> None:
    """Wrap the one place that every run goes through, whether ``--observe`` is given or not."""
    tracer: Any = import_module("superoptix.observability.tracer").SuperOptixTracer
    original: Any = tracer.trace_operation

    @functools.wraps(original)
    @contextmanager
    def trace_operation(self: Any, operation_name: str, component: str, **metadata: Any) -> Generator[Any]:
        if not runtime.current().active:
            with original(self, operation_name, component, **metadata) as event:
                yield event
            return
        kind = "agent" if operation_name == "agent_run" else "tool" if component == "tool" else "chain"
        name = component.removeprefix("agent.") if kind == "agent" else operation_name
        with Observation(name, kind, tracer=runtime.scoped("superoptix"), input=metadata.get("query")) as observed:
            observed.update(metadata={"superoptix.component": component})
            with original(self, operation_name, component, **metadata) as event:
                yield event

    tracer.trace_operation = trace_operation
