"""A writer that is going to be killed: ``python -m tests.kill_writer ENGINE FOLDER ROUND`` prints what was acknowledged."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from pathlib import Path

from tests.telemetry import ENGINES, make_span, model_call
from twinlens.domain.score import MetricPoint, Score
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Writer

THREADS = 3


def batch(round_: int, thread: int, n: int) -> Batch:
    """Trace ``r.t.n`` of three spans, a late span for the thread's long trace, a score, a metric point."""
    trace = f"{round_}.{thread}.{n}"
    text = f'"{"the same long text " * 60}"'
    return Batch(
        project_id="p",
        spans=[
            make_span(trace, "root", input=text),
            model_call(trace, "call", parent_id="root", input=text),
            model_call(trace, "call2", parent_id="root", output=f'"{trace * 200}"'),
            model_call(f"{round_}.{thread}", f"late{n}", at=n),
        ],
        scores=[Score(score_id=trace, name="q", trace_id=trace, value=float(n))],
        metrics=[MetricPoint(run_id=f"{round_}.{thread}", key="n", value=float(n), timestamp_ms=n, step=n)],
    )


def main(engine: str, folder: str, round_: int) -> None:
    """Write until killed."""
    store = ENGINES[engine](Path(folder))
    writer = Writer(store)
    writer.start()

    def work(thread: int) -> None:
        for n in itertools.count():
            writer.submit_sync(batch(round_, thread, n))
            os.write(1, f"{round_}.{thread}.{n}\n".encode())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
