"""Each rule on its own: a span that carries nothing but its attribute gets its field, under the rule's name."""

from __future__ import annotations

from typing import Any

import pytest

from twinlens.domain.otlp import RawSpan
from twinlens.domain.trace import Scope, Span, TracePatch
from twinlens.ingest.dialects.plan import COMBINED, planner_for, rows
from twinlens.ingest.dialects.rule import Rule, Source
from twinlens.ingest.normalise import normalise

#: Values of all shapes; a rule is tried with each until one means something to it.
VALUES: tuple[Any, ...] = (
    "chat", "LLM", "generation", "llm", "workflow", "tools/call", "ai.toolCall", "log", '"LLM"', "ERROR", '"ERROR"', "agent.run", 17, 0.5, "5", True,
    '{"name": "x", "version": 2, "input": 5, "prompt_tokens": 5, "messages": ["m"], "message": "m"}', '[{"name": "bot", "version": "3"}]',
    '"2026-01-01T00:00:00Z"', ["a", "b"], "text", "model", "util", "error", "agent_run", "llm_request", False,
    '{"openai": {"cachedPromptTokens": 1, "reasoningTokens": 1, "cacheCreationInputTokens": 1}, "prompt": {"name": "x", "version": 2}}',
    '{"usage": {"inputTokens": 5}, "messages": [], "config": {"a": 1}, "meta": {"model": "m", "usage": {"prompt_tokens": 5}}}',
)  # fmt: skip
SCOPES = {
    "langfuse": ("langfuse-sdk", "3.2.0"), "generic": ("superoptix.observability", "1"), "strands": ("strands", "1"),
    "claude-code": ("com.anthropic.claude_code.tracing", "1"),
}  # fmt: skip


def span_with(attributes: dict[str, Any], scope: Scope) -> tuple[Span, list[TracePatch]]:
    raw = RawSpan(
        trace_id="1" * 32, span_id="1" * 16, parent_id=None, name="s", otel_kind=1, start_ns=5, end_ns=6, attributes=attributes,
        events=[], links=[], status="unset", status_message="", trace_state="", resource={}, scope=scope,
    )  # fmt: skip
    (span,), patches = normalise([raw])
    return span, patches


@pytest.mark.parametrize(
    ("dialect", "name", "rule"), [pytest.param(*row, id=f"{row[1]}>{row[2].field}") for row in rows()]
)
def test_a_rule_alone_fills_its_field(dialect: str, name: str, rule: Rule) -> None:
    scope = Scope(name=SCOPES[dialect][0], version=SCOPES[dialect][1]) if rule.when else Scope(name="test")
    beside = {} if rule.where is None else {rule.where[0]: rule.where[1][0]}
    belows = ("0.content", "0.embedding.text", "text", "object", "x") if rule.key.endswith("*") else ("",)
    for below in belows:
        key = rule.key.removesuffix("*").removesuffix("N.") + below if below else rule.key
        names = planner_for(Source(scope)).plan({key: "x", **beside}).names
        if name not in names.values():
            continue  # another dialect has the same attribute and goes first
        for value in VALUES:
            span, patches = span_with({key: value, **beside}, scope)
            fields = (rule.field, COMBINED.get(rule.field), rule.field.split(".")[0])
            if name in [span.rules.get(field) for field in fields if field]:
                assert_filled(rule, span, patches)
                return
    outranked = any(n != name and r.key == rule.key and r.field == rule.field for _, n, r in rows())
    version_alone = rule.field in ("prompt_version", "prompt_version_text")
    assert outranked or version_alone, f"no value makes {name} fill {rule.field}"


def assert_filled(rule: Rule, span: Span, patches: list[TracePatch]) -> None:
    field, _, rest = rule.field.partition(".")
    if field == "trace":
        assert getattr(patches[0], rest)
    elif field == "system":
        assert span.input is not None
    elif field.startswith("first_token"):
        assert span.completion_start_ns is not None
    elif field == "prompt_version_text":
        assert span.prompt_version is not None
    elif field in ("usage", "cost"):
        assert getattr(span, field)
        assert getattr(span, f"{field}_source") == "client"
    else:
        assert getattr(span, field) not in (None, {}, "")
