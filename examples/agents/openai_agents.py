"""OpenAI's agents SDK: an agent that uses a tool, which asks an MCP server."""

import asyncio
import sys
from pathlib import Path

from agents import Agent, Runner, function_tool
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

SERVER = StdioServerParameters(command=sys.executable, args=[str(Path(__file__).with_name("_mcp_server.py"))])


@function_tool
async def fact(topic: str) -> str:
    """A fact about a topic."""
    async with stdio_client(SERVER) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        return (await session.call_tool("fact", {"topic": topic})).content[0].text


agent = Agent(name="physicist", instructions="Be brief.", model="gpt-4o-mini", tools=[fact])
print(asyncio.run(Runner.run(agent, "Why is the sky blue? Use a tool.")).final_output)
