"""``log_param``, ``log_metric``, ``log_artifact``: about the run of the trace that the caller is in, or of one that it names."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from opentelemetry import trace

from twinlens.sdk import runtime
from twinlens.sdk.note import Note
from twinlens.sdk.observation import trace_attributes

log = logging.getLogger("twinlens")
#: Largest file that is taken along, in bytes.
MAX_FILE = 64 << 20
_TRACE_ID = re.compile("[0-9a-f]{32}")
_warned: set[str] = set()


def log_param(key: str, value: Any, *, trace_id: str | None = None) -> None:
    """A parameter of the run; also metadata of the trace, for backends without runs.

    Args:
        key: its name.
        value: kept as text.
        trace_id: 32 hex digits (MLflow's ``tr-`` before them is taken too) of a trace that may be over; the current trace by default.
    """
    _note("param", key, value, trace_id=trace_id)


def log_metric(key: str, value: float, step: int | None = None, *, trace_id: str | None = None) -> None:
    """A metric of the run: its final value, or with ``step`` one point of a curve. Also metadata of the trace.

    Args:
        key: its name.
        value: a number.
        step: where on the curve.
        trace_id: as in ``log_param``.

    Raises:
        TypeError: the value is no number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"metric {key!r} must be a number, found {value!r}")
    _note("metric", key, float(value), step, trace_id)


def log_artifact(
    source: str | os.PathLike[str] | bytes | dict[str, Any] | list[Any], path: str | None = None, *, trace_id: str | None = None
) -> None:  # fmt: skip
    """A file of the run. It is read now, on the caller's thread, and uploaded later.

    Args:
        source: a file, its bytes, or a value to store as JSON.
        path: name below the run's artifacts, with ``/``; a file's own name by default.
        trace_id: as in ``log_param``.

    Raises:
        ValueError: no path for what is not a file, or one that leaves the run's folder.
        OSError: the file cannot be read.
    """
    if isinstance(source, (bytes, bytearray)):
        content = bytes(source)
    elif isinstance(source, (dict, list)):
        content = json.dumps(source, default=str, ensure_ascii=False, indent=1).encode()
    else:
        content, path = Path(source).read_bytes(), path or Path(source).name
    pure = PurePosixPath(path or "")
    if not path or pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"an artifact needs a path below its run, found {path!r}")
    if len(content) > MAX_FILE:
        _warn(
            "size", f"artifact {path} has {len(content) >> 20} MB; files above {MAX_FILE >> 20} MB are not taken along"
        )
        return
    _note("artifact", path, base64.b64encode(content).decode(), trace_id=trace_id)


def _note(kind: Any, key: str, value: Any, step: int | None = None, trace_id: str | None = None) -> None:
    found = runtime.current()
    if not found.active:
        return
    if trace_id is not None:
        trace_id = trace_id.removeprefix("tr-")
        if not _TRACE_ID.fullmatch(trace_id):
            _warn(
                "trace", f"log_{kind}({key!r}) names the trace {trace_id!r}, which is not 32 hex digits, and is dropped"
            )
        elif found.keeps(int(trace_id, 16)):
            found.pipeline.put(Note(trace_id, kind, key, value, step))
        return
    span = trace.get_current_span()
    context = span.get_span_context()
    if not context.is_valid:
        _warn(
            "outside",
            f"log_{kind}({key!r}) outside any span belongs to no run and is dropped; inside one, or with trace_id=, it is kept",
        )
        return
    if found.keeps(context.trace_id):
        found.pipeline.put(Note(f"{context.trace_id:032x}", kind, key, value, step))
        if kind != "artifact" and span.is_recording():
            span.set_attributes(trace_attributes(metadata={key: value}))


def _warn(reason: str, text: str) -> None:
    if reason not in _warned:
        _warned.add(reason)
        log.warning("twinlens: %s (said once)", text)
