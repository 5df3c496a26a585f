"""OpenAI's agents SDK, traced by MLflow."""

import mlflow
from _check import check
from agents import Agent, Runner

mlflow.set_experiment("agents")
mlflow.openai.autolog()
reply = Runner.run_sync(Agent(name="physicist", instructions="Be brief.", model="gpt-4o-mini"), "Why is the sky blue?")
assert reply.final_output == "Because."
check("agents", kinds={"AGENT"})
