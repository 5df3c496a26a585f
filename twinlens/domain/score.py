"""Scores: what a person, a judge, a program or a client thinks of a trace, span, session or dataset run.

MLflow calls them assessments (feedback, expectation), Langfuse scores, OTel evaluation results. One row serves all.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Score(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One score.

    ``value`` holds numbers (booleans as 0/1), ``string_value`` holds text: the category, the text, or ``True``/
    ``False``. Structured feedback values of MLflow travel as JSON text in ``json_value``.
    """

    score_id: str
    name: str
    data_type: str = "NUMERIC"  #: NUMERIC | CATEGORICAL | BOOLEAN | TEXT | CORRECTION | JSON
    kind: str = "feedback"  #: feedback | expectation | issue
    trace_id: str | None = None
    span_id: str | None = None
    session_id: str | None = None
    dataset_run_id: str | None = None
    value: float | None = None
    string_value: str | None = None
    json_value: str | None = None
    source: str = "api"  #: api | human | judge | code | annotation
    source_id: str | None = None  #: who: user name, judge model, scorer name
    comment: str | None = None  #: MLflow: rationale
    error: dict[str, Any] | None = None
    metadata: dict[str, Any] = {}
    config_id: str | None = None
    queue_id: str | None = None
    author_user_id: str | None = None
    environment: str = "default"
    timestamp_ns: int = 0
    created_ns: int = 0
    updated_ns: int = 0
    overrides: str | None = None  #: id of the score this one replaces
    valid: bool = True  #: False once overridden


class MetricPoint(msgspec.Struct, kw_only=True, frozen=True):
    """One point of one metric of one run (or logged model). A set: the same point twice is one point.

    ``value`` is NaN when ``is_nan`` would be stored; infinities are kept as IEEE infinities and translated by faces.
    """

    run_id: str
    key: str
    value: float
    timestamp_ms: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
