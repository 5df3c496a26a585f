"""MLflow's own browser page, as its wheel contains it, in front of a Twinlens server.

A small proxy on one port serves the built files under the paths that MLflow's server serves them and hands everything else to
Twinlens. It is for tests only: it notes each request, so that they know what failed and what the page used.
"""

from __future__ import annotations

import http.client
import mimetypes
import threading
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

from tests.envs import ensure
from tests.wire.mlflow import recording

#: Headers that belong to one connection, or tell of the page's other address.
_DROPPED = {
    "host",
    "origin",
    "referer",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "accept-encoding",
}


def build() -> Path:
    """The folder of the built page in the installed MLflow."""
    packages = next((ensure("mlflow").parent.parent / "lib").glob("python3*/site-packages"))
    return packages / "mlflow" / "server" / "js" / "build"


@dataclass
class MlflowPage:
    """The proxy: a context manager. ``failed`` holds every request that Twinlens answered with an error."""

    target: str
    failed: list[str] = field(default_factory=list[str])

    @cached_property
    def _server(self) -> ThreadingHTTPServer:
        page, files, host = self, build(), urlsplit(self.target).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def _file(self, path: Path) -> None:
                body = path.read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", mimetypes.guess_type(path.name)[0] or "application/octet-stream")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "max-age=3600")
                self.end_headers()
                self.wfile.write(body)

            def handle_any(self) -> None:
                path = unquote(urlsplit(self.path).path)
                if path == "/":
                    return self._file(files / "index.html")
                if path.startswith("/static-files/") and (files / path[14:]).is_file():
                    return self._file(files / path[14:])
                self._forward(path)

            def _forward(self, path: str) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                headers = {k: v for k, v in self.headers.items() if k.lower() not in _DROPPED}
                connection = http.client.HTTPConnection(host, timeout=60)
                connection.request(self.command, self.path, body, headers)
                reply = connection.getresponse()
                content = reply.read()
                connection.close()
                recording.note(self.command, path, reply.status)
                if reply.status >= 400:
                    page.failed.append(
                        f"{self.command} {self.path} {(body or b'')[:200]!r}: {reply.status} {content[:200]!r}"
                    )
                self.send_response(reply.status)
                for name, value in reply.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where the page is, without trailing slash."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> MlflowPage:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
