"""A face that is built after the server answers: most programs never ask for it, and its routes take a while to set up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from litestar.types import ASGIApp, Receive, Scope, Send


class Later:
    """ASGI wrapper: paths below ``prefix`` go to what ``build`` makes, all others to ``app``.

    ``build`` runs once, in whichever thread comes first: that of the first such request or the one that calls ``warm``.
    """

    def __init__(self, app: ASGIApp, prefix: str, build: Callable[[], ASGIApp]) -> None:
        self._app = app
        self._prefix = prefix
        self._build = build
        self._lock = threading.Lock()
        self._built: ASGIApp | None = None

    def warm(self) -> ASGIApp:
        """Build now, or wait for the thread that does."""
        with self._lock:
            if self._built is None:
                self._built = self._build()
            return self._built

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        if scope["type"] == "http" and scope["path"].startswith(self._prefix):
            built = self._built or await asyncio.to_thread(self.warm)
            await built(scope, receive, send)
        else:
            await self._app(scope, receive, send)
