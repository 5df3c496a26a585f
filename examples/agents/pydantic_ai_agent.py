"""A Pydantic AI agent with a tool."""

from pydantic_ai import Agent

agent = Agent("openai-chat:gpt-4o-mini", name="physicist", instructions="Be brief.")


@agent.tool_plain
def fact(topic: str) -> str:
    """A fact about a topic."""
    return f"{topic} is blue"


print(agent.run_sync("Why is the sky blue? Use a tool.").output)
