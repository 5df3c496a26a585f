"""Acknowledged = durable: a writing process is killed at random moments, and nothing it acknowledged is missing."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.telemetry import ENGINES
from twinlens.store.telemetry.query import Cmp, Query

ROUNDS = 20


def killed_after(engine: str, folder: Path, round_: int, seconds: float) -> list[str]:
    """Start a writer, let it acknowledge for a while, kill it; what it had said by then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kill_writer", engine, str(folder), str(round_)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    said = [process.stdout.readline()]
    time.sleep(seconds)  # the moment of death is the point of this test
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    said += rest.splitlines(keepends=True)
    return [line.strip() for line in said if line.endswith("\n")]


@pytest.mark.slow
@pytest.mark.parametrize("engine", list(ENGINES))
def test_nothing_acknowledged_is_lost(engine: str, tmp_path: Path) -> None:
    rng = random.Random(11)
    acknowledged: list[str] = []
    for round_ in range(ROUNDS):
        acknowledged += killed_after(engine, tmp_path, round_, rng.uniform(0, 0.25))
    assert len(acknowledged) > ROUNDS
    store = ENGINES[engine](tmp_path)
    acks = set(acknowledged)
    found: dict[str, int] = {}
    cursor = None
    while True:
        page = store.traces(Query(project_id="p", limit=500, cursor=cursor))
        found.update((row.trace_id, row.span_count) for row in page.rows)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert acks <= found.keys()
    # each batch is there whole or not at all, and summaries agree with their spans
    for trace_id, spans in store.trace_spans("p", list(found)).items():
        assert len(spans) == found[trace_id] == len({s.span_id for s in spans})
        if trace_id.count(".") == 2:
            assert {s.span_id for s in spans} == {"root", "call", "call2"}
            assert spans[0].input is not None and len(spans[0].input) > 1000
    for thread in {trace_id.rsplit(".", 1)[0] for trace_id in acks}:
        of_thread = {int(t.rsplit(".", 1)[1]) for t in found if t.count(".") == 2 and t.rsplit(".", 1)[0] == thread}
        assert {p.step for p in store.metric_history("p", thread, "n")} == of_thread == set(range(len(of_thread)))
        assert found[thread] == len(of_thread)
        assert store.count("scores", Query(project_id="p", where=Cmp("score_id", "starts with", thread + "."))) == len(
            of_thread
        )
    store.close()
