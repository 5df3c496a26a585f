"""Tables and statements of runs. Rules live in ``features.runs``, searching in ``run_search``, metrics in ``metrics``.

A run has a small number ``run_no`` besides its id; params, tags and metrics hang on it. The number is only reached through
(project, run id), so the tables below it stay inside the project. They repeat ``project_id`` and ``experiment_id``, which
never change, so that one index answers "runs of this experiment by this key and value".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import Insert
from sqlalchemy.sql.dml import ReturningInsert

from twinlens.domain.run import Dataset, DatasetInput, DatasetSummary, ModelOutput, Run
from twinlens.store.catalog.engine import insert_for, metadata, upsert
from twinlens.store.catalog.experiments import chunks, experiments

#: Whole numbers that SQLite may count up by itself.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Characters of a text value that its index holds (PostgreSQL limits the size of an index entry).
HEAD = 64

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_no", Serial, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("experiment_id", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("lifecycle", sa.Text, nullable=False),
    sa.Column("start_ms", sa.BigInteger, nullable=False),
    sa.Column("end_ms", sa.BigInteger),
    sa.Column("deleted_ms", sa.BigInteger),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("artifact_uri", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["project_id", "experiment_id"], ["experiments.project_id", "experiments.experiment_id"]),
    sa.Index(None, "project_id", "run_id", unique=True),
    sqlite_autoincrement=True,  # a number is never used again, so nothing can hang on the wrong run
)
sa.Index(
    "ix_runs_newest", runs.c.project_id, runs.c.experiment_id, runs.c.lifecycle, runs.c.start_ms.desc(), runs.c.run_id
)


def _of_run() -> list[Any]:
    return [
        sa.Column("run_no", sa.BigInteger, sa.ForeignKey("runs.run_no", ondelete="CASCADE"), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("experiment_id", sa.BigInteger, nullable=False),
    ]


def _texts(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        *_of_run(),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("head", sa.Text, nullable=False),  # the value's first HEAD characters
        sa.Index(None, "project_id", "experiment_id", "key", "head", "run_no"),
        sqlite_with_rowid=False,
    )


run_params = _texts("run_params")
run_tags = _texts("run_tags")

#: The greatest (step, timestamp, value) of each metric. NaN is NULL: SQLite knows no NaN.
latest_metrics = sa.Table(
    "latest_metrics",
    metadata,
    *_of_run(),
    sa.Column("value", sa.Double),
    sa.Column("timestamp_ms", sa.BigInteger, nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "experiment_id", "key", "value", "run_no"),
    sqlite_with_rowid=False,
)

run_datasets = sa.Table(
    "run_datasets",
    metadata,
    sa.Column("dataset_no", Serial, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("experiment_id", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("source_type", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("schema", sa.Text),
    sa.Column("profile", sa.Text),
    sa.Index(None, "project_id", "experiment_id", "name", "digest", unique=True),
)

run_inputs = sa.Table(
    "run_inputs",
    metadata,
    sa.Column("run_no", sa.BigInteger, sa.ForeignKey("runs.run_no", ondelete="CASCADE"), primary_key=True),
    sa.Column("dataset_no", sa.BigInteger, sa.ForeignKey("run_datasets.dataset_no"), primary_key=True),
    sa.Column("context", sa.Text),  # value of tag mlflow.data.context
    sa.Column("tags", sa.Text, nullable=False),  # JSON object of text
    sa.Index(None, "dataset_no"),
)

run_models = sa.Table(
    "run_models",
    metadata,
    sa.Column("run_no", sa.BigInteger, sa.ForeignKey("runs.run_no", ondelete="CASCADE"), primary_key=True),
    sa.Column("direction", sa.Text, primary_key=True),  # input | output
    sa.Column("model_id", sa.Text, primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
)

CONTEXT_TAG = "mlflow.data.context"


class RunKey(NamedTuple):
    """Where a run is."""

    run_no: int
    experiment_id: int
    lifecycle: str


class RunTable:
    """Statements over one connection, within one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    def find(self, run_id: str) -> RunKey | None:
        """Where a run is; None when there is no such run in the project."""
        row = self._c.execute(_FIND, {"project_id": self._project, "run_id": run_id}).first()
        return RunKey(*row) if row else None

    def head(self, run_id: str) -> Run | None:
        """A run without params, tags, metrics, inputs and outputs."""
        query = sa.select(*(runs.c[name] for name in RUN_COLUMNS)).where(
            runs.c.project_id == self._project, runs.c.run_id == run_id
        )  # fmt: skip
        row = self._c.execute(query).first()
        return run_of(row) if row else None

    def add(self, run: Run) -> RunKey:
        """Insert a run with its tags."""
        experiment_id = int(run.experiment_id)
        run_no = self._c.execute(
            _add_run(), {
                "project_id": self._project, "run_id": run.run_id, "experiment_id": experiment_id, "name": run.name,
                "status": run.status, "lifecycle": run.lifecycle, "start_ms": run.start_ms or 0, "end_ms": run.end_ms,
                "user_id": run.user_id, "artifact_uri": run.artifact_uri,
            },
        ).scalar_one()  # fmt: skip
        key = RunKey(run_no, experiment_id, run.lifecycle)
        self.put_texts(run_tags, key, run.tags)
        counted = {"project": self._project, "number": experiment_id, "start": run.start_ms or 0}
        self._c.execute(_count_run(), counted)
        return key

    def set(self, key: RunKey, **values: Any) -> None:
        """Change columns."""
        self._c.execute(runs.update().where(runs.c.run_no == key.run_no).values(**values))

    def set_lifecycle(self, keys: Sequence[RunKey], lifecycle: str, deleted_ms: int | None) -> None:
        """Delete or restore runs, and count their experiments anew."""
        for part in chunks([key.run_no for key in keys]):
            self._c.execute(
                runs.update().where(runs.c.run_no.in_(part)).values(lifecycle=lifecycle, deleted_ms=deleted_ms)
            )
        for experiment_id in {key.experiment_id for key in keys}:
            self.recount(experiment_id)

    def set_lifecycle_of_all(self, experiment_id: int, lifecycle: str, deleted_ms: int | None) -> list[str]:
        """Delete or restore every run of an experiment; ids of those that change."""
        mine = sa.and_(
            runs.c.project_id == self._project, runs.c.experiment_id == experiment_id, runs.c.lifecycle != lifecycle
        )
        changed = runs.update().where(mine).values(lifecycle=lifecycle, deleted_ms=deleted_ms).returning(runs.c.run_id)
        found = [str(row[0]) for row in self._c.execute(changed)]
        self.recount(experiment_id)
        return found

    def recount(self, experiment_id: int) -> None:
        """Set an experiment's run count and newest start from its runs."""
        t = experiments
        active = sa.and_(
            runs.c.project_id == self._project, runs.c.experiment_id == experiment_id, runs.c.lifecycle == "active"
        )
        self._c.execute(
            t.update().where(t.c.project_id == self._project, t.c.experiment_id == experiment_id).values(
                run_count=sa.select(sa.func.count()).select_from(runs).where(active).scalar_subquery(),
                last_run_ms=sa.select(sa.func.max(runs.c.start_ms)).where(active).scalar_subquery(),
            )
        )  # fmt: skip

    def put_texts(self, table: sa.Table, key: RunKey, values: dict[str, str]) -> None:
        """Set tags (or params, which the caller has checked)."""
        if values:
            self._c.execute(_set_texts(self._c.dialect.name, table.name), self._rows(key, values))

    def put_params(self, key: RunKey, params: dict[str, str]) -> dict[str, str]:
        """Add params. Returns the stored values of those that are there with another value; nothing replaces them."""
        if not params:
            return {}
        self._c.execute(_add_params(self._c.dialect.name), self._rows(key, params))
        return {
            name: value for name, value in self.texts(run_params, key, list(params)).items() if value != params[name]
        }

    def _rows(self, key: RunKey, values: dict[str, str]) -> list[dict[str, Any]]:
        """Rows in key order: writers of one run then take PostgreSQL's locks in one order and cannot deadlock."""
        return [
            {
                "run_no": key.run_no, "key": name, "project_id": self._project, "experiment_id": key.experiment_id,
                "value": value, "head": value[:HEAD],
            }
            for name, value in sorted(values.items())
        ]  # fmt: skip

    def texts(self, table: sa.Table, key: RunKey, names: Sequence[str]) -> dict[str, str]:
        """Values of some tags or params of one run."""
        query = sa.select(table.c.key, table.c.value).where(table.c.run_no == key.run_no, table.c.key.in_(names))
        return {row[0]: row[1] for row in self._c.execute(query)}

    def drop_tag(self, key: RunKey, name: str) -> bool:
        """Remove a tag; False when it was not there."""
        t = run_tags
        return self._c.execute(t.delete().where(t.c.run_no == key.run_no, t.c.key == name)).rowcount > 0

    def put_inputs(self, key: RunKey, inputs: Iterable[DatasetInput]) -> None:
        """Record data sets a run has read; the same (name, digest) of an experiment is stored once, and once per run."""
        t = run_datasets
        for item in inputs:
            data = item.dataset
            at = [t.c.project_id == self._project, t.c.experiment_id == key.experiment_id]
            at += [t.c.name == data.name, t.c.digest == data.digest]
            self._c.execute(
                upsert(self._c, t).on_conflict_do_nothing(), {
                    "project_id": self._project, "experiment_id": key.experiment_id, "name": data.name,
                    "digest": data.digest, "source_type": data.source_type, "source": data.source,
                    "schema": data.schema, "profile": data.profile,
                },
            )  # fmt: skip
            dataset_no = self._c.execute(sa.select(t.c.dataset_no).where(*at)).scalar_one()
            self._c.execute(
                upsert(self._c, run_inputs).on_conflict_do_nothing(), {
                    "run_no": key.run_no, "dataset_no": dataset_no, "context": item.tags.get(CONTEXT_TAG),
                    "tags": msgspec.json.encode(item.tags).decode(),
                },
            )  # fmt: skip

    def put_models(self, key: RunKey, direction: str, models: Iterable[ModelOutput]) -> None:
        """Link logged models as ``input`` or ``output``; the same link again changes nothing."""
        rows = [
            {"run_no": key.run_no, "direction": direction, "model_id": model.model_id, "step": model.step}
            for model in models
        ]
        if rows:
            self._c.execute(upsert(self._c, run_models).on_conflict_do_nothing(), rows)

    def dataset_summaries(self, experiment_ids: Sequence[int], limit: int) -> list[DatasetSummary]:
        """Data sets that runs of these experiments have read, once per context."""
        d, i = run_datasets, run_inputs
        query = (
            sa.select(d.c.experiment_id, d.c.name, d.c.digest, i.c.context).distinct()
            .join(i, i.c.dataset_no == d.c.dataset_no)
            .where(d.c.project_id == self._project, d.c.experiment_id.in_(experiment_ids))
            .order_by(d.c.experiment_id, d.c.name, d.c.digest, i.c.context).limit(limit)
        )  # fmt: skip
        return [
            DatasetSummary(experiment_id=str(experiment_id), name=name, digest=digest, context=context)
            for experiment_id, name, digest, context in self._c.execute(query)
        ]

    def purge(self, keys: Sequence[RunKey]) -> None:
        """Remove runs for good, with all that hangs on them in the catalog."""
        for part in chunks([key.run_no for key in keys]):
            self._c.execute(runs.delete().where(runs.c.run_no.in_(part)))
        for experiment_id in {key.experiment_id for key in keys}:
            self.recount(experiment_id)


# Statements of hot paths are built once: building them costs more than running them.
@cache
def _set_texts(dialect: str, table: str) -> Insert:
    insert = insert_for(dialect, metadata.tables[table])
    new = insert.excluded
    return insert.on_conflict_do_update(index_elements=["run_no", "key"], set_={"value": new.value, "head": new.head})


@cache
def _add_params(dialect: str) -> Insert:
    return insert_for(dialect, run_params).on_conflict_do_nothing()


@cache
def _add_run() -> ReturningInsert[int]:
    return runs.insert().returning(runs.c.run_no)


@cache
def _count_run() -> sa.Update:
    t, start = experiments, sa.bindparam("start", type_=sa.BigInteger)
    newest = sa.case((t.c.last_run_ms > start, t.c.last_run_ms), else_=start)
    mine = (t.c.project_id == sa.bindparam("project")) & (t.c.experiment_id == sa.bindparam("number"))
    return t.update().where(mine).values(run_count=t.c.run_count + 1, last_run_ms=newest)


_FIND = sa.select(runs.c.run_no, runs.c.experiment_id, runs.c.lifecycle).where(
    runs.c.project_id == sa.bindparam("project_id"), runs.c.run_id == sa.bindparam("run_id")
)


#: Columns of ``runs`` and ``run_datasets`` in the order that ``run_of`` and ``input_of`` take them.
RUN_COLUMNS = (
    "run_id", "experiment_id", "name", "status", "lifecycle", "start_ms", "end_ms", "deleted_ms", "user_id",
    "artifact_uri",
)  # fmt: skip
DATASET_COLUMNS = ("name", "digest", "source_type", "source", "schema", "profile")


def run_of(columns: Sequence[Any]) -> Run:
    """``RUN_COLUMNS`` of a row as a run without what hangs on it."""
    run_id, experiment_id, name, status, lifecycle, start_ms, end_ms, deleted_ms, user_id, artifact_uri = columns
    return Run(
        run_id=run_id, experiment_id=str(experiment_id), name=name, status=status, lifecycle=lifecycle,
        start_ms=start_ms, end_ms=end_ms, deleted_ms=deleted_ms, user_id=user_id, artifact_uri=artifact_uri,
    )  # fmt: skip


def input_of(tags: str, columns: Sequence[Any]) -> DatasetInput:
    """Tags of a row of ``run_inputs`` and ``DATASET_COLUMNS`` of its data set."""
    data = Dataset(**dict(zip(DATASET_COLUMNS, columns, strict=True)))
    return DatasetInput(dataset=data, tags=msgspec.json.decode(tags, type=dict[str, str]))
