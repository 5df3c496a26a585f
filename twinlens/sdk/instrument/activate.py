"""Switches on what observes one library, when anything is recorded at all."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import distribution
from typing import Any

from twinlens.sdk import runtime
from twinlens.sdk.instrument.choose import SKIP, choose
from twinlens.sdk.instrument.table import LIBRARIES, MARKS

#: Instrumentors leave text out unless asked. An answer already given in the environment stands.
_CONTENT = {
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
}
#: Names of libraries that a package observes in this process.
_observed: set[str] = set()


def activate(module: str) -> str:
    """Observe the library whose module was just imported, or mark that module.

    Returns:
        What observes it; empty when nothing does (nothing installed, nothing recorded, or ``opentelemetry-instrument`` is at work,
        which would report the same calls).
    """
    if module in MARKS:
        name, marks = MARKS[module]
        if name in _observed:
            import_module(f"twinlens.sdk.instrument.{marks}").install()
        return ""
    library = next(library for library in LIBRARIES if library.module == module)
    found = choose(os.environ.get(SKIP, "").split(","), [library])
    if not found or not found[0].observed:
        return ""
    provider = runtime.provider()
    if provider is None:
        return ""
    if runtime.current().block.capture_content:
        for name, value in _CONTENT.items():
            os.environ.setdefault(name, value)
    if library.native:
        _native(library.native)
        return found[0].by
    if "opentelemetry.instrumentation.auto_instrumentation" not in sys.modules:
        for package in found[0].packages:
            if _instrument(package, provider):
                _observed.add(library.name)
                return package
    elif found[0].packages:
        return ""
    if not library.builtin:
        return ""
    import_module(f"twinlens.sdk.instrument.{library.builtin}").install()
    return "built in"


def _instrument(package: str, provider: Any) -> bool:
    """Use an instrumentor; False when it refuses this version of the library."""
    for entry in distribution(package).entry_points.select(group="opentelemetry_instrumentor"):
        instrumentor: Any = entry.load()()
        instrumentor.instrument(tracer_provider=provider)
        return bool(getattr(instrumentor, "is_instrumented_by_opentelemetry", True))
    return False


def _native(path: str) -> None:
    if path == "-":
        return
    module, _, attributes = path.partition(":")
    target: Any = import_module(module)
    for attribute in attributes.split("."):
        target = getattr(target, attribute)
    target()
