"""Cold start, idle memory, number of processes."""

from __future__ import annotations

import time

from bench import processes
from bench.book import Book
from bench.servers import Server
from bench.suites import Effort


def measure(server: Server, book: Book, effort: Effort, earlier_starts: list[float]) -> None:
    """Of a server that has just started; ``earlier_starts`` are further samples of its cold start."""
    book.record("cold_start", server.name, server.cold_start, *earlier_starts)
    # Workers and job runners of the peers come up after the first answer: wait until the tree stops growing.
    settled, before = 0, (-1, -1)
    for _ in range(40):
        pids = server.pids()
        now = (len(pids), round(processes.cpu_seconds(pids)))
        settled = settled + 1 if now == before else 0
        before = now
        if settled >= 3:
            break
        time.sleep(1 if effort.repeats > 1 else 0.5)
    pids = server.pids()
    resident, proportional = processes.memory(pids)
    book.record("idle_rss", server.name, resident / 1e6)
    book.record("idle_pss", server.name, proportional / 1e6)
    book.record("processes", server.name, len(pids))
