"""OpenAI's Agents SDK, instrumented by OpenInference: an agent span around a response span."""

import _otel
from agents import Agent, Runner
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

OpenAIAgentsInstrumentor().instrument(tracer_provider=_otel.provider)
with _otel.provider.get_tracer("app").start_as_current_span("openai_agents"):
    Runner.run_sync(Agent(name="thinker", model="gpt-4o-mini"), "Why?")
_otel.provider.shutdown()
