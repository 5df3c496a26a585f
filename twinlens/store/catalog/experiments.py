"""Tables and statements of experiments. Rules live in ``features.experiments``.

Every project has experiment 0; all other ids are drawn from one counter, so an id names one experiment in the whole
instance and is never used again. ``run_count`` and ``last_run_ms`` are kept up to date by ``RunTable``, so that lists do not
count runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.run import DEFAULT_EXPERIMENT_NAME, Experiment, ExperimentPage, View
from twinlens.store.catalog.comparison import compare
from twinlens.store.catalog.engine import metadata, upsert
from twinlens.store.catalog.keyset import Sort, behind, decode_cursor, encode_cursor, order_by
from twinlens.store.telemetry.query import And, Cmp, Expr, Not, Or, Order

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("experiment_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("artifact_location", sa.Text, nullable=False),
    sa.Column("lifecycle", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("run_count", sa.Integer, nullable=False),  # active runs
    sa.Column("last_run_ms", sa.BigInteger),  # newest start of an active run
    sa.Index(None, "project_id", "name", unique=True),  # deleted ones keep their name
    sa.Index(None, "project_id", "lifecycle", "created_ms", "experiment_id"),
)

experiment_tags = sa.Table(
    "experiment_tags",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("experiment_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(
        ["project_id", "experiment_id"], ["experiments.project_id", "experiments.experiment_id"], ondelete="CASCADE"
    ),
)

_COLUMNS = {
    "experiment_id": experiments.c.experiment_id,
    "name": experiments.c.name,
    "created_ms": experiments.c.created_ms,
    "updated_ms": experiments.c.updated_ms,
}


# Built once: building them costs more than running them.
_GET = sa.select(experiments).where(
    experiments.c.project_id == sa.bindparam("project"), experiments.c.experiment_id == sa.bindparam("number")
)
_TAGS = (
    sa.select(experiment_tags.c.experiment_id, experiment_tags.c.key, experiment_tags.c.value)
    .where(
        experiment_tags.c.project_id == sa.bindparam("project"),
        experiment_tags.c.experiment_id.in_(sa.bindparam("numbers", expanding=True)),
    )
    .order_by(experiment_tags.c.experiment_id, experiment_tags.c.key)
)


def next_number(connection: sa.Connection, counter: str) -> int:
    """The next number of a counter, from 1; never given out twice, also not after deletions."""
    insert = upsert(connection, counters).values(name=counter, value=1)
    drawn = insert.on_conflict_do_update(
        index_elements=["name"], set_={"value": counters.c.value + 1}
    ).returning(counters.c.value)  # fmt: skip
    return int(connection.execute(drawn).scalar_one())


class ExperimentTable:
    """Statements over one connection, within one project. Ids are numbers here."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    def _mine(self, table: sa.Table, experiment_id: int | None = None) -> sa.ColumnElement[bool]:
        own = table.c.project_id == self._project
        return own if experiment_id is None else own & (table.c.experiment_id == experiment_id)

    def add_default(self, artifact_location: str, now_ms: int) -> None:
        """Create experiment 0 unless it is there."""
        insert = upsert(self._c, experiments).values(
            project_id=self._project, experiment_id=0, name=DEFAULT_EXPERIMENT_NAME, lifecycle="active",
            artifact_location=artifact_location, created_ms=now_ms, updated_ms=now_ms, run_count=0,
        )  # fmt: skip
        self._c.execute(insert.on_conflict_do_nothing())

    def add(self, experiment: Experiment) -> bool:
        """Insert an experiment with its tags; False (and nothing is stored) when the name is taken."""
        insert = upsert(self._c, experiments).values(
            project_id=self._project, experiment_id=int(experiment.experiment_id), name=experiment.name,
            artifact_location=experiment.artifact_location, lifecycle=experiment.lifecycle,
            created_ms=experiment.created_ms, updated_ms=experiment.updated_ms, run_count=0,
        )  # fmt: skip
        stored = insert.on_conflict_do_nothing().returning(experiments.c.experiment_id)
        if self._c.execute(stored).first() is None:
            return False
        self.put_tags(int(experiment.experiment_id), experiment.tags)
        return True

    def get(self, experiment_id: int) -> Experiment | None:
        """One experiment, deleted or not."""
        row = self._c.execute(_GET, {"project": self._project, "number": experiment_id}).all()
        return self._whole(row)[0] if row else None

    def named(self, name: str) -> Experiment | None:
        """One experiment by name, deleted or not."""
        query = sa.select(experiments).where(self._mine(experiments), experiments.c.name == name)
        found = self._whole(self._c.execute(query).all())
        return found[0] if found else None

    def lifecycle(self, experiment_id: int) -> str | None:
        """``active`` or ``deleted``; None when there is no such experiment."""
        query = sa.select(experiments.c.lifecycle).where(self._mine(experiments, experiment_id))
        return self._c.execute(query).scalar()

    def set(self, experiment_id: int, **values: Any) -> None:
        """Change columns."""
        self._c.execute(experiments.update().where(self._mine(experiments, experiment_id)).values(**values))

    def put_tags(self, experiment_id: int, tags: dict[str, str]) -> None:
        """Set tags."""
        if not tags:
            return
        insert = upsert(self._c, experiment_tags)
        self._c.execute(
            insert.on_conflict_do_update(
                index_elements=["project_id", "experiment_id", "key"], set_={"value": insert.excluded.value}
            ),
            [
                {"project_id": self._project, "experiment_id": experiment_id, "key": key, "value": value}
                for key, value in tags.items()
            ],
        )

    def drop_tag(self, experiment_id: int, key: str) -> bool:
        """Remove a tag; False when it was not there."""
        t = experiment_tags
        return self._c.execute(t.delete().where(self._mine(t, experiment_id), t.c.key == key)).rowcount > 0

    def search(
        self, where: Expr, orders: Sequence[Order], view: View, limit: int, cursor: str | None
    ) -> ExperimentPage:  # fmt: skip
        """A page of experiments. Default order: newest first, then by id."""
        t = experiments
        query = sa.select(t).where(self._mine(t), self._holds(where))
        if view != "all":
            query = query.where(t.c.lifecycle == view)
        sorts: list[Sort] = [(_COLUMNS[order.field], order.descending) for order in orders]
        if not sorts:
            sorts = [(t.c.created_ms, True), (t.c.experiment_id, False)]
        elif all(order.field != "experiment_id" for order in orders):
            sorts.append((t.c.experiment_id, True))
        signature = [self._project, repr(where), repr(list(orders)), view]
        if cursor:
            query = query.where(behind(sorts, decode_cursor(cursor, signature, len(sorts))))
        rows = self._c.execute(query.order_by(*order_by(sorts)).limit(limit + 1)).all()
        after = None
        if len(rows) > limit:
            last = rows[limit - 1]
            after = encode_cursor([getattr(last, expression.key or "") for expression, _ in sorts], signature)
        return ExperimentPage(experiments=self._whole(rows[:limit]), next_cursor=after)

    def _holds(self, where: Expr) -> sa.ColumnElement[bool]:
        match where:
            case And(items):
                return sa.and_(sa.true(), *(self._holds(item) for item in items))
            case Or(items):
                return sa.or_(sa.false(), *(self._holds(item) for item in items))
            case Not(item):
                return sa.not_(self._holds(item))
            case Cmp("tag"):
                t = experiment_tags
                present = [self._mine(t), t.c.experiment_id == experiments.c.experiment_id, t.c.key == where.key]
                if where.op == "is null":
                    return ~sa.exists().where(*present)
                return sa.exists().where(*present, compare(t.c.value, where))
            case Cmp("experiment_id"):
                values = where.value if isinstance(where.value, list) else [where.value]
                numbers = [int(value) for value in values if str(value).isdigit() and len(str(value)) < 19]
                found = experiments.c.experiment_id.in_(numbers)
                return sa.not_(found) if where.op in ("!=", "not in") else found
            case Cmp() if where.field in _COLUMNS:
                return compare(_COLUMNS[where.field], where)
            case _:
                raise InvalidArgument(f"experiments cannot be filtered by {where!r}")

    def _whole(self, rows: Sequence[Any]) -> list[Experiment]:
        """Rows as experiments with their tags."""
        found = {
            row.experiment_id: Experiment(
                experiment_id=str(row.experiment_id), name=row.name, artifact_location=row.artifact_location,
                lifecycle=row.lifecycle, created_ms=row.created_ms, updated_ms=row.updated_ms, tags={},
                run_count=row.run_count, last_run_ms=row.last_run_ms,
            )
            for row in rows
        }  # fmt: skip
        for part in chunks(list(found)):
            for experiment_id, key, value in self._c.execute(_TAGS, {"project": self._project, "numbers": part}):
                found[experiment_id].tags[key] = value
        return list(found.values())


def chunks(values: Sequence[Any], size: int = 10_000) -> Iterable[Sequence[Any]]:
    """``values`` in pieces that fit the engines' limit of bound values per statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
