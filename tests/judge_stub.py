"""A model provider on loopback that judges as OpenAI's chat endpoint would: the first answer of ``rules`` whose word is asked about."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class JudgeStub:
    """Use as a context manager. ``rules`` are (word, answer): an answer is a value for the JSON reply, or an HTTP status.

    ``asked`` holds every request body in order; ``arrived`` is set with each.
    """

    def __init__(self, rules: Sequence[tuple[str, Any]]) -> None:
        self.rules = list(rules)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.arrived = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                stub.asked.append(body)
                stub.keys.append(self.headers.get("authorization"))
                stub.arrived.set()
                text = json.dumps(body["messages"])
                answer = next((answer for word, answer in stub.rules if word in text), 500)
                status = answer if type(answer) is int and answer >= 400 else 200
                content = answer if isinstance(answer, str) else json.dumps(answer)
                message = {"role": "assistant", "content": content}
                usage = {"prompt_tokens": 200, "completion_tokens": 20, "total_tokens": 220}
                reply: dict[str, Any] = {
                    "id": "stub", "object": "chat.completion", "created": 1, "model": body.get("model", "judge"),
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage,
                }  # fmt: skip
                if status != 200:
                    reply = {"error": {"message": "the stub refuses", "type": "server_error"}}
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Base URL, ``/v1`` included."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> JudgeStub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
