"""The words of the trace filter language: one row per field, with what it compares and how its values read."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from twinlens.domain.clock import now_ns, parse_iso

Kind = Literal["text", "list", "number", "duration", "time", "choice", "boolean"]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One word. ``target`` is the field of the query model; ``span`` fields hold on a single span of the trace."""

    name: str
    target: str
    kind: Kind
    help: str
    example: str
    span: bool = False
    keyed: bool = False  #: written ``name.KEY``
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    suggests: bool = False


def _f(name: str, target: str, kind: Kind, help: str, example: str, **more: Any) -> Field:
    return Field(name=name, target=target, kind=kind, help=help, example=example, **more)


_ROWS = (
    _f("name", "name", "text", "Name of the trace", "name:chat*", suggests=True),
    _f("user", "user_id", "text", "User", "user:alice", aliases=("user_id",), suggests=True),
    _f("session", "session_id", "text", "Session (conversation)", "session:s-1", aliases=("session_id",), suggests=True),
    _f("tag", "tags", "list", "A tag of the trace", "tag:prod", aliases=("tags",), suggests=True),
    _f("model", "models", "list", "A model the trace called", "model:gpt-4o*", aliases=("models",), suggests=True),
    _f(
        "status", "status", "choice", "How the trace ended", "status:error",
        choices=("ok", "error", "running"), suggests=True,
    ),
    _f(
        "level", "level", "choice", "Worst level of its spans", "level:WARNING",
        choices=("DEBUG", "DEFAULT", "WARNING", "ERROR"), suggests=True,
    ),
    _f("env", "environment", "text", "Environment", "env:production", aliases=("environment",), suggests=True),
    _f("release", "release", "text", "Release", "release:v1.2", suggests=True),
    _f("version", "version", "text", "Version", "version:7", suggests=True),
    _f("service", "service", "text", "Service that sent it", "service:api", suggests=True),
    _f("experiment", "experiment_id", "text", "Id of the experiment", "experiment:0", aliases=("experiment_id",), suggests=True),
    _f("run", "run_ids", "list", "Id of a linked run", "run:abc123", aliases=("run_id",)),
    _f("prompt", "prompts", "list", "A linked prompt version", "prompt:greeting/3", suggests=True),
    _f("id", "trace_id", "text", "Id of the trace", "id:4bf9*", aliases=("trace", "trace_id")),
    _f("cost", "total_cost", "number", "Cost in USD", "cost>0.01", aliases=("total_cost",)),
    _f("tokens", "total_tokens", "number", "Tokens, all classes", "tokens>=1000", aliases=("total_tokens",)),
    _f("input_tokens", "input_tokens", "number", "Input tokens", "input_tokens>500"),
    _f("output_tokens", "output_tokens", "number", "Output tokens", "output_tokens>500"),
    _f("latency", "latency_ns", "duration", "Duration", "latency>1.5s", aliases=("duration",)),
    _f("start", "start_ns", "time", "Start: a time, or how long ago", "start>-1h", aliases=("time",)),
    _f("spans", "span_count", "number", "Number of spans", "spans>20"),
    _f("errors", "error_count", "number", "Number of spans that failed", "errors>0"),
    _f("calls", "model_call_count", "number", "Number of model calls", "calls>3"),
    _f("input", "input_preview", "text", "Text of the input's preview", 'input:*refund*'),
    _f("output", "output_preview", "text", "Text of the output's preview", 'output:*sorry*'),
    _f("bookmarked", "bookmarked", "boolean", "Bookmarked traces", "bookmarked:true"),
    _f("source", "source", "choice", "Which API wrote it", "source:langfuse", choices=("otlp", "langfuse", "mlflow", "native")),
    _f("metadata", "metadata", "text", "A metadata key", "metadata.plan:pro", keyed=True),
    _f("tag", "tag", "text", "A key-value tag (MLflow)", "tag.team:search", keyed=True),
    _f("score", "score", "number", "A numeric score by name", "score.quality>=0.8", keyed=True),
    _f("span", "name", "text", "Name of a span", "span:retrieve*", span=True),
    _f("kind", "kind", "text", "Kind of a span", "kind:tool", span=True),
    _f("tool", "tool_name", "text", "Tool that a span called", "tool:search", span=True),
    _f("agent", "agent_name", "text", "Agent of a span", "agent:planner", span=True),
    _f("provider", "provider", "text", "Provider of a model call", "provider:openai", span=True),
    _f("ttft", "ttft_ns", "duration", "Time to first token of a span", "ttft>500ms", span=True),
    _f("attribute", "attribute", "text", "A raw attribute of a span", "attribute.http.status_code:500", span=True, keyed=True),
)  # fmt: skip

FIELDS: tuple[Field, ...] = _ROWS
PLAIN: dict[str, Field] = {n: f for f in _ROWS if not f.keyed for n in (f.name, *f.aliases)}
KEYED: dict[str, Field] = {f.name: f for f in _ROWS if f.keyed}
#: ``is:`` and ``has:`` words.
FLAGS = ("error", "bookmarked", "running", "session", "user", "score", "cost")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h|d|w)?\Z")
_UNITS = {
    "ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3_600e9, "d": 86_400e9, "w": 604_800e9,
}  # fmt: skip


def number(text: str) -> float:
    """``1.5``, ``1k``, ``2M``, ``$0.01``.

    Raises:
        ValueError: not a number.
    """
    body = text.replace("$", "").replace("_", "")
    factor = {"k": 1e3, "K": 1e3, "M": 1e6}.get(body[-1:], 1.0)
    return float(body[:-1] if factor != 1.0 else body) * factor


def duration_ns(text: str) -> int:
    """``200ms``, ``1.5s``, ``2h``; a bare number is seconds.

    Raises:
        ValueError: not a duration.
    """
    found = _DURATION.match(text)
    if not found:
        raise ValueError(text)
    return int(float(found[1]) * _UNITS[found[2] or "s"])


def moment_ns(text: str) -> int:
    """An ISO-8601 time or date, or ``-1h`` for one hour ago.

    Raises:
        ValueError: neither.
    """
    return now_ns() - duration_ns(text[1:]) if text.startswith("-") else parse_iso(text)
