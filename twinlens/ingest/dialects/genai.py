"""OpenTelemetry GenAI conventions, three generations.

* up to 1.36: ``gen_ai.system``, messages as events or as indexed ``gen_ai.prompt.N`` attributes;
* 1.37 to 1.41: ``gen_ai.provider.name``, messages as ``gen_ai.input.messages``/``gen_ai.output.messages``;
* 0.1.0 of the separate GenAI conventions: new usage names (``cache_write``, per modality), workflows as agents.

Names are unchanged between them unless listed here, and instrumentations mix them for years, so the shared rules stand
in the middle table and the other two hold what is theirs alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from twinlens.ingest.dialects.rule import (
    Dialect,
    Rule,
    constant,
    decoded,
    json_text,
    nested,
    one_of,
    plain_text,
    structured,
    text,
)  # fmt: skip
from twinlens.ingest.usage import amount, tokens

OPERATIONS = {
    "chat": "generation", "chat.completions": "generation", "text.completions": "generation", "completion": "generation", "text_completion": "generation", "generate_content": "generation",
    "generate": "generation", "response": "generation", "fetch_response": "span", "embeddings": "embedding",
    "embedding": "embedding", "rerank": "reranker", "retrieval": "retriever", "create_agent": "agent", "invoke_agent": "agent",
    "invoke_workflow": "workflow", "agent_step": "chain", "plan": "agent", "execute_tool": "tool", "create_memory": "memory",
    "update_memory": "memory", "upsert_memory": "memory", "delete_memory": "memory", "search_memory": "memory",
    "create_memory_store": "memory", "delete_memory_store": "memory",
}  # fmt: skip

#: Request attributes that are parameters of the model call, by the name Langfuse and OpenAI give them.
PARAMETERS = (
    "temperature", "top_p", "top_k", "max_tokens", "seed", "frequency_penalty", "presence_penalty", "stop_sequences",
    "choice.count", "encoding_formats", "stream", "reasoning.level", "service_tier",
)  # fmt: skip


def messages(value: Any) -> str | None:
    """Messages as JSON text: the attribute is JSON text, or a structured list."""
    return json_text(value) if value else None


def with_system(instructions: Any, conversation: str | None) -> str | None:
    """System instructions as the first message of the conversation (they are parts without a role)."""
    parts = json_text(instructions)
    if parts is None:
        return conversation
    name = "parts" if parts.lstrip().startswith("[") else "content"
    first = f'{{"role":"system","{name}":{parts}}}'
    if conversation is None:
        return f"[{first}]"
    body = conversation.strip()
    if not body.startswith("["):
        return f"[{first},{body}]"
    inner = body[1:-1].strip()
    return f"[{first},{inner}]" if inner else f"[{first}]"


def indexed_messages(family: Mapping[str, Any]) -> str | None:
    """``0.role``, ``0.content``, ``0.tool_calls.1.name`` … as a list of messages."""
    found = nested(
        {name: structured(v) if name.endswith(("arguments", "content")) else v for name, v in family.items()}
    )
    return msgspec.json.encode(found).decode() if found else None


GENAI_01 = Dialect(
    name="genai-0.1",
    title="OTel GenAI 0.1.0",
    source="semantic-conventions-genai v0.1.0",
    marks=(
        "gen_ai.usage.cache_write.input_tokens", "gen_ai.request.reasoning.level", "gen_ai.usage.text.input_tokens",
        "gen_ai.usage.audio.input_tokens", "gen_ai.usage.image.input_tokens", "gen_ai.response.time_to_first_chunk",
    ),
    rules=(
        Rule("usage.input_cache_creation", "gen_ai.usage.cache_write.input_tokens", tokens),
        Rule("usage.input_audio_tokens", "gen_ai.usage.audio.input_tokens", tokens),
        Rule("usage.input_image_tokens", "gen_ai.usage.image.input_tokens", tokens),
        Rule("usage.input_video_tokens", "gen_ai.usage.video.input_tokens", tokens),
        Rule("usage.output_audio_tokens", "gen_ai.usage.audio.output_tokens", tokens),
        Rule("usage.output_image_tokens", "gen_ai.usage.image.output_tokens", tokens),
        Rule("usage.output_video_tokens", "gen_ai.usage.video.output_tokens", tokens),
        Rule("first_token_s", "gen_ai.response.time_to_first_chunk", amount),
        Rule("prompt_name", "gen_ai.prompt.name", text),
        Rule("prompt_version_text", "gen_ai.prompt.version", text),
        Rule("input", "gen_ai.retrieval.query.text", plain_text),
        Rule("output", "gen_ai.retrieval.documents", json_text),
        Rule("input", "gen_ai.memory.query.text", plain_text),
        Rule("output", "gen_ai.memory.records", json_text),
    ),
)  # fmt: skip

GENAI_137 = Dialect(
    name="genai-1.37",
    title="OTel GenAI 1.37 to 1.41",
    source="OpenTelemetry semantic conventions 1.37 to 1.41",
    marks=("gen_ai.provider.name", "gen_ai.input.messages", "gen_ai.output.messages"),
    weak_marks=("gen_ai.", "mcp."),
    rules=(
        Rule("kind", "gen_ai.operation.name", one_of(OPERATIONS)),
        Rule("input", "gen_ai.input.messages", messages),
        Rule("output", "gen_ai.output.messages", messages),
        Rule("system", "gen_ai.system_instructions", messages),
        Rule("input", "gen_ai.tool.call.arguments", json_text),
        Rule("output", "gen_ai.tool.call.result", json_text),
        Rule("model", "gen_ai.response.model", text),
        Rule("model", "gen_ai.request.model", text),
        Rule("provider", "gen_ai.provider.name", text),
        *(Rule(f"model_parameters.{p.replace('.', '_')}", f"gen_ai.request.{p}", decoded) for p in PARAMETERS),
        Rule("model_parameters.service_tier", "openai.response.service_tier", text),
        Rule("model_parameters.service_tier", "gen_ai.openai.response.service_tier", text),
        Rule("model_parameters.service_tier", "openai.request.service_tier", text),
        Rule("model_parameters.service_tier", "gen_ai.openai.request.service_tier", text),
        Rule("usage.input", "gen_ai.usage.input_tokens", tokens),
        Rule("usage.output", "gen_ai.usage.output_tokens", tokens),
        Rule("usage.total", "gen_ai.usage.total_tokens", tokens),
        Rule("usage.input_cached_tokens", "gen_ai.usage.cache_read.input_tokens", tokens),
        Rule("usage.input_cache_creation", "gen_ai.usage.cache_creation.input_tokens", tokens),
        Rule("usage.output_reasoning_tokens", "gen_ai.usage.reasoning.output_tokens", tokens),
        Rule("session_id", "gen_ai.conversation.id", text),
        Rule("agent_name", "gen_ai.agent.name", text),
        Rule("agent_name", "gen_ai.workflow.name", text),
        Rule("tool_name", "gen_ai.tool.name", text),
        Rule("kind", "gen_ai.tool.name", constant("tool")),
        Rule("kind", "gen_ai.tool.call.id", constant("tool")),
        Rule("kind", "mcp.method.name", one_of({"tools/call": "tool"})),
    ),
)

GENAI_136 = Dialect(
    name="genai-1.36",
    title="OTel GenAI up to 1.36",
    source="OpenTelemetry semantic conventions 1.28 to 1.36",
    marks=("gen_ai.system", "gen_ai.prompt.N.*", "gen_ai.completion.N.*", "gen_ai.usage.prompt_tokens"),
    rules=(
        Rule("provider", "gen_ai.system", text),
        Rule("usage.input", "gen_ai.usage.prompt_tokens", tokens),
        Rule("usage.output", "gen_ai.usage.completion_tokens", tokens),
        Rule("usage.input", "gen_ai.response.prompt_tokens", tokens),
        Rule("usage.output", "gen_ai.response.completion_tokens", tokens),
        Rule("usage.input_cached_tokens", "gen_ai.usage.details.cached_tokens", tokens),
        Rule("usage.input_cached_tokens", "gen_ai.usage.details.cache_read_tokens", tokens),
        Rule("usage.input_cached_tokens", "gen_ai.usage.cache_read_input_tokens", tokens),
        Rule("usage.input_cached_tokens", "gen_ai.usage.cached_input_tokens", tokens),
        Rule("usage.input_cached_tokens", "gen_ai.usage.input_cached_tokens", tokens),
        Rule("usage.input_cached_tokens", "gen_ai.usage.cache_read_tokens", tokens),
        Rule("usage.input_audio_tokens", "gen_ai.usage.input_audio_tokens", tokens),
        Rule("usage.output_audio_tokens", "gen_ai.usage.output_audio_tokens", tokens),
        Rule("usage.input_cache_creation", "gen_ai.usage.cache_creation_input_tokens", tokens),
        Rule("usage.input_cache_creation", "gen_ai.usage.cache_creation_tokens", tokens),
        Rule("usage.input_cache_creation", "gen_ai.usage.cache_write_input_tokens", tokens),
        Rule("usage.output_reasoning_tokens", "gen_ai.usage.details.reasoning_tokens", tokens),
        Rule("usage.output_reasoning_tokens", "gen_ai.usage.reasoning_tokens", tokens),
        Rule("input", "gen_ai.prompt.N.*", indexed_messages),
        Rule("output", "gen_ai.completion.N.*", indexed_messages),
        Rule("input", "gen_ai.prompt", json_text),
        Rule("output", "gen_ai.completion", json_text),
        Rule("kind", "gen_ai.response.model", constant("generation")),
        Rule("kind", "gen_ai.request.model", constant("generation")),
    ),
)
