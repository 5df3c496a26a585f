"""A full disk: nothing is acknowledged, reads go on, and the store recovers by itself when there is room again.

The disk is "full" through the process limit on file sizes, which fails writes the way a full file system does.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.telemetry import ENGINES, make_span, running_writer
from twinlens.domain.errors import StoreUnavailable
from twinlens.ingest.batch import Batch
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Query


@contextlib.contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """No file of this process may grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def large(n: int) -> Batch:
    """About 400 KB that cannot be compressed."""
    return Batch(
        project_id="p", spans=[make_span(f"{n}.{i}", "a", input=f'"{os.urandom(10_000).hex()}"') for i in range(20)]
    )


def stored(store: TelemetryStore) -> set[int]:
    rows = store.traces(Query(project_id="p", limit=1000)).rows
    assert len(rows) == 20 * len({row.trace_id.split(".")[0] for row in rows}), "a batch is there in part"
    return {int(row.trace_id.split(".")[0]) for row in rows}


@pytest.mark.parametrize("engine", ["duckdb"])
def test_commits_fail_whole_and_recover(engine: str, tmp_path: Path) -> None:
    store = ENGINES[engine](tmp_path)
    with running_writer(store) as writer:
        writer.submit_sync(large(0))
        with no_file_above(max(file.stat().st_size for file in tmp_path.iterdir()) + 100_000):
            for n in (1, 2):
                with pytest.raises(StoreUnavailable):
                    writer.submit_sync(large(n))
            assert stored(store) == {0}
        writer.submit_sync(large(3))
        assert stored(store) == {0, 3}
    store.close()
    store = ENGINES[engine](tmp_path)
    assert stored(store) == {0, 3}
    store.close()


@pytest.mark.parametrize("engine", ["duckdb"])
def test_a_failed_checkpoint_loses_nothing(engine: str, tmp_path: Path) -> None:
    """Folding the log fails, which DuckDB takes as fatal: the file is opened again, the log is still there."""
    store = ENGINES[engine](tmp_path)
    with running_writer(store) as writer:
        for n in range(3):
            writer.submit_sync(large(n))
        with no_file_above(500_000), pytest.raises(StoreUnavailable):
            writer.run_sync(lambda s: s.checkpoint())
        assert stored(store) == {0, 1, 2}
        writer.submit_sync(large(3))
        writer.run_sync(lambda s: s.checkpoint())
        assert stored(store) == {0, 1, 2, 3}
    store.close()
