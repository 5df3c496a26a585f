"""OTLP/gRPC (extra ``grpc``): the three export services over the same pipeline as HTTP.

Requests stay bytes until ``Receiver`` decodes them. Errors follow the OTLP specification: ``INVALID_ARGUMENT`` and other
codes are final; ``UNAVAILABLE``, and ``RESOURCE_EXHAUSTED`` with a ``RetryInfo``, make clients send again after that time.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from twinlens.domain.errors import InvalidState
from twinlens.domain.project import Principal
from twinlens.faces.http import Problem, in_thread, problem
from twinlens.faces.otlp.receive import Receiver
from twinlens.ingest.otlp_body import PROTOBUF

if TYPE_CHECKING:
    from twinlens.features.services import Services

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ALREADY_EXISTS,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
#: Takes who, body and headers.
Store = Callable[[Principal, bytes, Mapping[str, str]], Awaitable[None]]
_SERVICE = "opentelemetry.proto.collector.{0}.v1.{1}Service"


async def serve_grpc(services: Services, host: str, port: int) -> tuple[grpc.aio.Server, int]:
    """Start receiving on the running event loop; returns the server and the port it listens on (0 picks a free one).

    Stop it with ``await server.stop(grace_seconds)``.

    Raises:
        InvalidState: the address cannot be bound.
    """
    receiver = Receiver(services)

    async def spans(who: Principal, body: bytes, headers: Mapping[str, str]) -> None:
        experiment, run = headers.get("x-mlflow-experiment-id"), headers.get("x-mlflow-run-id")
        await receiver.spans(who, body, PROTOBUF, experiment or None, run or None)

    async def logs(who: Principal, body: bytes, _: Mapping[str, str]) -> None:
        await receiver.logs(who, body, PROTOBUF)

    async def metrics(who: Principal, body: bytes, _: Mapping[str, str]) -> None:
        await receiver.metrics(who, body, PROTOBUF)

    limit = services.settings.max_body
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", limit), ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(_SERVICE.format(*names), {"Export": _handler(services, store)})
            for names, store in (
                (("trace", "Trace"), spans),
                (("logs", "Logs"), logs),
                (("metrics", "Metrics"), metrics),
            )
        )
    )
    try:
        bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        raise InvalidState(f"cannot listen for gRPC on {host}:{port}: {_reason(error)}") from error
    await server.start()
    return server, bound


def _reason(error: RuntimeError) -> str:
    """The useful end of gRPC's message."""
    return re.sub(r".*?:\s", "", str(error)) or "the port is taken"


def _handler(services: Services, store: Store) -> Any:
    async def export(body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        try:
            access = services.access
            who = access.remembered(headers) or await in_thread(access.authenticate, headers)
            await store(who, body, headers)
        except Exception as error:
            found = problem(error)
            code = CODES.get(found.status, grpc.StatusCode.INTERNAL)
            await context.abort(code, found.message, _details(code, found))
        return b""  # an empty Export…ServiceResponse

    # without (de)serialisers gRPC hands over bytes
    return grpc.unary_unary_rpc_method_handler(export)  # pyright: ignore[reportArgumentType]


def _details(code: grpc.StatusCode, found: Problem) -> tuple[tuple[str, bytes], ...]:
    """``google.rpc.Status`` with a ``RetryInfo`` where sending again makes sense."""
    delay = found.headers.get("Retry-After")
    if delay is None:
        return ()
    from google.protobuf.duration_pb2 import Duration
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status

    status = Status(code=code.value[0], message=found.message)
    status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=int(delay))))
    return (("grpc-status-details-bin", status.SerializeToString()),)
