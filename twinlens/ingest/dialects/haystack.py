"""Haystack 2: one span per pipeline run and per component; model and tokens stand in the ``meta`` of what a generator answers."""

from __future__ import annotations

from typing import Any

from twinlens.ingest.dialects.rule import Dialect, Rule, as_object, constant, json_text, text

#: Endings of component classes; Haystack and its integrations name them so.
_ENDINGS = (
    ("Generator", "generation"), ("Embedder", "embedding"), ("Retriever", "retriever"), ("Ranker", "reranker"),
    ("ToolInvoker", "tool"), ("Agent", "agent"), ("Evaluator", "evaluator"),
)  # fmt: skip


def _kind(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    return next((kind for ending, kind in _ENDINGS if value.endswith(ending)), "chain")


def _meta(value: Any) -> dict[str, Any]:
    """What a component's answer says of the call: beside it, or on its first reply."""
    answer = as_object(value) or {}
    meta = answer.get("meta")
    if isinstance(meta, dict):
        return meta
    for listed in (meta, answer.get("replies")):
        first = listed[0] if isinstance(listed, list) and listed else None
        if isinstance(first, dict):
            inner = first.get("meta", first.get("_meta"))
            return inner if isinstance(inner, dict) else first
    return {}


def _model(value: Any) -> str | None:
    return text(_meta(value).get("model"))


def _usage(value: Any) -> dict[str, Any] | None:
    return as_object(_meta(value).get("usage"))


DIALECT = Dialect(
    name="haystack",
    title="Haystack",
    source="haystack-ai 2, tracing tags of pipelines, components and agents",
    scopes=("haystack",),
    marks=("haystack.component.*", "haystack.pipeline.*", "haystack.agent.*"),
    rules=(
        Rule("kind", "haystack.component.type", _kind),
        Rule("kind", "haystack.agent.max_steps", constant("agent")),
        Rule("kind", "haystack.pipeline.input_data", constant("workflow")),
        Rule("input", "haystack.component.input", json_text),
        Rule("input", "haystack.agent.input", json_text),
        Rule("input", "haystack.pipeline.input_data", json_text),
        Rule("output", "haystack.component.output", json_text),
        Rule("output", "haystack.agent.output", json_text),
        Rule("output", "haystack.pipeline.output_data", json_text),
        Rule("model", "haystack.component.output", _model),
        Rule("usage", "haystack.component.output", _usage),
    ),
)
