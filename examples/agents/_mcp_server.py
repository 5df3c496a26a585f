"""An MCP server with one tool."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("facts")


@server.tool()
def fact(topic: str) -> str:
    """A fact about a topic."""
    return f"{topic} is blue"


server.run()
