"""Sessions: what traces that share a session id make together. Derived from trace summaries, never stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from twinlens.domain.errors import NotFound
from twinlens.domain.trace import TraceSummary
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Aggregate, And, Cmp, Dimension, Expr, Measure, Order, Query, all_of

#: Most traces of one session that are read at once.
MAX_TRACES = 10_000
_PAGE = 1_000


class Session(msgspec.Struct, kw_only=True):
    """One session. ``created_ns`` is the start of its first trace, ``environment`` the first one's."""

    session_id: str
    created_ns: int
    environment: str = "default"


class Sessions:
    """All methods block."""

    def __init__(self, telemetry: TelemetryStore) -> None:
        self._telemetry = telemetry

    def list(
        self, project_id: str, *, from_ns: int | None = None, to_ns: int | None = None,
        environments: Sequence[str] = (), limit: int = 50, offset: int = 0, shown: Expr = And(),
    ) -> tuple[list[Session], int]:  # fmt: skip
        """Sessions by creation, newest first, and the number of all. Only traces inside the range, and ``shown``, count."""
        where = all_of(
            Cmp("session_id", "is not null"),
            None if from_ns is None else Cmp("start_ns", ">=", from_ns),
            None if to_ns is None else Cmp("start_ns", "<", to_ns),
            Cmp("environment", "in", list(environments)) if environments else None,
            shown,
        )
        with self._telemetry.together():
            groups = self._telemetry.aggregate(
                Aggregate(
                    project_id=project_id, view="traces", where=where, dimensions=(Dimension("id", "session_id"),),
                    measures=(Measure("first", "min", "start_ns"), Measure("all", "groups")), order=(Order("first"),),
                    limit=max(1, offset + limit),
                )
            )  # fmt: skip
            total = int(groups[0]["all"]) if groups else 0
            rows = groups[offset : offset + limit]
            environment = self._environments(project_id, {row["id"]: int(row["first"]) for row in rows}, shown)
        found = [
            Session(
                session_id=row["id"], created_ns=int(row["first"]), environment=environment.get(row["id"], "default")
            )
            for row in rows
        ]
        return found, total

    def _environments(self, project_id: str, begun: Mapping[str, int], shown: Expr) -> dict[str, str]:
        """Environments of the first traces of sessions, each of which began at that time."""
        if not begun:
            return {}
        where = all_of(
            Cmp("start_ns", ">=", min(begun.values())),
            Cmp("start_ns", "<=", max(begun.values())),
            Cmp("session_id", "in", list(begun)),
            shown,
        )
        rows = self._telemetry.aggregate(
            Aggregate(
                project_id=project_id, view="traces", where=where,
                dimensions=(Dimension("id", "session_id"), Dimension("environment", "environment")),
                measures=(Measure("first", "min", "start_ns"),), order=(Order("first", descending=False),),
                limit=len(begun) * 10,
            )
        )  # fmt: skip
        found: dict[str, str] = {}
        for row in rows:
            found.setdefault(row["id"], row["environment"] or "default")
        return found

    def get(self, project_id: str, session_id: str, *, shown: Expr = And()) -> tuple[Session, list[TraceSummary]]:
        """One session with those of its traces that are ``shown``, oldest first.

        Raises:
            NotFound: no trace belongs to it.
        """
        where = all_of(Cmp("session_id", "=", session_id), shown)
        traces: list[TraceSummary] = []
        cursor: str | None = None
        while len(traces) < MAX_TRACES:
            page = self._telemetry.traces(
                Query(
                    project_id=project_id, where=where, order=(Order("start_ns", descending=False),), limit=_PAGE,
                    cursor=cursor, with_io=True,
                )
            )  # fmt: skip
            traces += page.rows
            cursor = page.next_cursor
            if cursor is None:
                break
        if not traces:
            raise NotFound(f"Session {session_id} not found within authorized project")
        first = traces[0]
        return Session(session_id=session_id, created_ns=first.start_ns, environment=first.environment), traces
