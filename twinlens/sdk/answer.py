"""Reading an HTTP answer within a limit of time, however slowly it drips, and of size. Loaded on background threads only."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

#: Seconds for a whole answer, from its first wait to its last byte.
WHOLE_S = 30.0
#: Seconds to wait for the next bytes of an answer.
ANSWER_S = 10.0
#: Largest answer that is read, in bytes.
LARGEST = 64 << 20


class _Bytes(io.RawIOBase):
    """A socket's bytes until a deadline. ``socket.settimeout`` alone starts anew with every byte that arrives."""

    def __init__(self, sock: socket.socket, raw: Any) -> None:
        self._socket, self._raw = sock, raw
        self._deadline = time.monotonic() + WHOLE_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"its answer was not complete after {WHOLE_S:.0f} s")
        self._socket.settimeout(min(left, ANSWER_S))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class Response(http.client.HTTPResponse):
    """An answer whose header and body together take at most ``WHOLE_S`` seconds."""

    def __init__(self, sock: Any, *arguments: Any, **more: Any) -> None:
        super().__init__(sock, *arguments, **more)
        buffered: Any = self.fp
        self.fp = io.BufferedReader(_Bytes(sock, buffered.detach()))

    def whole(self) -> bytes:
        """The body.

        Raises:
            OSError: it took too long.
            http.client.HTTPException: it is too large, or broken off.
        """
        body = self.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise http.client.HTTPException(f"its answer is larger than {LARGEST >> 20} MB")
        if self.length:
            raise http.client.IncompleteRead(body, self.length)
        return body
