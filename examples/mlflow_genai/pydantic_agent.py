"""A Pydantic AI agent, traced by MLflow."""

import mlflow
from _check import check
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel

mlflow.set_experiment("pydantic-ai")
mlflow.pydantic_ai.autolog()
agent = Agent(OpenAIChatModel("gpt-4o-mini"), instructions="Be brief.")
assert agent.run_sync("Why is the sky blue?").output == "Because."
check("pydantic-ai", kinds={"AGENT", "LLM"})
