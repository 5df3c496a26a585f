"""What a decoded request hands to the write path."""

from __future__ import annotations

import msgspec

from twinlens.domain.otlp import OtelMetricPoint, RawLog
from twinlens.domain.score import MetricPoint, Score
from twinlens.domain.trace import Span, TracePatch


class Batch(msgspec.Struct, kw_only=True):
    """Everything one request says about one project. Committed whole or not at all.

    ``bytes`` is the request's decoded size, for the queue limit. Spans of traces that name no experiment belong to
    experiment ``0``; ``experiment_id`` says otherwise for the whole batch.
    """

    project_id: str
    spans: list[Span] = []
    patches: list[TracePatch] = []
    scores: list[Score] = []
    metrics: list[MetricPoint] = []
    otel_metrics: list[OtelMetricPoint] = []
    logs: list[RawLog] = []  #: message content that joins its span
    experiment_id: str | None = None
    run_id: str | None = None
    bytes: int = 0
    metric_watermark: int | None = None

    @property
    def rows(self) -> int:
        """Number of things in it."""
        return (
            len(self.spans) + len(self.patches) + len(self.scores) + len(self.metrics) + len(self.otel_metrics)
            + len(self.logs)
        )  # fmt: skip
