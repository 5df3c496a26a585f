"""Claude Code's own telemetry (beta traces): plain names, told apart by the scope. Its input tokens leave out the cached ones."""

from __future__ import annotations

from typing import Any

from twinlens.ingest.dialects.rule import Dialect, Rule, Source, boolean, json_text, one_of, text
from twinlens.ingest.usage import amount, tokens

SCOPE = "com.anthropic.claude_code"
KINDS = {
    "interaction": "agent", "llm_request": "generation", "tool": "tool", "tool.execution": "span",
    "tool.blocked_on_user": "span", "hook": "span",
}  # fmt: skip


def _mine(source: Source) -> bool:
    return source.scope.name.startswith(SCOPE)


def _prompt(value: Any) -> str | None:
    """Prompts are withheld unless the user switches them on."""
    return None if value == "<REDACTED>" else json_text(value)


def _failed(value: Any) -> str | None:
    return "ERROR" if boolean(value) is False else None


DIALECT = Dialect(
    name="claude-code",
    title="Claude Code",
    source="spans of Claude Code 2.1",
    scopes=(SCOPE,),
    rules=(
        Rule("kind", "span.type", one_of(KINDS), when=_mine),
        Rule("input", "user_prompt", _prompt, when=_mine),
        Rule("input", "tool_input", json_text, when=_mine),
        Rule("usage.input_uncached", "input_tokens", tokens, when=_mine),
        Rule("usage.output", "output_tokens", tokens, when=_mine),
        Rule("usage.input_cached_tokens", "cache_read_tokens", tokens, when=_mine),
        Rule("usage.input_cache_creation", "cache_creation_tokens", tokens, when=_mine),
        Rule("first_token_ms", "ttft_ms", amount, when=_mine),
        Rule("tool_name", "tool_name", text, when=_mine),
        Rule("level", "success", _failed, when=_mine),
        Rule("status_message", "error", text, when=_mine),
    ),
)
