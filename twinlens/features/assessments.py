"""Assessments: scores that may replace one another. MLflow's view of scores; Langfuse's is ``features.scores``.

An assessment that ``overrides`` another makes that one invalid; deleting it makes the other valid again (reference: MLflow
3.18). Both rows change in one commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import check_id, mlflow_trace_id, new_hex
from twinlens.domain.score import Score
from twinlens.features.traces import Traces
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Ingest
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import And, Cmp, Query

#: Fields of ``Score`` that hold the value of an assessment.
VALUE_FIELDS = ("data_type", "value", "string_value", "json_value", "error")
MAX_NAME = 250
_CATEGORY = 100  #: longest text that counts as a category, in characters


class Assessments:
    """See the module's text. All methods block."""

    def __init__(
        self, telemetry: TelemetryStore, ingest: Ingest, traces: Traces, clock: Callable[[], int] = now_ns
    ) -> None:
        self._telemetry = telemetry
        self._ingest = ingest
        self._traces = traces
        self._clock = clock

    def get(self, project_id: str, trace_id: str, score_id: str) -> Score:
        """One assessment of a trace.

        Raises:
            NotFound: no such trace, or no such assessment on it.
        """
        return self._of(project_id, self._traces.summary(project_id, trace_id).trace_id, score_id)

    def create(self, project_id: str, trace_id: str, score: Score) -> Score:
        """Add an assessment to a trace; it gets an id unless it has one.

        Raises:
            NotFound: no such trace, or ``overrides`` names no assessment of it.
            InvalidArgument: a rule is broken.
        """
        now = self._clock()
        found = self._traces.summary(project_id, trace_id).trace_id
        score = prepared(score, found, now)
        changed = [score]
        if score.overrides:
            replaced = self._of(project_id, found, score.overrides)
            changed.append(msgspec.structs.replace(replaced, valid=False, updated_ns=now))
        self._ingest.submit_sync(Batch(project_id=project_id, scores=changed))
        return score

    def mark(self, project_id: str, trace_ids: Sequence[str], score: Score) -> None:
        """Put the same assessment on several traces, in one commit.

        Raises:
            NotFound: one of them is not there.
            InvalidArgument: a rule is broken.
        """
        now = self._clock()
        found = [self._traces.summary(project_id, trace_id).trace_id for trace_id in dict.fromkeys(trace_ids)]
        if found:
            made = [prepared(score, trace_id, now) for trace_id in found]
            self._ingest.submit_sync(Batch(project_id=project_id, scores=made))

    def update(self, project_id: str, trace_id: str, score_id: str, changes: Mapping[str, Any]) -> Score:
        """Change fields of an assessment; others stay. Metadata is united with what is there.

        Raises:
            NotFound: no such trace or assessment.
            InvalidArgument: a rule is broken.
        """
        stored = self.get(project_id, trace_id, score_id)
        values = dict(changes)
        if (kind := values.get("kind", stored.kind)) != stored.kind:
            raise InvalidArgument(
                f"Cannot update {kind} value on {'an Expectation' if stored.kind == 'expectation' else 'a Feedback'} assessment."
            )
        if "metadata" in values:
            values["metadata"] = {**stored.metadata, **values["metadata"]}
        changed = msgspec.structs.replace(stored, **values, updated_ns=self._clock())
        _check(changed)
        self._ingest.submit_sync(Batch(project_id=project_id, scores=[changed]))
        return changed

    def delete(self, project_id: str, trace_id: str, score_id: str) -> None:
        """Remove an assessment, and make valid again what it had replaced. Absent ones are no error.

        Raises:
            NotFound: no such trace.
        """
        found = self._traces.summary(project_id, trace_id).trace_id
        try:
            stored = self._of(project_id, found, score_id)
        except NotFound:
            return
        if stored.overrides:
            try:
                replaced = self._of(project_id, found, stored.overrides)
            except NotFound:
                pass
            else:
                revived = msgspec.structs.replace(replaced, valid=True, updated_ns=self._clock())
                self._ingest.submit_sync(Batch(project_id=project_id, scores=[revived]))
        self._ingest.run_sync(lambda store: store.delete_scores(project_id, [score_id]))

    def _of(self, project_id: str, trace_id: str, score_id: str) -> Score:
        where = And((Cmp("score_id", "=", score_id), Cmp("trace_id", "=", trace_id)))
        page = self._telemetry.scores(Query(project_id=project_id, where=where, limit=1))
        if not page.rows:
            raise NotFound(f"Assessment with ID '{score_id}' not found for trace '{mlflow_trace_id(trace_id)}'")
        found: Score = page.rows[0]
        return found


def prepared(score: Score, trace_id: str, now_ns: int) -> Score:
    """A new assessment ready to be stored.

    Raises:
        InvalidArgument: a rule is broken.
    """
    made = msgspec.structs.replace(
        score, trace_id=trace_id, score_id=score.score_id or "a-" + new_hex(), valid=True,
        timestamp_ns=score.timestamp_ns or now_ns, created_ns=score.created_ns or now_ns,
        updated_ns=score.updated_ns or now_ns,
    )  # fmt: skip
    check_id(made.score_id, "assessment_id")
    _check(made)
    return made


def value_fields(value: Any) -> dict[str, Any]:
    """``VALUE_FIELDS`` for any JSON value: numbers, truth values and texts have types of their own."""
    fields: dict[str, Any] = {"value": None, "string_value": None, "json_value": None, "error": None}
    if isinstance(value, bool):
        return fields | {"data_type": "BOOLEAN", "value": float(value), "string_value": str(value)}
    if isinstance(value, int | float):
        return fields | {"data_type": "NUMERIC", "value": float(value)}
    if isinstance(value, str):
        kind = "CATEGORICAL" if value and len(value) <= _CATEGORY and "\n" not in value else "TEXT"
        return fields | {"data_type": kind, "string_value": value}
    return fields | {"data_type": "JSON", "json_value": msgspec.json.encode(value).decode()}


def value_of(score: Score) -> Any:
    """The JSON value of a score; the inverse of ``value_fields``."""
    if score.data_type == "BOOLEAN":
        return bool(score.value)
    if score.data_type == "NUMERIC":
        return score.value
    if score.json_value is not None:
        return msgspec.json.decode(score.json_value)
    return score.string_value


def _check(score: Score) -> None:
    if not score.name or len(score.name) > MAX_NAME or "\x00" in score.name:
        raise InvalidArgument(f"assessment_name must be 1 to {MAX_NAME} characters")
