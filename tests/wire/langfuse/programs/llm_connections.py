"""LLM connections through the SDK's generated API client."""

import json

from langfuse import Langfuse
from langfuse.api import NotFoundError

api = Langfuse().api.llm_connections
made = api.upsert(
    provider="team", adapter="openai", secret_key="sk-0123456789", base_url="https://llm.example/v1", custom_models=["big", "small"],
    with_default_models=False, extra_headers={"X-Team": "hidden-value"}, config={"useResponsesApi": True},
)  # fmt: skip
again = api.upsert(provider="team", adapter="anthropic", secret_key="sk-9876543210", config=None)
api.upsert(provider="other", adapter="google-ai-studio", secret_key="short")
page = api.list(page=1, limit=1)
rows = api.list().data
removed = api.delete(rows[0].id)
try:
    api.delete(rows[0].id)
    gone = None
except NotFoundError:
    gone = True


def shown(row):
    return (
        json.loads(row.json())
        if not hasattr(row, "model_dump_json")
        else json.loads(row.model_dump_json(by_alias=True))
    )


print(
    json.dumps(
        {
            "made": shown(made), "again": shown(again), "same": made.id == again.id, "meta": [page.meta.total_items, page.meta.total_pages],
            "names": [row.provider for row in rows], "adapters": [row.adapter for row in rows], "removed": removed.message,
            "gone": gone, "left": [row.provider for row in api.list().data],
        }
    )
)  # fmt: skip
