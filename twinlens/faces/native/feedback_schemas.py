"""Requests and answers of the native API about human feedback: score configs, annotation queues, comments, people."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from twinlens.faces.native.trace_schemas import ScoreRow


class Category(Struct, kw_only=True):
    """What may be chosen, and the number that stands for it in averages."""

    label: str
    value: float


class ScoreConfigRow(Struct, kw_only=True):
    """One question: what a score of this name may be."""

    config_id: str
    name: str
    data_type: Literal["NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT"]
    kind: str  #: feedback or expectation
    description: str | None
    min_value: float | None
    max_value: float | None
    categories: list[Category]
    multi_select: bool
    enable_comment: bool
    max_length: int | None
    positive_label: str | None
    negative_label: str | None
    experiment_id: str | None  #: None: of the whole project
    archived: bool
    standard: bool  #: cannot be changed
    created_ms: float


class ScoreConfigList(Struct, kw_only=True):
    """``GET …/score-configs``."""

    configs: list[ScoreConfigRow]


class NewScoreConfig(Struct, kw_only=True):
    """``POST …/score-configs``."""

    name: str
    data_type: Literal["NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT"]
    description: str | None = None
    min_value: float | None = None
    max_value: float | None = None
    categories: list[Category] | None = None


class ScoreConfigEdit(Struct, kw_only=True):
    """``PATCH …/score-configs/{id}``: what is left out stays."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    archived: bool | UnsetType = UNSET


class QueueRow(Struct, kw_only=True):
    """One annotation queue and how far it is."""

    queue_id: str
    name: str
    description: str | None
    experiment_id: str  #: empty: of the whole project
    personal: bool
    config_ids: list[str]
    reviewers: list[str]
    reviews_needed: int
    created_by: str | None
    created_ms: float
    pending: int
    completed: int
    declined: int


class QueueList(Struct, kw_only=True):
    """``GET …/queues``."""

    queues: list[QueueRow]


class NewQueue(Struct, kw_only=True):
    """``POST …/queues``."""

    name: str
    description: str | None = None
    config_ids: list[str] = []
    reviewers: list[str] = []
    reviews_needed: int = 1


class QueueEdit(Struct, kw_only=True):
    """``PATCH …/queues/{id}``: what is left out stays."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    config_ids: list[str] | UnsetType = UNSET
    reviewers: list[str] | UnsetType = UNSET
    reviews_needed: int | UnsetType = UNSET


class AgreementRow(Struct, kw_only=True):
    """Agreement on one question; measures that are not defined are None."""

    config_id: str
    name: str
    numeric: bool
    raters: int
    units: int
    percent: float | None
    kappa: float | None
    alpha: float | None
    correlation: float | None


class QueueDetail(Struct, kw_only=True):
    """``GET …/queues/{id}``."""

    queue: QueueRow
    questions: list[ScoreConfigRow]
    agreement: list[AgreementRow]


class QueueObject(Struct, kw_only=True):
    """What can be put into a queue."""

    type: Literal["TRACE", "OBSERVATION", "SESSION"]
    id: str


class NewItems(Struct, kw_only=True):
    """``POST …/queues/{id}/items``."""

    objects: list[QueueObject]


class ItemRow(Struct, kw_only=True):
    """One item of a queue."""

    item_id: str
    object_type: str
    object_id: str
    status: str
    completed_by: str | None
    completed_ms: float | None
    created_ms: float
    reviewed_by: list[str]


class ItemPage(Struct, kw_only=True):
    """``GET …/queues/{id}/items``, oldest first."""

    items: list[ItemRow]
    total: int


class ItemDetail(Struct, kw_only=True):
    """``GET …/queues/{id}/items/{item}``: where its object is (all None: it is gone), and what this person has answered."""

    item: ItemRow
    trace_id: str | None
    span_id: str | None
    session_id: str | None
    answers: list[ScoreRow]


class NewAnswer(Struct, kw_only=True):
    """One answer."""

    config_id: str
    value: float | bool | str | list[str]
    comment: str | None = None


class Review(Struct, kw_only=True):
    """``POST …/queues/{id}/items/{item}/review``. ``reviewer`` is heeded only where nobody has to sign in."""

    answers: list[NewAnswer] = []
    correction: str | None = None
    reviewer: str | None = None


class ItemEdit(Struct, kw_only=True):
    """``PATCH …/queues/{id}/items/{item}``: decline or reopen."""

    status: Literal["PENDING", "COMPLETED", "DECLINED"]
    reviewer: str | None = None


class CommentRow(Struct, kw_only=True):
    """One comment. ``mentions`` are the names behind an ``@``, as far as they are people of the project."""

    comment_id: str
    object_type: str
    object_id: str
    content: str
    author: str | None
    created_ms: float
    mentions: list[str]


class CommentList(Struct, kw_only=True):
    """``GET …/comments``, oldest first."""

    comments: list[CommentRow]


class NewComment(Struct, kw_only=True):
    """``POST …/comments``. ``author`` is heeded only where nobody has to sign in."""

    object_type: Literal["TRACE", "OBSERVATION", "SESSION", "PROMPT"]
    object_id: str
    content: str
    author: str | None = None


class Person(Struct, kw_only=True):
    """Somebody who can be assigned or mentioned."""

    name: str
    email: str | None


class People(Struct, kw_only=True):
    """``GET …/people``."""

    people: list[Person]
