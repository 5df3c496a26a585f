"""LlamaIndex: a question to a summary of two documents."""

import os

from llama_index.core import Document, Settings, SummaryIndex
from llama_index.llms.openai_like import OpenAILike

Settings.llm = OpenAILike(
    model="gpt-4o-mini", api_base=os.environ["OPENAI_BASE_URL"], api_key="sk-none", is_chat_model=True
)
documents = [Document(text="The sky is blue."), Document(text="Light scatters.")]
print(SummaryIndex.from_documents(documents).as_query_engine().query("Why is the sky blue?"))
