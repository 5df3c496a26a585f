"""LiteLLM: one call."""

import litellm

asked = [{"role": "user", "content": "Why is the sky blue?"}]
print(litellm.completion(model="openai/gpt-4o-mini", messages=asked).choices[0].message.content)
