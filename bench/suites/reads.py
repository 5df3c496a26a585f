"""Reading back what the OTLP load just wrote: the newest traces, one trace."""

from __future__ import annotations

from bench.book import Book, percentile
from bench.connection import BadAnswer, timed
from bench.servers import Server
from bench.suites import Effort


def measure(server: Server, book: Book, effort: Effort) -> None:
    """Lists and single traces, each the way the server's own page or client asks for them."""
    with server.connect() as connection:
        status, answer = connection.send(server.list_request(50))
        if status != 200:
            raise BadAnswer(f"{status} {answer[:300]!r}")
        ids = server.listed(answer)
        if not ids:
            raise BadAnswer("the list is empty")
        lists, ones = [], []
        for _ in range(effort.repeats):
            request = server.list_request(50)
            lists.append(percentile(timed(connection, lambda _, r=request: r, 100, effort.peer_seconds), 0.5) * 1e3)
            ones.append(
                percentile(
                    timed(connection, lambda i: server.trace_request(ids[i % len(ids)]), 100, effort.peer_seconds), 0.5
                )
                * 1e3
            )
    note = f"among {server.stored_spans():,} spans"
    book.record("list_small", server.name, *lists, note=note)
    book.record("trace_small", server.name, *ones, note=note)
