"""A load generator that costs next to nothing: raw keep-alive sockets, requests serialised beforehand.

``http.client`` spends about 150 µs of CPU on a request, ``requests`` about 600 µs. On a machine where the generator and
the server share two cores that would be measured as the server's time. A ``Connection`` spends about 20 µs.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

HOST = "127.0.0.1"


def encode(method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of one HTTP/1.1 keep-alive request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def encode_json(method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> bytes:
    """``encode`` with a JSON body."""
    return encode(method, path, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})


#: Seconds after which a connection is opened anew: servers close what was idle (uvicorn after five seconds).
IDLE = 3.0


class BadAnswer(Exception):
    """The server answered with something other than the expected status."""


class Connection:
    """One keep-alive connection, used by one thread.

    Args:
        port: loopback port.
        timeout: seconds to wait for an answer before ``TimeoutError``.
    """

    def __init__(self, port: int, timeout: float = 60) -> None:
        self.port = port
        self.timeout = timeout
        self._socket: socket.socket | None = None
        self._rest = b""
        self._used = 0.0

    def _open(self) -> socket.socket:
        if time.monotonic() - self._used > IDLE:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection((HOST, self.port), timeout=self.timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._rest = b""
        return self._socket

    def close(self) -> None:
        """Close; the next request opens a new connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: bytes) -> tuple[int, bytes]:
        """Send one encoded request; returns status and body.

        Raises:
            OSError: no connection, closed by the server, or no answer in time.
        """
        try:
            connection = self._open()
            connection.sendall(request)
            answer = self._answer(connection)
            self._used = time.monotonic()
            return answer
        except OSError:
            self.close()
            raise

    def _more(self, connection: socket.socket) -> bytes:
        data = connection.recv(1 << 18)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        return data

    def _answer(self, connection: socket.socket) -> tuple[int, bytes]:
        data = self._rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more(connection)
        head = data[:end].lower()
        parts = [data[end + 4 :]]
        status = int(head[9:12])
        keep = b"\r\nconnection: close" not in head
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            length = int(head[at + 17 :].split(b"\r\n", 1)[0])
            have = len(parts[0])
            while have < length:
                parts.append(self._more(connection))
                have += len(parts[-1])
            joined = b"".join(parts)
            body, self._rest = joined[:length], joined[length:]
        elif b"\r\ntransfer-encoding: chunked" in head:
            body, self._rest = self._chunks(connection, parts[0])
        else:
            body, self._rest = b"", parts[0]
        if not keep:
            self.close()
        return status, body

    def _chunks(self, connection: socket.socket, data: bytes) -> tuple[bytes, bytes]:
        body: list[bytes] = []
        while True:
            while (end := data.find(b"\r\n")) < 0:
                data += self._more(connection)
            size = int(data[:end].split(b";", 1)[0], 16)
            while len(data) < end + 4 + size:
                data += self._more(connection)
            body.append(data[end + 2 : end + 2 + size])
            data = data[end + 4 + size :]
            if size == 0:
                return b"".join(body), data

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """One JSON call outside the measured part.

        Raises:
            BadAnswer: the status was not 2xx.
        """
        request = encode(method, path, None, headers) if body is None else encode_json(method, path, body, headers)
        status, answer = self.send(request)
        if not 200 <= status < 300:
            raise BadAnswer(f"{method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer) if answer else None


@dataclass
class Load:
    """What a load produced. ``acknowledged`` holds (index of the request, monotonic time of its 2xx)."""

    started: float
    acknowledged: list[tuple[int, float]] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        """From the first byte sent to the last acknowledgement."""
        return (max(t for _, t in self.acknowledged) - self.started) if self.acknowledged else 0.0

    @property
    def rate(self) -> float:
        """Acknowledged requests per second."""
        return len(self.acknowledged) / self.seconds if self.seconds else 0.0


def drive(port: int, requests: Sequence[bytes], connections: int, seconds: float, timeout: float = 60) -> Load:
    """Closed loop: each connection sends its next request when the one before is answered.

    Stops when the requests are used up or ``seconds`` have passed; requests on the way are waited for. Each request is
    sent once: a failed one counts as an error and is not repeated.
    """
    position = iter(range(len(requests)))
    lock = threading.Lock()
    ready = threading.Barrier(connections + 1)
    load = Load(started=0.0)

    def worker() -> None:
        acknowledged: list[tuple[int, float]] = []
        latencies: list[float] = []
        errors: Counter[str] = Counter()
        with Connection(port, timeout) as connection:
            connection._open()
            ready.wait()
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and (index := next(position, None)) is not None:
                begun = time.monotonic()
                try:
                    status, answer = connection.send(requests[index])
                except OSError as error:
                    errors[type(error).__name__] += 1
                    continue
                now = time.monotonic()
                if 200 <= status < 300:
                    acknowledged.append((index, now))
                    latencies.append(now - begun)
                else:
                    errors[f"{status} {answer[:120].decode(errors='replace')}"] += 1
        with lock:
            load.acknowledged += acknowledged
            load.latencies += latencies
            load.errors += errors

    threads = [threading.Thread(target=worker, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    ready.wait()
    load.started = time.monotonic()
    for thread in threads:
        thread.join(seconds + timeout + 5)
    load.acknowledged.sort()
    return load


def timed(connection: Connection, request: Callable[[int], bytes], count: int, seconds: float) -> list[float]:
    """Latencies in seconds of up to ``count`` calls one after another, for at most ``seconds``.

    Raises:
        BadAnswer: an answer was not 2xx; a failing call has no latency worth showing.
    """
    latencies: list[float] = []
    deadline = time.monotonic() + seconds
    for index in range(count):
        encoded = request(index)
        begun = time.perf_counter()
        status, answer = connection.send(encoded)
        latencies.append(time.perf_counter() - begun)
        if not 200 <= status < 300:
            raise BadAnswer(f"{encoded[:120]!r}: {status} {answer[:300]!r}")
        if time.monotonic() > deadline:
            break
    return latencies
