"""Traces of MLflow's clients before version 3, whose spans come as a file among the artifacts: ``…/traces/<id>/artifacts/traces.json``.

What can be read of such a file becomes spans like any other, which every face shows and masks and prices apply to; the file itself is not
kept. For these clients the file is made anew from the stored spans, whoever wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.features.prices import Prices
from twinlens.features.traces import TraceDetail, Traces
from twinlens.ingest.batch import Batch
from twinlens.ingest.mlflow_file import decode_trace_file
from twinlens.ingest.normalise import normalise
from twinlens.ingest.writer import Ingest

T = TypeVar("T")

_PATH = re.compile(r".+/traces/([^/]+)/artifacts/traces\.json\Z")


class TraceFiles:
    """See the module's text. All methods but ``is_one`` block."""

    def __init__(self, traces: Traces, ingest: Ingest, prices: Prices) -> None:
        self._traces = traces
        self._ingest = ingest
        self._prices = prices

    @staticmethod
    def is_one(path: str) -> bool:
        """Whether an artifact's path may be that of a trace's spans."""
        return _PATH.match(path) is not None

    def take(self, project_id: str, path: str, body: bytes) -> bool:
        """Store a file's spans; False when it is not such a file of a known trace, and so an artifact like any other.

        Raises:
            Busy, StoreUnavailable: nothing was stored, try again.
        """
        return self._with_trace(path, lambda trace_id: self._store(project_id, trace_id, body)) or False

    def read(self, project_id: str, path: str) -> TraceDetail | None:
        """The trace whose spans a file would hold; None when there is none, or nothing is known of its spans."""

        def find(trace_id: str) -> TraceDetail | None:
            found = self._traces.details(project_id, [self._traces.summary(project_id, trace_id)])
            return found[0] if found and found[0].spans else None

        return self._with_trace(path, find)

    def _store(self, project_id: str, trace_id: str, body: bytes) -> bool:
        known = self._traces.summary(project_id, trace_id)
        spans, patches = normalise(decode_trace_file(body, known.trace_id))
        self._prices.enrich(project_id, spans, patches)
        self._ingest.submit_sync(
            Batch(
                project_id=project_id, spans=spans, patches=patches, experiment_id=known.experiment_id, bytes=len(body)
            )
        )  # fmt: skip
        return True

    @staticmethod
    def _with_trace(path: str, run: Callable[[str], T]) -> T | None:
        match = _PATH.match(path)
        try:
            return run(match[1]) if match else None
        except (NotFound, InvalidArgument):
            return None
