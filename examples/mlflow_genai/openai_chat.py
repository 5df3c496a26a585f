"""The OpenAI client, plain and streamed, traced by MLflow."""

import mlflow
from _check import check
from openai import OpenAI

mlflow.set_experiment("openai")
mlflow.openai.autolog()
client = OpenAI()
question = [{"role": "user", "content": "Why is the sky blue?"}]


@mlflow.trace
def answer() -> str:
    client.chat.completions.create(model="gpt-4o-mini", messages=question)
    parts = client.chat.completions.create(
        model="gpt-4o-mini", messages=question, stream=True, stream_options={"include_usage": True}
    )
    return "".join(part.choices[0].delta.content or "" for part in parts if part.choices)


assert answer() == "Because."
check("openai", calls=2, kinds={"CHAT_MODEL"})
