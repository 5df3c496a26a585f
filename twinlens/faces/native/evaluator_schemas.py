"""Answers of the native API about evaluators; the conventions are those of ``schemas``."""

from __future__ import annotations

from msgspec import Struct


class EvaluatorRule(Struct, kw_only=True):
    """A rule that applies an evaluator; ``target`` is observation or trace."""

    id: str
    name: str
    enabled: bool
    sampling: float
    target: str


class EvaluatorRow(Struct, kw_only=True):
    """One evaluator in its newest version; ``kind`` is llm_as_judge, code or scorer."""

    id: str
    name: str
    kind: str
    version: int
    description: str | None
    model: str | None
    experiment_id: str | None
    prompt: str
    data_type: str
    paused: bool
    paused_message: str | None
    rules: list[EvaluatorRule]
    pending: int
    done: int
    failed: int
    updated_ms: float


class EvaluatorList(Struct, kw_only=True):
    """``GET /evaluators``."""

    evaluators: list[EvaluatorRow]


class EvaluationRow(Struct, kw_only=True):
    """One judgement; ``status`` is pending, done or failed."""

    id: str
    trace_id: str
    span_id: str
    status: str
    attempts: int
    error: str | None
    created_ms: float
    updated_ms: float


class EvaluationList(Struct, kw_only=True):
    """``GET …/evaluations``."""

    evaluations: list[EvaluationRow]
