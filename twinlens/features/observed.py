"""What traces say is live: watches what was committed and keeps, per hour, what each version did.

Off the write path: the writer only names the projects it wrote to. A thread of its own then asks the telemetry store, in a few
grouped queries, about the hours that changed, and replaces their rows in the catalog. So nothing is counted twice, whatever
was re-sent, updated or repeated after a crash; a mark per project says how far it has looked, and a restart goes on there.
The thread rests at least ``DUTY`` times as long as it worked, which bounds its share of one core.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.deployment import Deployment, Kind, ObservedHour, ObservedVersion
from twinlens.domain.usage import HOUR_NS
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.lineage import LineageTable
from twinlens.store.catalog.observed_versions import ObservedTable
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Aggregate, And, Cmp, Dimension, Expr, Measure, Not, Or, Order, all_of

View = Literal["traces", "spans"]
log = logging.getLogger(__name__)

REST_S = 2.0  #: least time between two looks
DUTY = 200  #: a look that took a second of CPU is followed by 200 of rest: half a per cent of one core
#: Rows carry the time at which their commit was planned; nobody takes longer than this to finish it.
SLACK_NS = 60_000_000_000
MOST_VERSIONS = 500  #: per kind and hour; the ones with most calls
_CHUNK = 24  #: hours looked at together
_OLD_NS = 48 * HOUR_NS  #: traces of older hours may have been deleted by now: numbers only grow
_TEXT = 255
#: OTel's SDKs name services so that were given no name; the trace's name says more.
_UNNAMED = Cmp("service", "starts with", "unknown_service")
_MODEL_ID = "mlflow.modelId"
_MEASURES = (
    Measure("calls", "count"), Measure("tokens", "sum", "total_tokens"), Measure("cost", "sum", "total_cost"),
    Measure("latency", "avg", "latency_ns"), Measure("first", "min", "start_ns"), Measure("last", "max", "start_ns"),
)  # fmt: skip


class Observed:
    """See the module's text. ``note`` runs on the writer's thread, everything else blocks."""

    def __init__(self, catalog: Catalog, telemetry: TelemetryStore, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._telemetry = telemetry
        self._clock = clock
        self._noted: set[str] = set()
        self._noting = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._looking = threading.Lock()
        self._thread: threading.Thread | None = None

    # --- reading -----------------------------------------------------------------------------------------------
    def list(
        self, project_id: str, *, environment: str | None = None, kind: str | None = None, subject: str | None = None,
        since_ns: int = 0,
    ) -> list[ObservedVersion]:  # fmt: skip
        """Sums per version over hours that start at or after ``since_ns``, the latest seen first.

        Traces name a logged model by its id; here it has the name and version under which it is registered by now.
        """
        with self._catalog.read() as connection:
            table = ObservedTable(connection, project_id)
            found = table.totals(since_ns=since_ns, environment=environment, kind=kind)
            ids = {o.subject for o in found if o.kind == "model"}
            names = LineageTable(connection, project_id, 1).named(sorted(ids)) if ids else {}
        for one in found:
            if one.kind == "model" and one.subject in names:
                one.subject, one.version = names[one.subject]
        return [one for one in found if subject is None or one.subject == subject]

    def timeline(self, project_id: str, deployment: Deployment, since_ns: int) -> list[ObservedHour]:
        """What traces show of a deployment, by version and hour, oldest first."""
        with self._catalog.read() as connection:
            table = ObservedTable(connection, project_id)
            rows = table.timeline(since_ns=since_ns, environment=deployment.environment, kind=deployment.kind)
            ids = {row.subject for row in rows} if deployment.kind == "model" else set[str]()
            names = LineageTable(connection, project_id, 1).named(sorted(ids)) if ids else {}
        for row in rows:
            if row.subject in names:
                row.subject, row.version = names[row.subject]
        return [row for row in rows if row.subject in (deployment.subject, deployment.name, deployment.release.version)]

    # --- watching ----------------------------------------------------------------------------------------------
    def note(self, project_ids: Iterable[str]) -> None:
        """Something was committed in these projects."""
        with self._noting:
            self._noted.update(project_ids)
        self._wake.set()

    def start(self, project_ids: Iterable[str]) -> None:
        """Begin to watch, with what was written while nobody looked."""
        self.note(project_ids)
        self._thread = threading.Thread(target=self._run, name="twinlens-observed", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop. What was not looked at is found after the next start."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if self._closing.is_set():
                return
            self._wake.clear()
            started = time.thread_time()
            with self._noting:
                noted = sorted(self._noted)
                self._noted.clear()
            for project_id in noted:  # what is noted meanwhile waits for the next look
                if self._closing.is_set():
                    return
                try:
                    self.look(project_id)
                except Exception as error:  # this thread must live on; the next commit tries again
                    log.warning("what is live in project %s could not be brought up to date: %s", project_id, error)
            self._closing.wait(max(REST_S, DUTY * (time.thread_time() - started)))

    def look(self, project_id: str) -> None:
        """Bring the project up to date: afterwards everything committed before the call is in ``list``."""
        with self._looking:
            now = self._clock()
            with self._catalog.read() as connection:
                mark = ObservedTable(connection, project_id).mark()
            hours = self._changed_hours(project_id, mark)
            for begin in range(0, len(hours), _CHUNK):
                self._count(project_id, hours[begin : begin + _CHUNK])
            with self._catalog.write() as connection:
                ObservedTable(connection, project_id).set_mark(max(mark, now - SLACK_NS))

    def _changed_hours(self, project_id: str, mark: int) -> list[int]:
        changed = Cmp("updated_ns", ">=", mark)
        found: set[int] = set()
        views: tuple[tuple[View, Expr], ...] = (("traces", _TELLING), ("spans", _PROMPTED))
        for view, telling in views:
            rows = self._telemetry.aggregate(
                Aggregate(
                    project_id=project_id, view=view, measures=(Measure("calls", "count"),),
                    where=And((changed, telling)), time_bucket_s=3_600, limit=100_000,
                )
            )  # fmt: skip
            found.update(row["time"] for row in rows)
        return sorted(found)

    def _count(self, project_id: str, hours: Sequence[int]) -> None:
        when = all_of(
            Cmp("start_ns", ">=", hours[0]), Cmp("start_ns", "<", hours[-1] + HOUR_NS),
        )  # fmt: skip
        wanted = set(hours)
        named = (Dimension("version", "version"), Dimension("release", "release"))
        counted: dict[Kind, list[ObservedHour]] = {
            "agent": [
                *self._ask(project_id, "traces", "agent", "service", all_of(when, _VERSIONED, _NAMED), named),
                *self._ask(project_id, "traces", "agent", "name", all_of(when, _VERSIONED, Not(_NAMED)), named),
            ],
            "prompt": self._ask(
                project_id, "spans", "prompt", "prompt_name", all_of(when, _PROMPTED),
                (Dimension("version", "prompt_version"),),
            ),
            "model": self._ask(
                project_id, "traces", "model", "metadata", all_of(when, Cmp("metadata", "is not null", key=_MODEL_ID)),
                (), key=_MODEL_ID,
            ),
        }  # fmt: skip
        old = [hour for hour in hours if hour < self._clock() - _OLD_NS]
        with self._catalog.write() as connection:
            table = ObservedTable(connection, project_id)
            for kind, rows in counted.items():
                here = _most([row for row in rows if row.hour_ns in wanted])
                if old:
                    here = _grown(table.hours(kind, old), here)
                table.replace(kind, hours, here)

    def _ask(
        self, project_id: str, view: View, kind: Kind, subject: str, where: Expr, more: tuple[Dimension, ...],
        key: str | None = None,
    ) -> list[ObservedHour]:  # fmt: skip
        rows = self._telemetry.aggregate(
            Aggregate(
                project_id=project_id, view=view, measures=_MEASURES, where=where, time_bucket_s=3_600, limit=50_000,
                dimensions=(
                    Dimension("environment", "environment"), Dimension("status", "status"),
                    Dimension("subject", subject, key), *more,
                ),
                order=(Order("calls"),),
            )
        )  # fmt: skip
        found: dict[tuple[int, str, str, str], ObservedHour] = {}
        for row in rows:
            named = _text(row["subject"])
            version = _text(row.get("version") if row.get("version") is not None else row.get("release"))
            if kind == "model":
                version = named  # a logged model's id; readers look up what it is called now
            if not named or not version:
                continue
            environment = _text(row["environment"]) or "default"
            here = (row["time"], environment, named, version)
            one = found.get(here)
            if one is None:
                one = found[here] = ObservedHour(
                    hour_ns=row["time"], kind=kind, environment=environment, subject=named, version=version,
                    first_ns=row["first"], last_ns=row["last"],
                )  # fmt: skip
            one.add(
                calls=row["calls"], errors=row["calls"] if row["status"] == "error" else 0, tokens=int(row["tokens"] or 0),
                cost=row["cost"] or 0.0, mean_latency_ns=row["latency"], first_ns=row["first"], last_ns=row["last"],
            )  # fmt: skip
        return list(found.values())


_VERSIONED = Or((Cmp("version", "is not null"), Cmp("release", "is not null")))
_NAMED = And((Cmp("service", "is not null"), Not(_UNNAMED)))
_TELLING = Or((_VERSIONED, Cmp("metadata", "is not null", key=_MODEL_ID)))
_PROMPTED = And((Cmp("prompt_name", "is not null"), Cmp("prompt_version", "is not null")))


def _text(value: Any) -> str:
    return "" if value is None else str(value).replace("\x00", "")[:_TEXT]


def _most(rows: list[ObservedHour]) -> list[ObservedHour]:
    """At most ``MOST_VERSIONS`` per hour, so that a client that makes up a version per call cannot fill the catalog."""
    kept: dict[int, int] = {}
    found: list[ObservedHour] = []
    for row in sorted(rows, key=lambda row: -row.calls):
        kept[row.hour_ns] = kept.get(row.hour_ns, 0) + 1
        if kept[row.hour_ns] <= MOST_VERSIONS:
            found.append(row)
    return found


def _grown(before: Iterable[ObservedHour], now: Iterable[ObservedHour]) -> list[ObservedHour]:
    """Of two counts of one hour the one with more calls."""
    found = {(row.hour_ns, row.environment, row.subject, row.version): row for row in now}
    for row in before:
        key = (row.hour_ns, row.environment, row.subject, row.version)
        if key not in found or found[key].calls < row.calls:
            found[key] = row
    return list(found.values())
