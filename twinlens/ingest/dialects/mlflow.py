"""MLflow SDK 3: every attribute value is JSON text, also plain strings (``"\\"LLM\\""``)."""

from __future__ import annotations

from typing import Any

from twinlens.ingest.dialects.rule import Dialect, Reader, Rule, as_object, decoded, not_null_json, text, unquoted

KINDS = {
    "LLM": "generation", "CHAT_MODEL": "generation", "CHAIN": "chain", "AGENT": "agent", "TOOL": "tool",
    "RETRIEVER": "retriever", "PARSER": "parser", "EMBEDDING": "embedding", "RERANKER": "reranker", "MEMORY": "memory",
    "WORKFLOW": "workflow", "TASK": "task", "GUARDRAIL": "guardrail", "EVALUATOR": "evaluator", "UNKNOWN": "unknown",
}  # fmt: skip


def _quoted(names: dict[str, str]) -> Reader:
    return lambda value: names.get(unquoted(value) or "")


def _prompts(value: Any) -> list[str] | None:
    """``[{"name", "version"}]`` as ``name/version``."""
    found = decoded(value)
    if not isinstance(found, list):
        return None
    return [
        f"{p['name']}/{p['version']}" for p in found if isinstance(p, dict) and "name" in p and "version" in p
    ] or None


def _first_prompt(value: Any) -> str | None:
    found = _prompts(value)
    return found[0].rsplit("/", 1)[0] if found and len(found) == 1 else None


def _first_version(value: Any) -> int | None:
    found = _prompts(value)
    version = found[0].rsplit("/", 1)[1] if found and len(found) == 1 else ""
    return int(version) if version.isdecimal() else None


#: Names of ``SpanLogLevel`` and the number behind each.
_LEVELS = {
    "DEBUG": "DEBUG", "INFO": "DEFAULT", "WARNING": "WARNING", "ERROR": "ERROR", "CRITICAL": "ERROR",
    "10": "DEBUG", "20": "DEFAULT", "30": "WARNING", "40": "ERROR", "50": "ERROR",
}  # fmt: skip

DIALECT = Dialect(
    name="mlflow",
    title="MLflow SDK",
    source="attribute constants of mlflow 3.17",
    scopes=("mlflow",),
    first_token_events=("mlflow.chunk.item.0",),
    marks=("mlflow.traceRequestId", "mlflow.spanType", "mlflow.spanInputs", "mlflow.spanOutputs"),
    rules=(
        Rule("kind", "mlflow.spanType", _quoted(KINDS)),
        Rule("input", "mlflow.spanInputs", not_null_json),
        Rule("output", "mlflow.spanOutputs", not_null_json),
        Rule("level", "mlflow.spanLogLevel", _quoted(_LEVELS)),
        Rule("model", "mlflow.llm.model", unquoted),
        Rule("provider", "mlflow.llm.provider", unquoted),
        Rule("usage", "mlflow.chat.tokenUsage", as_object),
        Rule("cost", "mlflow.llm.cost", as_object),
        Rule("prompt_name", "mlflow.linkedPrompts", _first_prompt),
        Rule("prompt_version", "mlflow.linkedPrompts", _first_version),
        Rule("trace.prompts", "mlflow.linkedPrompts", _prompts),
        Rule("trace.tag_values", "mlflow.traceTag.*", text),
        Rule("user_id", "mlflow.trace.user", unquoted),
        Rule("session_id", "mlflow.trace.session", unquoted),
    ),
)
