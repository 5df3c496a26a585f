"""Requests and answers of the native API about experiments, runs, their metrics and artifacts; the conventions are those of ``schemas``."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class ExperimentRow(Struct, kw_only=True):
    """One experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: Literal["active", "deleted"]
    tags: dict[str, str]
    created_ms: float
    updated_ms: float
    run_count: int | None = None
    last_run_ms: float | None = None  #: start of the newest active run


class ExperimentList(Struct, kw_only=True):
    """``GET /projects/{project_id}/experiments``."""

    experiments: list[ExperimentRow]
    next_cursor: str | None = None


class NewExperiment(Struct, kw_only=True):
    """``POST /projects/{project_id}/experiments``."""

    name: str
    tags: dict[str, str] = {}


class ExperimentEdit(Struct, kw_only=True):
    """``PATCH /projects/{project_id}/experiments/{experiment_id}``."""

    name: str


class MetricValue(Struct, kw_only=True):
    """Newest value of a metric. Text for values that JSON numbers cannot hold: ``NaN``, ``Infinity``, ``-Infinity``."""

    value: float | str
    step: int
    timestamp_ms: float


class RunRow(Struct, kw_only=True):
    """One row of the run table; also the ``data`` of live ``run`` events (then without metrics, params and tags)."""

    run_id: str
    experiment_id: str
    name: str
    status: str  #: RUNNING | SCHEDULED | FINISHED | FAILED | KILLED
    lifecycle_stage: str
    user: str
    start_ms: float | None
    end_ms: float | None
    duration_ms: float | None
    metrics: dict[str, MetricValue] = {}
    params: dict[str, str] = {}
    tags: dict[str, str] = {}


class RunPage(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs``: ``filter`` and ``order_by`` are MLflow's grammar."""

    runs: list[RunRow]
    metric_keys: list[str]  #: of the runs of this page, sorted: the possible columns
    param_keys: list[str]
    tag_keys: list[str]
    next_cursor: str | None = None


class DatasetUse(Struct, kw_only=True):
    """A data set that went into a run."""

    name: str
    digest: str
    source_type: str
    context: str | None


class ModelLink(Struct, kw_only=True):
    """A logged model that a run made or used, or a registered version of it."""

    model_id: str | None
    name: str
    version: str | None
    status: str | None


class RunDetail(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs/{run_id}``."""

    run: RunRow
    experiment: ExperimentRow
    artifact_uri: str
    note: str | None  #: the description (tag ``mlflow.note.content``)
    datasets: list[DatasetUse]
    models: list[ModelLink]
    trace_count: int


class MetricKeys(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs/{run_id}/metrics``: newest values by key."""

    metrics: dict[str, MetricValue]


class SeriesBucket(Struct, kw_only=True):
    """All points of one pixel column. Values as in ``MetricValue`` (text for NaN and infinities)."""

    step_min: int
    step_max: int
    time_min_ms: float
    time_max_ms: float
    first: float | str | None
    last: float | str | None
    min: float | str | None
    max: float | str | None
    mean: float | str | None
    count: int
    nan_count: int = 0


class Series(Struct, kw_only=True):
    """One curve: one metric of one run, oldest bucket first."""

    run_id: str
    key: str
    buckets: list[SeriesBucket]


class SeriesList(Struct, kw_only=True):
    """``GET /projects/{project_id}/metrics/buckets?run_id=…&key=…&buckets=600&x=step``."""

    series: list[Series]


class RunCompare(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs/compare?run_id=…``: whole rows, and which keys differ."""

    runs: list[RunRow]
    differing_params: list[str]
    differing_metrics: list[str]
    differing_tags: list[str]


class RunIds(Struct, kw_only=True):
    """``POST /projects/{project_id}/runs/delete`` and ``…/restore``."""

    run_ids: list[str]


class RunEdit(Struct, kw_only=True, omit_defaults=True):
    """``PATCH /projects/{project_id}/runs/{run_id}``."""

    name: str | None = None
    note: str | None = None
    tags: dict[str, str | None] | None = None  #: merged; null deletes a key


class ArtifactRow(Struct, kw_only=True):
    """One entry of a folder. ``path`` is relative to the run's root."""

    path: str
    name: str
    is_dir: bool
    size: int | None


class ArtifactList(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs/{run_id}/artifacts?path=``."""

    path: str
    entries: list[ArtifactRow]


class ArtifactPreview(Struct, kw_only=True):
    """``GET /projects/{project_id}/runs/{run_id}/artifacts/preview?path=``.

    ``text``/``json``/``csv``/``markdown`` carry ``text``; ``image``/``html``/``pdf`` are shown from ``url`` (html in a
    sandbox); ``binary`` (pickles too) is offered for download only and never opened.
    """

    path: str
    kind: Literal["text", "json", "csv", "markdown", "image", "html", "pdf", "binary"]
    size: int | None
    content_type: str
    url: str  #: the file itself, relative to the server
    text: str | None = None
    truncated: bool = False
