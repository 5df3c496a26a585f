"""OpenLIT: OTel GenAI attributes plus cost and a few older names."""

from __future__ import annotations

from twinlens.ingest.dialects.rule import Dialect, Rule, json_text, text
from twinlens.ingest.usage import amount, tokens

DIALECT = Dialect(
    name="openlit",
    title="OpenLIT",
    source="openlit 1, semantic conventions module",
    scopes=("openlit",),
    marks=("gen_ai.usage.cost", "gen_ai.token.*"),
    rules=(
        Rule("cost.total", "gen_ai.usage.cost", amount),
        Rule("usage.input", "gen_ai.token.input", tokens),
        Rule("usage.output", "gen_ai.token.output", tokens),
        Rule("input", "gen_ai.content.prompt", json_text),
        Rule("output", "gen_ai.content.completion", json_text),
        Rule("environment", "gen_ai.environment", text),
        Rule("service", "gen_ai.application_name", text),
    ),
)
