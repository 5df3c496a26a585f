"""The Model Context Protocol endpoint, through the real client of the ``mcp`` package."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from twinlens.faces.langfuse.mcp import _route
from twinlens.faces.langfuse.mcp_tools import TOOLS

pytest.importorskip("mcp", reason="the extra 'mcp' brings the client")
NOW = {"fromTimestamp": "2026-11-01T00:00:00Z", "toTimestamp": "2026-12-01T00:00:00Z"}


def with_client(url: str, use: Callable[[Any], Awaitable[Any]]) -> Any:
    """Run ``use`` with a connected client."""
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    basic = base64.b64encode(b"pk-lf-1:sk-lf-1").decode()

    async def run() -> Any:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Basic {basic}"}) as http,
            Client(streamable_http_client(f"{url}/api/public/mcp", http_client=http)) as client,
        ):
            return await use(client)

    return asyncio.run(run())


async def tool(client: Any, what: str, /, **arguments: Any) -> Any:
    """What a tool answers; a text that begins with the status when it failed."""
    result = await client.call_tool(what, arguments)
    text = result.content[0].text
    return text if result.is_error else json.loads(text)


def test_the_real_client_reads_and_writes(live_server: LiveServer, send: Any) -> None:
    send(
        ("trace-create", {"id": "t1", "name": "chat", "userId": "alice", "timestamp": "2026-11-23T10:00:00Z"}),
        ("generation-create", {
            "id": "g1", "traceId": "t1", "name": "answer", "model": "gpt-4o", "input": "hi", "output": "ho",
            "startTime": "2026-11-23T10:00:00Z", "endTime": "2026-11-23T10:00:02Z", "usageDetails": {"input": 10, "output": 5}}),
    )  # fmt: skip

    async def use(client: Any) -> dict[str, Any]:
        tools = {one.name: one for one in (await client.list_tools()).tools}
        made = await tool(
            client, "createTextPrompt", name="folder/greet", prompt="Hello {{name}}", labels=["production"]
        )
        await tool(client, "createChatPrompt", name="chat", prompt=[{"role": "user", "content": "x"}])
        await tool(client, "createTextPrompt", name="folder/greet", prompt="Hi {{name}}", commitMessage="shorter")
        before = await tool(client, "getPrompt", name="folder/greet")
        moved = await tool(client, "updatePromptLabels", name="folder/greet", version=2, newLabels=["production"])
        after = await tool(client, "getPrompt", name="folder/greet")
        await tool(client, "createDataset", name="d 1", description="x")
        await tool(client, "createDatasetItem", datasetName="d 1", input={"q": 1}, expectedOutput="a", id="i1")
        await tool(client, "createScore", name="good", value=0.5, traceId="t1", id="s1")
        query = {"view": "observations", "metrics": [{"measure": "totalTokens", "aggregation": "sum"}],
                 "dimensions": [{"field": "model"}], **NOW}  # fmt: skip
        return {
            "server": client.server_info.name,
            "same tools": set(tools) == set(TOOLS),
            "reads": tools["getPrompt"].annotations.read_only_hint,
            "versions": [made["version"], before["version"], moved["version"], after["version"], after["prompt"]],
            "prompts": [one["name"] for one in (await tool(client, "listPrompts"))["data"]],
            "trace": [(await tool(client, "getTrace", traceId="t1"))["observations"][0]["output"]],
            "traces": [one["id"] for one in (await tool(client, "listTraces", userId="alice", limit=5))["data"]],
            "observations": [one["id"] for one in (await tool(client, "listObservations", traceId="t1"))["data"]],
            "observation": (await tool(client, "getObservation", observationId="g1"))["input"],
            "metrics": (await tool(client, "queryMetrics", query=query))["data"],
            "scores": [one["value"] for one in (await tool(client, "listScores", traceId="t1"))["data"]],
            "dataset": (await tool(client, "getDataset", datasetName="d 1"))["description"],
            "items": [one["input"] for one in (await tool(client, "listDatasetItems", datasetName="d 1"))["data"]],
            "absent": await tool(client, "getPrompt", name="absent"),
            "bad": await tool(client, "createTextPrompt", name="bad|name", prompt="x"),
            "missing": await tool(client, "createTextPrompt", name="x"),
            "unknown": await tool(client, "getTrace", traceId="t1", colour="red"),
        }

    assert with_client(live_server.url, use) == {
        "server": "twinlens",
        "same tools": True,
        "reads": True,
        "versions": [1, 1, 2, 2, "Hi {{name}}"],
        "prompts": ["chat", "folder/greet"],
        "trace": ["ho"],
        "traces": ["t1"],
        "observations": ["g1"],
        "observation": "hi",
        "metrics": [{"model": "gpt-4o", "sum_totalTokens": 15}],
        "scores": [0.5],
        "dataset": "x",
        "items": [{"q": 1}],
        "absent": "404: Prompt not found: 'absent' with label production",
        "bad": "400: Prompt name cannot contain '|' character",
        "missing": "400: missing argument: prompt",
        "unknown": "400: unknown argument colour; known: traceId",
    }


def test_every_tool_has_an_endpoint_that_takes_its_arguments() -> None:
    for one in TOOLS.values():
        assert _route(one.method, one.path)
        assert {a.to or a.name for a in one.arguments if a.where == "path"} == {
            part.strip("{}*") for part in one.path.split("/") if part.startswith("{")
        }


def test_what_is_no_request_is_refused(http: httpx.Client) -> None:
    def rpc(**message: Any) -> httpx.Response:
        return http.post("/mcp", json={"jsonrpc": "2.0", **message})

    assert rpc(method="notifications/initialized").status_code == 202
    assert (
        rpc(id=1, method="initialize", params={"protocolVersion": "1999-01-01"}).json()["result"]["protocolVersion"]
        == "2025-11-25"
    )
    assert rpc(id=1, method="absent").json()["error"]["code"] == -32601
    assert rpc(id=1, method="tools/call", params={"name": "absent"}).json()["error"]["code"] == -32602
    assert rpc(id=1, method="tools/call", params=[1]).json()["error"]["code"] == -32602
    assert http.post("/mcp", content=b"{").json()["error"]["code"] == -32700
    assert http.post("/mcp", json=[1]).status_code == 400
    assert http.get("/mcp").status_code == 405
    assert http.delete("/mcp").status_code == 405


def test_the_command_line_carries_it_over_standard_streams(live_server: LiveServer) -> None:
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    command = StdioServerParameters(command=sys.executable, args=["-m", "twinlens", "mcp", "--server", live_server.url])

    async def run() -> Any:
        async with Client(stdio_client(command)) as client:
            return await tool(client, "listPrompts", limit=1), await tool(client, "getPrompt", name="nowhere")

    found, absent = asyncio.run(run())
    assert found["meta"]["limit"] == 1
    assert absent.startswith("404: ")
