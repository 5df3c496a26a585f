"""Metric histories: a set of points, in order, thinned out for charts without losing what matters."""

from __future__ import annotations

import itertools
import math

import pytest

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.score import MetricPoint
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Writer
from twinlens.store.telemetry.interface import TelemetryStore


def point(
    step: int, value: float, *, run: str = "r", key: str = "loss", at: int | None = None, **fields: str
) -> MetricPoint:
    return MetricPoint(
        run_id=run, key=key, value=value, timestamp_ms=1000 + (step if at is None else at), step=step, **fields
    )


def test_history_is_a_set_in_order(telemetry: TelemetryStore, writer: Writer) -> None:
    points = [
        point(2, 0.5),
        point(1, 0.7),
        point(1, 0.6, at=1),
        point(3, math.inf),
        point(4, -math.inf),
        point(-1, 0.1),
    ]
    writer.submit_sync(Batch(project_id="p", metrics=points, metric_watermark=3))
    writer.submit_sync(Batch(project_id="p", metrics=points[:2], metric_watermark=5))
    found = telemetry.metric_history("p", "r", "loss")
    assert found == sorted(points, key=lambda p: (p.timestamp_ms, p.step, p.value))
    assert telemetry.metric_watermark() == 5
    assert telemetry.metric_history("p", "r", "absent") == [] == telemetry.metric_history("q", "r", "loss")


def test_nan_points_are_points(telemetry: TelemetryStore, writer: Writer) -> None:
    writer.submit_sync(Batch(project_id="p", metrics=[point(1, math.nan), point(1, math.nan), point(1, 0.5)]))
    found = telemetry.metric_history("p", "r", "loss")
    assert len(found) == 2 and found[0].value == 0.5 and math.isnan(found[1].value)


def test_history_pages_continue_behind_a_point(telemetry: TelemetryStore, writer: Writer) -> None:
    writer.submit_sync(Batch(project_id="p", metrics=[point(i // 3, i / 10, at=i // 4) for i in range(50)]))
    whole = telemetry.metric_history("p", "r", "loss")
    found: list[MetricPoint] = []
    after = None
    while page := telemetry.metric_history("p", "r", "loss", after=after, limit=7):
        found += page
        after = (page[-1].timestamp_ms, page[-1].step, page[-1].value)
    assert found == whole and len(whole) == 50


def test_histories_of_several_metrics(telemetry: TelemetryStore, writer: Writer) -> None:
    points = [
        point(i, i / 10, run=run_id, key=key) for run_id in ("b", "a") for key in ("loss", "f1") for i in range(3)
    ]
    writer.submit_sync(Batch(project_id="p", metrics=[*points, *points[:2]]))
    asked = [("a", "loss"), ("b", "f1"), ("a", "absent")]
    found = telemetry.metric_histories("p", asked, limit=100)
    assert found == [p for owner, key in asked for p in telemetry.metric_history("p", owner, key)] and len(found) == 6
    assert telemetry.metric_histories("p", asked, limit=4) == found[:4]
    assert telemetry.metric_histories("q", asked, limit=9) == [] == telemetry.metric_histories("p", [], limit=9)


def test_points_of_a_model_are_found_under_both(telemetry: TelemetryStore, writer: Writer) -> None:
    made = point(1, 0.9, model_id="m-1", dataset_name="eval", dataset_digest="d")
    writer.submit_sync(Batch(project_id="p", metrics=[made, point(2, 0.8)]))
    assert telemetry.metric_history("p", "m-1", "loss") == [made]
    assert telemetry.metric_history("p", "r", "loss") == [made, point(2, 0.8)]
    writer.run_sync(lambda s: s.delete_metrics("p", ["r"]))
    assert telemetry.metric_history("p", "r", "loss") == [] == telemetry.metric_history("p", "m-1", "loss")


def test_buckets_keep_extremes_first_and_last(telemetry: TelemetryStore, writer: Writer) -> None:
    values = [math.sin(i / 50) for i in range(1000)]
    values[500] = 99.0
    points = [point(i, v) for i, v in enumerate(values)] + [point(3, math.nan, at=7)]
    writer.submit_sync(Batch(project_id="p", metrics=[*points, *points[:10], point(0, 1.0, run="other")]))
    found = telemetry.metric_buckets("p", ["r", "other", "absent"], "loss", buckets=20)
    buckets = found["r"]
    assert len(buckets) == 20 and found["absent"] == [] and len(found["other"]) == 1
    assert (buckets[0].first, buckets[-1].last) == (values[0], values[-1])
    assert max(b.max for b in buckets) == 99.0 and sum(b.count for b in buckets) == 1000 and buckets[0].nan_count == 1
    assert (buckets[0].step_min, buckets[-1].step_max) == (0, 999)
    window = telemetry.metric_buckets("p", ["r"], "loss", buckets=5, lower=100, upper=199)["r"]
    assert sum(b.count for b in window) == 100 and window[0].step_min == 100
    by_time = telemetry.metric_buckets("p", ["r"], "loss", buckets=4, x="time")["r"]
    assert by_time[0].time_min_ms == 1000 and by_time[-1].time_max_ms == 1999
    assert sum(len(b) for b in telemetry.metric_buckets("p", ["r"], "loss", buckets=5000).values()) == 1000
    with pytest.raises(InvalidArgument):
        telemetry.metric_buckets("p", ["r"], "loss", buckets=5, x="hour")


def test_sample_takes_real_points_with_both_ends(telemetry: TelemetryStore, writer: Writer) -> None:
    points = [point(i, i / 7) for i in range(1003)]
    writer.submit_sync(Batch(project_id="p", metrics=[*points, *points]))
    for limit in (1, 2, 10, 320, 2000):
        found = telemetry.metric_sample("p", ["r"], "loss", limit=limit)["r"]
        assert len(found) == min(limit, 1003) and set(found) <= set(points)
        assert found[0] == points[0] and (limit == 1 or found[-1] == points[-1])
        gaps = {b.step - a.step for a, b in itertools.pairwise(found)}
        assert not gaps or max(gaps) - min(gaps) <= 1
    assert [p.step for p in telemetry.metric_sample("p", ["r"], "loss", limit=3, start_step=10, end_step=12)["r"]] == [
        10,
        11,
        12,
    ]
    assert telemetry.metric_sample("p", [], "loss", limit=3) == {}


def test_points_of_several_runs_and_nan_count_once(telemetry: TelemetryStore, writer: Writer) -> None:
    points = [point(i, i / 7 if i % 3 else math.nan, run=run) for i in range(90) for run in ("r", "s")]
    writer.submit_sync(Batch(project_id="p", metrics=[*points, *points[::-1]]))
    found = telemetry.metric_sample("p", ["s", "r", "absent"], "loss", limit=10)
    assert {run: [p.step for p in ps] for run, ps in found.items()} == {
        "r": [*range(0, 90, 10), 89], "s": [*range(0, 90, 10), 89], "absent": []
    }  # fmt: skip
    steps: list[int] = []
    after: tuple[int, int, float] | None = None
    while page := telemetry.metric_history("p", "s", "loss", after=after, limit=7):
        steps += [p.step for p in page]
        after = page[-1].timestamp_ms, page[-1].step, page[-1].value
    assert steps == list(range(90))
