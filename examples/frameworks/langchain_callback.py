"""LangChain with Langfuse's callback handler: a prompt, a model and a parser in a chain."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from langfuse import get_client
from langfuse.langchain import CallbackHandler

chain = ChatPromptTemplate.from_template("{question}") | ChatOpenAI(model="gpt-4o-mini") | StrOutputParser()
with get_client().start_as_current_observation(as_type="span", name="langchain_callback"):
    chain.invoke({"question": "Why?"}, config={"callbacks": [CallbackHandler()]})
get_client().flush()
