"""OTLP ingest: acknowledged, stored, readable."""

from __future__ import annotations

import time

from bench.book import Book
from bench.connection import drive, encode
from bench.servers import Server, Twinlens
from bench.suites import Effort
from bench.workload import SPANS_PER_TRACE, TRACES_PER_REQUEST, TraceWriter

SPANS = SPANS_PER_TRACE * TRACES_PER_REQUEST
#: Peers that answer before they store must be given time to store it all: 2,500 spans are half a minute for Phoenix.
PEER_REQUESTS = 25


def payloads(server: Server, count: int, seed: int) -> list[bytes]:
    """Encoded HTTP requests of 100 spans each, all different, as of now."""
    writer = TraceWriter(seed=seed, start_ns=time.time_ns() - count * TRACES_PER_REQUEST * 5_000_000)
    headers = {"Content-Type": "application/x-protobuf", **server.otlp_headers}
    return [encode("POST", server.otlp_path, body, headers) for body in writer.requests(count)]


def measure(server: Server, book: Book, effort: Effort) -> None:
    """Four connections, then one."""
    ours = isinstance(server, Twinlens)
    seconds = effort.seconds if ours else effort.peer_seconds
    limit = int(seconds * 350) if ours else PEER_REQUESTS
    drive(server.port, payloads(server, 3, seed=1), 1, 30)  # first requests compile queries and fill caches
    _wait_for(server, server.stored_spans() + 1, 2)
    readable, acknowledged, share, errors = [], [], [], []
    for repeat in range(effort.repeats if ours else effort.peer_repeats):
        rate, acked, part, error = _load(server, payloads(server, limit, seed=100 + repeat), 4, seconds, effort.wait)
        readable.append(rate)
        acknowledged.append(acked)
        share.append(part)
        errors += error
        if errors and not ours:
            break
    note = "; ".join(sorted(set(errors)))[:300]
    book.record("otlp", server.name, *readable, note=note)
    book.record("otlp_ack", server.name, *acknowledged)
    book.record("otlp_lag", server.name, *share)
    rate, _, _, error = _load(server, payloads(server, limit, seed=200), 1, seconds, effort.wait)
    book.record("otlp_one", server.name, rate, note="; ".join(error)[:200])


def _load(
    server: Server, requests: list[bytes], connections: int, seconds: float, wait: float
) -> tuple[float, float, float, list[str]]:
    """(readable spans/s, acknowledged spans/s, per cent readable at the last answer, errors) of one load."""
    before = server.stored_spans()
    load = drive(server.port, requests, connections, seconds)
    at_end = server.stored_spans() - before
    errors = [f"{count} × {text}" for text, count in load.errors.items()]
    expected = len(load.acknowledged) * SPANS
    if not expected:
        return 0.0, 0.0, 0.0, errors
    stored = at_end
    duration = load.seconds
    if at_end < expected:
        stored = _wait_for(server, before + expected, wait) - before
        duration = time.monotonic() - load.started
    if stored < expected:
        errors.append(f"{expected - stored} of {expected} acknowledged spans not readable after {wait:.0f} s")
    return min(stored, expected) / duration, expected / load.seconds, 100 * min(at_end, expected) / expected, errors


def _wait_for(server: Server, count: int, seconds: float) -> int:
    """Spans stored once ``count`` are, or after ``seconds``."""
    deadline = time.monotonic() + seconds
    while (stored := server.stored_spans()) < count and time.monotonic() < deadline:
        time.sleep(0.2)
    return stored
