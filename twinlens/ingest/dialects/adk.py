"""Google Agent Development Kit: OTel GenAI attributes plus ``gcp.vertex.agent.*`` content."""

from __future__ import annotations

from typing import Any

from twinlens.ingest.dialects.rule import Dialect, Rule, json_text, text


def _content(value: Any) -> str | None:
    """ADK writes ``{}`` when content is switched off."""
    found = json_text(value)
    return None if found in ("{}", "null", '"<not specified>"') else found


DIALECT = Dialect(
    name="adk",
    title="Google ADK",
    source="google-adk 1 and 2, telemetry module",
    scopes=("gcp.vertex.agent",),
    marks=("gcp.vertex.agent.*",),
    rules=(
        Rule("input", "gcp.vertex.agent.llm_request", _content),
        Rule("output", "gcp.vertex.agent.llm_response", _content),
        Rule("input", "gcp.vertex.agent.tool_call_args", _content),
        Rule("output", "gcp.vertex.agent.tool_response", _content),
        Rule("input", "gcp.vertex.agent.data", _content),
        Rule("session_id", "gcp.vertex.agent.session_id", text),
    ),
)
