"""Metric points on their way: the inbox that acknowledges them, and each run's latest values.

A point is acknowledged by one catalog transaction that appends it to ``metric_inbox`` and updates ``latest_metrics`` (in
``runs``). A mover (``features.metrics``) later carries the inbox over to the telemetry store, whose transaction records the
highest position carried (the watermark); positions up to it may then be deleted here. Positions only grow and are never
used again. One inbox row holds all points of one request, packed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.run import LatestMetric
from twinlens.domain.score import MetricPoint
from twinlens.store.catalog.engine import insert_for, metadata, upsert
from twinlens.store.catalog.runs import RunKey, Serial, latest_metrics

metric_inbox = sa.Table(
    "metric_inbox",
    metadata,
    sa.Column("seq", Serial, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("points", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # without it SQLite gives positions out again once the inbox is empty
)

_pack = msgspec.msgpack.Encoder().encode
_Packed = tuple[str, float, int, int, str | None, str | None, str | None]
_unpack = msgspec.msgpack.Decoder(list[_Packed]).decode


class InboxRow(msgspec.Struct, frozen=True):
    """Points of one request."""

    seq: int
    project_id: str
    points: list[MetricPoint]


def later(a: LatestMetric, b: LatestMetric) -> bool:
    """Whether ``a`` is the more recent of two points of one metric: greatest (step, timestamp, value), NaN as 0."""
    if a.step != b.step:  # nearly always
        return a.step > b.step
    return (a.timestamp_ms, 0.0 if math.isnan(a.value) else a.value) > (
        b.timestamp_ms, 0.0 if math.isnan(b.value) else b.value
    )  # fmt: skip


def latest_of(points: Iterable[LatestMetric]) -> dict[str, LatestMetric]:
    """The most recent point per key."""
    found: dict[str, LatestMetric] = {}
    for point in points:
        known = found.get(point.key)
        if known is None or later(point, known):
            found[point.key] = point
    return found


@cache
def _put_latest(dialect: str) -> Any:
    """The upsert of latest values. Building it takes longer than running it, and every logged point needs it."""
    t = latest_metrics
    insert = insert_for(dialect, t)
    new = insert.excluded
    newer = sa.tuple_(new.step, new.timestamp_ms, sa.func.coalesce(new.value, 0.0)) > sa.tuple_(
        t.c.step, t.c.timestamp_ms, sa.func.coalesce(t.c.value, 0.0)
    )
    changed = ("value", "timestamp_ms", "step")
    return insert.on_conflict_do_update(
        index_elements=["run_no", "key"], set_={name: new[name] for name in changed}, where=newer
    )


class MetricTable:
    """Statements over one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._c = connection

    def append(self, project_id: str, run_id: str, points: Sequence[LatestMetric]) -> None:
        """Put a request's points into the inbox."""
        packed = _pack(
            [
                (p.key, p.value, p.timestamp_ms, p.step, p.model_id, p.dataset_name, p.dataset_digest) for p in points
            ]
        )  # fmt: skip
        self._c.execute(metric_inbox.insert(), {"project_id": project_id, "run_id": run_id, "points": packed})

    def put_latest(self, project_id: str, key: RunKey, points: Iterable[LatestMetric]) -> None:
        """Update the latest values of a run; an older point than the stored one changes nothing.

        In key order: writers of one run then take PostgreSQL's locks in one order and cannot deadlock.
        """
        self._c.execute(
            _put_latest(self._c.dialect.name),
            [
                {
                    "run_no": key.run_no, "key": p.key, "project_id": project_id, "experiment_id": key.experiment_id,
                    "value": None if math.isnan(p.value) else p.value, "timestamp_ms": p.timestamp_ms, "step": p.step,
                }
                for p in sorted(points, key=lambda p: p.key)
            ],
        )  # fmt: skip

    def last_position(self) -> int:
        """Highest position in the inbox; 0 when it is empty.

        On PostgreSQL this waits for transactions that hold a lower position and have not ended: without that, a
        watermark could pass over points that become visible later.
        """
        if self._c.dialect.name == "postgresql":
            self._c.execute(sa.text("LOCK TABLE metric_inbox IN SHARE MODE"))
        return int(self._c.execute(sa.select(sa.func.max(metric_inbox.c.seq))).scalar() or 0)

    def pending(self, upto: int, limit: int) -> list[InboxRow]:
        """The oldest rows up to a position, at most ``limit`` requests."""
        t = metric_inbox
        query = sa.select(t).where(t.c.seq <= upto).order_by(t.c.seq).limit(limit)
        return [
            InboxRow(row.seq, row.project_id, [_point(row.run_id, packed) for packed in _unpack(row.points)])
            for row in self._c.execute(query)
        ]

    def drop(self, upto: int) -> None:
        """Delete rows up to a position that telemetry has stored."""
        self._c.execute(metric_inbox.delete().where(metric_inbox.c.seq <= upto))

    def start_behind(self, watermark: int) -> None:
        """Make sure that new positions are greater than what telemetry has already stored (a catalog may be younger)."""
        if self._c.dialect.name == "postgresql":
            sequence = sa.func.pg_get_serial_sequence("metric_inbox", "seq")
            known = self._c.execute(sa.select(sa.func.nextval(sequence))).scalar_one()
            self._c.execute(sa.select(sa.func.setval(sequence, max(known, watermark + 1), False)))
        else:
            row = {"seq": watermark, "project_id": "", "run_id": "", "points": b"\x90"}
            self._c.execute(upsert(self._c, metric_inbox).on_conflict_do_nothing(), row)
            self._c.execute(metric_inbox.delete().where(metric_inbox.c.seq == watermark, metric_inbox.c.run_id == ""))


def _point(run_id: str, packed: _Packed) -> MetricPoint:
    key, value, timestamp_ms, step, model_id, dataset_name, dataset_digest = packed
    return MetricPoint(
        run_id=run_id, key=key, value=value, timestamp_ms=timestamp_ms, step=step, model_id=model_id,
        dataset_name=dataset_name, dataset_digest=dataset_digest,
    )  # fmt: skip
