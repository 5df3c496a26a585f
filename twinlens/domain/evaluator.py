"""Evaluators (how to judge), evaluation rules (what to judge), and evaluations (each judgement that is due, done or failed).

MLflow calls an evaluator a scorer and keeps rule and evaluator together as online scoring; Langfuse keeps them apart. Rules live on
the server, so a judge runs wherever the trace came from.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

import msgspec

Kind = Literal["llm_as_judge", "code", "scorer"]
Target = Literal["observation", "trace"]
EvaluationStatus = Literal["pending", "done", "failed"]

_VARIABLE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")


class Message(msgspec.Struct, kw_only=True):
    """One message of a judge's prompt; ``{{name}}`` stands for a variable."""

    role: str = "user"
    content: str


class Mapping(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Where a variable's value comes from: ``source`` of the judged span, narrowed by a JSONPath."""

    variable: str
    source: str | None = None  #: input | output | metadata | tool_calls | expected_output | experiment_item_metadata
    json_path: str | None = None


class Output(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """What a judge answers."""

    data_type: Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT"] = msgspec.field(default="NUMERIC")
    min_value: float | None = None
    max_value: float | None = None
    categories: list[Any] | None = None
    should_allow_multiple_matches: bool | None = None
    score_reasoning_instructions: str | None = None
    score_value_instructions: str | None = None

    def labels(self) -> list[str]:
        """Names of the categories, however they were written."""
        found: list[str] = []
        for each in self.categories or []:
            found.append(str(each.get("value", each.get("label", ""))) if isinstance(each, dict) else str(each))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return found


class Definition(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One version's content. Judges have messages; code has a source; MLflow's scorers keep their serialized form."""

    messages: list[Message] = []
    prompt_is_text: bool = False
    provider: str | None = None
    model: str | None = None
    mapping: list[Mapping] | None = None
    output: Output = msgspec.field(default_factory=Output)
    source_code: str | None = None
    language: str | None = None
    serialized: str | None = None

    @property
    def variables(self) -> list[str]:
        """Names between double braces, in order of appearance."""
        found = [name for message in self.messages for name in _VARIABLE.findall(message.content)]
        return list(dict.fromkeys(found))

    def filled(self, values: dict[str, str]) -> list[dict[str, str]]:
        """The messages with values in place of variables; a variable without value becomes empty."""
        return [
            {"role": m.role, "content": _VARIABLE.sub(lambda found: values.get(found[1], ""), m.content)}
            for m in self.messages
        ]


class Evaluator(msgspec.Struct, kw_only=True):
    """An evaluator with its newest (or asked for) version."""

    evaluator_id: str
    name: str
    kind: Kind = "llm_as_judge"
    description: str | None = None
    experiment_id: str | None = None  #: MLflow's scorers belong to an experiment, and are named by it and their name
    paused_ns: int | None = None
    paused_reason: str | None = None
    paused_message: str | None = None
    created_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0
    version: int = 1
    version_id: str = ""
    version_created_by: str | None = None
    version_created_ns: int = 0
    definition: Definition = msgspec.field(default_factory=Definition)


class Assignment(msgspec.Struct, kw_only=True):
    """An evaluator that a rule applies, maybe with a mapping of its own."""

    evaluator_id: str
    mapping: list[Mapping] | None = None


class Rule(msgspec.Struct, kw_only=True):
    """Which spans (or traces) are judged by what. ``filter`` is Langfuse's list, ``filter_text`` MLflow's grammar."""

    rule_id: str
    name: str
    enabled: bool = False
    target: Target = "observation"
    sampling: float = 1.0
    filter: list[dict[str, Any]] = []
    filter_text: str | None = None
    experiment_id: str | None = None
    assignments: list[Assignment] = []
    created_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0
    seen_ns: int = 0  #: traces changed up to here have been looked at


class Evaluation(msgspec.Struct, kw_only=True):
    """One judgement of one span by one evaluator."""

    evaluation_id: str
    evaluator_id: str
    rule_id: str
    trace_id: str
    span_id: str
    target: Target = "observation"
    status: EvaluationStatus = "pending"
    attempts: int = 0
    error: str | None = None
    due_ns: int = 0
    created_ns: int = 0
    updated_ns: int = 0


def evaluation_id(evaluator_id: str, trace_id: str, span_id: str) -> str:
    """Id of the judgement, and of its score: a span is judged once by an evaluator, whatever happens in between."""
    return hashlib.sha256("\x00".join((evaluator_id, trace_id, span_id)).encode()).hexdigest()[:32]


def sampled(rule: Rule, trace_id: str, span_id: str) -> bool:
    """Whether a span is in the rule's sample; always the same answer for the same span."""
    drawn = int(hashlib.sha256(f"{rule.rule_id}\x00{trace_id}\x00{span_id}".encode()).hexdigest()[:13], 16)
    return drawn / 16**13 < rule.sampling
