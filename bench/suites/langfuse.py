"""Langfuse's API: how fast batches are taken, and how fast everything is read among a million observations while others write."""

from __future__ import annotations

import json
import random
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from bench.book import Book, percentile
from bench.connection import Connection, drive, encode, encode_json, timed
from bench.report import progress
from bench.servers import Twinlens
from bench.suites import Effort, corpus

API = "/api/public"
TRACES_PER_REQUEST = 10
EVENTS = 100  #: of one request
OBSERVATIONS = 40  #: of one request
PACE = 0.1  #: seconds between two requests of one writer
_TEXT = "The quick brown fox jumps over the lazy dog while the model thinks about the question at hand. " * 4


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def _events(mark: str, number: int, choose: random.Random, traces: int) -> Iterator[dict[str, object]]:
    """What Langfuse's SDK 2 sends of an agent that calls two models: ten events per trace, four observations."""
    for k in range(traces):
        trace, at = f"{mark}-{number}-{k}", time.time() - choose.random()
        begun, done = _iso(at), _iso(at + 1.5)
        said = f"{_TEXT}{choose.random()}"
        bodies: list[tuple[str, dict[str, object]]] = [
            ("trace-create", {
                "id": trace, "name": "support agent", "userId": f"user-{choose.randrange(200)}", "timestamp": begun,
                "sessionId": f"session-{choose.randrange(500)}", "tags": ["production", "chat"], "metadata": {"tenant": "acme"},
            }),
            ("span-create", {"id": f"{trace}-a", "traceId": trace, "name": "retrieve", "startTime": begun, "input": {"q": said}}),
            ("span-update", {"id": f"{trace}-a", "traceId": trace, "endTime": done, "output": [said, said]}),
            ("event-create", {"id": f"{trace}-e", "traceId": trace, "name": "cache miss", "startTime": begun}),
            ("score-create", {"id": f"{trace}-s", "traceId": trace, "name": "quality", "value": round(choose.random(), 3)}),
            ("trace-create", {"id": trace, "output": {"answer": said}}),
        ]  # fmt: skip
        for call in ("b", "c"):
            made = {
                "id": f"{trace}-{call}", "traceId": trace, "parentObservationId": f"{trace}-a", "name": "answer",
                "startTime": begun, "model": "gpt-4o-mini", "modelParameters": {"temperature": 0.2},
                "input": [{"role": "system", "content": _TEXT}, {"role": "user", "content": said}],
            }  # fmt: skip
            usage = {"input": choose.randrange(100, 2000), "output": choose.randrange(10, 300)}
            bodies.append(("generation-create", made))
            bodies.append(
                (
                    "generation-update",
                    {"id": made["id"], "traceId": trace, "endTime": done, "output": said, "usage": usage},
                )
            )
        for n, (kind, body) in enumerate(bodies):
            yield {"id": f"{trace}-{n}", "type": kind, "timestamp": begun, "body": body}


def batches(count: int, mark: str, traces: int = TRACES_PER_REQUEST) -> list[bytes]:
    """Encoded requests, all different."""
    choose = random.Random(mark)
    return [
        encode_json("POST", f"{API}/ingestion", {"batch": list(_events(mark, number, choose, traces))})
        for number in range(count)
    ]


def ingestion(server: Twinlens, book: Book, effort: Effort) -> None:
    """Four connections; what was acknowledged must be there when the last answer arrives."""
    drive(server.port, batches(5, "warm"), 1, 30)
    rates: list[float] = []
    errors: list[str] = []
    for repeat in range(effort.repeats):
        before = server.stored_spans()
        load = drive(server.port, batches(int(effort.seconds * 250), f"load{repeat}"), 4, effort.seconds)
        rates.append(load.rate * EVENTS)
        errors += [f"{n} × {text}" for text, n in load.errors.items()]
        missing = len(load.acknowledged) * OBSERVATIONS - (server.stored_spans() - before)
        if missing:
            errors.append(f"{missing} acknowledged observations are not there")
    book.record("langfuse_events", server.name, *rates, note="; ".join(errors)[:300])


@contextmanager
def writers(port: int, mark: str, seconds: float) -> Generator[None]:
    """Four connections that each send ten events every tenth of a second (400 events a second in all)."""
    stopping = threading.Event()
    prepared = [batches(int(seconds / PACE), f"{mark}{n}", traces=1) for n in range(4)]

    def write(requests: list[bytes]) -> None:
        with Connection(port) as connection:
            for request in requests:
                if stopping.wait(PACE):
                    return
                connection.send(request)

    threads = [threading.Thread(target=write, args=(each,)) for each in prepared]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _reads(marks: corpus.Landmarks, observations: list[str], scores: list[str]) -> dict[str, Callable[[int], str]]:
    """Every endpoint that an ordinary program must be able to read, as its path."""
    ids, users = marks.trace_ids, marks.users
    since = quote(_iso(time.time() - 20 * 86_400))

    def any_of(things: list[str]) -> Callable[[int], str]:
        return lambda i: quote(things[(i * 37) % len(things)], safe="")

    trace, user, observation, score = any_of(ids), any_of(users), any_of(observations), any_of(scores)
    return {
        "GET /traces": lambda i: "/traces?limit=50",
        "GET /traces (user, time)": lambda i: f"/traces?limit=50&userId={user(i)}&fromTimestamp={since}",
        "GET /traces/{id}": lambda i: f"/traces/{trace(i)}",
        "GET /observations": lambda i: "/observations?limit=50&type=GENERATION",
        "GET /observations (trace)": lambda i: f"/observations?traceId={trace(i)}",
        "GET /observations/{id}": lambda i: f"/observations/{observation(i)}",
        "GET /v2/observations": lambda i: "/v2/observations?limit=50&fields=core,basic,usage",
        "GET /v2/observations (trace, io)": lambda i: f"/v2/observations?traceId={trace(i)}&fields=core,basic,io",
        "GET /sessions": lambda i: "/sessions?limit=50",
        "GET /scores": lambda i: "/scores?limit=50",
        "GET /v2/scores": lambda i: "/v2/scores?limit=50",
        "GET /v2/scores/{id}": lambda i: f"/v2/scores/{score(i)}",
        "GET /v3/scores (trace)": lambda i: f"/v3/scores?traceId={trace(i)}",
        "GET /v2/prompts/{name}": lambda i: "/v2/prompts/bench",
        "GET /v2/prompts": lambda i: "/v2/prompts",
        "GET /v2/datasets": lambda i: "/v2/datasets",
        "GET /dataset-items": lambda i: "/dataset-items?datasetName=bench",
        "GET /datasets/{name}/runs": lambda i: "/datasets/bench/runs",
        "GET /projects": lambda i: "/projects",
    }


def _writes(observations: list[str], ids: list[str]) -> dict[str, Callable[[int], bytes]]:
    def score(i: int) -> bytes:
        return encode_json("POST", f"{API}/scores", {"traceId": ids[i % len(ids)], "name": "bench", "value": i % 7})

    def item(i: int) -> bytes:
        return encode_json("POST", f"{API}/dataset-items", {"datasetName": "bench", "id": f"item-{i % 50}", "input": i})

    def link(i: int) -> bytes:
        body = {"runName": "bench", "datasetItemId": "item-0", "traceId": ids[i % len(ids)]}
        return encode_json("POST", f"{API}/dataset-run-items", body)

    return {"POST /scores": score, "POST /dataset-items": item, "POST /dataset-run-items": link}


def big(folder: Path, book: Book, effort: Effort, traces: int) -> None:
    """Copies the corpus, starts the server on it, asks every endpoint while four writers write; then the trace of 30,000."""
    source = corpus.traces(effort.data / f"traces-{traces}", traces)
    shutil.copytree(source, folder)
    marks = corpus.landmarks(folder)
    server = Twinlens(folder)
    with server, server.connect(120) as connection:
        connection.call("POST", f"{API}/v2/prompts", {"name": "bench", "prompt": "x" * 1_000, "labels": ["production"]})
        connection.call("POST", f"{API}/v2/datasets", {"name": "bench"})
        connection.call("POST", f"{API}/dataset-items", {"datasetName": "bench", "id": "item-0", "input": 1})
        rows = connection.call("GET", f"{API}/v2/observations?limit=500")["data"]
        scores = [row["id"] for row in connection.call("GET", f"{API}/v3/scores?limit=100")["data"]]
        reads = _reads(marks, [row["id"] for row in rows], scores)
        questions: dict[str, Callable[[int], bytes]] = {
            name: (lambda i, path=path: encode("GET", API + path(i))) for name, path in reads.items()
        }
        questions |= _writes([row["id"] for row in rows], marks.trace_ids)
        found: dict[str, float] = {}
        with writers(server.port, "bg", 600):
            time.sleep(1.0)
            for name, question in questions.items():
                timed(connection, question, 2, 60)
                latencies = [1e3 * x for x in timed(connection, lambda i, q=question: q(i + 2), 150, effort.seconds)]
                found[name] = percentile(latencies, 0.99)
                status, _ = connection.send(question(1))
                if status >= 300:
                    found[name] = float("inf")
        for name, ms in found.items():
            progress(f"{name}: p99 {ms:.0f} ms")
        slowest = sorted(found.items(), key=lambda pair: -pair[1])
        note = ", ".join(f"{name} {ms:.0f}" for name, ms in slowest[:6])
        note = f"{marks.spans:,} observations, {len(found)} endpoints; slowest (ms): {note}"
        book.record("langfuse_p99", server.name, slowest[0][1], note=note)
        within = sum(ms <= 100 for ms in found.values())
        book.record("langfuse_within", server.name, 100 * within / len(found), note=f"{within} of {len(found)}")
        _huge(server, connection, book, marks.huge_trace_id)
    shutil.rmtree(folder, ignore_errors=True)


def _huge(server: Twinlens, connection: Connection, book: Book, trace_id: str) -> None:
    """The trace of 30,000 observations: as a list in pages, as a skeleton, and whole as v1 has it."""
    pages = f"{API}/v2/observations?traceId={trace_id}&limit=1000&fields=core,basic"

    def whole_list() -> float:
        begun, cursor, rows = time.monotonic(), "", 0
        while True:
            page = connection.call("GET", pages + (f"&cursor={quote(cursor)}" if cursor else ""))
            rows += len(page["data"])
            cursor = page["meta"].get("cursor", "")
            if not cursor:
                assert rows >= 30_000, rows
                return time.monotonic() - begun

    whole_list()
    book.record("langfuse_huge_list", server.name, *(whole_list() for _ in range(2)))
    for key, request in (
        ("langfuse_huge_skeleton", server.trace_request(trace_id)), ("langfuse_huge_get", encode("GET", f"{API}/traces/{trace_id}")),
    ):  # fmt: skip
        _, answer = connection.send(request)
        latencies = timed(connection, lambda _, r=request: r, 5, 30)
        unit = 1e3 if key.endswith("skeleton") else 1.0
        spans = len(json.loads(answer)["spans" if key.endswith("skeleton") else "observations"])
        note = f"{spans:,} observations, {len(answer) / 1e6:.1f} MB"
        book.record(key, server.name, percentile([unit * x for x in latencies], 0.5), note=note)
