"""Strands Agents: OTel GenAI attributes and events, plus the cycles of its event loop."""

from __future__ import annotations

from twinlens.ingest.dialects.rule import Dialect, Rule, constant
from twinlens.ingest.usage import amount

DIALECT = Dialect(
    name="strands",
    title="Strands Agents",
    source="strands-agents 1, telemetry tracer",
    scopes=("strands.", "strands-agents"),
    marks=("event_loop.cycle_id",),
    rules=(
        Rule("kind", "event_loop.cycle_id", constant("chain")),
        Rule(
            "first_token_ms",
            "gen_ai.server.time_to_first_token",
            amount,
            when=lambda s: s.scope.name.startswith("strands"),
        ),
    ),
)
