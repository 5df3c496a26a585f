"""Langfuse's drop-in OpenAI client."""

from langfuse import get_client
from langfuse.openai import openai

with get_client().start_as_current_observation(as_type="span", name="langfuse_openai"):
    openai.OpenAI().chat.completions.create(
        name="call", model="gpt-4o-mini", messages=[{"role": "user", "content": "Why?"}]
    )
get_client().flush()
