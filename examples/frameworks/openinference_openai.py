"""OpenInference's instrumentation of the OpenAI client."""

import _otel
from openai import OpenAI
from openinference.instrumentation.openai import OpenAIInstrumentor

OpenAIInstrumentor().instrument(tracer_provider=_otel.provider)
with _otel.provider.get_tracer("app").start_as_current_span("openinference_openai"):
    OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Why?"}])
_otel.provider.shutdown()
