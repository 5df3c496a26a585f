"""A Pydantic AI agent."""

from pydantic_ai import Agent

print(Agent("openai-chat:gpt-4o-mini", name="physicist", instructions="Be brief.").run_sync("Why is the sky blue?").output)
