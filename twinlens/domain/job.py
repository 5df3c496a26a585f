"""Jobs: work that a client asks for and looks at later. Names of the states are MLflow's."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

JobStatus = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED"]
ENDED: frozenset[str] = frozenset({"SUCCEEDED", "FAILED", "CANCELED"})


class Job(msgspec.Struct, kw_only=True):
    """One job. ``params`` are what it was asked; ``result`` is what it found so far, in the words of its kind."""

    job_id: str
    name: str
    params: dict[str, Any]
    status: JobStatus = "PENDING"
    result: Any = None
    error: str | None = None
    creator: str | None = None
    completed: int = 0
    total: int = 0
    created_ns: int = 0
    updated_ns: int = 0
