"""Issues: create, read, change, search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import canonical_trace_id, new_hex
from twinlens.domain.issue import SEVERITIES, Issue
from twinlens.domain.score import Score
from twinlens.features.assessments import Assessments
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.issues import Condition, IssueTable
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import And, Cmp, Query

_PAGE = 1_000
_MOST_LINKS = 500


class Issues:
    """All methods block."""

    def __init__(
        self, catalog: Catalog, telemetry: TelemetryStore, assessments: Assessments, clock: Clock = now_ns
    ) -> None:
        self._table = IssueTable(catalog)
        self._telemetry = telemetry
        self._assessments = assessments
        self._clock = clock

    def create(self, project_id: str, issue: Issue) -> Issue:
        """Store a new issue under a new id.

        Raises:
            InvalidArgument: a value is not among the known ones.
        """
        issue.check()
        now = self._clock()
        made = msgspec.structs.replace(issue, issue_id="iss-" + new_hex(), created_ns=now, updated_ns=now)
        self._table.add(project_id, made)
        return made

    def get(self, project_id: str, issue_id: str) -> Issue:
        """One issue.

        Raises:
            NotFound: no such issue.
        """
        found = self._table.get(project_id, issue_id)
        if found is None:
            raise NotFound(f"Issue with ID '{issue_id}' not found")
        return found

    def update(self, project_id: str, issue_id: str, **changes: Any) -> Issue:
        """Change fields of an issue.

        Raises:
            NotFound: no such issue.
            InvalidArgument: a value is not among the known ones.
        """
        changed = msgspec.structs.replace(self.get(project_id, issue_id), **changes, updated_ns=self._clock())
        changed.check()
        self._table.replace(project_id, changed)
        return changed

    def counted(self, project_id: str, issue_id: str) -> tuple[Issue, int]:
        """One issue with the number of traces that show it.

        Raises:
            NotFound: no such issue.
        """
        found = self.get(project_id, issue_id)
        return found, len(self._traces(project_id, [issue_id]).get(issue_id, ()))

    def link(
        self, project_id: str, issue_id: str, trace_ids: Sequence[str], *, by: str | None, comment: str | None = None
    ) -> None:
        """Say that traces show an issue; those that do already stay as they are.

        Args:
            by: the person who says so.

        Raises:
            InvalidArgument: too many traces.
            NotFound: no such issue, or no such trace (then none is linked).
        """
        if len(trace_ids) > _MOST_LINKS:
            raise InvalidArgument(f"at most {_MOST_LINKS} traces are linked at once")
        self.get(project_id, issue_id)
        known = self._traces(project_id, [issue_id]).get(issue_id, set())
        self._assessments.mark(
            project_id, [id for id in map(canonical_trace_id, trace_ids) if id not in known],
            Score(
                score_id="", name=issue_id, kind="issue", data_type="BOOLEAN", value=1.0, string_value="True",
                source="human", source_id=by, comment=comment,
            ),
        )  # fmt: skip

    def search(
        self, project_id: str, *, experiment_id: str | None, conditions: Sequence[Condition], counted: bool
    ) -> list[tuple[Issue, int | None]]:
        """All that match with the number of traces that show them (None unless ``counted``).

        Most severe first, then by traces, then newest first (MLflow 3.17).
        """
        found = self._table.all(project_id, experiment_id, conditions)
        traces = self._traces(project_id, [issue.issue_id for issue in found]) if counted and found else {}
        rows = [(issue, len(traces.get(issue.issue_id, ())) if counted else None) for issue in found]
        rank = {severity: index for index, severity in enumerate(SEVERITIES)}
        rows.sort(key=lambda row: (rank.get(row[0].severity or "", -1), row[1] or 0), reverse=True)
        return rows

    def _traces(self, project_id: str, issue_ids: list[str]) -> dict[str, set[str]]:
        where = And((Cmp("kind", "=", "issue"), Cmp("name", "in", issue_ids), Cmp("valid", "=", True)))
        found: dict[str, set[str]] = {}
        cursor: str | None = None
        while True:
            page = self._telemetry.scores(Query(project_id=project_id, where=where, limit=_PAGE, cursor=cursor))
            for score in page.rows:
                if score.trace_id:
                    found.setdefault(score.name, set()).add(score.trace_id)
            cursor = page.next_cursor
            if cursor is None:
                return found
