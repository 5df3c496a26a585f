"""OpenInference's instrumentation of LangChain."""

import _otel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from openinference.instrumentation.langchain import LangChainInstrumentor

LangChainInstrumentor().instrument(tracer_provider=_otel.provider)
chain = ChatPromptTemplate.from_template("{question}") | ChatOpenAI(model="gpt-4o-mini") | StrOutputParser()
with _otel.provider.get_tracer("app").start_as_current_span("openinference_langchain"):
    chain.invoke({"question": "Why?"})
_otel.provider.shutdown()
