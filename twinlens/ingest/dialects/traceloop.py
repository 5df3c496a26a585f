"""Traceloop / OpenLLMetry: OTel GenAI attributes plus ``traceloop.*`` for workflows, tasks and association properties."""

from __future__ import annotations

from twinlens.ingest.dialects.rule import Dialect, Rule, decoded, json_text, one_of, text, whole
from twinlens.ingest.usage import tokens

KINDS = {"workflow": "workflow", "task": "task", "agent": "agent", "tool": "tool", "unknown": "unknown"}
REQUESTS = {"chat": "generation", "completion": "generation", "embedding": "embedding", "rerank": "reranker"}

DIALECT = Dialect(
    name="traceloop",
    title="Traceloop / OpenLLMetry",
    source="opentelemetry-semantic-conventions-ai 0.4",
    scopes=("traceloop.",),
    first_token_events=("llm.content.completion.chunk",),
    marks=("traceloop.*", "llm.request.type", "llm.usage.total_tokens", "gen_ai.is_streaming", "llm.is_streaming"),
    rules=(
        Rule("kind", "traceloop.span.kind", one_of(KINDS)),
        Rule("kind", "llm.request.type", one_of(REQUESTS)),
        Rule("input", "traceloop.entity.input", json_text),
        Rule("output", "traceloop.entity.output", json_text),
        Rule("usage.total", "llm.usage.total_tokens", tokens),
        Rule("usage.input", "llm.usage.prompt_tokens", tokens),
        Rule("usage.output", "llm.usage.completion_tokens", tokens),
        Rule("model", "llm.response.model", text),
        Rule("model", "llm.request.model", text),
        Rule("model_parameters.temperature", "llm.temperature", decoded),
        Rule("model_parameters.top_p", "llm.top_p", decoded),
        Rule("model_parameters.max_tokens", "llm.request.max_tokens", decoded),
        Rule("user_id", "traceloop.association.properties.user_id", text),
        Rule("session_id", "traceloop.association.properties.session_id", text),
        Rule("session_id", "traceloop.association.properties.conversation_id", text),
        Rule("metadata", "traceloop.association.properties.*", decoded),
        Rule("prompt_name", "traceloop.prompt.key", text),
        Rule("prompt_version", "traceloop.prompt.version", whole),
        Rule("agent_name", "crewai.agent.role", text),
    ),
)
