"""Experiments, runs and models as the native API shows them."""

from __future__ import annotations

from collections.abc import Iterable

from twinlens.domain.registry import ModelVersion, RegisteredModel
from twinlens.domain.run import Experiment, LatestMetric, Run
from twinlens.faces.native import run_schemas as rs
from twinlens.faces.native import schemas as s
from twinlens.faces.native.rows import number

NOTE_TAG = "mlflow.note.content"


def experiment_row(experiment: Experiment) -> rs.ExperimentRow:
    """One experiment."""
    return rs.ExperimentRow(
        experiment_id=experiment.experiment_id,
        name=experiment.name,
        artifact_location=experiment.artifact_location,
        lifecycle_stage="deleted" if experiment.lifecycle == "deleted" else "active",
        tags=experiment.tags,
        created_ms=experiment.created_ms,
        updated_ms=experiment.updated_ms,
        run_count=experiment.run_count,
        last_run_ms=experiment.last_run_ms,
    )


def metric_values(metrics: Iterable[LatestMetric]) -> dict[str, rs.MetricValue]:
    """Newest values by key."""
    return {m.key: rs.MetricValue(value=number(m.value), step=m.step, timestamp_ms=m.timestamp_ms) for m in metrics}


def run_row(run: Run) -> rs.RunRow:
    """One run with its metrics, params and tags."""
    ended = run.start_ms is not None and run.end_ms is not None
    return rs.RunRow(
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        name=run.name,
        status=run.status,
        lifecycle_stage=run.lifecycle,
        user=run.user_id,
        start_ms=run.start_ms,
        end_ms=run.end_ms,
        duration_ms=max(0, (run.end_ms or 0) - (run.start_ms or 0)) if ended else None,
        metrics=metric_values(run.metrics),
        params=run.params,
        tags=run.tags,
    )


def version_row(version: ModelVersion) -> s.ModelVersionRow:
    """One version of a registered model."""
    return s.ModelVersionRow(
        name=version.name,
        version=str(version.version),
        status=version.status,
        stage=version.stage,
        aliases=version.aliases,
        description=version.description,
        source=version.source,
        run_id=version.run_id,
        tags=version.tags,
        created_ms=version.created_ms,
        updated_ms=version.updated_ms,
    )


def model_row(model: RegisteredModel) -> s.RegisteredModelRow:
    """One registered model."""
    return s.RegisteredModelRow(
        name=model.name,
        description=model.description,
        tags=model.tags,
        aliases={alias: str(version) for alias, version in model.aliases.items()},
        latest_versions=[version_row(version) for version in model.latest_versions],
        created_ms=model.created_ms,
        updated_ms=model.updated_ms,
    )
