"""The Anthropic client: one call."""

from anthropic import Anthropic

asked = [{"role": "user", "content": "Why is the sky blue?"}]
print(Anthropic().messages.create(model="claude-3-5-haiku-latest", max_tokens=100, messages=asked).content[0].text)
