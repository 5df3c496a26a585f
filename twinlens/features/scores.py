"""Scores as clients send them: told apart by type, checked against their config, brought to the stored form, deleted.

Rules (Langfuse server v4.16): exactly one target (trace with or without a span, session, or dataset run); the type is inferred
from the JSON type when it is not given; a config fixes name and type and limits the value. Langfuse answers 201 and then drops
a score that breaks a rule; here the sender is told.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import check_id, new_uuid
from twinlens.domain.score import Score
from twinlens.domain.score_config import ScoreConfig
from twinlens.features.score_configs import ScoreConfigs
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Ingest
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import And, Cmp, Expr, Query, all_of

MAX_TEXT = 500
CORRECTION_NAME = "output"
_TYPES = frozenset({"NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT", "CORRECTION"})
_SOURCES = frozenset({"api", "annotation", "eval"})


class ScoreDraft(msgspec.Struct, kw_only=True):
    """A score before it is checked. Ids are canonical, ``source`` is lower case."""

    name: str
    value: float | str | bool
    score_id: str | None = None
    data_type: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    session_id: str | None = None
    dataset_run_id: str | None = None
    comment: str | None = None
    metadata: dict[str, Any] = {}
    environment: str = "default"
    config_id: str | None = None
    queue_id: str | None = None
    source: str = "api"
    author_user_id: str | None = None
    timestamp_ns: int = 0


class Scores:
    """See the module's text."""

    def __init__(self, configs: ScoreConfigs, ingest: Ingest, telemetry: TelemetryStore, clock: Clock = now_ns) -> None:
        self._configs = configs
        self._ingest = ingest
        self._telemetry = telemetry
        self._clock = clock

    def accept(self, project_id: str, draft: ScoreDraft) -> Score:
        """The score to store. Reads the catalog only when the draft names a config.

        Raises:
            InvalidArgument: a rule is broken; the message says which.
        """
        config = None
        if draft.config_id is not None:
            try:
                config = self._configs.get(project_id, draft.config_id)
            except NotFound:
                raise InvalidArgument(f"configId: score config '{draft.config_id}' does not exist") from None
            if config.archived:
                raise InvalidArgument("configId: the score config is archived and cannot be used to create scores")
        elif draft.source == "annotation":
            raise InvalidArgument("configId is required for scores of source ANNOTATION")
        return score_of(draft, config, self._clock())

    def create(self, project_id: str, draft: ScoreDraft) -> Score:
        """Check and store one score; it is durable when this returns. Blocks.

        Raises:
            InvalidArgument: a rule is broken.
        """
        score = self.accept(project_id, draft)
        self._ingest.submit_sync(Batch(project_id=project_id, scores=[score]))
        return score

    def get(self, project_id: str, score_id: str, *, shown: Expr = And()) -> Score:
        """One score.

        Raises:
            NotFound: no such score, or none that is ``shown``.
        """
        where = all_of(Cmp("score_id", "=", score_id), shown)
        page = self._telemetry.scores(Query(project_id=project_id, where=where, limit=1))
        if not page.rows:
            raise NotFound("Score not found within authorized project")
        found: Score = page.rows[0]
        return found

    def delete(self, project_id: str, score_id: str) -> None:
        """Remove a score; the next read no longer sees it.

        Raises:
            NotFound: no such score.
        """
        if not self._ingest.run_sync(lambda store: store.delete_scores(project_id, [score_id])):
            raise NotFound("Score not found within authorized project")


def score_of(draft: ScoreDraft, config: ScoreConfig | None, now: int) -> Score:
    """The stored form of a draft.

    Raises:
        InvalidArgument: a rule is broken.
    """
    _check_target(draft)
    data_type = (draft.data_type or (config.data_type if config else _infer(draft.value))).upper()
    if data_type not in _TYPES:
        raise InvalidArgument(f"dataType: '{draft.data_type}' is not one of {', '.join(sorted(_TYPES))}")
    if draft.source not in _SOURCES:
        raise InvalidArgument(f"source: '{draft.source.upper()}' is not API or ANNOTATION")
    if config is not None and config.data_type != data_type:
        raise InvalidArgument(f"dataType: {data_type} does not match the score config's {config.data_type}")
    score = Score(
        score_id=check_id(draft.score_id) if draft.score_id else new_uuid(),
        name=config.name if config else draft.name,
        data_type=data_type,
        trace_id=draft.trace_id,
        span_id=draft.span_id,
        session_id=draft.session_id,
        dataset_run_id=draft.dataset_run_id,
        source={"annotation": "annotation", "eval": "judge"}.get(draft.source, "api"),
        comment=draft.comment,
        metadata=draft.metadata,
        config_id=draft.config_id,
        queue_id=draft.queue_id,
        author_user_id=draft.author_user_id,
        environment=draft.environment,
        timestamp_ns=draft.timestamp_ns or now,
        created_ns=now,
        updated_ns=now,
    )
    _put_value(score, draft, config)
    return score


def _check_target(draft: ScoreDraft) -> None:
    targets = sum(target is not None for target in (draft.trace_id, draft.session_id, draft.dataset_run_id))
    if draft.span_id is not None and draft.trace_id is None:
        raise InvalidArgument("observationId needs traceId")
    if targets != 1:
        raise InvalidArgument("Provide exactly one of traceId (with or without observationId), sessionId, datasetRunId")


def _infer(value: float | str | bool) -> str:
    if isinstance(value, bool):
        return "BOOLEAN"
    return "CATEGORICAL" if isinstance(value, str) else "NUMERIC"


def _put_value(score: Score, draft: ScoreDraft, config: ScoreConfig | None) -> None:
    value = draft.value
    match score.data_type:
        case "NUMERIC":
            if isinstance(value, str) or not math.isfinite(value):
                raise InvalidArgument("value: Expected a finite number for dataType NUMERIC")
            score.value = float(value)
            if config and config.max_value is not None and score.value > config.max_value:
                raise InvalidArgument(f"value exceeds maximum value of {config.max_value} defined in config")
            if config and config.min_value is not None and score.value < config.min_value:
                raise InvalidArgument(f"value is below minimum value of {config.min_value} defined in config")
        case "BOOLEAN":
            if value not in (0, 1):
                raise InvalidArgument("value: Expected 0 or 1 for dataType BOOLEAN")
            score.value, score.string_value = float(value), "True" if value else "False"
        case _:
            if not isinstance(value, str):
                raise InvalidArgument(f"value: Expected a string for dataType {score.data_type}")
            if score.data_type == "TEXT" and not 1 <= len(value) <= MAX_TEXT:
                raise InvalidArgument(f"value: a TEXT score has 1 to {MAX_TEXT} characters")
            score.string_value = value
            if score.data_type == "CATEGORICAL":
                score.value = _category(value, config)
            elif score.data_type == "CORRECTION":
                if draft.trace_id is None:
                    raise InvalidArgument("A CORRECTION belongs to a trace or an observation")
                score.name = CORRECTION_NAME


def _category(label: str, config: ScoreConfig | None) -> float | None:
    if config is None:
        return None
    for category in config.categories or []:
        if category.label == label:
            return category.value
    raise InvalidArgument(f"value: '{label}' is not a category of the score config")
