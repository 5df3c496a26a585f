"""What every face needs from HTTP: who is asking, leaving the event loop for blocking calls, reading bodies within
limits, and one reading of what went wrong that each face puts into its own shape."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, cast

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.exceptions.http_exceptions import ClientException

from twinlens.domain.audit import Actor, acting
from twinlens.domain.errors import Busy, InvalidArgument, StoreUnavailable, TooLarge, TwinlensError
from twinlens.domain.project import Principal

if TYPE_CHECKING:
    from twinlens.features.services import Services

P = ParamSpec("P")
T = TypeVar("T")
AnyRequest = Request[Any, Any, Any]
AnyConnection = ASGIConnection[Any, Any, Any, Any]  #: also what guards get
log = logging.getLogger("twinlens.http")
_encode = msgspec.json.Encoder().encode

#: Blocking store calls run here; wide enough that slow analytical reads do not hold up small ones.
_POOL = ThreadPoolExecutor(max_workers=12, thread_name_prefix="twinlens-io")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function off the event loop, in the context of the caller."""
    call = partial(copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_POOL, call)


def services(request: AnyConnection) -> Services:
    """The object graph that ``twinlens.server`` has put into the application's state."""
    found: Services = request.app.state.services
    return found


async def principal(request: AnyConnection) -> Principal:
    """Who is asking, and in which project. The same object for the whole request.

    Raises:
        Unauthenticated: no or unknown credentials in secured mode.
        NotFound: the project named by a header does not exist for this caller.
    """
    known: Principal | None = request.scope.get("twinlens_principal")
    if known is None:
        access = services(request).access
        headers = request.headers
        known = access.remembered(headers) or await in_thread(access.authenticate, headers)
        request.scope["twinlens_principal"] = known  # type: ignore[typeddict-unknown-key]
        acting.set(_actor(known))
    return known


def _actor(who: Principal) -> Actor:
    """How the audit log names a caller."""
    if who.user_id:
        return Actor(kind="user", id=who.user_id, name=who.user_name or "")
    if who.key_id:
        return Actor(kind="key", id=who.key_id, name=who.public_key or who.key_id)
    return Actor(kind="open", name="this machine")


async def project_principal(request: AnyConnection, project_id: str) -> Principal:
    """``principal``, working in the project that the path names.

    Raises:
        NotFound: the project does not exist, or not for this caller.
    """
    who = await principal(request)
    if who.project_id == project_id:
        return who
    return await in_thread(services(request).access.for_project, who, project_id)


class Problem(NamedTuple):
    """What went wrong, ready for a face's own shape. ``error`` is the exception behind it."""

    status: int
    message: str
    headers: dict[str, str]
    error: Exception


def problem(error: Exception) -> Problem:
    """Read any exception that reached a face.

    A user's mistake is 4xx, a full queue 429, a store that cannot write 503 (both with ``Retry-After``, whole seconds);
    the rest is a defect: 500, logged with its traceback, without details for the client.
    """
    if isinstance(error, TwinlensError):
        headers: dict[str, str] = {}
        if isinstance(error, (Busy, StoreUnavailable)):
            headers["Retry-After"] = str(max(1, ceil(error.retry_after)))
        return Problem(error.status, error.message, headers, error)
    if isinstance(error, ClientException | HTTPException):
        return Problem(error.status_code, str(error.detail), dict(error.headers or {}), error)
    if isinstance(error, msgspec.DecodeError):
        return Problem(400, f"the body cannot be read: {error}", {}, error)
    if isinstance(error, RecursionError):
        return Problem(400, "the body is nested too deeply", {}, error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return Problem(503, f"the data folder cannot be written now: {error.strerror}", {"Retry-After": "5"}, error)
    log.error("unexpected error", exc_info=error)
    return Problem(500, "internal error; the server's log has the details", {}, error)


async def read_body(request: AnyRequest, limit: int | None = None) -> bytes:
    """The whole body, decompressed by ``Content-Encoding`` (identity, gzip, deflate).

    ``limit`` (default: the ``max_body`` setting) bounds the bytes after decompression; the body is counted while it
    streams, so neither a false ``Content-Length`` nor a small bomb can take more memory than that.

    Raises:
        TooLarge: more than ``limit`` bytes.
        InvalidArgument: broken compression, or an encoding that is not supported.
    """
    limit = services(request).settings.max_body if limit is None else limit
    encoding = request.headers.get("content-encoding", "identity").strip().lower() or "identity"
    if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise InvalidArgument(f"content encoding {encoding!r} is not supported: use gzip, deflate or none")
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks(request):
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the body is larger than {limit} bytes")
        parts.append(chunk)
    raw = parts[0] if len(parts) == 1 else b"".join(parts)
    if encoding == "identity":
        return raw
    if len(raw) > 200_000:
        return await in_thread(decompress, raw, encoding, limit)
    return decompress(raw, encoding, limit)


async def chunks(request: AnyRequest) -> AsyncIterator[bytes]:
    """The body as it arrives. Also for requests of mounted ASGI handlers, which Litestar's ``stream`` does not serve."""
    more = True
    while more:
        message = cast("dict[str, Any]", await request.receive())
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client went away")
        yield message.get("body", b"")
        more = message.get("more_body", False)


def decompress(raw: bytes, encoding: str, limit: int) -> bytes:
    """Undo ``gzip`` (also of several members) or ``deflate`` (with or without zlib header).

    Raises:
        TooLarge: more than ``limit`` bytes come out.
        InvalidArgument: broken or cut off.
    """
    wbits = 31 if encoding in ("gzip", "x-gzip") else 15 if raw[:1] and raw[0] & 0x0F == 8 else -15
    out: list[bytes] = []
    size = 0
    try:
        while raw or not out:
            engine = zlib.decompressobj(wbits)
            part = engine.decompress(raw, limit - size + 1)
            size += len(part)
            if size > limit:
                raise TooLarge(f"the body is larger than {limit} bytes after decompression")
            if not engine.eof:
                raise InvalidArgument(f"the {encoding} body is cut off")
            out.append(part)
            raw = engine.unused_data if wbits == 31 else b""
    except zlib.error as error:
        raise InvalidArgument(f"the {encoding} body is broken: {error}") from error
    return out[0] if len(out) == 1 else b"".join(out)


def decode_json(raw: bytes, type: type[T], *, max_nesting: int = 100) -> T:
    """Decode a JSON body.

    Raises:
        InvalidArgument: not JSON, not of this type, or nested deeper than ``max_nesting``.
    """
    check_nesting(raw, max_nesting)
    try:
        return msgspec.json.decode(raw, type=type)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"the body does not have the expected form: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"the body is not valid JSON: {error}") from error


def json_array(items: Iterable[object]) -> msgspec.Raw:
    """Items as a JSON array for a larger reply, each encoded as soon as it is made.

    Of 30,000 spans the objects to be encoded would be 300,000; kept until the end they cost more time than the encoding, and
    encoding all at once would hold the interpreter for a third of a second.
    """
    return msgspec.Raw(b"[" + b",".join([_encode(item) for item in items]) + b"]")


_NOT_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def check_nesting(raw: bytes, limit: int) -> None:
    """Refuse JSON that is nested deeper than ``limit``, before a recursive parser or walker meets it.

    The usual body is judged by whole-string operations at memory speed: brackets only, innermost pairs removed once per
    level. Only bodies with unbalanced brackets inside strings are read token by token.

    Raises:
        InvalidArgument: deeper than ``limit``.
    """
    brackets = raw.translate(None, _NOT_BRACKETS)
    if len(brackets) <= limit:
        return
    for _ in range(limit):
        shorter = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not shorter:
            return
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    depth = 0
    for token in _TOKENS.finditer(raw):
        first = token[0]
        if first in (b"[", b"{"):
            depth += 1
            if depth > limit:
                raise InvalidArgument(f"the body is nested deeper than {limit} levels")
        elif first in (b"]", b"}"):
            depth -= 1
