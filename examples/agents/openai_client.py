"""The OpenAI client: one call."""

from openai import OpenAI

asked = [{"role": "user", "content": "Why is the sky blue?"}]
print(OpenAI().chat.completions.create(model="gpt-4o-mini", messages=asked).choices[0].message.content)
