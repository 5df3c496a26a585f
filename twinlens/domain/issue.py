"""Issues: problems that several traces show. Traces are linked by scores of kind ``issue`` that bear the issue's id."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from twinlens.domain.errors import InvalidArgument

Status = Literal["pending", "rejected", "resolved"]
Severity = Literal["not_an_issue", "low", "medium", "high"]  #: mildest first
STATUSES: tuple[Status, ...] = get_args(Status)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
MAX_NAME = 250


class Issue(msgspec.Struct, kw_only=True):
    """One issue of an experiment."""

    issue_id: str
    experiment_id: str
    name: str
    description: str
    status: str = "pending"
    severity: str | None = None
    root_causes: list[str] = []
    categories: list[str] = []
    source_run_id: str | None = None
    created_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Raise ``InvalidArgument`` for values that are not among the known ones."""
        if not 1 <= len(self.name) <= MAX_NAME:
            raise InvalidArgument(f"name must be 1 to {MAX_NAME} characters")
        if self.status not in STATUSES:
            raise InvalidArgument(f"status must be one of {', '.join(STATUSES)}; got {self.status!r}")
        if self.severity is not None and self.severity not in SEVERITIES:
            raise InvalidArgument(f"severity must be one of {', '.join(SEVERITIES)}; got {self.severity!r}")
