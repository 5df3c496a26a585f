"""Laminar's SDK: OTel GenAI attributes plus ``lmnr.*`` for content, type and association properties."""

from __future__ import annotations

from twinlens.ingest.dialects.rule import Dialect, Rule, decoded, json_text, one_of, strings, text
from twinlens.ingest.usage import amount

KINDS = {"LLM": "generation", "TOOL": "tool", "EXECUTOR": "task", "EVALUATOR": "evaluator", "EVALUATION": "workflow"}

DIALECT = Dialect(
    name="laminar",
    title="Laminar",
    source="attribute constants of lmnr 0.7",
    marks=("lmnr.*",),
    rules=(
        Rule("kind", "lmnr.span.type", one_of(KINDS)),
        Rule("input", "lmnr.span.input", json_text),
        Rule("output", "lmnr.span.output", json_text),
        Rule("cost.input", "gen_ai.usage.input_cost", amount),
        Rule("cost.output", "gen_ai.usage.output_cost", amount),
        Rule("user_id", "lmnr.association.properties.user_id", text),
        Rule("session_id", "lmnr.association.properties.session_id", text),
        Rule("trace.tags", "lmnr.association.properties.tags", strings),
        Rule("metadata", "lmnr.association.properties.metadata.*", decoded),
    ),
)
