"""OTLP/HTTP (specification 1.x): ``/v1/{traces,logs,metrics}`` and Langfuse's path for the same.

Answers follow the request's encoding: an empty ``Export…ServiceResponse`` when stored, a ``google.rpc.Status`` when not.
Langfuse's path answers ``{}`` whatever the request's encoding, as its server does. 429 and 503 carry ``Retry-After``;
the specification makes clients send again on those and give up on other 4xx.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, Router, post

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.project import Principal
from twinlens.faces.http import Problem, principal, problem, read_body
from twinlens.faces.otlp.receive import Receiver
from twinlens.ingest.otlp_body import JSON, PROTOBUF, encoding_of

if TYPE_CHECKING:
    from twinlens.features.services import Services

AnyRequest = Request[Any, Any, Any]
#: google.rpc codes by HTTP status.
RPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 413: 8, 429: 8, 500: 13, 503: 14}
EXPERIMENT = "x-mlflow-experiment-id"
RUN = "x-mlflow-run-id"
INGESTION_VERSION = "x-langfuse-ingestion-version"
NEWEST_INGESTION = 4


def failure(found: Problem, encoding: str) -> Response[bytes]:
    """A ``google.rpc.Status`` in the request's encoding."""
    code = RPC_CODES.get(found.status, 2)
    if encoding == PROTOBUF:
        from google.rpc.status_pb2 import Status

        content = Status(code=code, message=found.message).SerializeToString()
    else:
        content = msgspec.json.encode({"code": code, "message": found.message})
    return Response(content, status_code=found.status, media_type=encoding, headers=found.headers)


async def answer(
    request: AnyRequest, store: Callable[[Principal, bytes, str], Awaitable[None]], *, langfuse: bool = False
) -> Response[bytes]:
    """Read a request, store it, and answer in its encoding."""
    encoding = JSON
    try:
        encoding = encoding_of(request.headers.get("content-type"))
        who = await principal(request)
        await store(who, await read_body(request), encoding)
    except ConnectionError:
        raise
    except Exception as error:
        found = problem(error)
        if found.status == 415:
            found = found._replace(status=400)
        return failure(found, encoding)
    if langfuse or encoding == JSON:
        return Response(b"{}", status_code=200, media_type=JSON)
    return Response(b"", status_code=200, media_type=PROTOBUF)


def _header(request: AnyRequest, name: str) -> str | None:
    value = (request.headers.get(name) or "").strip()
    if len(value) > 256:
        raise InvalidArgument(f"{name} is too long")
    return value or None


def _check_ingestion_version(text: str | None) -> None:
    """Refuse spans in a form that is newer than what we know (Langfuse server v4.16).

    Raises:
        InvalidArgument: not a number, or too high.
    """
    try:
        known = text is None or float(text) <= NEWEST_INGESTION
    except ValueError:
        known = False
    if not known:
        raise InvalidArgument(f"{INGESTION_VERSION} must be a number up to {NEWEST_INGESTION}, got {text!r}")


def router(services: Services) -> Router:
    """The OTLP receivers."""
    receiver = Receiver(services)

    def spans(request: AnyRequest) -> Callable[[Principal, bytes, str], Awaitable[None]]:
        async def store(who: Principal, body: bytes, encoding: str) -> None:
            await receiver.spans(who, body, encoding, _header(request, EXPERIMENT), _header(request, RUN))

        return store

    @post("/v1/traces", status_code=200)
    async def traces(request: AnyRequest) -> Response[bytes]:
        return await answer(request, spans(request))

    @post("/v1/logs", status_code=200)
    async def logs(request: AnyRequest) -> Response[bytes]:
        return await answer(request, receiver.logs)

    @post("/v1/metrics", status_code=200)
    async def metrics(request: AnyRequest) -> Response[bytes]:
        return await answer(request, receiver.metrics)

    @post("/api/public/otel/v1/traces", status_code=200)
    async def langfuse_traces(request: AnyRequest) -> Response[bytes]:
        store = spans(request)

        async def checked(who: Principal, body: bytes, encoding: str) -> None:
            _check_ingestion_version(_header(request, INGESTION_VERSION))
            await store(who, body, encoding)

        return await answer(request, checked, langfuse=True)

    @post("/api/public/otel/v1/metrics", status_code=200)
    async def langfuse_metrics(request: AnyRequest) -> Response[bytes]:
        return await answer(request, receiver.metrics, langfuse=True)

    @post("/api/public/otel/v1/logs", status_code=200)
    async def langfuse_logs(request: AnyRequest) -> Response[bytes]:
        return await answer(request, receiver.logs, langfuse=True)

    handlers = [traces, logs, metrics, langfuse_traces, langfuse_metrics, langfuse_logs]
    return Router("/", route_handlers=list(handlers), include_in_schema=False)
