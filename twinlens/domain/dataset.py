"""Datasets: examples to evaluate with, their history, and runs over them.

MLflow calls them evaluation datasets with records, Langfuse datasets with items; a Langfuse dataset run is an experiment
over a dataset. Items keep every state they had, so that a run can be repeated on the data of its day.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.ids import check_id

ItemStatus = Literal["ACTIVE", "ARCHIVED"]
MAX_NAME = 255


class Dataset(msgspec.Struct, kw_only=True):
    """One dataset. Schemas are JSON Schema objects that items must satisfy."""

    dataset_id: str
    name: str
    description: str | None = None
    metadata: Any = None
    input_schema: dict[str, Any] | None = None
    expected_output_schema: dict[str, Any] | None = None
    created_ns: int = 0
    updated_ns: int = 0


class DatasetItem(msgspec.Struct, kw_only=True):
    """One state of one item: valid from ``valid_from_ns`` (whole milliseconds, as clients see it) until the next one."""

    item_id: str
    dataset_id: str
    dataset_name: str = ""
    input: Any = None
    expected_output: Any = None
    metadata: Any = None
    source_trace_id: str | None = None
    source_observation_id: str | None = None
    status: str = "ACTIVE"
    valid_from_ns: int = 0
    created_ns: int = 0
    updated_ns: int = 0


class DatasetRun(msgspec.Struct, kw_only=True):
    """One run over a dataset. ``run_id`` is ``experiment_id`` of its dataset and name."""

    run_id: str
    dataset_id: str
    dataset_name: str = ""
    name: str
    description: str | None = None
    metadata: Any = None
    created_ns: int = 0
    updated_ns: int = 0


class DatasetRunItem(msgspec.Struct, kw_only=True):
    """Which trace (or span of it) a run produced for an item."""

    run_item_id: str
    run_id: str
    run_name: str = ""
    item_id: str
    trace_id: str
    observation_id: str | None = None
    dataset_version_ns: int | None = None
    created_ns: int = 0
    updated_ns: int = 0


def check_dataset_name(name: str) -> str:
    """Return ``name`` if a dataset or run may be called so: 1–255 characters, no control characters.

    Raises:
        InvalidArgument: otherwise.
    """
    if len(name) > MAX_NAME:
        raise InvalidArgument(f"name must be at most {MAX_NAME} characters")
    return check_id(name, "name")


def experiment_id(project_id: str, dataset_id: str, run_name: str) -> str:
    """Id of the run of that name: 16 hex digits of SHA-256 over a JSON array.

    Byte for byte the derivation of Langfuse's Python SDK 5 (``Langfuse._create_experiment_id``), which writes it into
    span attributes; deriving the same one for run items of older clients makes all of them meet in one run.
    """
    payload = msgspec.json.encode(["langfuse-experiment-v1", project_id, dataset_id, run_name])
    return hashlib.sha256(payload).hexdigest()[:16]
