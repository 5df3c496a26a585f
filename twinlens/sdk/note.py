"""What a program says about the run of the trace it is in: parameters, metrics, files."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to record with the run of a trace. An artifact's ``value`` is base64 text; times are Unix nanoseconds."""

    trace_id: str
    kind: Literal["param", "metric", "artifact"]
    key: str
    value: Any
    step: int | None = None
    timestamp_ns: int = field(default_factory=time.time_ns)
