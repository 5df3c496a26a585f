"""Logged models: created by ``log_model``, finalized after the upload, found by name, metric, param and tag."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from twinlens.domain import logged_model as rules
from twinlens.domain.clock import now_ms
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import new_hex
from twinlens.domain.live import Notice
from twinlens.domain.logged_model import DatasetScope, LoggedModel, LoggedModelPage, ModelMetric, ModelOrder
from twinlens.domain.run import Experiment
from twinlens.domain.score import MetricPoint
from twinlens.features.live import LiveBus
from twinlens.query.mlflow_filter_registry import logged_model_filter
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.logged_models import LoggedModelTable

#: Tag that lists the registered versions made from a model, as JSON: ``[{"name": …, "version": …}]`` (MLflow's name).
VERSIONS_TAG = "mlflow.modelVersions"
MAX_RESULTS = 100
MAX_POINTS = 10_000  #: of all metrics of a model in one answer
_ADJECTIVES = ("able", "bold", "calm", "deft", "fair", "glad", "keen", "neat", "quick", "wise")
_NOUNS = ("ant", "bee", "crane", "deer", "finch", "hare", "lynx", "mole", "owl", "wren")


class ExperimentSource(Protocol):
    """What this feature needs of experiments."""

    def get(self, project_id: str, experiment_id: str) -> Experiment:
        """One experiment, deleted ones included. NotFound when there is none."""
        ...


class MetricSource(Protocol):
    """What this feature needs of metrics. Points that name a logged model are kept under its id too."""

    def histories(self, project_id: str, metrics: Sequence[tuple[str, str]], limit: int) -> list[MetricPoint]:
        """Points of several metrics (owner and key), by owner, key, time and step."""
        ...


class LoggedModels:
    """See the module's text. All methods block."""

    def __init__(
        self,
        catalog: Catalog,
        experiments: ExperimentSource,
        live: LiveBus | None = None,
        clock: Callable[[], int] = now_ms,
        metrics: MetricSource | None = None,
    ) -> None:
        self._catalog = catalog
        self._metrics = metrics
        self._experiments = experiments
        self._live = live
        self._clock = clock

    def create(
        self, project_id: str, experiment_id: str, *, name: str | None = None, model_type: str | None = None,
        source_run_id: str | None = None, params: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None,
    ) -> LoggedModel:  # fmt: skip
        """Create a pending model; its artifacts live below the experiment's location.

        Raises:
            NotFound: no such experiment.
            InvalidArgument: the experiment is deleted, or name, param or tag breaks a rule.
        """
        name = rules.check_logged_model_name(name) if name else _random_name()
        experiment = self._experiments.get(project_id, experiment_id)
        if experiment.lifecycle != "active":
            raise InvalidArgument(f"The experiment {experiment_id} must be in the 'active' state.")
        now = self._clock()
        model_id = "m-" + new_hex()
        model = LoggedModel(
            model_id=model_id, experiment_id=experiment.experiment_id, name=name, model_type=model_type,
            source_run_id=source_run_id or None, created_ms=now, updated_ms=now,
            artifact_uri=f"{experiment.artifact_location.rstrip('/')}/models/{model_id}/artifacts",
            params=_checked(params or {}),
            tags=_checked(tags or {}),
        )  # fmt: skip
        with self._catalog.write() as connection:
            LoggedModelTable(connection, project_id).add(model)
        self._changed(project_id, model_id)
        return self.get(project_id, model_id)

    def get(self, project_id: str, model_id: str, *, deleted: bool = False) -> LoggedModel:
        """One model.

        Raises:
            NotFound: no such model, or it is deleted and ``deleted`` is not set.
        """
        with self._catalog.read() as connection:
            return _found(LoggedModelTable(connection, project_id).get(model_id, deleted=deleted), model_id)

    def whole(self, project_id: str, model_id: str, *, deleted: bool = False) -> LoggedModel:
        """``get`` with all points of its metrics, up to ``MAX_POINTS``, instead of the latest of each alone.

        Raises:
            NotFound: as ``get``.
        """
        model = self.get(project_id, model_id, deleted=deleted)
        if self._metrics is None or not model.metrics:
            return model
        keys = dict.fromkeys(metric.key for metric in model.metrics)
        points = self._metrics.histories(project_id, [(model_id, key) for key in keys], MAX_POINTS)
        told = [
            ModelMetric(
                key=point.key, value=point.value, timestamp_ms=point.timestamp_ms, step=point.step,
                run_id=point.run_id or None, dataset_name=point.dataset_name, dataset_digest=point.dataset_digest,
            )
            for point in points
        ]  # fmt: skip
        known = {(m.key, m.timestamp_ms, m.step, m.run_id, m.dataset_name, m.dataset_digest) for m in told}
        left = [  # the latest stay, however many points come before them, or were removed with their run
            m for m in model.metrics
            if (m.key, m.timestamp_ms, m.step, m.run_id, m.dataset_name, m.dataset_digest) not in known
        ]  # fmt: skip
        return msgspec.structs.replace(model, metrics=[*told, *left])

    def finalize(self, project_id: str, model_id: str, status: str, message: str | None = None) -> LoggedModel:
        """Set the status after the upload (``READY`` or ``UPLOAD_FAILED``)."""
        if status not in (rules.PENDING, rules.READY, rules.FAILED):
            raise InvalidArgument(f"Invalid status: '{status}'")
        return self._set(project_id, model_id, status=status, status_message=message)

    def delete(self, project_id: str, model_id: str) -> None:
        """Hide a model, again without effect; ``get(deleted=True)`` still finds it. Raises NotFound."""
        if self.get(project_id, model_id, deleted=True).lifecycle != "deleted":
            self._set(project_id, model_id, lifecycle="deleted")

    def set_tags(self, project_id: str, model_id: str, tags: Mapping[str, str]) -> LoggedModel:
        """Set tags. Raises NotFound or InvalidArgument."""
        checked = _checked(tags)
        with self._catalog.write() as connection:
            table = LoggedModelTable(connection, project_id)
            _found(table.get(model_id), model_id)
            table.put_tags(model_id, checked)
            found = _found(table.get(model_id), model_id)
        self._changed(project_id, model_id)
        return found

    def delete_tag(self, project_id: str, model_id: str, key: str) -> None:
        """Remove a tag.

        Raises:
            NotFound: no such model or tag.
        """
        with self._catalog.write() as connection:
            table = LoggedModelTable(connection, project_id)
            _found(table.get(model_id), model_id)
            if not table.drop_tag(model_id, key):
                raise NotFound(f"No tag with key {key!r} found for model with ID {model_id!r}.")
        self._changed(project_id, model_id)

    def log_params(self, project_id: str, model_id: str, params: Mapping[str, str]) -> LoggedModel:
        """Add params; values that are there cannot change. Raises NotFound or InvalidArgument."""
        checked = _checked(params)
        with self._catalog.write() as connection:
            table = LoggedModelTable(connection, project_id)
            _found(table.get(model_id), model_id)
            table.put_params(model_id, checked)
            return _found(table.get(model_id), model_id)

    def add_version(self, project_id: str, model_id: str, name: str, version: int) -> None:
        """Note on a model that it was registered. A deleted or unknown model is left alone."""
        with self._catalog.write() as connection:
            table = LoggedModelTable(connection, project_id)
            model = table.get(model_id)
            if model is None:
                return
            try:
                known = msgspec.json.decode(model.tags.get(VERSIONS_TAG, "[]"), type=list[dict[str, str | int]])
            except msgspec.DecodeError:
                known = []
            entry: dict[str, str | int] = {"name": name, "version": str(version)}
            if entry not in known:
                table.put_tags(model_id, {VERSIONS_TAG: msgspec.json.encode([*known, entry]).decode()})

    def search(
        self, project_id: str, experiment_ids: Sequence[str], *, filter: str | None = None,
        datasets: Sequence[DatasetScope] = (), orders: Sequence[ModelOrder] = (), limit: int = MAX_RESULTS,
        cursor: str | None = None,
    ) -> LoggedModelPage:  # fmt: skip
        """A page of active models of some experiments; ``filter`` is MLflow's grammar.

        Raises:
            InvalidArgument: bad filter or cursor.
        """
        where = logged_model_filter(filter)
        with self._catalog.read() as connection:
            return LoggedModelTable(connection, project_id).search(
                list(experiment_ids), where, datasets, orders, limit, cursor
            )

    def _set(self, project_id: str, model_id: str, **values: str | None) -> LoggedModel:
        with self._catalog.write() as connection:
            table = LoggedModelTable(connection, project_id)
            if not table.set(model_id, updated_ms=self._clock(), **values):
                raise _missing(model_id)
            found = _found(table.get(model_id, deleted=True), model_id)
        self._changed(project_id, model_id)
        return found

    def _changed(self, project_id: str, model_id: str) -> None:
        if self._live is not None and self._live.watched:
            self._live.publish([Notice(kind="model", project_id=project_id, id=model_id)])


def _found(model: LoggedModel | None, model_id: str) -> LoggedModel:
    if model is None:
        raise _missing(model_id)
    return model


def _missing(model_id: str) -> NotFound:
    return NotFound(f"Logged model with ID '{model_id}' not found.")


def _checked(values: Mapping[str, str]) -> dict[str, str]:
    """Params or tags that can be stored: MLflow takes any here, however long and whatever they are called."""
    for key, value in values.items():
        if "\x00" in key or "\x00" in value:
            raise InvalidArgument(f"{key!r} contains a NUL character.")
    return dict(values)


def _random_name() -> str:
    number = random.randint(100, 999)  # noqa: S311 - a label, not a secret
    return f"{random.choice(_ADJECTIVES)}-{random.choice(_NOUNS)}-{number}"  # noqa: S311


def unique(values: Iterable[tuple[str, str]], what: str) -> dict[str, str]:
    """Pairs as a dict.

    Raises:
        InvalidArgument: a key comes twice with different values.
    """
    found: dict[str, str] = {}
    for key, value in values:
        if found.setdefault(key, value) != value:
            raise InvalidArgument(f"Duplicate {what} keys have been submitted: {key}")
    return found
