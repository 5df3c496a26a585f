"""What a hundred-turn agent costs on disk, against the JSON a program would have written."""

from __future__ import annotations

import time
from pathlib import Path

from bench.book import Book
from bench.connection import drive, encode
from bench.servers import Server, Twinlens
from bench.suites import Effort
from bench.suites.otlp import _wait_for
from bench.workload import TraceWriter, raw_json, wrap

TURNS = 100
SPANS_PER_REQUEST = 20  # ten turns, as a batching exporter sends them while the agent works


def measure(kind: type[Server], folder: Path, book: Book, effort: Effort) -> None:
    """Starts the server on an empty folder, stops it (so that logs are folded), sends, stops it again and compares."""
    server = kind(folder)
    with server:
        before_spans = server.stored_spans()
    empty = server.disk()
    agents = effort.agents if kind is Twinlens else effort.peer_agents
    writer = TraceWriter(seed=42, start_ns=time.time_ns() - 10**12)
    raw = 0
    note = ""
    with server:
        spans = 0
        headers = {"Content-Type": "application/x-protobuf", **server.otlp_headers}
        for _ in range(agents):
            conversation = writer.conversation(TURNS)
            raw += len(raw_json(conversation))
            spans += len(conversation)
            ordered = [*conversation[1:], conversation[0]]  # spans arrive when they end: the root last
            requests = [
                encode("POST", server.otlp_path, wrap(ordered[i : i + SPANS_PER_REQUEST]).SerializeToString(), headers)
                for i in range(0, len(ordered), SPANS_PER_REQUEST)
            ]
            load = drive(server.port, requests, 1, 120)
            if load.errors:
                raise RuntimeError(f"{server.name} refused the conversation: {load.errors}")
        stored = _wait_for(server, before_spans + spans, effort.wait) - before_spans
        if stored != spans:
            note = f"{stored} of {spans} spans stored; "
    used = server.disk() - empty
    book.record(
        "disk",
        server.name,
        raw / used,
        note=f"{note}{agents} agents, {raw / 1e6:.0f} MB raw, {used / 1e6:.2f} MB stored",
    )
