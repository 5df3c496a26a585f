"""Tables and statements of logged models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.logged_model import DatasetScope, LoggedModel, LoggedModelPage, ModelMetric, ModelOrder
from twinlens.domain.score import MetricPoint
from twinlens.store.catalog.comparison import compare, comparisons, compile_expr, told
from twinlens.store.catalog.engine import metadata, upsert
from twinlens.store.catalog.keyset import Sort, behind, decode_cursor, encode_cursor, order_by
from twinlens.store.telemetry.query import And, Cmp, Expr

_MAX = 1.7976931348623157e308  #: stands for infinity, which JSON and cursors cannot carry

logged_models = sa.Table(
    "logged_models",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("model_id", sa.Text, primary_key=True),
    sa.Column("experiment_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("model_type", sa.Text),
    sa.Column("source_run_id", sa.Text),
    sa.Column("artifact_uri", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_message", sa.Text),
    sa.Column("lifecycle", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "experiment_id", "created_ms"),
    sa.Index(None, "project_id", "source_run_id"),
)


def _of_model() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["project_id", "model_id"], ["logged_models.project_id", "logged_models.model_id"], ondelete="CASCADE"
    )


logged_model_params = sa.Table(
    "logged_model_params",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("model_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    _of_model(),
)

logged_model_tags = sa.Table(
    "logged_model_tags",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("model_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    _of_model(),
)

#: Latest point per metric, run and data set. ``run_id`` and the dataset columns are empty texts when absent, because they
#: are part of the key. Metrics may arrive before (or without) their model, so there is no foreign key.
logged_model_metrics = sa.Table(
    "logged_model_metrics",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("model_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("dataset_name", sa.Text, primary_key=True),
    sa.Column("dataset_digest", sa.Text, primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("is_nan", sa.Boolean, nullable=False),
    sa.Column("timestamp_ms", sa.BigInteger, nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
)

#: Attribute fields of a search.
FIELDS = frozenset({
    "model_id", "experiment_id", "name", "model_type", "source_run_id", "status", "artifact_uri", "created_ms",
    "updated_ms", "status_message", "lifecycle",
})  # fmt: skip


def put_model_metrics(connection: sa.Connection, project_id: str, points: Iterable[MetricPoint]) -> None:
    """Attach points that name a logged model to it: keep the latest of each metric, run and data set.

    Called inside the transaction that acknowledges the points.
    """
    newest: dict[tuple[str, ...], MetricPoint] = {}
    for point in points:
        if point.model_id:
            place = (
                point.model_id,
                point.key,
                point.run_id or "",
                point.dataset_name or "",
                point.dataset_digest or "",
            )
            known = newest.get(place)
            if known is None or (point.step, point.timestamp_ms) >= (known.step, known.timestamp_ms):
                newest[place] = point
    if not newest:
        return
    t = logged_model_metrics
    insert = upsert(connection, t)
    new = insert.excluded
    later = sa.or_(new.step > t.c.step, sa.and_(new.step == t.c.step, new.timestamp_ms >= t.c.timestamp_ms))
    keys = ["project_id", "model_id", "key", "run_id", "dataset_name", "dataset_digest"]
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=keys,
            set_={name: new[name] for name in ("value", "is_nan", "timestamp_ms", "step")},
            where=later,
        ),
        [
            {
                "project_id": project_id, **dict(zip(keys[1:], place, strict=True)),
                "value": 0.0 if math.isnan(point.value) else max(-_MAX, min(_MAX, point.value)),
                "is_nan": math.isnan(point.value), "timestamp_ms": point.timestamp_ms, "step": point.step,
            }
            for place, point in newest.items()
        ],
    )  # fmt: skip


class LoggedModelTable:
    """Statements over one connection, within one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    def _mine(self, table: sa.Table, model_id: str | None = None) -> sa.ColumnElement[bool]:
        own = table.c.project_id == self._project
        return own if model_id is None else own & (table.c.model_id == model_id)

    def add(self, model: LoggedModel) -> None:
        """Insert a model with params and tags."""
        self._c.execute(
            logged_models.insert().values(
                project_id=self._project, model_id=model.model_id, experiment_id=model.experiment_id, name=model.name,
                model_type=model.model_type, source_run_id=model.source_run_id, artifact_uri=model.artifact_uri,
                status=model.status, status_message=model.status_message, lifecycle=model.lifecycle,
                created_ms=model.created_ms, updated_ms=model.updated_ms,
            )
        )  # fmt: skip
        self.put_params(model.model_id, model.params)
        self.put_tags(model.model_id, model.tags)

    def get(self, model_id: str, *, deleted: bool = False) -> LoggedModel | None:
        """One whole model; deleted ones only when asked for."""
        query = sa.select(logged_models).where(self._mine(logged_models, model_id))
        if not deleted:
            query = query.where(logged_models.c.lifecycle == "active")
        found = self._whole(self._c.execute(query).mappings().all())
        return found[0] if found else None

    def set(self, model_id: str, /, **values: Any) -> bool:
        """Change columns; False when there is no such active model."""
        t = logged_models
        update = t.update().where(self._mine(t, model_id), t.c.lifecycle == "active").values(**values)
        return self._c.execute(update).rowcount > 0

    def put_tags(self, model_id: str, tags: dict[str, str]) -> None:
        """Set tags."""
        self._put(logged_model_tags, model_id, tags)

    def drop_tag(self, model_id: str, key: str) -> bool:
        """Remove a tag; False when it was not there."""
        t = logged_model_tags
        return self._c.execute(t.delete().where(self._mine(t, model_id), t.c.key == key)).rowcount > 0

    def put_params(self, model_id: str, params: dict[str, str]) -> None:
        """Add params; a param that is there already must have the same value.

        Raises:
            InvalidArgument: a param would change.
        """
        if not params:
            return
        t = logged_model_params
        query = sa.select(t.c.key, t.c.value).where(self._mine(t, model_id), t.c.key.in_(list(params)))
        for key, value in self._c.execute(query):
            if params[key] != value:
                raise InvalidArgument(
                    f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                    f"value='{value}' for model ID='{model_id}'. Attempted logging new value '{params[key]}'."
                )
        self._put(t, model_id, params)

    def _put(self, table: sa.Table, model_id: str, values: dict[str, str]) -> None:
        if not values:
            return
        insert = upsert(self._c, table)
        self._c.execute(
            insert.on_conflict_do_update(
                index_elements=["project_id", "model_id", "key"], set_={"value": insert.excluded.value}
            ),
            [{"project_id": self._project, "model_id": model_id, "key": k, "value": v} for k, v in values.items()],
        )

    def search(
        self, experiment_ids: Sequence[str], where: Expr = And(), datasets: Sequence[DatasetScope] = (),
        orders: Sequence[ModelOrder] = (), limit: int = 100, cursor: str | None = None,
    ) -> LoggedModelPage:  # fmt: skip
        """A page of active models. ``where`` compares ``FIELDS``, or ``param``, ``tag``, ``metric`` with a key.

        Metric conditions hold on some data set of ``datasets``; without a metric condition, ``datasets`` asks for
        models that have any metric there. Ties go newest first, then by id.
        """
        t = logged_models
        query = sa.select(t).where(self._mine(t), t.c.lifecycle == "active", t.c.experiment_id.in_(experiment_ids))
        query = query.where(compile_expr(where, lambda condition: self._holds(condition, datasets)))
        if datasets and not any(condition.field == "metric" for condition in comparisons(where)):
            query = query.where(self._metric(sa.true(), datasets))
        sorts: list[Sort] = []
        for index, order in enumerate(orders):
            query, expressions = self._sort(query, index, order)
            sorts += expressions
        sorts += [(t.c.created_ms, True), (t.c.model_id, False)]
        signature = [list(experiment_ids), where, list(datasets), list(orders)]
        if cursor:
            query = query.where(behind(sorts, decode_cursor(cursor, signature, len(sorts))))
        columns = [expression.label(f"_sort{i}") for i, (expression, _) in enumerate(sorts)]
        rows = self._c.execute(
            query.add_columns(*columns).order_by(*order_by(sorts)).limit(limit + 1)
        ).mappings().all()  # fmt: skip
        after = None
        if len(rows) > limit:
            last = rows[limit - 1]
            after = encode_cursor([last[f"_sort{i}"] for i in range(len(sorts))], signature)
        return LoggedModelPage(models=self._whole(rows[:limit]), next_cursor=after)

    def _holds(self, condition: Cmp, datasets: Sequence[DatasetScope]) -> sa.ColumnElement[bool]:
        if condition.field in FIELDS:
            return compare(told(logged_models.c[condition.field], condition), condition)
        if condition.field == "metric":
            t = logged_model_metrics
            value = compare(t.c.value, condition)
            nan = t.c.is_nan if condition.op == "!=" else sa.false()
            return self._metric(sa.and_(t.c.key == condition.key, sa.or_(nan, ~t.c.is_nan & value)), datasets)
        table = {"param": logged_model_params, "tag": logged_model_tags}[condition.field]
        return sa.exists().where(
            self._mine(table), table.c.model_id == logged_models.c.model_id, table.c.key == condition.key,
            compare(table.c.value, condition),
        )  # fmt: skip

    def _metric(self, holds: sa.ColumnElement[bool], datasets: Sequence[DatasetScope]) -> sa.ColumnElement[bool]:
        t = logged_model_metrics
        scoped = [
            (t.c.dataset_name == d.name) & (sa.true() if d.digest is None else t.c.dataset_digest == d.digest)
            for d in datasets
        ]
        where = [self._mine(t), t.c.model_id == logged_models.c.model_id, holds]
        if scoped:
            where.append(sa.or_(*scoped))
        return sa.exists().where(*where)

    def _sort(self, query: sa.Select[Any], index: int, order: ModelOrder) -> tuple[sa.Select[Any], list[Sort]]:
        """Sort expressions of one order: missing values last, NaN before them, in both directions."""
        t, down = logged_models, not order.ascending
        if order.field in FIELDS:
            column = t.c[order.field]
            empty: Any = 0 if isinstance(column.type, sa.BigInteger) else ""
            return query, [(sa.case((column.is_(None), 1), else_=0), False), (sa.func.coalesce(column, empty), down)]
        kind, _, key = order.field.partition(".")
        if kind == "params":
            p = logged_model_params.alias(f"p{index}")
            query = query.outerjoin(
                p, (p.c.project_id == self._project) & (p.c.model_id == t.c.model_id) & (p.c.key == key)
            )
            return query, [(sa.case((p.c.value.is_(None), 1), else_=0), False), (sa.func.coalesce(p.c.value, ""), down)]
        m = logged_model_metrics
        where = [self._mine(m), m.c.key == key]
        if order.dataset_name:
            where.append(m.c.dataset_name == order.dataset_name)
        if order.dataset_digest:
            where.append(m.c.dataset_digest == order.dataset_digest)
        place = sa.func.row_number().over(
            partition_by=m.c.model_id, order_by=[m.c.timestamp_ms.desc(), m.c.step.desc(), m.c.run_id]
        )
        ranked = sa.select(m.c.model_id, m.c.value, m.c.is_nan, place.label("place")).where(*where).subquery()
        latest = sa.select(ranked).where(ranked.c.place == 1).subquery(f"m{index}")
        query = query.outerjoin(latest, latest.c.model_id == t.c.model_id)
        rank = sa.case((latest.c.value.is_(None), 2), (latest.c.is_nan, 1), else_=0)
        return query, [(rank, False), (sa.func.coalesce(latest.c.value, 0.0), down)]

    def _whole(self, rows: Sequence[Any]) -> list[LoggedModel]:
        """Rows of the main table as models with params, tags and metrics: three more statements whatever the number."""
        found: dict[str, LoggedModel] = {}
        for row in rows:
            found[row["model_id"]] = LoggedModel(
                model_id=row["model_id"], experiment_id=row["experiment_id"], name=row["name"],
                model_type=row["model_type"], source_run_id=row["source_run_id"], artifact_uri=row["artifact_uri"],
                status=row["status"], status_message=row["status_message"], lifecycle=row["lifecycle"],
                created_ms=row["created_ms"], updated_ms=row["updated_ms"], params={}, tags={}, metrics=[],
            )  # fmt: skip
        if not found:
            return []
        for table, field in ((logged_model_params, "params"), (logged_model_tags, "tags")):
            query = sa.select(table.c.model_id, table.c.key, table.c.value).where(
                self._mine(table), table.c.model_id.in_(found)
            )
            for model_id, key, value in self._c.execute(query.order_by(table.c.model_id, table.c.key)):
                getattr(found[model_id], field)[key] = value
        m = logged_model_metrics
        query = sa.select(m).where(self._mine(m), m.c.model_id.in_(found))
        for row in self._c.execute(query.order_by(m.c.key, m.c.timestamp_ms, m.c.step, m.c.run_id)).mappings():
            found[row["model_id"]].metrics.append(
                ModelMetric(
                    key=row["key"], value=math.nan if row["is_nan"] else row["value"],
                    timestamp_ms=row["timestamp_ms"], step=row["step"], run_id=row["run_id"] or None,
                    dataset_name=row["dataset_name"] or None, dataset_digest=row["dataset_digest"] or None,
                )
            )  # fmt: skip
        return list(found.values())
