"""Tables and statements of annotation queues: their reviewers, their items, and who has judged which item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.annotation import AnnotationQueue, QueueItem
from twinlens.store.catalog.engine import Catalog, metadata, upsert

queues = sa.Table(
    "annotation_queues",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("queue_id", sa.Text, primary_key=True),
    sa.Column("experiment_id", sa.Text, nullable=False),  # empty: of the whole project
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False),  # lower case: names differ by more than case
    sa.Column("description", sa.Text),
    sa.Column("personal", sa.Boolean, nullable=False),
    sa.Column("config_ids", sa.Text, nullable=False),  # JSON
    sa.Column("reviews_needed", sa.Integer, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "experiment_id", "name_key", unique=True),
)

reviewers = sa.Table(
    "annotation_reviewers",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("queue_id", sa.Text, primary_key=True),
    sa.Column("reviewer", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
)

items = sa.Table(
    "annotation_items",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("item_id", sa.Text, primary_key=True),
    sa.Column("queue_id", sa.Text, nullable=False),
    sa.Column("object_type", sa.Text, nullable=False),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("completed_by", sa.Text),
    sa.Column("completed_ns", sa.BigInteger),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "queue_id", "object_type", "object_id", unique=True),
    sa.Index(None, "project_id", "queue_id", "created_ns"),
    sa.Index(None, "project_id", "object_id"),
)

reviews = sa.Table(
    "annotation_reviews",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("item_id", sa.Text, primary_key=True),
    sa.Column("reviewer", sa.Text, primary_key=True),
    sa.Column("reviewed_ns", sa.BigInteger, nullable=False),
)


class AnnotationTable:
    """Reads and writes queues."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    # --- queues ------------------------------------------------------------------------------------------------
    def add(self, project_id: str, queue: AnnotationQueue) -> bool:
        """Insert; False if the name is taken in its experiment."""
        with self._catalog.write() as c:
            statement = upsert(c, queues).values(project_id=project_id, **_columns(queue)).on_conflict_do_nothing()
            if c.execute(statement.returning(queues.c.queue_id)).first() is None:
                return False
            _put_reviewers(c, project_id, queue)
            return True

    def replace(self, project_id: str, queue: AnnotationQueue) -> bool:
        """Overwrite the queue of the same id; False if its name is another queue's in its experiment."""
        q = queues.c
        with self._catalog.write() as c:
            namesake = sa.select(q.queue_id).where(
                q.project_id == project_id, q.experiment_id == queue.experiment_id,
                q.name_key == queue.name.lower(), q.queue_id != queue.queue_id,
            )  # fmt: skip
            if c.execute(namesake).first():
                return False
            c.execute(
                queues.update()
                .where(q.project_id == project_id, q.queue_id == queue.queue_id)
                .values(**_columns(queue))
            )
            _put_reviewers(c, project_id, queue)
            return True

    def delete(self, project_id: str, queue_id: str) -> bool:
        """Remove a queue with its items; False if there is none."""
        of_queue = sa.select(items.c.item_id).where(items.c.project_id == project_id, items.c.queue_id == queue_id)
        with self._catalog.write() as c:
            c.execute(
                reviews.delete().where(reviews.c.project_id == project_id, reviews.c.item_id.in_(of_queue))
            )  # fmt: skip
            for table in (items, reviewers):
                c.execute(table.delete().where(table.c.project_id == project_id, table.c.queue_id == queue_id))
            found = c.execute(
                queues.delete().where(queues.c.project_id == project_id, queues.c.queue_id == queue_id)
            )  # fmt: skip
            return found.rowcount > 0

    def get(self, project_id: str, queue_id: str) -> AnnotationQueue | None:
        """One queue."""
        return next(iter(self._queues(project_id, queues.c.queue_id == queue_id)), None)

    def named(self, project_id: str, experiment_id: str, name: str) -> AnnotationQueue | None:
        """The queue of this name in an experiment, whatever the case."""
        q = queues.c
        return next(iter(self._queues(project_id, q.experiment_id == experiment_id, q.name_key == name.lower())), None)

    def page(
        self, project_id: str, *, experiment_id: str | None, reviewer: str | None, object_id: str | None,
        limit: int, offset: int,
    ) -> tuple[list[AnnotationQueue], int]:  # fmt: skip
        """Newest first, and the number of all that match. An experiment's queues include those of the whole project."""
        q = queues.c
        where: list[sa.ColumnElement[bool]] = []
        if experiment_id is not None:
            where.append(q.experiment_id.in_(["", experiment_id]))
        if reviewer is not None:
            r = reviewers.c
            theirs = sa.select(r.queue_id).where(
                r.project_id == project_id, sa.func.lower(r.reviewer) == reviewer.lower()
            )
            where.append(q.queue_id.in_(theirs))
        if object_id is not None:
            i = items.c
            where.append(
                q.queue_id.in_(sa.select(i.queue_id).where(i.project_id == project_id, i.object_id == object_id))
            )
        with self._catalog.read() as c:
            total = c.execute(
                sa.select(sa.func.count()).select_from(queues).where(q.project_id == project_id, *where)
            ).scalar_one()
        return self._queues(project_id, *where, limit=limit, offset=offset), total

    def _queues(
        self, project_id: str, *where: sa.ColumnElement[bool], limit: int = 1, offset: int = 0
    ) -> list[AnnotationQueue]:
        q, r = queues.c, reviewers.c
        query = sa.select(queues).where(q.project_id == project_id, *where).order_by(q.created_ns.desc(), q.queue_id)
        with self._catalog.read() as c:
            rows = c.execute(query.limit(limit).offset(offset)).mappings().all()
            people: dict[str, list[str]] = {}
            if rows:
                of_these = sa.select(r.queue_id, r.reviewer).where(
                    r.project_id == project_id, r.queue_id.in_([row["queue_id"] for row in rows])
                )
                for queue_id, reviewer in c.execute(of_these.order_by(r.position, r.reviewer)):
                    people.setdefault(queue_id, []).append(reviewer)
        return [_queue(row, people.get(row["queue_id"], [])) for row in rows]

    def progress(self, project_id: str, queue_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many items of each status each queue has."""
        i = items.c
        query = (
            sa.select(i.queue_id, i.status, sa.func.count())
            .where(i.project_id == project_id, i.queue_id.in_(queue_ids))
            .group_by(i.queue_id, i.status)
        )
        found: dict[str, dict[str, int]] = {queue_id: {} for queue_id in queue_ids}
        with self._catalog.read() as c:
            for queue_id, status, count in c.execute(query):
                found[queue_id][status] = count
        return found

    # --- items ------------------------------------------------------------------------------------------------
    def add_items(self, project_id: str, wanted: Sequence[QueueItem]) -> list[QueueItem]:
        """Insert what is not there yet; the items as stored, in the order given. All are of one queue."""
        i = items.c
        with self._catalog.write() as c:
            for start in range(0, len(wanted), 500):
                rows = [
                    {"project_id": project_id, **msgspec.structs.asdict(item)} for item in wanted[start : start + 500]
                ]
                c.execute(upsert(c, items).values(rows).on_conflict_do_nothing())
            found: dict[tuple[str, str], QueueItem] = {}
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                query = sa.select(items).where(
                    i.project_id == project_id, i.queue_id == part[0].queue_id,
                    i.object_id.in_([item.object_id for item in part]),
                )  # fmt: skip
                for row in c.execute(query).mappings():
                    found[row["object_type"], row["object_id"]] = _item(row)
        return [found[item.object_type, item.object_id] for item in wanted]

    def remove_items(
        self, project_id: str, queue_id: str, *, item_id: str | None = None, object_ids: Sequence[str] = ()
    ) -> int:
        """Remove one item, or those of some objects; how many there were."""
        i = items.c
        where = [i.project_id == project_id, i.queue_id == queue_id]
        where.append(i.object_id.in_(object_ids) if item_id is None else i.item_id == item_id)
        with self._catalog.write() as c:
            gone = sa.select(i.item_id).where(*where)
            c.execute(reviews.delete().where(reviews.c.project_id == project_id, reviews.c.item_id.in_(gone)))
            return c.execute(items.delete().where(*where)).rowcount

    def waiting_observations(self, project_id: str) -> set[str]:
        """Ids of all observations that are in some queue."""
        i = items.c
        query = sa.select(i.object_id).where(i.project_id == project_id, i.object_type == "OBSERVATION").distinct()
        with self._catalog.read() as c:
            return set(c.execute(query).scalars())

    def forget_objects(self, project_id: str, object_type: str, object_ids: Sequence[str]) -> None:
        """Take objects out of every queue."""
        i = items.c
        where = [i.project_id == project_id, i.object_type == object_type, i.object_id.in_(object_ids)]
        with self._catalog.write() as c:
            gone = sa.select(i.item_id).where(*where)
            c.execute(reviews.delete().where(reviews.c.project_id == project_id, reviews.c.item_id.in_(gone)))
            c.execute(items.delete().where(*where))

    def item(
        self, project_id: str, queue_id: str, *, item_id: str | None = None, object_id: str = ""
    ) -> QueueItem | None:
        """One item, by its id or by that of its object."""
        i = items.c
        query = sa.select(items).where(
            i.project_id == project_id, i.queue_id == queue_id,
            i.object_id == object_id if item_id is None else i.item_id == item_id,
        )  # fmt: skip
        with self._catalog.read() as c:
            row = c.execute(query).mappings().first()
        return None if row is None else _item(row)

    def items(
        self, project_id: str, queue_id: str, *, status: str | None, limit: int, offset: int, oldest_first: bool = False
    ) -> tuple[list[QueueItem], int]:
        """Newest first unless told otherwise, and the number of all that match."""
        i = items.c
        where = [i.project_id == project_id, i.queue_id == queue_id]
        if status is not None:
            where.append(i.status == status)
        order = (i.created_ns, i.item_id) if oldest_first else (i.created_ns.desc(), i.item_id)
        query = sa.select(items).where(*where).order_by(*order).limit(limit).offset(offset)
        with self._catalog.read() as c:
            total = c.execute(sa.select(sa.func.count()).select_from(items).where(*where)).scalar_one()
            return [_item(row) for row in c.execute(query).mappings()], total

    def set_status(self, project_id: str, item: QueueItem, reviewer: str | None, needed: int, now: int) -> QueueItem:
        """Store a change of status.

        A person who completes an item is remembered; the item stays PENDING until ``needed`` people have. Without a
        person (``reviewer`` None) the status holds at once. PENDING forgets who had judged.
        """
        r, i = reviews.c, items.c
        with self._catalog.write() as c:
            of_item = sa.and_(r.project_id == project_id, r.item_id == item.item_id)
            if item.status == "PENDING":
                c.execute(reviews.delete().where(of_item))
            elif reviewer is not None:
                row = upsert(c, reviews).values(
                    project_id=project_id, item_id=item.item_id, reviewer=reviewer, reviewed_ns=now
                )
                c.execute(row.on_conflict_do_nothing())
                done = c.execute(sa.select(sa.func.count()).select_from(reviews).where(of_item)).scalar_one()
                if item.status == "COMPLETED" and done < needed:
                    item = msgspec.structs.replace(item, status="PENDING", completed_by=None, completed_ns=None)
            c.execute(
                items.update()
                .where(i.project_id == project_id, i.item_id == item.item_id)
                .values(
                    status=item.status, completed_by=item.completed_by, completed_ns=item.completed_ns, updated_ns=now
                )
            )  # fmt: skip
        return item

    def reviewed(self, project_id: str, item_ids: Sequence[str]) -> dict[str, list[str]]:
        """Who has judged each item, first one first."""
        r = reviews.c
        query = sa.select(r.item_id, r.reviewer).where(r.project_id == project_id, r.item_id.in_(item_ids))
        found: dict[str, list[str]] = {}
        with self._catalog.read() as c:
            for item_id, reviewer in c.execute(query.order_by(r.reviewed_ns, r.reviewer)):
                found.setdefault(item_id, []).append(reviewer)
        return found


def _put_reviewers(c: sa.Connection, project_id: str, queue: AnnotationQueue) -> None:
    c.execute(
        reviewers.delete().where(reviewers.c.project_id == project_id, reviewers.c.queue_id == queue.queue_id)
    )  # fmt: skip
    for position, reviewer in enumerate(queue.reviewers):
        c.execute(
            reviewers.insert().values(
                project_id=project_id, queue_id=queue.queue_id, reviewer=reviewer, position=position
            )
        )


def _columns(queue: AnnotationQueue) -> dict[str, Any]:
    values = msgspec.structs.asdict(queue)
    del values["reviewers"]
    return values | {
        "name_key": queue.name.lower(),
        "config_ids": msgspec.json.encode(queue.config_ids).decode(),
    }


def _queue(row: sa.RowMapping, people: list[str]) -> AnnotationQueue:
    values = {name: row[name] for name in AnnotationQueue.__struct_fields__ if name != "reviewers"}
    values["config_ids"] = msgspec.json.decode(row["config_ids"], type=list[str])
    return AnnotationQueue(**values, reviewers=people)


def _item(row: sa.RowMapping) -> QueueItem:
    return QueueItem(**{name: row[name] for name in QueueItem.__struct_fields__})
