"""Pydantic AI's native telemetry: the agent span repeats what its model call reports."""

import _otel
from pydantic_ai import Agent

Agent.instrument_all()
with _otel.provider.get_tracer("app").start_as_current_span("pydantic_agent"):
    Agent("openai-chat:gpt-4o-mini", name="thinker").run_sync("Why?")
_otel.provider.shutdown()
