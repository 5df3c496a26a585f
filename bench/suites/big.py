"""Questions over 1,000,000 traces and 10,000,000 spans, through HTTP."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from bench import processes
from bench.book import Book, percentile
from bench.connection import Connection, drive, encode, timed
from bench.report import progress
from bench.servers import Twinlens
from bench.suites import Effort, corpus
from bench.suites.otlp import payloads

API = "/api/twinlens/v1/projects/default"
DAY_MS = 86_400_000


def measure(folder: Path, book: Book, effort: Effort, traces: int) -> None:
    """Copies the data, starts the server on it, asks."""
    source = corpus.traces(effort.data / f"traces-{traces}", traces)
    shutil.copytree(source, folder)
    marks = corpus.landmarks(folder)
    server = Twinlens(folder)
    note = f"{traces:,} traces, {marks.spans:,} spans"
    book.record("big_disk", server.name, processes.folder_bytes(folder) / marks.spans, note=note)
    with server, server.connect(120) as connection:
        book.record("big_start", server.name, server.cold_start, note=note)
        _lists(server, connection, book, marks)
        _traces(server, connection, book, marks)
        _aggregates(server, connection, book)
        resident, _ = processes.memory(server.pids())
        book.record("big_memory", server.name, resident / 1e6)
        _ingest(server, book, effort)
    shutil.rmtree(folder, ignore_errors=True)


def _list(where: str) -> bytes:
    return encode("GET", f"{API}/traces?limit=50" + (f"&filter={quote(where)}" if where else ""))


def _ask(
    connection: Connection, request: Callable[[int], bytes], *, count: int = 100, seconds: float = 12.0
) -> list[float]:
    """Latencies in ms after two calls that warm caches."""
    timed(connection, request, 2, 60)
    return [1e3 * x for x in timed(connection, lambda i: request(i + 2), count, seconds)]


def _lists(server: Twinlens, connection: Connection, book: Book, marks: corpus.Landmarks) -> None:
    models = ("gpt-4o-mini", "gpt-4o", "gpt-4.1", "claude-sonnet-4-5", "claude-haiku-4-5", "gemini-2.5-flash")
    questions: dict[str, Callable[[int], str]] = {
        "big_newest": lambda _: "",
        "big_user": lambda i: f"user:{marks.users[i % len(marks.users)]}",
        "big_model": lambda i: f"model:{models[i % len(models)]}",
        "big_cost": lambda i: f"cost>{0.012 + 0.0001 * (i % 10)}",
        "big_tag": lambda i: f"tag:{corpus.TAGS[i % len(corpus.TAGS)]}",
        "big_score": lambda i: f"score.quality>={0.9 + 0.001 * (i % 50)}",
        "big_all": lambda i: (
            f"user:{marks.users[i % len(marks.users)]} model:{models[i % len(models)]} cost>0.001 tag:{corpus.TAGS[i % 5]} "
            "score.quality>=0.1"
        ),
    }
    for key, question in questions.items():
        _, answer = connection.send(_list(question(0)))
        found = len(json.loads(answer).get("traces", []))
        latencies = _ask(connection, lambda i, q=question: _list(q(i)))
        book.record(
            key,
            server.name,
            percentile(latencies, 0.95),
            note=f"p50 {percentile(latencies, 0.5):.1f} ms, {found} rows for {question(0) or 'all'}",
        )


def _traces(server: Twinlens, connection: Connection, book: Book, marks: corpus.Landmarks) -> None:
    ids = marks.trace_ids
    latencies = _ask(connection, lambda i: server.trace_request(ids[(i * 37) % len(ids)]))
    book.record("big_trace", server.name, percentile(latencies, 0.95), note=f"p50 {percentile(latencies, 0.5):.1f} ms")
    _, answer = connection.send(server.trace_request(marks.huge_trace_id))
    latencies = _ask(connection, lambda _: server.trace_request(marks.huge_trace_id), count=10)
    book.record(
        "big_skeleton",
        server.name,
        percentile(latencies, 0.5),
        note=f"{len(json.loads(answer)['spans']):,} spans, {len(answer) / 1e6:.1f} MB",
    )


def _aggregates(server: Twinlens, connection: Connection, book: Book) -> None:
    """Langfuse's metrics endpoint, as a dashboard asks it."""
    span = {"fromTimestamp": _iso(time.time() - 40 * 86_400), "toTimestamp": _iso(time.time() + 86_400)}
    questions = {
        "big_cost_model_day": {
            "view": "observations", "metrics": [{"measure": "totalCost", "aggregation": "sum"}],
            "dimensions": [{"field": "providedModelName"}], "timeDimension": {"granularity": "day"}, "filters": [], **span,
        },
        "big_p95_name": {
            "view": "observations", "metrics": [{"measure": "latency", "aggregation": "p95"}],
            "dimensions": [{"field": "name"}], "filters": [], **span,
        },
    }  # fmt: skip
    for key, query in questions.items():
        request = encode("GET", f"/api/public/metrics?query={quote(json.dumps(query))}")
        status, answer = connection.send(request)
        if status != 200:
            progress(f"{key}: {status} {answer[:200]!r}")
            book.record(key, server.name, note=f"not measured: the endpoint answered {status}")
            continue
        latencies = _ask(connection, lambda _, r=request: r, count=30)
        book.record(key, server.name, percentile(latencies, 0.5), note=f"{len(json.loads(answer)['data'])} groups")


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _ingest(server: Twinlens, book: Book, effort: Effort) -> None:
    rates = []
    for repeat in range(effort.repeats):
        requests = payloads(server, int(effort.seconds * 250), seed=900 + repeat)
        load = drive(server.port, requests, 4, effort.seconds)
        rates.append(load.rate * 100)
    book.record("big_otlp", server.name, *rates)
