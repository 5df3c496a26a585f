"""Annotation queues: work lists of traces, spans and sessions that people judge (MLflow's review queues).

A queue names its questions (score configs) and its reviewers. An item is done once ``reviews_needed`` different people have
judged it; a person's answers are ordinary scores, so deleting a queue loses no answer.
"""

from __future__ import annotations

import msgspec

from twinlens.domain.errors import InvalidArgument

OBJECT_TYPES = ("TRACE", "OBSERVATION", "SESSION")
#: DECLINED: nobody can judge it in this queue (MLflow); Langfuse, which has no such word, shows it as COMPLETED.
STATUSES = ("PENDING", "COMPLETED", "DECLINED")
MAX_NAME = 250
MAX_REVIEWER = 250
MAX_REVIEWERS = 10
MAX_REVIEWS = 10


class AnnotationQueue(msgspec.Struct, kw_only=True):
    """One queue.

    ``experiment_id`` is empty for a queue of the whole project (Langfuse). A ``personal`` queue is the work list of the one
    reviewer that it is named for, and asks all questions of its experiment.
    """

    queue_id: str
    name: str
    description: str | None = None
    experiment_id: str = ""
    personal: bool = False
    config_ids: list[str] = []
    reviewers: list[str] = []
    reviews_needed: int = 1
    created_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Raise ``InvalidArgument`` if a part is out of its limits or the parts do not fit together."""
        if not 1 <= len(self.name) <= MAX_NAME:
            raise InvalidArgument(f"name must be 1 to {MAX_NAME} characters")
        if not self.personal and self.experiment_id and self.name.lower() == "default":
            raise InvalidArgument(f"`{self.name}` is a reserved queue name and cannot be used for a custom queue.")
        if self.personal and (self.reviewers != [self.name] or self.config_ids):
            raise InvalidArgument(
                "A user queue has exactly one reviewer, the user it is named for, and asks all questions of its experiment"
            )
        if len(self.reviewers) > MAX_REVIEWERS:
            raise InvalidArgument(f"A queue can have at most {MAX_REVIEWERS} reviewers; got {len(self.reviewers)}")
        for reviewer in self.reviewers:
            check_reviewer(reviewer)
        if not 1 <= self.reviews_needed <= MAX_REVIEWS:
            raise InvalidArgument(f"reviews_needed must be between 1 and {MAX_REVIEWS}")


class QueueItem(msgspec.Struct, kw_only=True):
    """One thing to judge. ``completed_by`` and ``completed_ns`` are set while it is not PENDING."""

    item_id: str
    queue_id: str
    object_type: str
    object_id: str
    status: str = "PENDING"
    completed_by: str | None = None
    completed_ns: int | None = None
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Raise ``InvalidArgument`` for an unknown kind of object or status."""
        if self.object_type not in OBJECT_TYPES:
            raise InvalidArgument(f"objectType must be one of {', '.join(OBJECT_TYPES)}")
        if self.status not in STATUSES:
            raise InvalidArgument(f"status must be one of {', '.join(STATUSES)}")


def check_reviewer(name: str) -> str:
    """``name`` if it may stand for a person.

    Raises:
        InvalidArgument: empty or too long.
    """
    if not 1 <= len(name) <= MAX_REVIEWER:
        raise InvalidArgument(f"a reviewer is named by 1 to {MAX_REVIEWER} characters")
    return name
