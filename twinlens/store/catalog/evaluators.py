"""Tables and statements of evaluators, rules and evaluations. Rules live in ``features.evaluators``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.evaluator import Definition, Evaluation, Evaluator, Rule
from twinlens.domain.run import DEFAULT_EXPERIMENT_ID
from twinlens.store.catalog.engine import metadata, upsert

evaluators = sa.Table(
    "evaluators",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("evaluator_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("experiment_id", sa.Text),
    sa.Column("paused_ns", sa.BigInteger),
    sa.Column("paused_reason", sa.Text),
    sa.Column("paused_message", sa.Text),
    sa.Column("created_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "experiment_id", "name"),
)

evaluator_versions = sa.Table(
    "evaluator_versions",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("evaluator_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version_id", sa.Text, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),  # JSON
    sa.Column("version_created_by", sa.Text),
    sa.Column("version_created_ns", sa.BigInteger, nullable=False),
)

evaluation_rules = sa.Table(
    "evaluation_rules",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("rule_id", sa.Text, primary_key=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # JSON of domain.evaluator.Rule
    sa.Column("seen_ns", sa.BigInteger, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
)

evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("evaluation_id", sa.Text, primary_key=True),
    sa.Column("evaluator_id", sa.Text, nullable=False),
    sa.Column("rule_id", sa.Text, nullable=False),
    sa.Column("trace_id", sa.Text, nullable=False),
    sa.Column("span_id", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("due_ns", sa.BigInteger, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "status", "due_ns"),
    sa.Index(None, "project_id", "evaluator_id", "created_ns"),
)

_OF_VERSION = ("version", "version_id", "version_created_by", "version_created_ns", "definition")


def all_enabled(connection: sa.Connection) -> list[tuple[str, Rule]]:
    """Every enabled rule of the instance with its project: the worker serves all projects."""
    query = sa.select(evaluation_rules).where(evaluation_rules.c.enabled)
    return [(row["project_id"], _rule(row)) for row in connection.execute(query).mappings()]


def all_due(connection: sa.Connection, now: int, limit: int) -> list[tuple[str, Evaluation]]:
    """Pending evaluations of all projects that are due, oldest first."""
    e = evaluations.c
    query = sa.select(evaluations).where(e.status == "pending", e.due_ns <= now).order_by(e.due_ns, e.evaluation_id)
    return [(row["project_id"], _evaluation(row)) for row in connection.execute(query.limit(limit)).mappings()]


def next_due(connection: sa.Connection) -> int | None:
    """When the next pending evaluation is due."""
    e = evaluations.c
    return connection.execute(sa.select(sa.func.min(e.due_ns)).where(e.status == "pending")).scalar()


class EvaluatorTable:
    """Evaluators, rules and evaluations over one connection. Every method's scope is one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    # --- evaluators --------------------------------------------------------------------------------------------
    def put(self, row: Evaluator, *, new_version: bool) -> None:
        """Insert or overwrite an evaluator; its version too when that is new."""
        values: dict[str, Any] = {f: getattr(row, f) for f in row.__struct_fields__ if f not in _OF_VERSION}
        insert = upsert(self._c, evaluators).values(project_id=self._project, **values)
        self._c.execute(insert.on_conflict_do_update(index_elements=["project_id", "evaluator_id"], set_=values))
        if new_version:
            version: dict[str, Any] = {f: getattr(row, f) for f in _OF_VERSION}
            version["definition"] = msgspec.json.encode(row.definition).decode()
            self._c.execute(
                evaluator_versions.insert().values(project_id=self._project, evaluator_id=row.evaluator_id, **version)
            )

    def find(
        self, *, evaluator_id: str | None = None, name: str | None = None, experiment_ids: Sequence[str] | None = None,
        every_version: bool = False, version: int | None = None,
    ) -> list[Evaluator]:  # fmt: skip
        """Evaluators, newest first, each in its newest version (in all, newest first; or in one).

        Those that belong to no experiment are found in the default one.
        """
        e, v = evaluators.c, evaluator_versions.c
        query = (
            sa.select(evaluators, *(v[name] for name in _OF_VERSION))
            .join_from(
                evaluators, evaluator_versions,
                (e.project_id == v.project_id) & (e.evaluator_id == v.evaluator_id),
            )
            .where(e.project_id == self._project)
            .order_by(e.created_ns.desc(), e.evaluator_id, v.version.desc())
        )  # fmt: skip
        if evaluator_id is not None:
            query = query.where(e.evaluator_id == evaluator_id)
        if name is not None:
            query = query.where(e.name == name)
        if experiment_ids is not None:
            own = e.experiment_id.in_(experiment_ids)
            query = query.where(own | e.experiment_id.is_(None) if DEFAULT_EXPERIMENT_ID in experiment_ids else own)
        if version is not None:
            query = query.where(v.version == version)
        found: list[Evaluator] = []
        for row in self._c.execute(query).mappings():
            if every_version or not found or found[-1].evaluator_id != row["evaluator_id"]:
                values = dict(row)
                del values["project_id"]
                values["definition"] = msgspec.json.decode(values["definition"], type=Definition)
                found.append(Evaluator(**values))
        return found

    def delete(self, evaluator_id: str, version: int | None = None) -> None:
        """Remove an evaluator with all versions and evaluations, or one version."""
        v = evaluator_versions.c
        own = (v.project_id == self._project) & (v.evaluator_id == evaluator_id)
        if version is not None:
            self._c.execute(evaluator_versions.delete().where(own, v.version == version))
            return
        for table in (evaluator_versions, evaluations, evaluators):
            self._c.execute(
                table.delete().where(table.c.project_id == self._project, table.c.evaluator_id == evaluator_id)
            )

    # --- rules -------------------------------------------------------------------------------------------------
    def put_rule(self, row: Rule) -> None:
        """Insert or overwrite."""
        values = {
            "enabled": row.enabled, "body": msgspec.json.encode(row).decode(), "seen_ns": row.seen_ns,
            "created_ns": row.created_ns,
        }  # fmt: skip
        insert = upsert(self._c, evaluation_rules).values(project_id=self._project, rule_id=row.rule_id, **values)
        self._c.execute(insert.on_conflict_do_update(index_elements=["project_id", "rule_id"], set_=values))

    def rules(self, rule_id: str | None = None) -> list[Rule]:
        """Rules, newest first."""
        r = evaluation_rules.c
        query = sa.select(evaluation_rules).where(r.project_id == self._project)
        if rule_id is not None:
            query = query.where(r.rule_id == rule_id)
        return [_rule(row) for row in self._c.execute(query.order_by(r.created_ns.desc(), r.rule_id)).mappings()]

    def set_seen(self, rule_id: str, seen_ns: int) -> None:
        """Move a rule's mark."""
        r = evaluation_rules.c
        own = (r.project_id == self._project) & (r.rule_id == rule_id)
        self._c.execute(evaluation_rules.update().where(own).values(seen_ns=seen_ns))

    def delete_rule(self, rule_id: str) -> int:
        """Remove a rule with what waits for it; 1 if there was one."""
        e, r = evaluations.c, evaluation_rules.c
        self._c.execute(
            evaluations.delete().where(e.project_id == self._project, e.rule_id == rule_id, e.status == "pending")
        )
        return self._c.execute(
            evaluation_rules.delete().where(r.project_id == self._project, r.rule_id == rule_id)
        ).rowcount

    # --- evaluations -------------------------------------------------------------------------------------------
    def schedule(self, rows: Sequence[Evaluation]) -> None:
        """Insert those that are new."""
        if rows:
            insert = upsert(self._c, evaluations).on_conflict_do_nothing()
            self._c.execute(insert, [{"project_id": self._project, **msgspec.structs.asdict(row)} for row in rows])

    def put_evaluation(self, row: Evaluation) -> None:
        """Overwrite one."""
        e = evaluations.c
        own = (e.project_id == self._project) & (e.evaluation_id == row.evaluation_id)
        self._c.execute(evaluations.update().where(own).values(**msgspec.structs.asdict(row)))

    def evaluations(
        self, evaluator_id: str, *, status: str | None = None, limit: int = 100
    ) -> list[Evaluation]:  # fmt: skip
        """Evaluations of an evaluator, newest first."""
        e = evaluations.c
        query = sa.select(evaluations).where(e.project_id == self._project, e.evaluator_id == evaluator_id)
        if status is not None:
            query = query.where(e.status == status)
        rows = self._c.execute(query.order_by(e.created_ns.desc(), e.evaluation_id).limit(limit)).mappings()
        return [_evaluation(row) for row in rows]

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of evaluations by evaluator and status."""
        e = evaluations.c
        query = sa.select(e.evaluator_id, e.status, sa.func.count()).where(e.project_id == self._project)
        found: dict[str, dict[str, int]] = {}
        for evaluator_id, status, number in self._c.execute(query.group_by(e.evaluator_id, e.status)):
            found.setdefault(evaluator_id, {})[status] = number
        return found

    def wake(self, evaluator_id: str, now: int) -> None:
        """Make failed evaluations of an evaluator pending again."""
        e = evaluations.c
        own = (e.project_id == self._project) & (e.evaluator_id == evaluator_id) & (e.status == "failed")
        self._c.execute(evaluations.update().where(own).values(status="pending", attempts=0, due_ns=now))


def _rule(row: sa.RowMapping) -> Rule:
    found = msgspec.json.decode(row["body"], type=Rule)
    found.seen_ns = row["seen_ns"]
    return found


def _evaluation(row: sa.RowMapping) -> Evaluation:
    values = dict(row)
    del values["project_id"]
    return Evaluation(**values)
