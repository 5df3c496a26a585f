"""OpenInference on DSPy and on LiteLLM below it: two instrumentations report one call."""

import _otel
import dspy
from openinference.instrumentation.dspy import DSPyInstrumentor
from openinference.instrumentation.litellm import LiteLLMInstrumentor

DSPyInstrumentor().instrument(tracer_provider=_otel.provider)
LiteLLMInstrumentor().instrument(tracer_provider=_otel.provider)
dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", cache=False))
with _otel.provider.get_tracer("app").start_as_current_span("dspy_and_litellm"):
    dspy.Predict("question -> answer")(question="Why?")
_otel.provider.shutdown()
