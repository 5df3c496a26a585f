"""Prompts through the SDK (3, 4 and 5 spell them the same)."""

import json

from langfuse import get_client

langfuse = get_client()
name = "folder/greeting one"
first = langfuse.create_prompt(
    name=name, prompt="Hello {{name}}", labels=["production"], tags=["t"], config={"temperature": 0.1},
    commit_message="first",
)  # fmt: skip
langfuse.create_prompt(name=name, prompt="Hi {{name}}", labels=["staging"])
read = {
    "default": langfuse.get_prompt(name, cache_ttl_seconds=0).compile(name="Ada"),
    "staging": langfuse.get_prompt(name, label="staging", cache_ttl_seconds=0).compile(name="Ada"),
    "latest": langfuse.get_prompt(name, label="latest", cache_ttl_seconds=0).version,
    "v1": langfuse.get_prompt(name, version=1, cache_ttl_seconds=0).config,
    "message": langfuse.get_prompt(name, cache_ttl_seconds=0).commit_message,
}
langfuse.update_prompt(name=name, version=2, new_labels=["production"])
read["moved"] = langfuse.get_prompt(name, cache_ttl_seconds=0).prompt
langfuse.create_prompt(
    name="chat", type="chat", labels=["production"],
    prompt=[
        {"role": "system", "content": "@@@langfusePrompt:name=folder/greeting one|label=production@@@"},
        {"type": "placeholder", "name": "history"},
    ],
)  # fmt: skip
chat = langfuse.get_prompt("chat", type="chat", cache_ttl_seconds=0)
read["chat"] = chat.compile(name="Ada", history=[{"role": "user", "content": "x"}])
read["fallback"] = langfuse.get_prompt("absent", fallback="fell back", cache_ttl_seconds=0).is_fallback
listed = langfuse.api.prompts.list(limit=10)
read["listed"] = [[meta.name, meta.versions, sorted(meta.labels)] for meta in listed.data]
print(json.dumps(read))
