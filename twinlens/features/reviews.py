"""Working an annotation queue off: one person's answers about one item, and how far people agree.

Answers are scores. Their ids follow from item, question and person, so that answering again replaces the answer, and two people
never overwrite each other.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from twinlens.domain.annotation import AnnotationQueue, QueueItem, check_reviewer
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.score import Score
from twinlens.domain.score_config import ScoreConfig
from twinlens.features.agreement import Agreement, Unit, agreement
from twinlens.features.annotation import AnnotationQueues
from twinlens.features.scores import CORRECTION_NAME, ScoreDraft, score_of
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Ingest
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import And, Cmp, Query

_SPACE = uuid.UUID("6f0c3a52-6a0e-4d5f-9d0e-0f6b5f0a7c11")
_PEOPLE = ("human", "annotation")
_PAGE = 1_000
MAX_SCORES = 100_000  #: that agreement looks at


class Answer(msgspec.Struct, kw_only=True):
    """One answer. ``value`` is a number, a truth value, a text, or a list of categories where several may be chosen."""

    config_id: str
    value: float | bool | str | list[str]
    comment: str | None = None


class Place(msgspec.Struct, kw_only=True):
    """Where the object of an item is. All None: it is gone."""

    trace_id: str | None = None
    span_id: str | None = None
    session_id: str | None = None


class Reviews:
    """All methods block."""

    def __init__(
        self, queues: AnnotationQueues, ingest: Ingest, telemetry: TelemetryStore, clock: Clock = now_ns
    ) -> None:
        self._queues = queues
        self._ingest = ingest
        self._telemetry = telemetry
        self._clock = clock

    def place(self, project_id: str, item: QueueItem) -> Place:
        """Where the object of an item is."""
        match item.object_type:
            case "TRACE":
                known = self._telemetry.trace(project_id, item.object_id, with_io=False) is not None
                return Place(trace_id=item.object_id if known else None)
            case "OBSERVATION":
                span = self._telemetry.span(project_id, None, item.object_id)
                return Place() if span is None else Place(trace_id=span.trace_id, span_id=span.span_id)
            case _:
                return Place(session_id=item.object_id)

    def answer(
        self, project_id: str, queue_id: str, item_id: str, *, reviewer: str, answers: Sequence[Answer],
        correction: str | None = None, user_id: str | None = None,
    ) -> QueueItem:  # fmt: skip
        """Store a person's answers and complete the item for this person. All or nothing is stored.

        Args:
            reviewer: name of the person.
            correction: what the output should have been.
            user_id: of the person, when the person has signed in.

        Raises:
            NotFound: no such queue or item, or the object is gone.
            InvalidArgument: an answer breaks the rules of its question, or belongs to none of the queue.
        """
        check_reviewer(reviewer)
        queue = self._queues.get(project_id, queue_id)
        item = self._queues.item(project_id, queue_id, item_id=item_id)
        place = self.place(project_id, item)
        if place == Place():
            raise NotFound(f"{item.object_type.lower()} '{item.object_id}' is gone; remove the item from the queue")
        questions = {config.config_id: config for config in self._queues.questions(project_id, queue)}
        now = self._clock()
        scores: list[Score] = []
        for given in answers:
            config = questions.get(given.config_id)
            if config is None:
                raise InvalidArgument(f"the queue asks no question '{given.config_id}'")
            scores.append(_score(place, item, config, given, reviewer, now))
        if correction is not None:
            draft = _draft(place, item, reviewer, "correction", correction)
            draft.name, draft.data_type = CORRECTION_NAME, "CORRECTION"
            scores.append(score_of(draft, None, now))
        for score in scores:
            score.source_id, score.author_user_id = reviewer, user_id
        if scores:
            self._ingest.submit_sync(Batch(project_id=project_id, scores=scores))
        return self._queues.set_status(project_id, queue_id, item, "COMPLETED", reviewer, whole=False)

    def given(self, project_id: str, queue_id: str, item: QueueItem, reviewer: str) -> list[Score]:
        """What a person has answered about an item."""
        queue = self._queues.get(project_id, queue_id)
        ids = [_id(item, config.config_id, reviewer) for config in self._queues.questions(project_id, queue)]
        where = Cmp("score_id", "in", [*ids, _id(item, "correction", reviewer)])
        return self._telemetry.scores(Query(project_id=project_id, where=where, limit=_PAGE)).rows

    def agreement(self, project_id: str, queue_id: str) -> list[tuple[ScoreConfig, Agreement]]:
        """How far people agree on each question of a queue, over the things in it.

        What people said of these things elsewhere under the same name (MLflow feedback, scores on the trace page) counts too; of
        several answers of one person the newest.

        Raises:
            NotFound: no such queue.
        """
        queue = self._queues.get(project_id, queue_id)
        questions = [c for c in self._queues.questions(project_id, queue) if c.data_type != "TEXT"]
        if not questions:
            return []
        values = self._values(project_id, queue, [config.name for config in questions])
        return [
            (config, agreement(list(values.get(config.name, {}).values()), numeric=config.data_type == "NUMERIC"))
            for config in questions
        ]

    def _values(
        self, project_id: str, queue: AnnotationQueue, names: list[str]
    ) -> dict[str, dict[tuple[str, str], Unit]]:
        """By question, then by thing: value by person."""
        found, _ = self._queues.items(project_id, queue.queue_id, limit=MAX_SCORES)
        things = {(item.object_type, item.object_id) for item in found}
        where = And((Cmp("name", "in", names), Cmp("source", "in", list(_PEOPLE)), Cmp("valid", "=", True)))
        values: dict[str, dict[tuple[str, str], Unit]] = {}
        cursor: str | None = None
        seen = 0
        while seen < MAX_SCORES:
            page = self._telemetry.scores(Query(project_id=project_id, where=where, limit=_PAGE, cursor=cursor))
            for score in page.rows:  # newest first
                thing, person, value = _thing(score), score.source_id or score.author_user_id, _value(score)
                if thing in things and person and value is not None:
                    values.setdefault(score.name, {}).setdefault(thing, {}).setdefault(person.lower(), value)
            seen += len(page.rows)
            cursor = page.next_cursor
            if cursor is None:
                break
        return values


def _thing(score: Score) -> tuple[str, str]:
    if score.span_id:
        return ("OBSERVATION", score.span_id)
    return ("TRACE", score.trace_id) if score.trace_id else ("SESSION", score.session_id or "")


def _value(score: Score) -> float | str | None:
    return score.value if score.data_type == "NUMERIC" else score.string_value or score.json_value


def _id(item: QueueItem, question: str, reviewer: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{item.item_id}/{question}/{reviewer}"))


def _draft(place: Place, item: QueueItem, reviewer: str, question: str, value: Any) -> ScoreDraft:
    return ScoreDraft(
        name="", value=value, score_id=_id(item, question, reviewer), trace_id=place.trace_id, span_id=place.span_id,
        session_id=place.session_id, queue_id=item.queue_id, source="annotation",
    )  # fmt: skip


def _score(place: Place, item: QueueItem, config: ScoreConfig, given: Answer, reviewer: str, now: int) -> Score:
    value, several = given.value, isinstance(given.value, list)
    if several != config.form.multi_select:
        raise InvalidArgument(
            f"value of '{config.name}': {'one category' if several else 'a list of categories'} is asked"
        )
    draft = _draft(place, item, reviewer, config.config_id, "" if several else value)
    draft.config_id, draft.comment = config.config_id, given.comment or None
    if isinstance(value, list):
        known = [category.label for category in config.categories or []]
        for label in value:
            if label not in known:
                raise InvalidArgument(f"value: '{label}' is not a category of the score config")
        draft.value = known[0]  # one that passes; the list takes its place
        score = score_of(draft, config, now)
        score.data_type, score.value, score.string_value = "JSON", None, None
        score.json_value = msgspec.json.encode(value).decode()
    else:
        longest = config.form.max_length
        if longest is not None and isinstance(value, str) and len(value) > longest:
            raise InvalidArgument(f"value of '{config.name}': at most {longest} characters are asked")
        score = score_of(draft, config, now)
    score.kind = config.form.kind
    return score
