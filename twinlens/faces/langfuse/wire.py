"""How a handler of the Langfuse face is declared and what it sees of a request.

A module of this package declares its handlers in a table::

    routes = RouteTable()

    @routes.on("GET", "/v2/prompts/{name}", scope="read")
    async def get_prompt(call: Call) -> Reply: ...

Path parameters are cut out of the *raw* path and decoded afterwards, because names hold folders and arrive
percent-encoded (``/v2/prompts/folder%2Fp%201``). ``{name*}`` also takes further segments, for clients that do not encode
the slash. JSON is camelCase; times are ISO-8601 UTC with milliseconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from twinlens.domain.clock import iso_ms, parse_iso
from twinlens.domain.grant import Visible
from twinlens.domain.json_body import mended
from twinlens.domain.project import Principal, Scope
from twinlens.faces.http import AnyRequest, check_nesting, chunks, read_body
from twinlens.faces.langfuse.errors import BadRequest, issue
from twinlens.ingest.langfuse_fields import storable_time
from twinlens.query.visible import within
from twinlens.store.telemetry.query import Expr

if TYPE_CHECKING:
    from twinlens.features.services import Services

T = TypeVar("T")
MAX_PAGE = 100
MAX_PAGES = 1_000_000_000


@dataclass(slots=True)
class Reply:
    """Status and body; ``body`` is encoded as JSON unless it is bytes, None means no body.

    ``stream`` sends bytes as they come instead; its length goes into ``headers``.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    media_type: str = "application/json"
    stream: AsyncIterator[bytes] | None = None


Result = Reply | dict[str, Any]
Handler = Callable[["Call"], Awaitable[Result]]


@dataclass(slots=True)
class Call:
    """One request as a handler sees it."""

    services: Services
    principal: Principal
    asker: Principal  #: the caller as signed in, before a grant admitted it
    path: dict[str, str]
    raw_query: list[tuple[str, str]]
    request: AnyRequest
    url: str  #: scheme and authority the client used, for links back to us

    @property
    def project_id(self) -> str:
        """The project the credentials belong to."""
        return self.principal.project_id

    def visible(self, *resource_types: str) -> Visible | None:
        """What a list may show the caller (see ``features.permissions``); None: everything."""
        return self.services.permissions.visible(self.asker, *resource_types)

    def shown(self) -> Expr:
        """Only what belongs to traces that the caller may read: a condition on traces, observations and scores."""
        return within(self.visible("experiment", "trace"), "experiment_id")

    def query(self, type: type[T]) -> T:
        """The query parameters as a struct. A parameter given several times fills a list field.

        Raises:
            BadRequest: a value does not fit its field.
        """
        lists = _list_fields(type)
        values: dict[str, Any] = {}
        for name, value in self.raw_query:
            name = name.removesuffix("[]")
            if name in lists:
                values.setdefault(name, []).append(value)
            elif value != "" or name not in values:
                values[name] = value
        return msgspec.convert({k: v for k, v in values.items() if v != "" or k in _EMPTY_MEANS}, type, strict=False)

    async def json(self, type: type[T]) -> T:
        """The body; an empty one is an object without fields, as generated clients send nothing when all is optional.

        Raises:
            msgspec.DecodeError: not JSON, or not of this shape.
            TooLarge: over the server's limit.
        """
        return msgspec.json.decode(await self.body() or b"{}", type=type)

    async def body(self) -> bytes:
        """The body as bytes, decompressed, its nesting checked, what is JSON only to its sender mended.

        Raises:
            TooLarge: over the server's limit.
            InvalidArgument: nested too deeply, or broken compression.
        """
        raw = await read_body(self.request)
        check_nesting(raw, self.services.settings.max_nesting)
        return mended(raw)

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, unlimited and as sent."""
        return chunks(self.request)


@cache
def _list_fields(type: type) -> frozenset[str]:
    """Names of a struct's fields that hold lists; looking at annotations anew would be a quarter of a small request."""
    return frozenset(f.encode_name for f in msgspec.structs.fields(type) if "list" in str(f.type))


#: Query parameters whose empty value says something (an empty parent: no parent).
_EMPTY_MEANS = frozenset({"parentObservationId"})


@dataclass(frozen=True, slots=True)
class Route:
    """One declared handler."""

    method: str
    path: str
    scope: Scope | None  #: the right it needs; None: none in particular
    handler: Handler
    public: bool = False  #: answered without credentials
    listed: bool = False  #: leaves out what is denied to the caller (``Call.shown``), so that nobody need be refused


class RouteTable:
    """The handlers of one module, in the order in which they are tried."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def on(
        self, method: str, path: str, *, scope: Scope | None, public: bool = False, listed: bool = False
    ) -> Callable[[Handler], Handler]:
        """Declare a handler."""

        def add(handler: Handler) -> Handler:
            self.routes.append(Route(method, path, scope, handler, public, listed))
            return handler

        return add


class PageQuery(msgspec.Struct, rename="camel", kw_only=True):
    """``page`` from 1 and ``limit`` (default 50, at most 100; more is cut, as old clients ask for more)."""

    page: int = 1
    limit: int = 50

    def window(self, most: int = MAX_PAGE) -> tuple[int, int]:
        """Limit and offset.

        Raises:
            BadRequest: page or limit below 1.
        """
        if self.page < 1:
            raise BadRequest(issue("Number must be greater than 0", "page", code="too_small"))
        if self.limit < 1:
            raise BadRequest(issue("Number must be greater than 0", "limit", code="too_small"))
        if self.page > MAX_PAGES:
            raise BadRequest(issue(f"Number must be at most {MAX_PAGES}", "page", code="too_big"))
        limit = min(self.limit, most)
        return limit, (self.page - 1) * limit

    def meta(self, total: int, most: int = MAX_PAGE) -> dict[str, int]:
        """The ``meta`` object of a page."""
        limit, _ = self.window(most)
        return {"page": self.page, "limit": limit, "totalItems": total, "totalPages": -(-total // limit)}


def time_of(text: str | None, name: str) -> int | None:
    """A time from the client, in nanoseconds.

    Raises:
        BadRequest: not ISO-8601.
    """
    if text is None:
        return None
    try:
        return storable_time(parse_iso(text))
    except (ValueError, OverflowError):
        raise BadRequest(issue("Invalid datetime", name, code="invalid_string")) from None


def iso(ns: int | None) -> str | None:
    """A time for the client; None stays None."""
    return None if ns is None else iso_ms(ns)


def raw_json(text: str | None) -> msgspec.Raw | None:
    """JSON text as a value of a reply, without parsing it."""
    return None if text is None else msgspec.Raw(text.encode())
