"""A receiver of webhooks on loopback: writes down what arrives and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request."""

    headers: dict[str, str]
    text: str
    answered: int

    @property
    def delivery_id(self) -> str:
        """The same over all attempts."""
        return self.headers["x-mlflow-delivery-id"]

    @property
    def event(self) -> str:
        """Like ``prompt.created``."""
        body = json.loads(self.text)
        return f"{body['entity']}.{body['action']}"

    @property
    def data(self) -> dict[str, Any]:
        """What the event is about."""
        return json.loads(self.text)["data"]


class Receiver:
    """Use as a context manager. ``answers`` are the statuses of the next requests; after them all are 200."""

    def __init__(self, answers: Sequence[int] = ()) -> None:
        self.answers = list(answers)
        self.requests: list[Received] = []
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["content-length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver._arrived:
                    status = receiver.answers.pop(0) if receiver.answers else 200
                    receiver.requests.append(Received(headers, text, status))
                    receiver._arrived.notify_all()
                body = b"told to" if status >= 400 else b"thanks"
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where to send."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook?from=test"

    def wait(self, until: Callable[[list[Received]], bool], seconds: float = 15.0) -> list[Received]:
        """All requests, once they satisfy a condition.

        Raises:
            TimeoutError: they never did.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: until(self.requests), seconds):
                raise TimeoutError(f"received {[(r.event, r.answered) for r in self.requests]}")
            return list(self.requests)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
