"""OpenAI's agents SDK: an agent that answers at once."""

from agents import Agent, Runner

agent = Agent(name="physicist", instructions="Be brief.", model="gpt-4o-mini")
print(Runner.run_sync(agent, "Why is the sky blue?").final_output)
