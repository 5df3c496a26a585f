"""Experiments and runs as every face and store sees them. Times are milliseconds since the epoch.

Words and values are MLflow's where it has them (statuses, lifecycle stages), because a run has no other dialect.
"""

from __future__ import annotations

from typing import Literal

import msgspec

RunStatus = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
#: In the order of MLflow's protobuf numbers, from 1.
RUN_STATUSES: tuple[str, ...] = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")

Lifecycle = Literal["active", "deleted"]
#: Which lifecycle stages a search returns.
View = Literal["active", "deleted", "all"]

#: The experiment that every project has from the start and that takes whatever names no other.
DEFAULT_EXPERIMENT_ID = "0"
DEFAULT_EXPERIMENT_NAME = "Default"


class Experiment(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A named group of runs and traces. ``experiment_id`` is a whole number as text, ``0`` in every project."""

    experiment_id: str
    name: str
    artifact_location: str = ""  #: URI under which the artifacts of its runs live
    lifecycle: str = "active"
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = {}
    run_count: int | None = None  #: active runs; filled by ``Experiments.list`` only
    last_run_ms: int | None = None  #: start of its newest active run; filled by ``Experiments.list`` only


class LatestMetric(msgspec.Struct, frozen=True, gc=False):
    """The point of a metric with the greatest (step, timestamp, value). ``value`` may be NaN or infinite.

    ``model_id`` and the data set are what the point was logged with; a run that is read back does not say them (its
    inputs, outputs and logged models do).
    """

    key: str
    value: float
    timestamp_ms: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class Dataset(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a run read: one state (``digest``) of a named data set of an experiment.

    ``source``, ``schema`` and ``profile`` are text whose meaning ``source_type`` defines (JSON as a rule).
    """

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str | None = None
    profile: str | None = None


class DatasetInput(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A data set as input of one run; tag ``mlflow.data.context`` says what for (train, eval …)."""

    dataset: Dataset
    tags: dict[str, str] = {}


class DatasetSummary(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A data set that some run of an experiment read, once per context."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class ModelOutput(msgspec.Struct, frozen=True):
    """A logged model that a run made at a step."""

    model_id: str
    step: int = 0


class Run(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One run. ``params``, ``tags`` and ``metrics`` are in key order.

    Lists leave ``dataset_inputs``' ``source``/``schema``/``profile`` in place; they are part of MLflow's answer.
    """

    run_id: str
    experiment_id: str
    name: str
    status: str = "RUNNING"
    lifecycle: str = "active"
    start_ms: int | None = None
    end_ms: int | None = None
    deleted_ms: int | None = None
    user_id: str = ""
    artifact_uri: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[LatestMetric] = []
    dataset_inputs: list[DatasetInput] = []
    model_inputs: list[str] = []  #: ids of logged models the run read
    model_outputs: list[ModelOutput] = []

    @property
    def parent_run_id(self) -> str | None:
        """The run this one is nested in."""
        return self.tags.get("mlflow.parentRunId")


class RunPage(msgspec.Struct, kw_only=True):
    """Runs in order, and the cursor of the next page or None on the last one."""

    runs: list[Run]
    next_cursor: str | None = None


class ExperimentPage(msgspec.Struct, kw_only=True):
    """Experiments in order, and the cursor of the next page or None on the last one."""

    experiments: list[Experiment]
    next_cursor: str | None = None
