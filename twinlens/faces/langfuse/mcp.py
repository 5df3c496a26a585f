"""``/mcp``: the Model Context Protocol over streamable HTTP, stateless, as Langfuse has it.

Each tool is one endpoint of this face, called with the credentials of the request (``mcp_tools`` says which), so a tool may do what
its key may do, and answers what the endpoint answers. Every request stands for itself: there is no session, and the server
never calls back, which the protocol permits (revision 2025-06-18, "Streamable HTTP"): a POST is answered with JSON, GET with 405.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from twinlens import __version__
from twinlens.domain.errors import InvalidArgument
from twinlens.faces.http import check_nesting
from twinlens.faces.langfuse.errors import answer
from twinlens.faces.langfuse.mcp_tools import TOOLS, Tool
from twinlens.faces.langfuse.wire import Call, Reply, Result, Route, RouteTable

routes = RouteTable()

#: Revisions that are answered as asked for; others get the newest of these (handshake era, oldest first).
REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
_INSTRUCTIONS = (
    "Read and change what is recorded of LLM applications in one project: prompts, traces, observations, scores, metrics, "
    "datasets. Times are ISO-8601 in UTC, durations in seconds unless a name says otherwise, money is USD."
)


@dataclass(slots=True)
class ToolCall(Call):
    """A request of an endpoint that a tool makes: path, query and body come from its arguments."""

    given: bytes = b""

    async def body(self) -> bytes:
        """The body that the arguments make."""
        check_nesting(self.given, self.services.settings.max_nesting)
        return self.given


class RpcError(Exception):
    """An error of the protocol, not of a tool."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@cache
def _route(method: str, path: str) -> Route:
    """The endpoint behind a tool."""
    from twinlens.faces.langfuse.router import tables  # at the first call: the tables include this module's own

    return next(r for table in tables() for r in table.routes if (r.method, r.path) == (method, path))


def _may(call: Call, tool: Tool) -> bool:
    scope = _route(tool.method, tool.path).scope
    return scope is None or scope in call.principal.scopes


@routes.on("POST", "/mcp", scope="read")
async def mcp(call: Call) -> Result:
    """One message of the Model Context Protocol; notifications are taken without an answer."""
    raw = await call.body()
    try:
        message: Any = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        return Reply(_error(None, PARSE_ERROR, f"not JSON: {error}"), 400)
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):  # pyright: ignore[reportUnknownMemberType]
        return Reply(_error(None, INVALID_REQUEST, "not a JSON-RPC 2.0 request"), 400)
    request: dict[str, Any] = message  # pyright: ignore[reportUnknownVariableType]
    if request.get("id") is None:
        return Reply(status=202)
    params = request.get("params") or {}
    try:
        if not isinstance(params, dict):
            raise RpcError(INVALID_PARAMS, "params must be an object")
        found = await _result(call, request["method"], params)  # pyright: ignore[reportUnknownArgumentType]
    except RpcError as error:
        return _error(request["id"], error.code, str(error))
    return {"jsonrpc": "2.0", "id": request["id"], "result": found}


def _error(id: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}


async def _result(call: Call, method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        asked = params.get("protocolVersion")
        return {
            "protocolVersion": asked if asked in REVISIONS else REVISIONS[-1],
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": "twinlens", "title": "Twinlens", "version": __version__},
            "instructions": _INSTRUCTIONS,
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": [tool.description() for tool in TOOLS.values() if _may(call, tool)]}
    if method == "tools/call":
        tool = TOOLS.get(str(params.get("name")))
        if tool is None:
            raise RpcError(INVALID_PARAMS, f"unknown tool '{params.get('name')}'; known: {', '.join(TOOLS)}")
        return await _call(call, tool, params.get("arguments") or {})
    raise RpcError(METHOD_NOT_FOUND, f"unknown method '{method}'")


async def _call(call: Call, tool: Tool, arguments: Any) -> dict[str, Any]:
    """What the endpoint answers, or its error, as a tool's result: agents read both."""
    route = _route(tool.method, tool.path)
    try:
        if route.scope is not None:
            call.principal.require(route.scope)
        if not isinstance(arguments, dict):
            raise InvalidArgument("arguments must be an object")
        path, query, body = tool.request(arguments)  # pyright: ignore[reportUnknownArgumentType]
        wanted = ToolCall(
            services=call.services, principal=call.principal, asker=call.asker, path=path, raw_query=query, request=call.request,
            url=call.url, given=msgspec.json.encode(body),
        )  # fmt: skip
        result = await route.handler(wanted)
    except Exception as error:
        status, problem, _ = answer(error)
        detail = problem["error"] if isinstance(problem.get("error"), list) else None
        text = f"{status}: {problem['message']}" + (f" {msgspec.json.encode(detail).decode()}" if detail else "")
        return {"content": [{"type": "text", "text": text}], "isError": True}
    value = result.body if isinstance(result, Reply) else result
    text = (value if isinstance(value, bytes) else msgspec.json.encode(value)).decode() if value is not None else "done"
    return {"content": [{"type": "text", "text": text}], "isError": False}
