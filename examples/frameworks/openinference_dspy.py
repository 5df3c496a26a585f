"""OpenInference's instrumentation of DSPy: a module, its adapter and the model call."""

import _otel
import dspy
from openinference.instrumentation.dspy import DSPyInstrumentor

DSPyInstrumentor().instrument(tracer_provider=_otel.provider)
dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", cache=False))
with _otel.provider.get_tracer("app").start_as_current_span("openinference_dspy"):
    dspy.ChainOfThought("question -> answer")(question="Why?")
_otel.provider.shutdown()
