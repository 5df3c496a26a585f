"""Annotation queues: create and change them, fill them, work them off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from twinlens.domain.annotation import AnnotationQueue, QueueItem, check_reviewer
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.ids import check_id, new_uuid
from twinlens.domain.score_config import ScoreConfig
from twinlens.features.score_configs import ScoreConfigs
from twinlens.store.catalog.annotation import AnnotationTable
from twinlens.store.catalog.engine import Catalog

MAX_ITEMS = 10_000  #: that one call adds
_TOGETHER = 500  #: ids in one statement


#: Whether somebody may review in a project.
Known = Callable[[str, str], bool]


class AnnotationQueues:
    """All methods block.

    Args:
        known: tells members from names that nobody has.
    """

    def __init__(
        self,
        catalog: Catalog,
        configs: ScoreConfigs,
        clock: Clock = now_ns,
        known: Known = lambda project_id, name: True,
    ) -> None:
        self._table = AnnotationTable(catalog)
        self._configs = configs
        self._clock = clock
        self._known = known

    # --- queues ------------------------------------------------------------------------------------------------
    def create(self, project_id: str, queue: AnnotationQueue) -> AnnotationQueue:
        """Store a new queue under a new id.

        Raises:
            InvalidArgument: a part is wrong, or a score config does not exist or cannot be used.
            AlreadyExists: the name is taken (whatever the case).
        """
        now = self._clock()
        made = msgspec.structs.replace(
            queue, queue_id=new_uuid(), reviewers=_distinct(queue.reviewers), config_ids=_distinct(queue.config_ids),
            created_ns=now, updated_ns=now,
        )  # fmt: skip
        self._check(project_id, made)
        self._check_reviewers(project_id, made, ())
        if not self._table.add(project_id, made):
            raise _taken(made.name)
        return made

    def of_person(self, project_id: str, experiment_id: str, person: str) -> AnnotationQueue:
        """The personal queue of a reviewer, created when it is not there.

        Raises:
            InvalidArgument: the name does not fit.
            AlreadyExists: a queue that is not personal has this name.
        """
        name = person.strip().lower()
        queue = AnnotationQueue(
            queue_id="", name=name, experiment_id=experiment_id, personal=True, reviewers=[name], created_by=name
        )
        try:
            return self.create(project_id, queue)
        except AlreadyExists:
            found = self.named(project_id, experiment_id, name)
            if not found.personal:
                raise AlreadyExists(
                    f"A non-user queue named '{name}' already exists; cannot get-or-create a user queue with that name."
                ) from None
            return found

    def get(self, project_id: str, queue_id: str) -> AnnotationQueue:
        """One queue.

        Raises:
            NotFound: no such queue.
        """
        found = self._table.get(project_id, queue_id)
        if found is None:
            raise NotFound(f"Annotation queue '{queue_id}' not found.")
        return self._shown(project_id, found)

    def named(self, project_id: str, experiment_id: str, name: str) -> AnnotationQueue:
        """The queue of an experiment with this name, whatever the case; else that of the whole project.

        Raises:
            NotFound: no such queue.
        """
        for home in (experiment_id, ""):
            found = self._table.named(project_id, home, name.strip())
            if found is not None:
                return self._shown(project_id, found)
        raise NotFound(f"Review queue with name '{name}' not found for experiment '{experiment_id}'.")

    def list(
        self, project_id: str, *, experiment_id: str | None = None, reviewer: str | None = None,
        object_id: str | None = None, limit: int, offset: int,
    ) -> tuple[list[AnnotationQueue], int]:  # fmt: skip
        """Newest first, and the number of all that match: of an experiment, of a reviewer, containing an object."""
        found, total = self._table.page(
            project_id, experiment_id=experiment_id, reviewer=reviewer, object_id=object_id, limit=limit, offset=offset
        )
        return [self._shown(project_id, queue) for queue in found], total

    def update(self, project_id: str, queue_id: str, **changes: Any) -> AnnotationQueue:
        """Change name, description, ``reviewers``, ``config_ids``, ``reviews_needed`` or ``created_by`` (the owner).

        Raises:
            NotFound: no such queue.
            InvalidArgument: a part is wrong, the queue is personal, or it has items and its questions would change.
            AlreadyExists: the name is taken.
        """
        stored = self.get(project_id, queue_id)
        if stored.personal:
            raise InvalidArgument("A user queue's name, reviewer, questions and owner are fixed and cannot be updated.")
        for name in ("reviewers", "config_ids"):
            if name in changes:
                changes[name] = _distinct(changes[name])
        changed = msgspec.structs.replace(stored, **changes, updated_ns=self._clock())
        if changed.config_ids != stored.config_ids and self.progress(project_id, [queue_id])[queue_id]:
            raise InvalidArgument(
                "A queue's questions are locked once it has items. Remove the items before changing its questions."
            )
        self._check(project_id, changed)
        self._check_reviewers(project_id, changed, stored.reviewers)
        if not self._table.replace(project_id, changed):
            raise _taken(changed.name)
        return changed

    def delete(self, project_id: str, queue_id: str) -> bool:
        """Remove a queue; what people have answered stays. False if there was none."""
        return self._table.delete(project_id, queue_id)

    def assign(self, project_id: str, queue_id: str, reviewer: str) -> None:
        """Add a reviewer, unless it is one already.

        Raises:
            NotFound: no such queue.
            InvalidArgument: too many reviewers, or the queue is personal.
        """
        queue = self.get(project_id, queue_id)
        if reviewer not in queue.reviewers:
            self.update(project_id, queue_id, reviewers=[*queue.reviewers, reviewer])

    def unassign(self, project_id: str, queue_id: str, reviewer: str) -> None:
        """Take a reviewer off, if it is one.

        Raises:
            NotFound: no such queue.
            InvalidArgument: the queue is personal.
        """
        queue = self.get(project_id, queue_id)
        if reviewer in queue.reviewers:
            self.update(project_id, queue_id, reviewers=[name for name in queue.reviewers if name != reviewer])

    def questions(self, project_id: str, queue: AnnotationQueue) -> list[ScoreConfig]:
        """What is asked of each item."""
        if queue.personal:
            return self._configs.of_experiment(project_id, queue.experiment_id)
        return self._configs.some(project_id, queue.config_ids)

    def progress(self, project_id: str, queue_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Items by status of each queue; statuses without items are absent."""
        return self._table.progress(project_id, queue_ids)

    # --- items ------------------------------------------------------------------------------------------------
    def add_items(
        self, project_id: str, queue_id: str, objects: Sequence[tuple[str, str]], status: str = "PENDING"
    ) -> list[QueueItem]:
        """Put objects (type, id) into a queue. One that is there already stays as it is.

        Raises:
            NotFound: no such queue.
            InvalidArgument: no or too many objects, or an unknown type or status.
        """
        self.get(project_id, queue_id)
        wanted = list(dict.fromkeys(objects))
        if not 1 <= len(wanted) <= MAX_ITEMS:
            raise InvalidArgument(f"between 1 and {MAX_ITEMS} items can be added at once; got {len(wanted)}")
        now = self._clock()
        made: list[QueueItem] = []
        for object_type, object_id in wanted:
            item = QueueItem(
                item_id=new_uuid(), queue_id=queue_id, object_type=object_type, object_id=check_id(object_id, "objectId"),
                status=status, completed_ns=None if status == "PENDING" else now, created_ns=now, updated_ns=now,
            )  # fmt: skip
            item.check()
            made.append(item)
        return self._table.add_items(project_id, made)

    def item(self, project_id: str, queue_id: str, *, item_id: str | None = None, object_id: str = "") -> QueueItem:
        """One item, by its id or by that of its object.

        Raises:
            NotFound: no such queue or item.
        """
        found = self._table.item(project_id, queue_id, item_id=item_id, object_id=object_id)
        if found is None:
            self.get(project_id, queue_id)
            raise NotFound(f"Item '{item_id or object_id}' is not in queue '{queue_id}'.")
        return found

    def items(
        self, project_id: str, queue_id: str, *, status: str | None = None, limit: int, offset: int = 0,
        oldest_first: bool = False,
    ) -> tuple[list[QueueItem], int]:  # fmt: skip
        """A queue's items, newest first unless told otherwise, and the number of all that match.

        Raises:
            NotFound: no such queue.
        """
        self.get(project_id, queue_id)
        return self._table.items(
            project_id, queue_id, status=status, limit=limit, offset=offset, oldest_first=oldest_first
        )

    def remove_item(self, project_id: str, queue_id: str, item_id: str) -> None:
        """Take one item out.

        Raises:
            NotFound: no such queue or item.
        """
        self.item(project_id, queue_id, item_id=item_id)
        self._table.remove_items(project_id, queue_id, item_id=item_id)

    def remove_objects(self, project_id: str, queue_id: str, object_ids: Sequence[str]) -> int:
        """Take objects out; those that are not in the queue do not matter. How many were.

        Raises:
            NotFound: no such queue.
        """
        self.get(project_id, queue_id)
        return self._table.remove_items(project_id, queue_id, object_ids=object_ids)

    def waiting_observations(self, project_id: str) -> set[str]:
        """Ids of all observations that are in some queue."""
        return self._table.waiting_observations(project_id)

    def forget(self, project_id: str, trace_ids: Sequence[str], span_ids: Sequence[str]) -> None:
        """Take traces and observations that are deleted out of every queue."""
        for object_type, ids in (("TRACE", trace_ids), ("OBSERVATION", span_ids)):
            for at in range(0, len(ids), _TOGETHER):
                self._table.forget_objects(project_id, object_type, ids[at : at + _TOGETHER])

    def set_status(
        self, project_id: str, queue_id: str, item: QueueItem, status: str, by: str | None = None, *, whole: bool = True
    ) -> QueueItem:
        """Finish, decline or reopen an item.

        Args:
            by: who did it.
            whole: the item is done with this; False: it is one person's review, and done when enough have.

        Raises:
            NotFound: no such queue.
            InvalidArgument: unknown status.
        """
        now = self._clock()
        pending = status == "PENDING"
        changed = msgspec.structs.replace(
            item, status=status, completed_by=None if pending else by, completed_ns=None if pending else now,
            updated_ns=now,
        )  # fmt: skip
        changed.check()
        needed = 1 if whole else self.get(project_id, queue_id).reviews_needed
        if by is not None and not pending:
            check_reviewer(by)
        return self._table.set_status(project_id, changed, by, needed, now)

    def reviewed(self, project_id: str, item_ids: Sequence[str]) -> dict[str, list[str]]:
        """Who has finished each item, first one first; items that nobody has are absent."""
        return self._table.reviewed(project_id, item_ids)

    # --- rules ------------------------------------------------------------------------------------------------
    def _check(self, project_id: str, queue: AnnotationQueue) -> None:
        queue.check()
        found = {config.config_id: config for config in self._configs.some(project_id, queue.config_ids)}
        for config_id in queue.config_ids:
            config = found.get(config_id)
            if config is None or (queue.experiment_id and config.experiment_id not in (None, queue.experiment_id)):
                raise InvalidArgument(f"score config (label schema) '{config_id}' does not exist")

    def _check_reviewers(self, project_id: str, queue: AnnotationQueue, before: Sequence[str]) -> None:
        """New reviewers of a queue that is not personal must be people who can open it."""
        strangers = [n for n in queue.reviewers if n not in before and not self._known(project_id, n)]
        if strangers and not queue.personal:
            raise InvalidArgument(
                f"'{strangers[0]}' is no member of this project's organization: add the person first, or name a member's id, e-mail or name"
            )

    def _shown(self, project_id: str, queue: AnnotationQueue) -> AnnotationQueue:
        """Without the configs that have been deleted since."""
        if queue.config_ids:
            found = self._configs.some(project_id, queue.config_ids)
            queue.config_ids = [config.config_id for config in found]
        return queue


def _distinct(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in names))


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"Review queue with name '{name}' already exists (names are case-insensitive).")
