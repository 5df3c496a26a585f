"""``twinlens mcp``: a server's tools for agents that speak the Model Context Protocol over standard input and output."""

from __future__ import annotations

import json
import sys

from twinlens.cli.deployment import Server


def mcp(*, server: Server = None) -> None:
    """Connect an agent to a running server: prompts, traces, metrics, scores and datasets as tools.

    Started by the agent's program, not by hand: `{"command": "twinlens", "args": ["mcp"]}`. Programs that speak HTTP use
    the server's own address /api/public/mcp instead.
    """
    from twinlens.sdk.errors import ServerError
    from twinlens.sdk.server import Server as Connection

    connection = Connection(server, timeout=120)
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            message = json.loads(line)
        except ValueError as error:
            _print({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": f"not JSON: {error}"}})
            continue
        asked = message.get("id") if isinstance(message, dict) else None
        try:
            answer = connection.call("POST", "/api/public/mcp", message)
        except ServerError as error:
            answer = {"jsonrpc": "2.0", "id": asked, "error": {"code": -32603, "message": str(error)}}
        if asked is not None:
            _print(answer)


def _print(message: object) -> None:
    print(json.dumps(message, ensure_ascii=False), flush=True)
