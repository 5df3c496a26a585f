"""HTTP for migrations: pooled, patient with busy servers, and never faster than asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec
import requests
from requests.adapters import HTTPAdapter

from twinlens.migrate.errors import BusyError, MigrationError

_PATIENT = (429, 502, 503, 504)
_TRIES = 8
#: Of a server that has not answered yet: its address may be wrong.
_FIRST_TRIES = 3
_CHUNK = 1 << 18
_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


class Http:
    """One server. Safe to use from several threads.

    Args:
        base: address without a trailing slash.
        auth: user and password (public and secret key) for Basic authentication.
        token: for Bearer authentication instead.
        rate: requests per second at most; 0 for no limit.
        workers: questions of one ``each`` that are under way at once.
    """

    def __init__(
        self, base: str, *, auth: tuple[str, str] | None = None, token: str | None = None, rate: float = 0,
        headers: dict[str, str] | None = None, workers: int = 4,
    ) -> None:  # fmt: skip
        self.base = base.rstrip("/")
        self._workers = workers
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc or proxy of the shell must not change who is spoken to, or as whom
        self._session.mount("http://", HTTPAdapter(pool_maxsize=max(16, 3 * workers)))
        self._session.mount("https://", HTTPAdapter(pool_maxsize=max(16, 3 * workers)))
        self._session.headers.update(headers or {})
        if auth:
            self._session.auth = auth
        elif token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._pause = 1 / rate if rate else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self._answered = False

    def request(
        self, method: str, path: str, *, params: Any = None, json: Any = None, data: Any = None,
        headers: dict[str, str] | None = None, stream: bool = False, allow: tuple[int, ...] = (),
    ) -> requests.Response:  # fmt: skip
        """Send, and try again while the server is busy or away.

        Args:
            json: encoded with msgspec, so structs are fine.
            data: bytes, or an iterable that is consumed by one attempt.
            allow: statuses above 399 that are answers, not errors.

        Raises:
            MigrationError: the server does not answer, or refuses.
        """
        sent = dict(headers or {})
        if json is not None:
            data = msgspec.json.encode(json)
            sent["Content-Type"] = "application/json"
        url = path if "://" in path else self.base + path
        repeatable = data is None or isinstance(data, bytes)
        problem, pause = "", 0.0
        for attempt in range(_TRIES if repeatable else 1):
            self._wait()
            try:
                answer = self._session.request(
                    method, url, params=params, data=data, headers=sent, stream=stream, timeout=(10, 300)
                )
            except requests.RequestException as error:
                problem, pause = _reason(error), min(10.0, 0.25 * 2**attempt)
                if not self._answered and attempt == _FIRST_TRIES - 1:
                    raise MigrationError(
                        f"{self.base} does not answer ({problem}): is the address right, and does the server run?"
                    ) from error
            else:
                self._answered = True
                if answer.status_code < 400 or answer.status_code in allow:
                    return answer
                problem = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code not in _PATIENT:
                    break
                pause = _seconds(answer.headers.get("Retry-After"), min(10.0, 0.25 * 2**attempt))
                self._hold(pause)
                if not repeatable:
                    raise BusyError(f"{method} {url}: {problem}", pause)
            time.sleep(pause)
        raise MigrationError(f"{method} {url}: {problem}")

    def get(self, path: str, **options: Any) -> Any:
        """JSON of a GET; None where the server says 404 and ``allow`` has it."""
        answer = self.request("GET", path, **options)
        return None if answer.status_code >= 400 else msgspec.json.decode(answer.content)

    def post(self, path: str, json: Any, **options: Any) -> Any:
        """JSON of a POST."""
        answer = self.request("POST", path, json=json, **options)
        return msgspec.json.decode(answer.content) if answer.content and answer.status_code < 400 else None

    def stream(self, path: str, **options: Any) -> Iterator[bytes]:
        """The body of a GET in chunks."""
        with self.request("GET", path, stream=True, **options) as answer:
            yield from answer.iter_content(_CHUNK)

    def upload(self, path: str, chunks: Iterable[bytes], **options: Any) -> None:
        """PUT a stream; an empty one too."""
        self.request("PUT", path, data=_filled(chunks), **options)

    def each(self, ask: Callable[[_Item], _Answer], items: Iterable[_Item]) -> Iterator[_Answer]:
        """Answers in the order of the items. A few are asked for ahead of the reader, no more, so memory stays bounded.

        What ``ask`` or ``items`` raise comes after all answers before it.
        """
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="twinlens-read")
        flying: deque[Future[_Answer]] = deque()
        failed: Exception | None = None
        coming = iter(items)
        try:
            while True:
                try:
                    item = next(coming)
                except StopIteration:
                    break
                except Exception as error:
                    failed = error
                    break
                flying.append(pool.submit(ask, item))
                if len(flying) > self._workers:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
            if failed is not None:
                raise failed
        finally:
            pool.shutdown(cancel_futures=True)

    def _hold(self, seconds: float) -> None:
        """All threads wait: the server has said so to one of them."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def _wait(self) -> None:
        if not self._pause and self._next <= time.monotonic():
            return
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._pause
        if at > now:
            time.sleep(at - now)


def _filled(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Without empty chunks, which would end a chunked body early."""
    for chunk in chunks:
        if chunk:
            yield chunk


def _reason(error: requests.RequestException) -> str:
    """What the operating system or the protocol says, without the layers around it."""
    inner: Any = error.args[0] if error.args else error
    text = str(getattr(inner, "reason", None) or inner)
    return text.rpartition(": ")[2] if "Failed to " in text else text


def _seconds(text: str | None, default: float) -> float:
    """``Retry-After``: seconds, or a date. Five minutes at most."""
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return default
    return min(300.0, max(0.0, seconds))
