"""Calls to a Twinlens server's native API from programs and the command line: standard library only."""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from twinlens.sdk.errors import ServerError

#: Where ``twinlens serve`` listens.
LOCAL = "http://127.0.0.1:5001"
_API = "/api/twinlens/v1"


class Server:
    """One server, and one project of it.

    Args:
        url: its address; ``TWINLENS_URL``, else an http(s) ``MLFLOW_TRACKING_URI``, else this machine's default.
        project: id of the project; ``TWINLENS_PROJECT``, else the one that the credentials open.
        public_key: with ``secret_key`` the key pair for a secured server; ``TWINLENS_PUBLIC_KEY`` and
            ``TWINLENS_SECRET_KEY``, else Langfuse's variables.
        timeout: seconds to wait for an answer.
    """

    def __init__(
        self, url: str | None = None, *, project: str | None = None, public_key: str | None = None,
        secret_key: str | None = None, timeout: float = 30.0,
    ) -> None:  # fmt: skip
        env = os.environ
        tracking = env.get("MLFLOW_TRACKING_URI", "")
        self.url = url or env.get("TWINLENS_URL") or (tracking if tracking.startswith("http") else "") or LOCAL
        self.url = self.url.rstrip("/")
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ServerError(f"{self.url!r} is not the address of a server; it looks like {LOCAL}")
        public = public_key or env.get("TWINLENS_PUBLIC_KEY") or env.get("LANGFUSE_PUBLIC_KEY")
        secret = secret_key or env.get("TWINLENS_SECRET_KEY") or env.get("LANGFUSE_SECRET_KEY")
        self._headers = {"Accept": "application/json"}
        if public and secret:
            self._headers["Authorization"] = "Basic " + base64.b64encode(f"{public}:{secret}".encode()).decode()
        self._timeout = timeout
        self._project = project or env.get("TWINLENS_PROJECT")

    @property
    def project(self) -> str:
        """Id of the project that calls are about.

        Raises:
            ServerError: the server cannot be reached or does not let us in.
        """
        if self._project is None:
            session = self.call("GET", f"{_API}/session")
            if not session["signed_in"]:
                raise ServerError(
                    f"{self.url} asks for a key pair: set TWINLENS_PUBLIC_KEY and TWINLENS_SECRET_KEY", 401
                )
            self._project = str(session["default_project_id"])
        return self._project

    def ask(self, method: str, path: str, body: Any = None, /, **query: Any) -> Any:
        """Call ``/projects/{project}`` + ``path``. Query values that are None are left out.

        Raises:
            ServerError: with the server's own sentence.
        """
        given = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()
                 if value is not None}  # fmt: skip
        asked = f"?{urlencode(given)}" if given else ""
        return self.call(method, f"{_API}/projects/{quote(self.project, safe='')}{path}{asked}", body)

    def raw(self, path: str, /, **query: Any) -> bytes:
        """Bytes of a file: ``GET`` of an address below ``/projects/{project}``.

        Raises:
            ServerError: with the server's own sentence.
        """
        asked = f"?{urlencode(query)}" if query else ""
        return self._send("GET", f"{_API}/projects/{quote(self.project, safe='')}{path}{asked}", None)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call any path of the server; the decoded answer.

        Raises:
            ServerError: with the server's own sentence.
        """
        answer = self._send(method, path, body)
        try:
            return json.loads(answer) if answer else None
        except ValueError:
            raise ServerError(f"{self.url} answered something else than JSON: is it a Twinlens server?") from None

    def _send(self, method: str, path: str, body: Any) -> bytes:
        headers = dict(self._headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                return answer.read()
        except urllib.error.HTTPError as error:
            raise ServerError(_sentence(error), error.code) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ServerError(f"{self.url} cannot be reached: {reason}. Start it with `twinlens serve`.") from None


def _sentence(error: urllib.error.HTTPError) -> str:
    try:
        said = json.loads(error.read())
        return str(said["message"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"the server answered {error.code} {error.reason}"


def part(text: str) -> str:
    """``text`` as one segment of a path."""
    return quote(text, safe="")
