"""Runs: create, log to, find, delete and restore.

Rules are MLflow's (reference: 3.18): a param never changes; a run has a name, which is also its tag ``mlflow.runName``;
nothing is written to a deleted run; sending the same again changes nothing. A batch is stored whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.clock import now_ms
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.ids import new_hex
from twinlens.domain.live import Notice
from twinlens.domain.run import (
    DEFAULT_EXPERIMENT_ID,
    RUN_STATUSES,
    DatasetInput,
    DatasetSummary,
    LatestMetric,
    ModelOutput,
    Run,
    RunPage,
    View,
)
from twinlens.domain.run_rules import (
    check_inputs,
    check_metrics,
    check_params,
    check_run_id,
    check_tags,
    experiment_number,
    random_run_name,
)
from twinlens.features.experiments import Experiments, append_path, check_active
from twinlens.features.live import LiveBus
from twinlens.features.metrics import Metrics, active_run
from twinlens.features.run_scores import RunScores
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.run_search import RunSearch, load
from twinlens.store.catalog.runs import RunKey, RunTable, run_tags
from twinlens.store.telemetry.query import And, Expr, Order

NAME_TAG = "mlflow.runName"
USER_TAG = "mlflow.user"
MODELS_TAG = "mlflow.log-model.history"
MAX_SUMMARIES = 1_000


class Runs:
    """See the module's text. All methods block."""

    def __init__(
        self, catalog: Catalog, experiments: Experiments, metrics: Metrics, scores: RunScores, live: LiveBus,
        clock: Callable[[], int] = now_ms,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._experiments = experiments
        self._metrics = metrics
        self._scores = scores
        self._live = live
        self._clock = clock

    # --- reading -----------------------------------------------------------------------------------------------
    def get(self, project_id: str, run_id: str) -> Run:
        """One whole run, deleted or not.

        Raises:
            NotFound: no such run in this project.
        """
        with self._catalog.read() as connection:
            key = RunTable(connection, project_id).find(run_id)
            if key is None:
                raise _missing(run_id)
            return load(connection, [key.run_no])[0]

    def search(
        self, project_id: str, experiment_ids: Sequence[str], where: Expr | None = None, order: Sequence[Order] = (),
        *, view: View = "active", limit: int = 1_000, cursor: str | None = None,
    ) -> RunPage:  # fmt: skip
        """A page of whole runs of some experiments; newest first unless ``order`` says otherwise.

        ``where`` and ``order`` are those of ``twinlens.query.mlflow_filter_runs`` (``run_filter``, ``run_order``). Runs
        without an ordering key come last, NaN before them, whatever the direction.

        Raises:
            InvalidArgument: a field that runs do not have, a bad cursor, or an id that is no number.
        """
        numbers = sorted({experiment_number(experiment_id) for experiment_id in experiment_ids})
        with self._catalog.read() as connection:
            search = RunSearch(connection, project_id, numbers, And() if where is None else where, order, view)
            return search.page(limit, cursor)

    def dataset_summaries(self, project_id: str, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """Data sets that runs of these experiments have read, once per context, at most 1,000."""
        numbers = [experiment_number(experiment_id) for experiment_id in experiment_ids]
        with self._catalog.read() as connection:
            return RunTable(connection, project_id).dataset_summaries(numbers, MAX_SUMMARIES)

    # --- life --------------------------------------------------------------------------------------------------
    def create(
        self, project_id: str, experiment_id: str = DEFAULT_EXPERIMENT_ID, *, name: str | None = None,
        user_id: str | None = None, start_ms: int | None = None, tags: Iterable[tuple[str, str]] = (),
        run_id: str | None = None,
    ) -> Run:  # fmt: skip
        """Start a run. It gets a new id, unless ``run_id`` is the id that other clients know it by.

        Raises:
            NotFound: no such experiment in this project.
            AlreadyExists: a run has that id.
            InvalidArgument: the experiment is deleted, or name and name tag differ.
        """
        number = experiment_number(experiment_id or DEFAULT_EXPERIMENT_ID)
        checked = dict(tags)  # as MLflow does it: only tags that are set later are checked and cut
        tag = checked.get(NAME_TAG)
        if name and tag and name != tag:
            raise InvalidArgument(
                "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
                f"(run_name='{name}', mlflow.runName='{tag}')."
            )
        if run_id is not None:
            check_run_id(run_id)
        run_id = run_id or new_hex()
        checked[NAME_TAG] = name or tag or random_run_name()
        with self._experiments.write(project_id) as (connection, experiments):
            experiment = experiments.get(number)
            if experiment is None:
                raise NotFound(f"No Experiment with id={number} exists")
            check_active(number, experiment.lifecycle)
            run = Run(
                run_id=run_id, experiment_id=str(number), name=checked[NAME_TAG],
                start_ms=self._clock() if start_ms is None else start_ms,
                user_id=user_id or checked.get(USER_TAG, ""), tags=dict(sorted(checked.items())),
                artifact_uri=append_path(experiment.artifact_location, f"{run_id}/artifacts"),
            )  # fmt: skip
            table = RunTable(connection, project_id)
            if table.find(run_id) is not None:
                raise AlreadyExists(f"Run with id={run_id} exists already")
            table.add(run)
        self._tell(project_id, run, "created")
        return run

    def update(
        self, project_id: str, run_id: str, *, status: str | None = None, end_ms: int | None = None,
        name: str | None = None,
    ) -> Run:  # fmt: skip
        """Change status, end or name of an active run (also back to RUNNING when it is resumed); the changed run
        without what hangs on it.

        Raises:
            NotFound: no such run.
            InvalidArgument: it is deleted, or the status is unknown.
        """
        if status is not None and status not in RUN_STATUSES:
            raise InvalidArgument(f"Invalid run status '{status}'. Valid values are {list(RUN_STATUSES)}")
        values: dict[str, Any] = {"status": status, "end_ms": end_ms, "name": name or None}
        values = {column: value for column, value in values.items() if value is not None}
        with self._writing(project_id, run_id) as (_, table, key):
            if values:
                table.set(key, **values)
            if name:
                table.put_texts(run_tags, key, check_tags([(NAME_TAG, name)]))
            run = table.head(run_id)
        if run is None:
            raise _missing(run_id)
        self._tell(project_id, run, "updated")
        return run

    def delete(self, project_id: str, run_id: str) -> None:
        """Mark a run as deleted, and delete the scores it has given. Deleting again changes nothing.

        Raises:
            NotFound: no such run.
        """
        self._set_lifecycle(project_id, run_id, "deleted")
        self._scores.drop(project_id, [run_id])

    def restore(self, project_id: str, run_id: str) -> None:
        """Revive a deleted run.

        Raises:
            NotFound: no such run.
        """
        self._set_lifecycle(project_id, run_id, "active")

    def purge(self, project_id: str, run_ids: Sequence[str]) -> None:
        """Remove deleted runs for good, with their metric history; their artifacts are the caller's business.

        Raises:
            NotFound: no such run.
            InvalidArgument: a run is not deleted.
        """
        with self._catalog.write() as connection:
            table = RunTable(connection, project_id)
            found = {run_id: table.find(run_id) for run_id in run_ids}
            for run_id, key in found.items():
                if key is None:
                    raise _missing(run_id)
                if key.lifecycle != "deleted":
                    raise InvalidArgument(f"The run {run_id} must be deleted before it can be removed for good.")
            table.purge([key for key in found.values() if key])
        self._metrics.forget(project_id, list(found))

    # --- logging -----------------------------------------------------------------------------------------------
    def log_batch(
        self, project_id: str, run_id: str, *, metrics: Sequence[LatestMetric] = (),
        params: Iterable[tuple[str, str]] = (), tags: Iterable[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        """Store metrics, params and tags of an active run, all or nothing.

        Raises:
            NotFound: no such run.
            InvalidArgument: something breaks a rule, a param would change, or the run is deleted.
        """
        check_run_id(run_id)
        check_metrics(metrics, many=True)
        new_params, new_tags = check_params(params, many=True), check_tags(tags, many=True)
        with self._writing(project_id, run_id) as (connection, table, key):
            changed = table.put_params(key, new_params)
            if changed:
                pairs = [{"key": k, "old_value": old, "new_value": new_params[k]} for k, old in changed.items()]
                raise InvalidArgument(
                    f"Changing param values is not allowed. Params were already logged='{pairs}' for run ID='{run_id}'."
                )
            self._metrics.put(connection, project_id, run_id, key, metrics)
            self._put_tags(table, key, new_tags)
        self._metrics.announce(project_id, run_id, metrics)
        if new_params or new_tags:
            self._tell_changed(project_id, run_id, key)

    def log_param(self, project_id: str, run_id: str, key: str, value: str) -> None:
        """Store a param; the same value again is fine.

        Raises:
            NotFound, InvalidArgument: as ``log_batch``.
        """
        params = check_params([(key, value)])
        with self._writing(project_id, run_id) as (_, table, run):
            for name, old in table.put_params(run, params).items():
                raise InvalidArgument(
                    f"Changing param values is not allowed. Param with key='{name}' was already logged with "
                    f"value='{old}' for run ID='{run_id}'. Attempted logging new value '{params[name]}'."
                )
        self._tell_changed(project_id, run_id, run)

    def set_tag(self, project_id: str, run_id: str, key: str, value: str) -> None:
        """Set a tag; ``mlflow.runName`` renames the run.

        Raises:
            NotFound, InvalidArgument: as ``log_batch``.
        """
        tags = check_tags([(key, value)])
        with self._writing(project_id, run_id) as (_, table, run):
            self._put_tags(table, run, tags)
        self._tell_changed(project_id, run_id, run)

    def delete_tag(self, project_id: str, run_id: str, key: str) -> None:
        """Remove a tag.

        Raises:
            NotFound: no such run or tag.
            InvalidArgument: the run is deleted.
        """
        with self._writing(project_id, run_id) as (_, table, run):
            if not table.drop_tag(run, key):
                raise NotFound(f"No tag with name: {key} in run with id {run_id}")
        self._tell_changed(project_id, run_id, run)

    def log_inputs(
        self, project_id: str, run_id: str, datasets: Iterable[DatasetInput] = (), model_ids: Iterable[str] = ()
    ) -> None:  # fmt: skip
        """Record what a run has read.

        Raises:
            NotFound, InvalidArgument: as ``log_batch``.
        """
        check_run_id(run_id)
        checked = check_inputs(datasets)
        with self._writing(project_id, run_id) as (_, table, run):
            table.put_inputs(run, checked)
            table.put_models(run, "input", [ModelOutput(model_id) for model_id in model_ids])
        self._tell_changed(project_id, run_id, run)

    def log_outputs(self, project_id: str, run_id: str, models: Iterable[ModelOutput]) -> None:
        """Record logged models that a run has made.

        Raises:
            NotFound, InvalidArgument: as ``log_batch``.
        """
        with self._writing(project_id, run_id) as (_, table, run):
            table.put_models(run, "output", models)
        self._tell_changed(project_id, run_id, run)

    def log_model(self, project_id: str, run_id: str, model: Mapping[str, Any]) -> None:
        """Append a model's description to tag ``mlflow.log-model.history`` (clients before 3.0 read it there).

        Raises:
            NotFound, InvalidArgument: as ``log_batch``.
        """
        with self._writing(project_id, run_id) as (_, table, run):
            history: list[Any] = msgspec.json.decode(table.texts(run_tags, run, [MODELS_TAG]).get(MODELS_TAG, "[]"))
            table.put_texts(run_tags, run, {MODELS_TAG: msgspec.json.encode([*history, model]).decode()})
        self._tell_changed(project_id, run_id, run)

    # --- parts -------------------------------------------------------------------------------------------------
    @contextmanager
    def _writing(self, project_id: str, run_id: str) -> Generator[tuple[sa.Connection, RunTable, RunKey]]:
        """A write transaction on an active run."""
        with self._catalog.write() as connection:
            table = RunTable(connection, project_id)
            yield connection, table, active_run(table, run_id)

    @staticmethod
    def _put_tags(table: RunTable, key: RunKey, tags: dict[str, str]) -> None:
        if tags.get(NAME_TAG) == "":  # no name, so the run keeps the one it has
            tags = {name: value for name, value in tags.items() if name != NAME_TAG}
        table.put_texts(run_tags, key, tags)
        if NAME_TAG in tags:
            table.set(key, name=tags[NAME_TAG])

    def _set_lifecycle(self, project_id: str, run_id: str, lifecycle: str) -> None:
        with self._catalog.write() as connection:
            table = RunTable(connection, project_id)
            key = table.find(run_id)
            if key is None:
                raise _missing(run_id)
            if key.lifecycle != lifecycle:
                table.set_lifecycle([key], lifecycle, self._clock() if lifecycle == "deleted" else None)
        self._tell_changed(project_id, run_id, key, "deleted" if lifecycle == "deleted" else "restored")

    def _tell(self, project_id: str, run: Run, change: str) -> None:
        if self._live.watched:
            data = {"change": change, "experiment_id": run.experiment_id, "status": run.status, "name": run.name}
            self._live.publish([Notice(kind="run", project_id=project_id, id=run.run_id, data=data)])

    def _tell_changed(self, project_id: str, run_id: str, key: RunKey, change: str = "updated") -> None:
        if self._live.watched:
            data = {"change": change, "experiment_id": str(key.experiment_id)}
            self._live.publish([Notice(kind="run", project_id=project_id, id=run_id, data=data)])


def _missing(run_id: str) -> NotFound:
    return NotFound(f"Run with id={run_id} not found")
