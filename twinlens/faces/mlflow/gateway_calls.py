"""The AI gateway's data plane, which stands at the root: programs call endpoints with OpenAI's, Anthropic's or Google's client.

Errors have MLflow's ``detail`` and, for those clients, an ``error`` object: the provider's own where it sent one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from twinlens.domain.errors import TwinlensError
from twinlens.faces.http import check_nesting, in_thread, problem
from twinlens.faces.mlflow.errors import MlflowError
from twinlens.faces.mlflow.wire import Call, Raw, Reply, RpcTable, to_json
from twinlens.features.budgets import BudgetExceeded
from twinlens.features.gateway_calls import Answer, UpstreamFailed
from twinlens.features.gateway_requests import (
    ANTHROPIC,
    CHAT,
    EMBEDDINGS,
    GEMINI,
    GEMINI_STREAM,
    OPENAI_CHAT,
    OPENAI_COMPACT,
    OPENAI_EMBEDDINGS,
    OPENAI_RESPONSES,
    PROXY,
    TYPESAFE,
    Action,
)

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

rpcs = RpcTable()

Json = dict[str, Any]
_NO_MODEL = "Missing required 'model' parameter in request body"


def _refused(status: int, detail: str, error: Any = None, headers: dict[str, str] | None = None) -> Raw:
    shown = error if isinstance(error, dict) else {"message": detail, "type": "gateway_error", "code": status}
    return Raw(to_json({"detail": detail, "error": shown}), status, headers=headers or {})


def _body(call: Call) -> Json:
    """The request's JSON object.

    Raises:
        MlflowError: it is none.
    """
    check_nesting(call.body, call.services.settings.max_nesting)
    try:
        found = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MlflowError("BAD_REQUEST", f"Invalid JSON payload: {error}") from None
    if not isinstance(found, dict):
        raise MlflowError("BAD_REQUEST", "Invalid JSON payload: expected an object")
    return found


def _streamed(answer: Answer, chunks: AsyncIterator[bytes]) -> Raw:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", answer.media_type.encode("latin-1")), (b"cache-control", b"no-cache")]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]

    return Raw(app=app)


async def _run(call: Call, choose: Callable[[Json], tuple[str, Action]], *, path: str = "") -> Reply:
    """Ask the endpoint that ``choose`` finds in the body, and answer in the client's shape."""
    try:
        body = _body(call)
        name, action = choose(body)
        who = call.caller
        answer = await call.services.gateway_calls.call(
            call.project_id, name, action, body, user=call.user or who.public_key or "", headers=dict(call.request.headers),
            path=path, query=str(call.request.url.query) if path else "",
        )  # fmt: skip
    except UpstreamFailed as error:
        headers = {"Retry-After": error.retry_after} if error.retry_after else {}
        return _refused(error.status, error.message, (error.body or {}).get("error"), headers)
    except MlflowError as error:
        return _refused(400, error.message)
    except BudgetExceeded as error:
        wait = {"Retry-After": str(round(error.retry_after)), "x-should-retry": "false"}
        return _refused(error.status, error.message, headers=wait)
    except TwinlensError as error:
        found = problem(error)
        return _refused(found.status, found.message, headers=found.headers)
    if answer.chunks is not None:
        return _streamed(answer, answer.chunks)
    return Raw(answer.body, media_type=answer.media_type)


def _model(action: Action) -> Callable[[Json], tuple[str, Action]]:
    """Takes the endpoint's name from the body's ``model``."""

    def choose(body: Json) -> tuple[str, Action]:
        name = body.get("model")
        if not isinstance(name, str) or not name:
            raise MlflowError("BAD_REQUEST", _NO_MODEL)
        return name, action

    return choose


@rpcs.rpc("POST", "", "/gateway/{endpoint_name}/mlflow/invocations", body="bytes", scope="write")
async def invocations(call: Call) -> Reply:
    """Chat or embeddings, whichever the body looks like."""

    def choose(body: Json) -> tuple[str, Action]:
        if "messages" in body:
            return call.path["endpoint_name"], CHAT
        if "input" in body:
            return call.path["endpoint_name"], EMBEDDINGS
        raise MlflowError("BAD_REQUEST", "Invalid request: payload format must be either chat or embeddings")

    return await _run(call, choose)


@rpcs.rpc("POST", "", "/gateway/mlflow/v1/chat/completions", body="bytes", scope="write")
async def chat(call: Call) -> Reply:
    """Chat with any provider in OpenAI's form."""
    return await _run(call, _model(CHAT))


@rpcs.rpc("POST", "", "/gateway/mlflow/v1/embeddings", body="bytes", scope="write")
async def embeddings(call: Call) -> Reply:
    """Embeddings of any provider in OpenAI's form (MLflow has them under the endpoint's name only)."""
    return await _run(call, _model(EMBEDDINGS))


@rpcs.rpc("GET", "", "/gateway/mlflow/v1/models")
async def models(call: Call) -> Reply:
    """The endpoints, as OpenAI lists models."""
    found = await in_thread(call.services.gateway.endpoints, call.project_id)
    data = [
        {"id": each.name, "object": "model", "created": each.created_ns // 1_000_000_000, "owned_by": "mlflow"}
        for each in sorted(found, key=lambda each: each.name)
    ]
    return {"object": "list", "data": data}


def _passthrough(path: str, action: Action) -> None:
    async def handler(call: Call) -> Reply:
        """The provider's own form; the body names the endpoint."""
        return await _run(call, _model(action))

    rpcs.rpc("POST", "", path, body="bytes", scope="write")(handler)


for _path, _action in (
    ("/gateway/openai/v1/chat/completions", OPENAI_CHAT), ("/gateway/openai/v1/embeddings", OPENAI_EMBEDDINGS),
    ("/gateway/openai/v1/responses", OPENAI_RESPONSES), ("/gateway/openai/v1/responses/compact", OPENAI_COMPACT),
    ("/gateway/anthropic/v1/messages", ANTHROPIC), ("/gateway/typesafe/v1/systemone", TYPESAFE),
):  # fmt: skip
    _passthrough(_path, _action)


@rpcs.rpc("POST", "", "/gateway/gemini/v1beta/models/{endpoint_name}:generateContent", body="bytes", scope="write")
async def gemini(call: Call) -> Reply:
    """Google's own form."""
    return await _run(call, lambda _: (call.path["endpoint_name"], GEMINI))


@rpcs.rpc(
    "POST", "", "/gateway/gemini/v1beta/models/{endpoint_name}:streamGenerateContent", body="bytes", scope="write"
)
async def gemini_stream(call: Call) -> Reply:
    """Google's own form, streamed."""
    return await _run(call, lambda _: (call.path["endpoint_name"], GEMINI_STREAM))


@rpcs.rpc("POST", "", "/gateway/proxy/{endpoint_name}/{path:path}", body="bytes", scope="write")
async def proxy(call: Call) -> Reply:
    """Any path of the provider, the body as it is."""
    return await _run(call, lambda _: (call.path["endpoint_name"], PROXY), path=call.path["path"])
