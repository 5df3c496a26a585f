"""From decoded requests to committed batches; the same for HTTP and gRPC.

Decoding, normalising and pricing are plain computation. Small bodies are handled on the event loop, because a change of
thread would cost more than it saves; larger ones in a thread, so that one big request does not hold up the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.project import Principal
from twinlens.domain.trace import MODEL_KINDS, Span, TracePatch
from twinlens.faces.http import in_thread
from twinlens.features.evaluation_runs import ENVIRONMENT
from twinlens.ingest import logs as genai_logs
from twinlens.ingest.batch import Batch
from twinlens.ingest.normalise import normalise
from twinlens.ingest.otlp import Limits
from twinlens.ingest.otlp_body import read_logs, read_metrics, read_spans

if TYPE_CHECKING:
    from twinlens.features.services import Services

P = ParamSpec("P")
T = TypeVar("T")

#: Bodies up to this size are decoded on the event loop (about 4 ms).
INLINE = 128 << 10
#: How long an experiment that was found is believed to exist, in seconds.
REMEMBER = 5.0


class Receiver:
    """Takes OTLP requests of any transport."""

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.settings
        self._limits = Limits(nesting=settings.max_nesting, attributes=settings.max_attributes)
        self._experiments: dict[tuple[str, str], float] = {}

    async def spans(
        self, who: Principal, body: bytes, encoding: str, experiment_id: str | None = None, run_id: str | None = None
    ) -> None:
        """Store the spans of an ``ExportTraceServiceRequest``.

        Args:
            who: must be allowed to ingest.
            body: decompressed.
            encoding: ``application/x-protobuf`` or ``application/json``.
            experiment_id: where the traces belong; None: experiment 0 of the project.
            run_id: run to link the traces to.

        Raises:
            InvalidArgument: body or ids are wrong, or a trace lives in another experiment (nothing is stored then).
            NotFound: no such experiment.
            TooLarge, Busy, StoreUnavailable, PermissionDenied.
        """
        who.require("ingest")
        if experiment_id is not None:
            await self._check_experiment(who.project_id, experiment_id)
        spans, patches = await self._compute(len(body), self._normalise, body, encoding)
        if not spans:
            return
        prices = self._services.prices
        if not prices.ready and any(s.kind in MODEL_KINDS for s in spans):
            await in_thread(prices.warm)  # half a second, once
        await self._compute(len(body), prices.enrich, who.project_id, spans, patches)
        if any(span.environment == ENVIRONMENT for span in spans):
            patches += await in_thread(self._services.evaluation_runs.of_spans, who.project_id, spans)
        await self._services.ingest.submit(
            Batch(
                project_id=who.project_id,
                spans=spans,
                patches=patches,
                experiment_id=experiment_id,
                run_id=run_id,
                bytes=len(body),
            )
        )

    def _normalise(self, body: bytes, encoding: str) -> tuple[list[Span], list[TracePatch]]:
        return normalise(read_spans(body, encoding, self._limits))

    async def logs(self, who: Principal, body: bytes, encoding: str) -> None:
        """Store what log records say about spans: message content and evaluation results. Errors as ``spans``."""
        who.require("ingest")
        records = await self._compute(len(body), read_logs, body, encoding, self._limits)
        self._services.prices.mask_logs(who.project_id, records)
        scores = genai_logs.evaluation_scores(records)
        content = [r for r in records if r.event_name != genai_logs.EVALUATION and r.trace_id and r.span_id]
        if not scores and not content:
            return
        await self._services.ingest.submit(
            Batch(project_id=who.project_id, logs=content, scores=scores, bytes=len(body))
        )  # fmt: skip

    async def metrics(self, who: Principal, body: bytes, encoding: str) -> None:
        """Store metric points. Errors as ``spans``."""
        who.require("ingest")
        points = await self._compute(len(body), read_metrics, body, encoding, self._limits)
        if points:
            await self._services.ingest.submit(Batch(project_id=who.project_id, otel_metrics=points, bytes=len(body)))

    async def _compute(self, size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if size <= INLINE:
            return function(*args, **kwargs)
        return await in_thread(function, *args, **kwargs)

    async def _check_experiment(self, project_id: str, experiment_id: str) -> None:
        """Refuse traces for experiments that are not there (MLflow clients name one with every request)."""
        if not experiment_id.isdecimal() or len(experiment_id) > 19:
            raise InvalidArgument(f"experiment id must be a whole number, got {experiment_id!r}")
        if experiment_id == "0":
            return
        key = (project_id, experiment_id)
        now = time.monotonic()
        if self._experiments.get(key, 0) > now:
            return
        experiment = await in_thread(self._services.experiments.get, project_id, experiment_id)
        if experiment.lifecycle != "active":
            raise NotFound(f"experiment {experiment_id} is deleted")
        if len(self._experiments) > 10_000:
            self._experiments.clear()
        self._experiments[key] = now + REMEMBER
