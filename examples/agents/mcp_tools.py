"""A tool of an MCP server, called by an agent through the OpenAI client's side: the program starts itself as the server."""

import asyncio
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.server.mcpserver import MCPServer

server = MCPServer("facts")


@server.tool()
def fact(topic: str) -> str:
    """A fact about a topic."""
    return f"{topic} is blue"


async def main() -> None:
    async with (
        stdio_client(StdioServerParameters(command=sys.executable, args=[__file__, "serve"])) as (reading, writing),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        print((await session.call_tool("fact", {"topic": "the sky"})).content[0].text)


if sys.argv[1:] == ["serve"]:
    server.run()
else:
    asyncio.run(main())
