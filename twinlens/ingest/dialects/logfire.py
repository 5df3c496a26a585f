"""Pydantic Logfire and Pydantic AI: OTel GenAI attributes plus their own content, cost and grouping.

``gen_ai.aggregated_usage.*`` on agent spans repeats what the model spans below report, so no rule reads it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.ingest.dialects.rule import Dialect, Reader, Rule, as_object, json_text, one_of, text
from twinlens.ingest.usage import amount


def _part(*names: str) -> Reader:
    """The first of some entries of an object; ``request_data`` without messages (newer versions) says nothing."""

    def read(value: Any) -> str | None:
        found = as_object(value) or {}
        inner = next((found[n] for n in names if found.get(n)), None)
        return None if inner is None else msgspec.json.encode(inner).decode()

    return read


#: Logfire's level numbers follow OTel severities.
def _level(value: Any) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return "DEBUG" if value < 9 else "DEFAULT" if value < 13 else "WARNING" if value < 17 else "ERROR"


DIALECT = Dialect(
    name="logfire",
    title="Logfire / Pydantic AI",
    source="logfire 4, pydantic-ai instrumentation versions 2 to 6",
    scopes=("logfire", "pydantic-ai", "pydantic_ai"),
    marks=("logfire.*", "pydantic_ai.*", "model_request_parameters", "operation.cost"),
    rules=(
        Rule("kind", "logfire.span_type", one_of({"log": "event"})),
        Rule("level", "logfire.level_num", _level),
        Rule("cost.total", "operation.cost", amount),
        Rule("input", "prompt", json_text),
        Rule("input", "pydantic_ai.all_messages", json_text),
        Rule("input", "all_messages_events", json_text),
        Rule("output", "final_result", json_text),
        Rule("input", "request_data", _part("messages", "input", "prompt")),
        Rule("output", "response_data", _part("message", "combined_chunk_content", "text", "output")),
        Rule("input", "tool_arguments", json_text),
        Rule("output", "tool_response", json_text),
        Rule("input", "events", json_text),
        Rule("agent_name", "agent_name", text),
        Rule("model", "model_name", text),
        Rule("session_id", "group_id", text),
    ),
)
