"""A CrewAI crew of one agent with one task."""

from crewai import LLM, Agent, Crew, Task

physicist = Agent(role="physicist", goal="explain", backstory="brief", llm=LLM(model="openai/gpt-4o-mini"))
task = Task(description="Why is the sky blue?", expected_output="one word", agent=physicist)
print(Crew(agents=[physicist], tasks=[task]).kickoff().raw)
