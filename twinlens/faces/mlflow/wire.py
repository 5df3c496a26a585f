"""How a handler of the MLflow face is declared, and the JSON dialect it speaks.

A module of this package declares its handlers in a table::

    rpcs = RpcTable()

    @rpcs.rpc("POST", "2.0", "/mlflow/experiments/create")
    def create_experiment(call: Call) -> Reply:
        name = call.params.required("name")
        return {"experiment_id": call.services.experiments.create(call.project_id, name)}

Every handler answers under ``/api/<version>`` and ``/ajax-api/<version>``. A plain function runs in a worker thread (it may
block), an ``async`` one on the event loop. It returns a dict or struct (encoded as JSON, None-valued keys must be left
out: see ``present``), None (``{}``), ready JSON bytes, or a ``Raw`` reply. A path may hold ``{name}`` (one segment) and end in ``{name:path}``
(the rest, slashes included); they arrive in ``call.path``. ``body="raw"`` leaves the body unread in ``call.stream``.

JSON dialect (reference: MLflow 3.18): snake case, int64 as numbers, NaN and infinities as text, unset fields omitted.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from litestar import Request

from twinlens.faces.mlflow.errors import MlflowError, invalid
from twinlens.faces.mlflow.params import Params, QueryValues

if TYPE_CHECKING:
    from litestar.types import ASGIApp

    from twinlens.domain.grant import Visible
    from twinlens.domain.project import Principal
    from twinlens.features.services import Services

MAX_DOUBLE = 1.7976931348623157e308


@dataclass(frozen=True, slots=True)
class Raw:
    """A reply that is not JSON with status 200: small bytes here, anything bigger as ``app``, a whole ASGI response."""

    body: bytes = b""
    status: int = 200
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    app: ASGIApp | None = None


Reply = dict[str, Any] | msgspec.Struct | bytes | Raw | None


@dataclass(slots=True)
class Call:
    """One request as a handler sees it.

    Attributes:
        project_id: the project that the caller's credentials select; every feature call starts with it.
        user: name of the caller, empty when nobody had to sign in.
        params: query parameters of a GET, else the JSON body.
        body: the undecoded JSON body (``body="bytes"`` only).
        path: values of the path's parameters.
        stream: the body in pieces (``body="raw"`` only).
        who: the caller; None for public calls.
    """

    services: Services
    project_id: str
    user: str
    request: Request[Any, Any, Any]
    params: Params
    path: dict[str, str]
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    who: Principal | None = None

    @property
    def caller(self) -> Principal:
        """Who asks; only for calls that need credentials."""
        assert self.who is not None
        return self.who

    def visible(self, *resource_types: str) -> Visible | None:
        """What a search may show the caller (see ``features.permissions``); None: everything."""
        return self.services.permissions.visible(self.who, *resource_types) if self.who is not None else None


Handler = Callable[[Call], Reply] | Callable[[Call], Awaitable[Reply]]
#: ``json``: decoded into ``call.params``; ``bytes``: handed over in ``call.body``; ``raw``: not read at all.
Body = Literal["json", "bytes", "raw"]
Needed = Literal["known", "read", "ingest", "score", "write", "manage", "organization"]


@dataclass(frozen=True, slots=True)
class Rpc:
    """One declared handler."""

    verb: str
    version: str
    path: str
    handler: Handler
    body: Body = "json"
    prefixes: tuple[str, ...] = ("/api", "/ajax-api")
    scope: Needed | None = "read"  #: the right that the caller needs; None: anybody, without credentials


class RpcTable:
    """The handlers of one module; ``router`` joins all tables."""

    def __init__(self) -> None:
        self.rpcs: list[Rpc] = []

    def rpc(
        self,
        verb: str,
        version: str,
        path: str,
        *,
        body: Body = "json",
        ajax_only: bool = False,
        scope: Needed | None = None,
        public: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Declare a handler; may be stacked for several paths.

        Args:
            verb: HTTP method.
            version: ``2.0`` or ``3.0``; empty for a path that stands at the root without prefix.
            ajax_only: the path exists for browsers only, under ``/ajax-api``.
            scope: the right that the caller needs; by default ``read`` for GET and ``write`` for the rest. Say ``read``
                for a POST that only searches, ``ingest`` for what running programs report, ``score`` for assessments, ``known`` for
                what every caller with credentials may ask (the handler looks closer).
            public: needs no credentials at all.
        """
        needed = None if public else scope or ("read" if verb in ("GET", "HEAD") else "write")
        prefixes = ("",) if not version else ("/ajax-api",) if ajax_only else ("/api", "/ajax-api")

        def declare(handler: Handler) -> Handler:
            self.rpcs.append(Rpc(verb, version, path, handler, body, prefixes, needed))
            return handler

        return declare


def check_content_type(content_type: str | None) -> None:
    """POST and PUT bodies must be declared as JSON."""
    if content_type is None:
        raise invalid("Bad Request. Content-Type header is missing.")
    if content_type.split(";")[0].strip().lower() != "application/json":
        raise invalid("Bad Request. Content-Type must be one of ['application/json'].")


def decode_body(body: bytes) -> dict[str, Any]:
    """Body to fields. A body that is no JSON object counts as empty, so that the error names the missing parameter;
    text that holds JSON is decoded once more, for very old clients."""
    value: Any
    try:
        value = msgspec.json.decode(body) if body else None
        if isinstance(value, str):
            value = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = _lenient(body)
    except RecursionError:
        return {}
    return value if isinstance(value, dict) else {}


def _lenient(body: bytes) -> Any:
    """Read what only the standard library reads: NaN and Infinity without quotes. None if it is no JSON either.

    Raises:
        MlflowError: half surrogates, which no store can hold.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise invalid("The request body holds text that is not valid Unicode.") from None
    return value


def query_values(request: Request[Any, Any, Any]) -> QueryValues:
    """Query string to fields; a repeated name becomes a list."""
    values = QueryValues()
    for name in request.query_params:
        found = request.query_params.getall(name)
        values[name] = found[0] if len(found) == 1 else found
    return values


def to_json(value: Any) -> bytes:
    """The body of a reply with a status of its own."""
    return msgspec.json.encode(value)


def present(**fields: Any) -> dict[str, Any]:
    """The fields that are not None: unset ones are omitted on the wire."""
    return {name: value for name, value in fields.items() if value is not None}


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """``{"a": "1"}`` as ``[{"key": "a", "value": "1"}]``."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def number(value: float) -> float | str:
    """A double on the wire: NaN as text, infinities as the greatest double (so MLflow's stores return them)."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else math.copysign(MAX_DOUBLE, value)


__all__ = [
    "Body", "Call", "MlflowError", "Params", "Raw", "Reply", "Rpc", "RpcTable", "check_content_type",
    "decode_body", "invalid", "number", "present", "query_values", "tag_list", "to_json",
]  # fmt: skip
