"""One HTTP request at a time, over a connection that is kept, with a short budget. Used on the export thread only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from twinlens.sdk.loading import load

if TYPE_CHECKING:
    import http.client

#: Seconds to connect; a backend that does not answer must not hold anything up.
CONNECT_S = 2.0
#: Seconds to hand over a request, and the slowest line, in bytes per second, for which a large one gets more.
SEND_S, SLOWEST = 10.0, 128 << 10


class Unreachable(Exception):
    """No usable answer: dead, slow or lying backend, or one that says "later". The message says why."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Answer(NamedTuple):
    """Status, body and content type of an answer that is final (2xx–4xx)."""

    status: int
    body: bytes
    type: str = ""

    @property
    def ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300


class Connection:
    """A kept-alive connection to one origin.

    Args:
        base: ``http(s)://host[:port][/prefix]``.
    """

    def __init__(self, base: str) -> None:
        parts = urlsplit(base if "://" in base else f"http://{base}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{base!r} is not an http(s) address")
        self._https = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self.prefix = parts.path.rstrip("/")
        self._connection: http.client.HTTPConnection | None = None
        self._asked: float | None = None
        #: Seconds that the last answer took; None while there was none.
        self.took: float | None = None

    @property
    def waited(self) -> float:
        """Seconds since the request that now waits for its answer was begun; 0 when none does. From any thread."""
        asked = self._asked
        return 0.0 if asked is None else time.monotonic() - asked

    def _open(self) -> http.client.HTTPConnection:
        import http.client  # here, because the agent's start must not pay for it

        from twinlens.sdk.answer import Response

        if self._https:
            load("ssl")
            import ssl

            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=CONNECT_S, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_S)
        connection.response_class = Response
        connection.connect()
        return connection

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send and read the answer; one silent second try on a connection that the server had closed meanwhile.

        Raises:
            Unreachable: no answer, or 408, 429 or 5xx.
        """
        begun = self._asked = time.monotonic()
        try:
            answer, later = self._exchange(method, path, body, headers or {})
        finally:
            self._asked = None
        self.took = time.monotonic() - begun
        if answer.status in (408, 429) or answer.status >= 500:
            raise Unreachable(f"{self._host} answered {answer.status}", _seconds(later))
        return answer

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[Answer, str | None]:
        import http.client

        for fresh in (self._connection is None, True):
            try:
                connection = self._connection = self._connection or self._open()
                if connection.sock is not None:
                    connection.sock.settimeout(SEND_S + len(body or b"") / SLOWEST)
                connection.request(method, self.prefix + path, body, headers)
                response: Any = connection.getresponse()
                kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
                answer = Answer(response.status, response.whole(), kind)
                if connection.sock is None:  # the server ends the connection with this answer
                    self._connection = None
                return answer, response.getheader("Retry-After")
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if fresh:
                    raise Unreachable(f"{self._host}: {error or type(error).__name__}") from error
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _seconds(text: str | None) -> float:
    try:
        return min(float(text or 0), 60.0)
    except ValueError:
        return 0.0
