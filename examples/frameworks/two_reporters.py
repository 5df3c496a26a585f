"""OpenInference on LangChain and on the OpenAI client below it: two instrumentations report one call."""

import _otel
from langchain_openai import ChatOpenAI
from openinference.instrumentation.langchain import LangChainInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor

LangChainInstrumentor().instrument(tracer_provider=_otel.provider)
OpenAIInstrumentor().instrument(tracer_provider=_otel.provider)
with _otel.provider.get_tracer("app").start_as_current_span("two_reporters"):
    ChatOpenAI(model="gpt-4o-mini").invoke("Why?")
_otel.provider.shutdown()
