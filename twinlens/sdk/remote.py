"""Questions to the server that the program asks itself: prompts, datasets. They use the caller's thread and may raise."""

from __future__ import annotations

import json
import threading
from typing import Any

from twinlens.sdk import runtime
from twinlens.sdk.errors import ServerError


class PublicApi:
    """The first configured backend that speaks Langfuse's public API: ``twinlens``, ``langfuse``, or ``mlflow`` when a Twinlens
    answers there. One request at a time; connecting takes at most 2 s, an answer at most 10 s."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._for: Any = None
        self._remote: Any = None

    def call(self, method: str, path: str, value: Any = None) -> Any:
        """Ask ``/api/public`` + path.

        Returns:
            The decoded answer.

        Raises:
            ServerError: no backend, no answer, or a refusal.
        """
        from twinlens.sdk.wire import Unreachable

        with self._lock:
            remote = self._choose()
            try:
                answer = remote.call(
                    method, f"/api/public{path}", None if value is None else json.dumps(value, default=str).encode(),
                    {"Content-Type": "application/json"},
                )  # fmt: skip
            except Unreachable as error:
                raise ServerError(str(error)) from error
        try:
            found = json.loads(answer.body or b"null")
        except ValueError as error:
            raise ServerError(f"{path} answered {answer.status} without JSON", answer.status) from error
        if not answer.ok:
            said = found.get("message") if isinstance(found, dict) else found
            raise ServerError(f"{path} answered {answer.status}: {said}", answer.status)
        return found

    def _choose(self) -> Any:
        from twinlens.sdk.backends.base import Remote
        from twinlens.sdk.wire import Unreachable

        backends = runtime.current().pipeline.backends
        if backends is not self._for:
            self._for, self._remote = backends, None
        if self._remote is None:
            for name in ("twinlens", "langfuse", "mlflow"):
                found: Any = next((b for b in backends if b.name == name), None)
                try:
                    if found is not None and (name != "mlflow" or found.is_twinlens()):
                        self._remote = Remote(found.url, found.account, found.headers)
                        break
                except Unreachable as error:
                    raise ServerError(str(error)) from error
        if self._remote is None:
            raise ServerError("no twinlens or langfuse backend is configured, so there is nobody to ask")
        return self._remote


server = PublicApi()
