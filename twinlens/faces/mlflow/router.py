"""Finds the handler of a request and answers it.

MLflow's paths are declared in tables (see ``wire``) and dispatched here rather than as Litestar routes, because the same
path exists under two prefixes, unknown paths must answer HTML (MLflow's client reads any other 404 than JSON as
``ENDPOINT_NOT_FOUND`` and falls back to older calls), and one path of the reference even lacks a slash.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import msgspec
from litestar import Request, Router, asgi

from twinlens.domain.errors import TooLarge, TwinlensError
from twinlens.faces.http import in_thread, principal
from twinlens.faces.mlflow.errors import MlflowError, error_reply
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.resources import LISTINGS, SEARCHES, readable, targets
from twinlens.faces.mlflow.wire import (
    Call,
    Raw,
    Reply,
    Rpc,
    RpcTable,
    check_content_type,
    decode_body,
    query_values,
)

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

    from twinlens.domain.project import Principal
    from twinlens.features.services import Services

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode

_NOT_FOUND = Raw(
    b"<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
    b"<p>This server has no such endpoint.</p>\n",
    404,
    "text/html; charset=utf-8",
)
_WRONG_VERB = (
    b"<!doctype html>\n<html lang=en>\n<title>405 Method Not Allowed</title>\n<h1>Method Not Allowed</h1>\n"
    b"<p>The method is not allowed for the requested URL.</p>\n"
)
#: Prefixes below which every request is ours. One carries a path that the reference misspells; the last is the gateway's.
MOUNTS = ("/api/2.0", "/api/3.0", "/ajax-api", "/api/2.0mlflow", "/gateway")


class Dispatcher:
    """Path -> handler, over all tables. Paths without parameters are looked up, the others matched in order."""

    def __init__(self, tables: list[RpcTable]) -> None:
        self._exact: dict[str, dict[str, Rpc]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Rpc]]] = []
        patterns: dict[str, dict[str, Rpc]] = {}
        for rpc in (rpc for table in tables for rpc in table.rpcs):
            for prefix in rpc.prefixes:
                full = f"{prefix}/{rpc.version}{rpc.path}" if rpc.version else rpc.path
                if "{" in full:
                    patterns.setdefault(full, {})[rpc.verb] = rpc
                else:
                    self._exact.setdefault(full, {})[rpc.verb] = rpc
        for full, verbs in patterns.items():
            expression = re.sub(
                r"\{(\w+):path\}", r"(?P<\1>.+)", re.escape(full).replace(r"\{", "{").replace(r"\}", "}")
            )
            expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", expression)
            self._patterns.append((re.compile(expression), verbs))

    @property
    def paths(self) -> list[str]:
        """Every path without parameters (for routes outside the mounts, and for tests)."""
        return list(self._exact)

    def find(self, verb: str, path: str) -> tuple[Rpc, dict[str, str]] | Raw:
        """The handler with its path values, or the reply 404/405. ``path`` is still percent-encoded."""
        verbs = self._exact.get(path) or self._exact.get(path.rstrip("/"))
        rpc = _of(verbs or {}, verb)
        if rpc:
            return rpc, {}
        allowed = dict(verbs or {})
        for pattern, candidates in self._patterns:
            match = pattern.fullmatch(path)
            if match:
                rpc = _of(candidates, verb)
                if rpc:
                    return rpc, {name: unquote(value) for name, value in match.groupdict().items()}
                allowed |= candidates
        return self._other_verb(allowed) if allowed else _NOT_FOUND

    @staticmethod
    def _other_verb(verbs: dict[str, Rpc]) -> Raw:
        return Raw(_WRONG_VERB, 405, "text/html; charset=utf-8", {"Allow": ", ".join(sorted(verbs))})


def _of(verbs: dict[str, Rpc], verb: str) -> Rpc | None:
    """The handler of a verb. HEAD is a GET whose body the HTTP server keeps."""
    return verbs.get(verb) or (verbs.get("GET") if verb == "HEAD" else None)


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The request's body as it arrives."""
    while True:
        message = cast("dict[str, Any]", await receive())
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client went away")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


async def _whole(receive: Receive, limit: int) -> bytes:
    """The request's body in one piece."""
    parts: list[bytes] = []
    size = 0
    async for piece in _pieces(receive):
        size += len(piece)
        if size > limit:
            raise TooLarge(f"The request body is larger than {limit} bytes.")
        parts.append(piece)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _answer(
    services: Services, rpc: Rpc, path: dict[str, str], scope: Scope, receive: Receive, send: Send
) -> Reply:
    """Read the request as the handler declared it and run the handler."""
    request: Request[Any, Any, Any] = Request(scope, receive, send)
    project_id, user = "", ""
    who: Principal | None = None
    if rpc.scope is not None:
        who = await principal(request)
        if rpc.scope != "known" and not who.grants:
            who.require(rpc.scope)
        project_id, user = who.project_id, who.user_name or ""
    call = Call(services, project_id, user, request, Params({}), path)
    if rpc.body == "raw":
        call.stream = _pieces(receive)
    elif rpc.verb in ("GET", "HEAD") and scope["query_string"]:
        call.params = Params(query_values(request))
    else:
        if rpc.verb in ("POST", "PUT"):
            check_content_type(request.headers.get("content-type"))
        call.body = await _whole(receive, services.settings.max_body)
        if rpc.body == "json":
            call.params = Params(decode_body(call.body))
    call.who = who
    listing = False
    if who is not None and who.grants and rpc.scope != "known":
        listing = await in_thread(_check_grants, call, rpc)
    if inspect.iscoroutinefunction(rpc.handler):
        reply = await rpc.handler(call)
    else:
        reply = await in_thread(cast("Callable[[Call], Reply]", rpc.handler), call)
    return readable(call, rpc, reply) if listing else reply


def _check_grants(call: Call, rpc: Rpc) -> bool:
    """Judge a user who has grants on single resources; whether the answer is a listing to be cut.

    Raises:
        PermissionDenied: not with these resources.
    """
    if rpc.path in SEARCHES and rpc.scope == "read":
        return False
    if rpc.path in LISTINGS and rpc.scope == "read":
        return True
    params = call.params if rpc.body != "bytes" else Params(decode_body(call.body))
    deleting = rpc.verb == "DELETE" or rpc.path.endswith("/delete")
    found = targets(call, rpc.path, params)
    call.services.permissions.check(call.caller, cast("str", rpc.scope), found, deleting=deleting)
    return False


async def _send(send: Send, reply: Reply) -> None:
    """Write a reply that is held in memory."""
    if isinstance(reply, Raw):
        body, status, media, extra = reply.body, reply.status, reply.media_type, reply.headers
    else:
        body = reply if isinstance(reply, bytes) else b"{}" if reply is None else _encode(reply)
        status, media, extra = 200, "application/json", {}
    headers = [(b"content-type", media.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in extra.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})  # pyright: ignore[reportArgumentType]
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _raw_path(scope: Scope) -> str:
    """The request's path as sent, still percent-encoded: Litestar cuts the mount off ``scope["path"]``."""
    raw = cast("bytes | None", scope.get("raw_path"))
    path = (raw or b"").decode("latin-1").split("?")[0]
    root = scope.get("root_path", "").rstrip("/")
    return path.removeprefix(root) if root else path


def make_app(services: Services, dispatcher: Dispatcher) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application behind all paths of this face."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reply: Reply
        try:
            found = dispatcher.find(cast("dict[str, Any]", scope)["method"], _raw_path(scope))
            reply = found if isinstance(found, Raw) else await _answer(services, *found, scope, receive, send)
        except ConnectionError:
            return
        except Exception as error:
            status, body, headers = error_reply(error)
            if status == 500 and not isinstance(error, TwinlensError | MlflowError):
                _log.exception("MLflow request failed: %s", _raw_path(scope))
            reply = Raw(body, status, headers=headers)
        if isinstance(reply, Raw) and reply.app is not None:
            await reply.app(scope, receive, send)
        else:
            await _send(send, reply)

    return app


def tables() -> list[RpcTable]:
    """The tables of all modules of this face: every module that declares ``rpcs``."""
    from importlib import import_module
    from pkgutil import iter_modules

    import twinlens.faces.mlflow as package

    modules = [import_module(f"{package.__name__}.{found.name}") for found in iter_modules(package.__path__)]
    return [module.rpcs for module in modules if isinstance(getattr(module, "rpcs", None), RpcTable)]


def router(services: Services) -> Router:
    """Everything MLflow clients and MLflow's browser UI call."""
    dispatcher = Dispatcher(tables())
    app = make_app(services, dispatcher)
    handlers: list[Any] = [asgi(mount, is_mount=True, copy_scope=False)(app) for mount in MOUNTS]
    outside = [path for path in dispatcher.paths if not path.startswith(("/api/", "/ajax-api/", "/gateway/"))]
    handlers += [asgi(path, copy_scope=False)(app) for path in outside]
    return Router("/", route_handlers=handlers)
