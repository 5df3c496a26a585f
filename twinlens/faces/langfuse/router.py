"""Finds the handler of a request under ``/api/public`` and answers it.

Langfuse's paths are matched here on the raw path rather than as Litestar routes: names with encoded slashes survive only
that way, and unknown paths and methods must answer in Langfuse's own shape. Cross-origin requests are allowed, because
browsers send feedback with the public key (server v4.16: CORS is open on the public API).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, unquote

import msgspec
from litestar import Request, Router, asgi

from twinlens.domain.errors import NotFound
from twinlens.domain.project import Principal
from twinlens.faces.http import in_thread, principal
from twinlens.faces.langfuse.description import as_json, as_yaml
from twinlens.faces.langfuse.errors import CODED, MethodNotAllowed, answer, coded
from twinlens.faces.langfuse.wire import Call, Reply, Route, RouteTable

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

    from twinlens.features.resources import Kind
    from twinlens.features.services import Services

PREFIX = "/api/public"
ADMIN = "/api/admin"  #: the instance's own API; its routes are declared with this in front
_NOBODY = Principal(project_id="", organization_id="", scopes=frozenset())
_encode = msgspec.json.Encoder().encode
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"Retry-After, ETag"),
]
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"*, Authorization"),
    (b"access-control-max-age", b"86400"),
]


class Dispatcher:
    """Path to handler. Paths without parameters are looked up, the others matched in order of declaration."""

    def __init__(self, tables: list[RouteTable]) -> None:
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[str, re.Pattern[str], dict[str, Route]]] = []
        patterns: dict[str, dict[str, Route]] = {}
        for route in (route for table in tables for route in table.routes):
            table = patterns if "{" in route.path else self._exact
            table.setdefault(route.path, {})[route.method] = route
        # a literal segment beats a parameter, and a parameter beats one that takes several segments
        for path in sorted(patterns, key=lambda p: [(s.startswith("{"), s.endswith("*}")) for s in p.split("/")]):
            expression = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+?)", path)
            expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", expression)
            self._patterns.append((path[: path.index("{")], re.compile(expression), patterns[path]))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The handler and its path values. ``path`` is still percent-encoded and starts behind the prefix.

        Raises:
            NotFound: no such path.
            MethodNotAllowed: not with this method.
        """
        known = self._exact.get(path)
        if known is not None and method in known:
            return known[method], {}
        exists = known is not None
        for prefix, pattern, candidates in self._patterns:
            if path.startswith(prefix) and (match := pattern.fullmatch(path)):
                if method in candidates:
                    return candidates[method], {name: unquote(value) for name, value in match.groupdict().items()}
                exists = True
        if exists:
            raise MethodNotAllowed
        raise NotFound("This endpoint does not exist")


def tables() -> list[RouteTable]:
    """The tables of all modules of this face: every module that declares ``routes``."""
    import twinlens.faces.langfuse as package

    modules = [import_module(f"{package.__name__}.{m.name}") for m in iter_modules(package.__path__)]
    return [module.routes for module in modules if isinstance(getattr(module, "routes", None), RouteTable)]


def raw_path(scope: Scope) -> str:
    """The path as the client sent it, behind ``PREFIX``, without a trailing slash."""
    raw = cast("dict[str, Any]", scope).get("raw_path") or scope["path"].encode()
    path = raw.split(b"?", 1)[0].decode("latin-1")
    at = path.find(PREFIX)
    return (path[at + len(PREFIX) :] if at >= 0 else path[max(path.find(ADMIN), 0) :]).rstrip("/")


async def _stream(send: Send, reply: Reply, chunks: AsyncIterator[bytes], extra: list[tuple[bytes, bytes]]) -> None:
    """The first chunk is read before the head is sent, so that a missing object is still a clean error."""
    first = await anext(chunks, b"")
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    headers += [*extra, (b"content-type", reply.media_type.encode())]
    await send(cast("Any", {"type": "http.response.start", "status": reply.status, "headers": headers}))
    await send(cast("Any", {"type": "http.response.body", "body": first, "more_body": True}))
    async for chunk in chunks:
        await send(cast("Any", {"type": "http.response.body", "body": chunk, "more_body": True}))
    await send(cast("Any", {"type": "http.response.body", "body": b"", "more_body": False}))


async def _send(send: Send, reply: Reply, extra: list[tuple[bytes, bytes]]) -> None:
    body = b"" if reply.body is None else reply.body if isinstance(reply.body, bytes) else _encode(reply.body)
    headers = [*extra] if reply.status == 304 else [(b"content-length", str(len(body)).encode()), *extra]
    if body:
        headers.append((b"content-type", reply.media_type.encode()))
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    await send(cast("Any", {"type": "http.response.start", "status": reply.status, "headers": headers}))
    await send(cast("Any", {"type": "http.response.body", "body": body, "more_body": False}))


def _named(route: str, path: Mapping[str, str]) -> tuple[Kind, str] | None:
    """The one thing that a path is about, as far as grants know such things."""
    if route.startswith("/traces/{"):
        return "trace", path["id"]
    if route.startswith("/unstable/skills/{"):
        return "skill", path["name"]
    return ("model", path["name"]) if route.startswith("/v2/prompts/{") else None


def _admit(services: Services, who: Principal, route: Route, named: tuple[Kind, str]) -> Principal:
    target = services.resources.target(who.project_id, *named)
    assert route.scope is not None
    return services.permissions.admit(who, route.scope, [target], deleting=route.method == "DELETE")


def make_app(services: Services, dispatcher: Dispatcher) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application behind all paths of this face."""

    async def run(scope: Scope, receive: Receive) -> Reply:
        request: Request[Any, Any, Any] = Request(scope, receive)
        method = "GET" if request.method == "HEAD" else str(request.method)
        route, path = dispatcher.find(method, raw_path(scope))
        who = asker = _NOBODY if route.public else await principal(request)
        if route.scope is not None:
            if who.grants and (named := _named(route.path, path)) is not None:
                who = await in_thread(_admit, services, who, route, named)
            elif who.grants and route.listed:
                who = services.permissions.lister(who)
            who.require(route.scope)
        call = Call(
            services=services,
            principal=who,
            asker=asker,
            path=path,
            raw_query=parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
            request=request,
            url=services.settings.base_url or f"{request.base_url}".rstrip("/"),
        )
        result = await route.handler(call)
        return result if isinstance(result, Reply) else Reply(result)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        method = cast("dict[str, Any]", scope)["method"]
        scope["path"] = PREFIX + scope["path"]  # the mount has cut it; the request log shows the whole
        if method == "OPTIONS":
            return await _send(send, Reply(status=204), [*_CORS, *_PREFLIGHT])
        try:
            reply = await run(scope, receive)
            if reply.stream is not None and method != "HEAD":
                return await _stream(send, reply, reply.stream, _CORS)
        except ConnectionError:
            return None
        except Exception as error:
            status, body, headers = answer(error)
            if raw_path(scope).startswith(CODED):
                body = coded(status, body)
            reply = Reply(body, status, headers)
        if method == "HEAD":
            reply = Reply(None, reply.status, reply.headers)
        await _send(send, reply, _CORS)
        return None

    return app


def router(services: Services) -> Router:
    """Everything Langfuse clients call, except OTLP (``twinlens.faces.otlp``)."""
    app = make_app(services, Dispatcher(tables()))
    mounts = [asgi(mount, is_mount=True, copy_scope=False)(app) for mount in (PREFIX, ADMIN)]
    return Router("/", route_handlers=[*mounts, as_json, as_yaml])
