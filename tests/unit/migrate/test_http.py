"""Patience with busy servers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from twinlens.domain.clock import now_ns
from twinlens.migrate.errors import BusyError, MigrationError
from twinlens.migrate.http import Http


class Busy(BaseHTTPRequestHandler):
    """Answers with what is in ``answers``, then with 200."""

    answers: list[tuple[int, str]] = []  # noqa: RUF012 (set by each test)
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, after = self.answers.pop(0) if self.answers else (200, "")
        self.send_response(status)
        if after:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", "2")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"{}")

    do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def busy() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_waits_as_long_as_the_server_asks(busy: str) -> None:
    Busy.answers = [(429, "0.4"), (503, "0.2")]
    begun = time.monotonic()
    assert Http(busy).get("/x") == {}
    assert time.monotonic() - begun >= 0.6


def test_a_date_is_a_time_too(busy: str) -> None:
    from datetime import UTC, datetime

    Busy.answers = [(503, format_datetime(datetime.fromtimestamp(now_ns() / 1e9 - 60, UTC), usegmt=True))]
    assert Http(busy).get("/x") == {}  # it is over already


def test_a_stream_is_not_sent_twice(busy: str) -> None:
    Busy.answers = [(429, "7")]
    with pytest.raises(BusyError) as caught:
        Http(busy).upload("/x", [b"ab"])
    assert caught.value.seconds == 7


def test_a_refusal_is_final(busy: str) -> None:
    Busy.answers = [(403, ""), (200, "")]
    with pytest.raises(MigrationError, match="403"):
        Http(busy).get("/x")
    assert len(Busy.answers) == 1


def test_never_faster_than_asked(busy: str) -> None:
    Busy.answers = []
    http = Http(busy, rate=20)
    begun = time.monotonic()
    for _ in range(5):
        http.get("/x")
    assert time.monotonic() - begun >= 4 / 20


def test_answers_come_in_order_and_few_ahead() -> None:
    """The first is answered last; of many items only some are taken before the first answer is read."""
    taken: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for n in range(100):
            taken.append(n)
            yield n

    def ask(n: int) -> int:
        if n == 0:
            assert second.wait(60)
        elif n == 1:
            second.set()
        return n * n

    answers = Http("http://127.0.0.1:9", workers=3).each(ask, items())
    assert next(answers) == 0
    assert len(taken) <= 4
    assert list(answers) == [n * n for n in range(1, 100)]


@pytest.mark.parametrize("where", ["item", "answer"])
def test_a_failure_comes_after_what_was_before_it(where: str) -> None:
    def items() -> Iterator[int]:
        for n in range(9):
            if (where, n) == ("item", 5):
                raise MigrationError("no more")
            yield n

    def ask(n: int) -> int:
        if (where, n) == ("answer", 5):
            raise MigrationError("no answer")
        return n

    seen: list[int] = []
    with pytest.raises(MigrationError):
        seen.extend(Http("http://127.0.0.1:9").each(ask, items()))
    assert seen == [0, 1, 2, 3, 4]
