"""Mastra: OTel GenAI attributes on model and tool spans, ``mastra.<type>.input`` and ``.output`` on all others."""

from __future__ import annotations

from typing import Any

from twinlens.ingest.dialects.rule import (
    Dialect,
    Rule,
    as_object,
    decoded,
    iso_time,
    json_text,
    one_of,
    strings,
    text,
    whole,
)

KINDS = {
    "agent_run": "agent", "workflow_run": "workflow", "workflow_step": "task", "model_generation": "generation",
    "model_step": "chain", "model_chunk": "event", "model_inference": "generation", "tool_call": "tool", "mcp_tool_call": "tool",
    "processor_run": "chain", "workflow_conditional": "chain", "workflow_conditional_eval": "chain",
    "workflow_parallel": "chain", "workflow_loop": "chain", "workflow_sleep": "span", "workflow_wait_event": "span",
    "memory_operation": "memory", "rag_embedding": "embedding", "rag_vector_operation": "retriever", "generic": "span",
}  # fmt: skip


def _prompt(value: Any) -> dict[str, Any]:
    """The Langfuse prompt that users name in a span's metadata."""
    return as_object((as_object(value) or {}).get("prompt")) or {}


DIALECT = Dialect(
    name="mastra",
    title="Mastra",
    source="@mastra/otel-exporter 1",
    marks=("mastra.span.type",),
    rules=(
        Rule("kind", "mastra.span.type", one_of(KINDS)),
        *(Rule("input", f"mastra.{name}.input", json_text) for name in KINDS),
        *(Rule("output", f"mastra.{name}.output", json_text) for name in KINDS),
        Rule("completion_start_ns", "mastra.completion_start_time", iso_time),
        Rule("user_id", "mastra.metadata.userId", text),
        Rule("user_id", "mastra.metadata.resourceId", text),
        Rule("session_id", "mastra.metadata.sessionId", text),
        Rule("session_id", "mastra.metadata.threadId", text),
        Rule("trace.tags", "mastra.tags", strings),
        Rule("prompt_name", "mastra.metadata.langfuse", lambda value: text(_prompt(value).get("name"))),
        Rule("prompt_version", "mastra.metadata.langfuse", lambda value: whole(_prompt(value).get("version"))),
        Rule("metadata", "mastra.metadata.*", decoded),
    ),
)
