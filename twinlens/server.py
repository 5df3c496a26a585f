"""The composition root: builds the object graph from ``Settings`` and serves it. Nothing else constructs stores.

Start-up is on the clock (≤ 1.5 s to the first answer), so what is heavy and rarely needed (Alembic, argon2, gRPC) is
imported where it is used.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import signal
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from typing import Any

import uvicorn
from litestar import Litestar, Router
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.types import ASGIApp

from twinlens import __version__
from twinlens.domain.errors import InvalidState
from twinlens.faces.guard import Guard
from twinlens.faces.paths import KeepSlashes
from twinlens.features.access import Access
from twinlens.features.live import LiveBus
from twinlens.features.projects import Projects
from twinlens.features.prompts import Prompts
from twinlens.features.score_configs import ScoreConfigs
from twinlens.features.secrets import Hasher, instance_key
from twinlens.features.services import Services
from twinlens.settings import Settings
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.schema import prepare
from twinlens.store.lock import FolderLock

log = logging.getLogger("twinlens.server")


def _later(module: str) -> Any:
    """A module of a part that is still being built, or None."""
    return importlib.import_module(module) if importlib.util.find_spec(module) else None


class Instance:
    """Everything that runs in one process on one data folder.

    Raises:
        Conflict: another process owns the data folder.
        InvalidState: the settings would let strangers in.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._closers: list[Callable[[], object]] = []
        self.lock = FolderLock(settings.data)
        self._closers.append(self.lock.release)
        try:
            self.services = self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> Services:
        settings = self.settings
        catalog = self.catalog = Catalog(settings.catalog_url or settings.data.resolve() / "catalog.db")
        self._closers.append(catalog.close)
        prepare(catalog)
        hasher = Hasher(settings.secret or instance_key(settings.data))
        projects = Projects(catalog, hasher)
        projects.seed(settings)
        access = Access(settings, catalog, projects, hasher)
        check_exposure(settings, access, projects)
        live = LiveBus()
        parts: dict[str, Any] = dict.fromkeys(Services.__dataclass_fields__)
        parts.update(settings=settings, access=access, projects=projects, live=live)
        parts.update(prompts=Prompts(catalog, live), score_configs=ScoreConfigs(catalog))
        return Services(**parts)

    def close(self) -> None:
        """Finish what was accepted, fold logs into files, release the folder. Safe to call twice."""
        while self._closers:
            with contextlib.suppress(Exception):
                self._closers.pop()()


@contextlib.contextmanager
def open_projects(settings: Settings) -> Generator[Projects]:
    """Projects, keys and users of a data folder whose server is stopped.

    Raises:
        Conflict: the server is running.
    """
    lock = FolderLock(settings.data)
    try:
        catalog = Catalog(settings.catalog_url or settings.data.resolve() / "catalog.db")
        try:
            prepare(catalog)
            projects = Projects(catalog, Hasher(settings.secret or instance_key(settings.data)))
            projects.seed(settings)
            yield projects
        finally:
            catalog.close()
    finally:
        lock.release()


def check_exposure(settings: Settings, access: Access, projects: Projects) -> None:
    """Refuse to show an unprotected server to other machines.

    Raises:
        InvalidState: with the command that fixes it.
    """
    if settings.loopback_only:
        return
    if access.secured and projects.any_credentials():
        return
    data = f" --data {settings.data}"
    why = "open mode is for this machine only" if not access.secured else "nobody could sign in yet"
    raise InvalidState(
        f"refusing to listen on {settings.host}: {why}. Create a user first:\n"
        f"    twinlens user add you@example.com{data}\n"
        "(or set LANGFUSE_INIT_USER_EMAIL and LANGFUSE_INIT_USER_PASSWORD, or add a key with `twinlens key add`), "
        "then start again; or listen on this machine only:\n"
        f"    twinlens serve --host 127.0.0.1{data}"
    )


def create_app(instance: Instance) -> ASGIApp:
    """The ASGI application over an instance."""
    services = instance.services
    routers: list[Router] = []
    for name in ("mlflow", "langfuse", "otlp", "native", "web"):
        module = _later(f"twinlens.faces.{name}")
        if module is not None and hasattr(module, "router"):
            routers.append(module.router(services))
    app = Litestar.from_config(
        AppConfig(
            route_handlers=list(routers),
            state=State({"services": services}),
            openapi_config=None,
            request_max_body_size=services.settings.max_body,
            logging_config=None,
        )
    )
    return Guard(KeepSlashes(app, b"/api/twinlens/"), services.settings, secured=services.access.secured)


def listen(settings: Settings) -> list[socket.socket]:
    """Bind every port.

    Raises:
        InvalidState: a port is taken or the address is not this machine's.
    """
    sockets: list[socket.socket] = []
    for port in settings.port:
        try:
            family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
            sock = socket.socket(family)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((settings.host or "0.0.0.0", port))  # noqa: S104 - checked by check_exposure
            sock.listen(2048)
            sock.set_inheritable(True)
        except OSError as error:
            for open_one in sockets:
                open_one.close()
            raise InvalidState(
                f"cannot listen on {settings.host}:{port}: {error.strerror}. "
                "Choose another port with --port, or stop the program that uses this one."
            ) from error
        sockets.append(sock)
    return sockets


class _Server(uvicorn.Server):
    """Ends live streams first, so that they do not hold up the shutdown; says when it is ready."""

    def __init__(self, config: uvicorn.Config, instance: Instance, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._instance = instance
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._instance.services.live.close()
        await super().shutdown(sockets)


def serve(settings: Settings, ready: Callable[[Instance, Sequence[str]], None] | None = None) -> None:
    """Run until SIGINT or SIGTERM. ``ready`` is called with the base URLs once requests are answered.

    Raises:
        Conflict, InvalidState: as ``Instance`` and ``listen``.
    """
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sockets = listen(settings)
    try:
        instance = Instance(settings)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    try:
        config = uvicorn.Config(
            create_app(instance),  # pyright: ignore[reportArgumentType] - Litestar's and uvicorn's ASGI types differ
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(settings.shutdown_timeout),
        )
        urls = [_url(settings, sock) for sock in sockets]
        instance.lock.describe(url=urls[0], version=__version__)
        server = _Server(config, instance, lambda: ready(instance, urls) if ready else None)
        # uvicorn raises the signal again when it is done; that must not end the process before the stores are closed.
        signal.signal(signal.SIGTERM, lambda *_: None)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=sockets)
    finally:
        instance.close()
        for sock in sockets:
            sock.close()


def _url(settings: Settings, sock: socket.socket) -> str:
    name = "localhost" if settings.loopback_only or settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
    return f"http://{name}:{sock.getsockname()[1]}"
