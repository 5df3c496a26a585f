"""Metric points: acknowledge them fast, carry them to telemetry soon, read their history.

A point is acknowledged by one catalog transaction (inbox and latest values, see ``store.catalog.metrics``). One mover
thread drains the inbox into the telemetry store; every read of history drains it first, so a reader sees whatever was
acknowledged before it asked. After a crash nothing is lost or doubled: the telemetry store keeps the highest inbox
position it has stored in the same transaction as the points.
"""

from __future__ import annotations

import base64
import logging
import math
import threading
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.errors import Busy, InvalidArgument, NotFound, StoreUnavailable
from twinlens.domain.live import Notice
from twinlens.domain.run import LatestMetric
from twinlens.domain.run_rules import check_metrics, experiment_number
from twinlens.domain.score import MetricPoint
from twinlens.features.live import LiveBus
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Ingest
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.logged_models import put_model_metrics
from twinlens.store.catalog.metrics import InboxRow, MetricTable, latest_of
from twinlens.store.catalog.run_search import keys
from twinlens.store.catalog.runs import RunKey, RunTable
from twinlens.store.telemetry.interface import MetricBucket, TelemetryStore

_log = logging.getLogger(__name__)

#: The mover looks into the inbox this often (seconds), or at once when this many points wait.
INTERVAL = 0.5
SOON = 20_000
#: Requests read from the inbox at a time, and points per commit to telemetry.
_ROWS = 2_000
_POINTS = 50_000


class MetricPage(msgspec.Struct, kw_only=True):
    """Points by (timestamp, step, value), and the cursor of the next page or None."""

    points: list[MetricPoint]
    next_cursor: str | None = None


class Metrics:
    """See the module's text. ``start`` before the first write, ``close`` at the end. All methods block."""

    def __init__(self, catalog: Catalog, telemetry: TelemetryStore, ingest: Ingest, live: LiveBus) -> None:
        self._catalog = catalog
        self._telemetry = telemetry
        self._ingest = ingest
        self._live = live
        self._moving = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._waiting = 0  # points since the last drain, a hint only
        self._thread: threading.Thread | None = None

    # --- writing -----------------------------------------------------------------------------------------------
    def log(self, project_id: str, run_id: str, points: Sequence[LatestMetric]) -> None:
        """Store points of an active run; durable and readable on return. The same point again changes nothing.

        Raises:
            NotFound: no such run in this project.
            InvalidArgument: a point breaks a rule, or the run is deleted.
        """
        check_metrics(points)
        with self._catalog.write() as connection:
            self.put(connection, project_id, run_id, active_run(RunTable(connection, project_id), run_id), points)
        self.announce(project_id, run_id, points)

    def put(
        self, connection: sa.Connection, project_id: str, run_id: str, key: RunKey, points: Sequence[LatestMetric]
    ) -> None:  # fmt: skip
        """The part of ``log`` inside the caller's transaction. The caller has checked the points and calls
        ``announce`` after the commit."""
        if not points:
            return
        table = MetricTable(connection)
        table.append(project_id, run_id, points)
        table.put_latest(project_id, key, latest_of(points).values())
        of_models = [_with_run(run_id, point) for point in points if point.model_id]
        if of_models:
            put_model_metrics(connection, project_id, of_models)

    def announce(self, project_id: str, run_id: str, points: Sequence[LatestMetric]) -> None:
        """Tell open pages the run's newest values, and the mover that there is work."""
        if not points:
            return
        self._waiting += len(points)
        if self._waiting >= SOON:
            self._wake.set()
        if self._live.watched:
            values = {
                point.key: [point.step, point.timestamp_ms, point.value if math.isfinite(point.value) else None]
                for point in latest_of(points).values()
            }
            self._live.publish([Notice(kind="metric", project_id=project_id, id=run_id, data={"metrics": values})])

    # --- moving ------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Recover from an earlier end of any kind, and start the mover."""
        watermark = self._telemetry.metric_watermark()
        with self._catalog.write() as connection:
            table = MetricTable(connection)
            table.drop(watermark)
            table.start_behind(watermark)
        self._thread = threading.Thread(target=self._run, name="twinlens-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Move what is left and stop."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def drain(self) -> None:
        """Carry everything that is acknowledged now over to telemetry; afterwards history is complete.

        Raises:
            Busy, StoreUnavailable: telemetry cannot take it now; the inbox keeps it.
        """
        with self._catalog.read() as connection:
            target = MetricTable(connection).last_position()
        if target == 0:
            return
        with self._moving:
            self._waiting = 0
            while True:
                with self._catalog.read() as connection:
                    rows = MetricTable(connection).pending(target, _ROWS)
                if not rows:
                    return
                for part in _parts(rows):
                    self._move(part)

    def _move(self, rows: list[InboxRow]) -> None:
        """Store some rows in telemetry, then delete them here. Rows of several projects make several batches, of which
        the last sets the watermark: a crash in between moves points twice, which their set semantics absorbs."""
        points: dict[str, list[MetricPoint]] = {}
        for row in rows:
            points.setdefault(row.project_id, []).extend(row.points)
        last = list(points)[-1]
        for project_id, found in points.items():
            mark = rows[-1].seq if project_id == last else None
            self._ingest.submit_sync(
                Batch(project_id=project_id, metrics=found, bytes=64 * len(found), metric_watermark=mark)
            )
        with self._catalog.write() as connection:
            MetricTable(connection).drop(rows[-1].seq)

    def _run(self) -> None:
        pause = INTERVAL
        while not self._closing:
            self._wake.wait(pause)
            self._wake.clear()
            pause = self._try(pause)
        self._try(pause)

    def _try(self, pause: float) -> float:
        """Drain once; how long to wait before the next time."""
        try:
            self.drain()
        except (Busy, StoreUnavailable) as error:
            _log.warning("metrics stay in the inbox for now: %s", error.message)
            return min(30.0, max(pause * 2, error.retry_after))
        except Exception:
            _log.exception("moving metrics failed; they stay in the inbox")
            return min(30.0, pause * 2)
        return INTERVAL

    # --- reading -----------------------------------------------------------------------------------------------
    def history(
        self, project_id: str, run_id: str, key: str, *, limit: int | None = None, cursor: str | None = None
    ) -> MetricPage:  # fmt: skip
        """Points of one metric of a run by (timestamp, step, value), each once; none for an unknown run or key.

        Args:
            limit: None returns all that are left.

        Raises:
            InvalidArgument: a bad cursor.
        """
        after = _decode_cursor(cursor) if cursor else None
        self.drain()
        points: list[MetricPoint] = []
        while limit is None or len(points) <= limit:
            size = 25_000 if limit is None else limit + 1 - len(points)
            found = self._telemetry.metric_history(project_id, run_id, key, after=after, limit=size)
            points += found
            if len(found) < size:
                break
            after = _place(found[-1])
        more = limit is not None and len(points) > limit
        if more:
            points = points[:limit]
        return MetricPage(points=points, next_cursor=_encode_cursor(points[-1]) if more else None)

    def bulk(self, project_id: str, run_ids: Sequence[str], key: str, limit: int) -> list[MetricPoint]:
        """Points of several runs, by run id and then as ``history``, at most ``limit`` in all."""
        return self.histories(project_id, [(run_id, key) for run_id in sorted(set(run_ids))], limit)

    def histories(self, project_id: str, metrics: Sequence[tuple[str, str]], limit: int) -> list[MetricPoint]:
        """The first ``limit`` points of several metrics (run id and key), by run id, key and then as ``history``."""
        self.drain()
        return self._telemetry.metric_histories(project_id, metrics, limit=limit)

    def sample(
        self, project_id: str, run_ids: Sequence[str], key: str, *, limit: int, start_step: int | None = None,
        end_step: int | None = None,
    ) -> dict[str, list[MetricPoint]]:  # fmt: skip
        """At most ``limit`` real points per run, evenly over the points in the range, first and last among them."""
        self.drain()
        return self._telemetry.metric_sample(
            project_id, run_ids, key, limit=limit, start_step=start_step, end_step=end_step
        )

    def buckets(
        self, project_id: str, run_ids: Sequence[str], key: str, *, buckets: int = 1_000, x: str = "step",
        lower: int | None = None, upper: int | None = None,
    ) -> dict[str, list[MetricBucket]]:  # fmt: skip
        """At most ``buckets`` buckets per run over ``x`` (``step`` or ``time``), for a chart that many pixels wide."""
        self.drain()
        return self._telemetry.metric_buckets(
            project_id, run_ids, key, buckets=buckets, x=x, lower=lower, upper=upper
        )  # fmt: skip

    def keys(
        self, project_id: str, experiment_id: str, *, kind: str = "metric", limit: int = 1_000, after: str = ""
    ) -> list[str]:  # fmt: skip
        """Names of metrics (``kind`` may also be ``param`` or ``tag``) in an experiment, in order, behind ``after``."""
        with self._catalog.read() as connection:
            return keys(connection, project_id, experiment_number(experiment_id), kind, limit, after)

    def forget(self, project_id: str, run_ids: Sequence[str]) -> None:
        """Delete all points of runs that have been purged."""
        self.drain()
        self._ingest.run_sync(lambda store: store.delete_metrics(project_id, run_ids))


def active_run(table: RunTable, run_id: str) -> RunKey:
    """Where a run that may be changed is.

    Raises:
        NotFound: no such run.
        InvalidArgument: it is deleted.
    """
    found = table.find(run_id)
    if found is None:
        raise NotFound(f"Run with id={run_id} not found")
    if found.lifecycle != "active":
        raise InvalidArgument(
            f"The run {run_id} must be in the 'active' state. Current state is {found.lifecycle}."
        )  # fmt: skip
    return found


def _with_run(run_id: str, point: LatestMetric) -> MetricPoint:
    return MetricPoint(
        run_id=run_id, key=point.key, value=point.value, timestamp_ms=point.timestamp_ms, step=point.step,
        model_id=point.model_id, dataset_name=point.dataset_name, dataset_digest=point.dataset_digest,
    )  # fmt: skip


def _parts(rows: Sequence[InboxRow]) -> Iterable[list[InboxRow]]:
    """Rows in pieces of about ``_POINTS`` points."""
    part: list[InboxRow] = []
    size = 0
    for row in rows:
        part.append(row)
        size += len(row.points)
        if size >= _POINTS:
            yield part
            part, size = [], 0
    if part:
        yield part


def _place(point: MetricPoint) -> tuple[int, int, float]:
    return point.timestamp_ms, point.step, point.value


def _encode_cursor(point: MetricPoint) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(_place(point))).decode()


def _decode_cursor(cursor: str) -> tuple[int, int, float]:
    try:
        place: Any = msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor), type=tuple[int, int, float])
    except (ValueError, msgspec.DecodeError):
        raise InvalidArgument(f"Invalid page token, could not base64-decode: '{cursor[:100]}'") from None
    return place
