"""What traces show is live: counted once whatever is re-sent, up to date after a restart, bounded, cheap to keep."""

from __future__ import annotations

import pytest

from tests.telemetry import SECOND, T0, make_span, model_call
from twinlens.domain.deployment import Deployment, ObservedVersion, Release, drift
from twinlens.domain.trace import TracePatch
from twinlens.features import observed as module
from twinlens.features.observed import Observed
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Writer
from twinlens.store.catalog.engine import Catalog
from twinlens.store.telemetry.interface import TelemetryStore

HOUR = 3_600


@pytest.fixture
def observed(catalog: Catalog, telemetry: TelemetryStore) -> Observed:
    """Looks when told; its thread is not started. Time is a day after the first span."""
    return Observed(catalog, telemetry, lambda: T0 + 24 * HOUR * SECOND)


def call(trace: str, at: float, **fields: object) -> Batch:
    values = {"service": "bot", "environment": "production", "version": "3", **fields}
    return Batch(project_id="p", spans=[model_call(trace, "root", at=at, usd=0.5, **values)])


def shown(observed: Observed, **conditions: object) -> list[tuple[object, ...]]:
    return [
        (o.environment, o.kind, o.subject, o.version, o.calls, o.errors)
        for o in sorted(observed.list("p", **conditions), key=lambda o: (o.kind, o.environment, o.version))  # type: ignore[arg-type]
    ]


def test_versions_are_counted_once_by_hour(observed: Observed, writer: Writer) -> None:
    for n in range(3):
        writer.submit_sync(call(f"a{n}", n * HOUR))
    writer.submit_sync(call("b0", 2 * HOUR, version="4", status="error"))
    writer.submit_sync(call("b1", 2 * HOUR, version=None, release="4", environment="staging"))
    writer.submit_sync(call("c0", 0, version=None))  # says nothing of a version
    writer.submit_sync(call("d0", 0, service="unknown_service:python", name="nightly"))
    observed.look("p")
    expected = [
        ("production", "agent", "bot", "3", 3, 0), ("production", "agent", "nightly", "3", 1, 0),
        ("production", "agent", "bot", "4", 1, 1), ("staging", "agent", "bot", "4", 1, 0),
    ]  # fmt: skip
    assert sorted(shown(observed)) == sorted(expected)
    writer.submit_sync(call("a0", 0))  # sent again
    observed.look("p")
    observed.look("p")
    assert sorted(shown(observed)) == sorted(expected)
    three = next(o for o in observed.list("p", subject="bot") if o.version == "3")
    assert (three.first_ns, three.last_ns) == (T0, T0 + 2 * HOUR * SECOND)
    assert (three.cost, three.tokens, three.latency_ns) == (1.5, 45, SECOND)
    assert observed.list("other") == []


def test_an_update_moves_a_trace_to_its_new_version(observed: Observed, writer: Writer) -> None:
    writer.submit_sync(call("a0", 0))
    observed.look("p")
    patch = TracePatch(trace_id="a0", version="3.1", authority="client")
    writer.submit_sync(Batch(project_id="p", patches=[patch]))
    observed.look("p")
    assert shown(observed) == [("production", "agent", "bot", "3.1", 1, 0)]


def test_prompts_and_logged_models(observed: Observed, writer: Writer) -> None:
    prompted = {"prompt_name": "greet", "prompt_version": 2, "version": None}
    writer.submit_sync(call("a0", 0, **prompted))
    writer.submit_sync(call("a1", 0, **{**prompted, "prompt_version": 3, "environment": None}))
    writer.submit_sync(call("a2", 0, version=None))
    model = TracePatch(trace_id="a2", metadata={"mlflow.modelId": "m-1"}, authority="client")
    writer.submit_sync(Batch(project_id="p", patches=[model]))
    observed.look("p")
    assert shown(observed) == [
        ("production", "model", "m-1", "m-1", 1, 0), ("default", "prompt", "greet", "3", 1, 0),
        ("production", "prompt", "greet", "2", 1, 0),
    ]  # fmt: skip


def test_a_new_process_goes_on_where_the_old_one_stopped(
    catalog: Catalog, telemetry: TelemetryStore, observed: Observed, writer: Writer
) -> None:
    writer.submit_sync(call("a0", 0))
    observed.look("p")
    writer.submit_sync(call("a1", 0))  # nobody looks any more
    again = Observed(catalog, telemetry)
    again.start(["p"])
    try:
        for _ in range(200):
            if shown(again) == [("production", "agent", "bot", "3", 2, 0)]:
                break
            again._closing.wait(0.05)
        else:
            pytest.fail(f"never caught up: {shown(again)}")
    finally:
        again.close()


def test_deleted_traces_stay_counted_and_versions_are_bounded(
    catalog: Catalog, telemetry: TelemetryStore, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = Observed(catalog, telemetry, lambda: T0 + 72 * HOUR * SECOND)
    for n in range(3):
        writer.submit_sync(call(f"a{n}", 0))
    observed.look("p")
    writer.run_sync(lambda store: store.delete_traces("p", ["a0", "a1"]))
    writer.submit_sync(call("a2", 0))
    observed.look("p")
    assert shown(observed) == [("production", "agent", "bot", "3", 3, 0)]
    monkeypatch.setattr(module, "MOST_VERSIONS", 5)
    spans = [make_span(f"x{n}", at=HOUR, service="bot", version=str(n)) for n in range(40)]
    writer.submit_sync(Batch(project_id="p", spans=spans))
    observed.look("p")
    assert len(shown(observed)) == 1 + 5


@pytest.fixture
def place() -> Deployment:
    """``bot`` 3, declared at 100."""
    return Deployment(
        deployment_id="d", name="bot", environment="production", kind="agent", subject="bot",
        release=Release(number=1, action="create", version="3", at_ns=100),
    )  # fmt: skip


def seen(version: str, first: int, last: int, environment: str = "production") -> ObservedVersion:
    return ObservedVersion(
        environment=environment, kind="agent", subject="bot", version=version, calls=1, first_ns=first, last_ns=last
    )


def test_drift(place: Deployment) -> None:
    minutes = 60 * SECOND
    assert drift(place, []) is None
    assert drift(place, [seen("v3", 0, 500)]) is None
    assert drift(place, [seen("2", 0, 99)]) is None  # ended before the release
    assert drift(place, [seen("4", 0, 500, environment="staging")]) is None
    found = drift(place, [seen("4", 300, 500)])
    assert found is not None and (found.version, found.since_ns, found.both) == ("4", 300, False)
    old = drift(place, [seen("2", 0, 500)])  # still live although 3 was declared: since the declaration
    assert old is not None and (old.version, old.since_ns) == ("2", 100)
    rollout = drift(place, [seen("2", 0, 500), seen("3", 200, 600)])
    assert rollout is not None and rollout.both
    assert drift(place, [seen("2", 0, 500), seen("3", 200, 500 + 6 * minutes)]) is None
    place.retired = True
    assert drift(place, [seen("4", 300, 500)]) is None
