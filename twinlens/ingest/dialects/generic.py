"""Plain names that many small tools and hand-written spans use, SuperOptiX included."""

from __future__ import annotations

from twinlens.ingest.dialects.rule import Dialect, Rule, constant, decoded, json_text, one_of, text, unquoted
from twinlens.ingest.usage import amount, tokens

#: SuperOptiX names its components ``agent.…``; only the first word matters.
_COMPONENTS = {"agent": "agent", "tool": "tool", "model": "generation", "lm": "generation", "evaluate": "evaluator"}


def _component(value: object) -> str | None:
    return _COMPONENTS.get(value.split(".", 1)[0]) if isinstance(value, str) else None


DIALECT = Dialect(
    name="generic",
    title="Plain names",
    source="common usage; superoptix.observability",
    scopes=("superoptix.",),
    marks=("input", "output"),
    rules=(
        Rule("kind", "component", _component, when=lambda s: s.scope.name.startswith("superoptix.")),
        Rule("kind", "metadata.component", _component, when=lambda s: s.scope.name.startswith("superoptix.")),
        Rule("agent_name", "agent_id", text, when=lambda s: s.scope.name.startswith("superoptix.")),
        Rule("agent_name", "metadata.agent_id", text, when=lambda s: s.scope.name.startswith("superoptix.")),
        Rule("usage.total", "tokens_used", tokens, when=lambda s: s.scope.name.startswith("superoptix.")),
        Rule("usage.total", "metadata.tokens_used", tokens, when=lambda s: s.scope.name.startswith("superoptix.")),
        Rule("cost.total", "cost_usd", amount, when=lambda s: s.scope.name.startswith("superoptix.")),
        Rule("cost.total", "metadata.cost_usd", amount, when=lambda s: s.scope.name.startswith("superoptix.")),
        Rule("input", "input", json_text),
        Rule("output", "output", json_text),
        Rule("kind", "db.vector.query.top_k", constant("retriever")),
        Rule("kind", "span.kind", one_of({"llm": "generation", "agent": "agent", "tool": "tool"})),
        Rule("model", "model", text),
        Rule("kind", "model", constant("generation")),
        Rule("user_id", "user.id", unquoted),
        Rule("user_id", "enduser.id", text),
        Rule("session_id", "session.id", unquoted),
        Rule("metadata", "metadata", decoded),
        Rule("environment", "deployment.environment.name", text),
        Rule("environment", "deployment.environment", text),
        Rule("version", "service.version", text),
    ),
)
