"""One HTTP request at a time, over a connection that is kept, with a short budget. Used on the export thread only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

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


def split_address(base: str) -> tuple[bool, str, int | None, str]:
    """Whether it is https, host, port and prefix. (``urllib.parse`` would take 2.5 ms of every agent's start.)

    Args:
        base: ``[http(s)://]host[:port][/prefix]``; without a scheme it is http.

    Raises:
        ValueError: it is no such address, or holds a user name.
    """
    scheme, mark, rest = base.strip().partition("://")
    if not mark:
        scheme, rest = "http", base.strip()
    place, _, path = rest.partition("?")[0].partition("#")[0].partition("/")
    if "@" in place:
        raise ValueError("the address must not hold a user name or password; use the options for them")
    if place.startswith("["):  # IPv6
        host, _, port = place[1:].partition("]")
        port = port[1:] if port.startswith(":") else port and "none"
    else:
        host, _, port = place.partition(":")
    host_fits = host and not any(sign.isspace() or sign in "\\<>" for sign in host)
    port_fits = not port or (port.isascii() and port.isdigit() and 0 < int(port) < 65_536)
    if scheme.lower() not in ("http", "https") or not host_fits or not port_fits:
        raise ValueError(f"{base!r} is not an http(s) address")
    prefix = path.rstrip("/")
    return scheme.lower() == "https", host.lower(), int(port) if port else None, f"/{prefix}" if prefix else ""


class Connection:
    """A kept-alive connection to one origin.

    Args:
        base: ``http(s)://host[:port][/prefix]``.
    """

    def __init__(self, base: str) -> None:
        self._https, self._host, self._port, self.prefix = split_address(base)
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
