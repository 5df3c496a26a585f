"""Imports that background threads make, kept apart from forks: a child forked in the middle of one would wait for it forever."""

from __future__ import annotations

import threading
from importlib import import_module

_NEEDED = (
    "twinlens.sdk.answer", "opentelemetry.exporter.otlp.proto.common.trace_encoder", "twinlens.sdk.encode", "twinlens.sdk.runs", "twinlens.sdk.wrappers", "twinlens.sdk.batch",
    "twinlens.sdk.backends.tracking",
)  # fmt: skip
_busy = threading.Lock()
_held = False
#: Longest that a fork waits for a running import, in seconds.
PATIENCE_S = 5.0


def load(*more: str) -> None:
    """Import what exporting needs, and more modules. On background threads, first thing."""
    with _busy:
        for name in (*_NEEDED, *more):
            import_module(name)


def before_fork() -> None:
    """Let a running import finish, and hold off further ones."""
    global _held
    _held = _busy.acquire(timeout=PATIENCE_S)


def after_fork() -> None:
    """Imports may go on, in parent and child."""
    global _held
    if _held:
        _held = False
        _busy.release()
