"""A Google ADK agent on a model behind LiteLLM."""

import asyncio

from google.adk.agents import LlmAgent
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.genai import types


async def main() -> None:
    agent = LlmAgent(name="physicist", model=LiteLlm(model="openai/gpt-4o-mini"), instruction="Be brief.")
    runner = InMemoryRunner(agent=agent, app_name="sky")
    session = await runner.session_service.create_session(app_name="sky", user_id="ada")
    asked = types.Content(role="user", parts=[types.Part(text="Why is the sky blue?")])
    async for event in runner.run_async(user_id="ada", session_id=session.id, new_message=asked):
        if event.is_final_response():
            print(event.content.parts[0].text)


asyncio.run(main())
