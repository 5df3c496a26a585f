"""Logged models: a model as it came out of a run, before anybody registers it. Times are milliseconds."""

from __future__ import annotations

import re

import msgspec

from twinlens.domain.errors import InvalidArgument

PENDING, READY, FAILED = "PENDING", "READY", "UPLOAD_FAILED"
#: Characters MLflow refuses in the name, because they mean something in model URIs and file names.
_FORBIDDEN = re.compile(r"[/:.%\"'\x00]")


class ModelMetric(msgspec.Struct, frozen=True, kw_only=True):
    """The latest point of one metric of a model, per run and dataset that measured it. ``value`` may be NaN."""

    key: str
    value: float
    timestamp_ms: int
    step: int = 0
    run_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LoggedModel(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One logged model. ``params`` and ``tags`` are in key order."""

    model_id: str  #: ``m-`` and 32 hex digits
    experiment_id: str
    name: str
    model_type: str | None = None
    source_run_id: str | None = None
    artifact_uri: str = ""
    status: str = PENDING
    status_message: str | None = None
    lifecycle: str = "active"
    created_ms: int = 0
    updated_ms: int = 0
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[ModelMetric] = []


class LoggedModelPage(msgspec.Struct, kw_only=True):
    """Logged models in order, and the cursor of the next page or None on the last one."""

    models: list[LoggedModel]
    next_cursor: str | None = None


class ModelOrder(msgspec.Struct, frozen=True):
    """Sort logged models by an attribute, ``params.<key>`` or ``metrics.<key>`` (of one dataset, if named)."""

    field: str
    ascending: bool = True
    dataset_name: str | None = None
    dataset_digest: str | None = None


class DatasetScope(msgspec.Struct, frozen=True):
    """Metric conditions of a search only count when measured on one of these data sets."""

    name: str
    digest: str | None = None


def check_logged_model_name(name: str) -> str:
    """Return ``name`` if a logged model may be called so.

    Raises:
        InvalidArgument: blank, longer than 500 characters or with one of ``/ : . % " '``.
    """
    if not name.strip() or len(name) > 500 or _FORBIDDEN.search(name):
        raise InvalidArgument(
            f"Invalid model name ({name}) provided. Model name must be a non-empty string and cannot contain the "
            "following characters: ('/', ':', '.', '%', '\"', \"'\")"
        )
    return name
