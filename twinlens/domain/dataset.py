"""Datasets: examples to evaluate with, their history, and runs over them.

MLflow calls them evaluation datasets with records, Langfuse datasets with items; a Langfuse dataset run is an experiment
over a dataset. Items keep every state they had, so that a run can be repeated on the data of its day.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, cast

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.ids import check_id

ItemStatus = Literal["ACTIVE", "ARCHIVED"]
MAX_NAME = 255


class Dataset(msgspec.Struct, kw_only=True):
    """One dataset. Schemas are JSON Schema objects that items must satisfy; ``fields`` says what was seen in items.

    MLflow's tags of a dataset (or record) are the keys of ``metadata``; ``experiment_ids`` are the experiments that use it.
    """

    dataset_id: str
    name: str
    description: str | None = None
    metadata: Any = None
    input_schema: dict[str, Any] | None = None
    expected_output_schema: dict[str, Any] | None = None
    fields: dict[str, Any] | None = None
    created_by: str | None = None
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0
    experiment_ids: list[str] = []


class DatasetItem(msgspec.Struct, kw_only=True):
    """One state of one item: valid from ``valid_from_ns`` (whole milliseconds, as clients see it) until the next one.

    ``output`` is what was answered when the item was made from a trace. ``source`` is MLflow's account of where the item
    comes from (``source_type``, ``source_data``); a source trace is named by ``source_trace_id`` too.
    """

    item_id: str
    dataset_id: str
    dataset_name: str = ""
    input: Any = None
    expected_output: Any = None
    output: Any = None
    metadata: Any = None
    source: dict[str, Any] | None = None
    source_trace_id: str | None = None
    source_observation_id: str | None = None
    status: str = "ACTIVE"
    created_by: str | None = None
    updated_by: str | None = None
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


# --- one item, two views ---------------------------------------------------------------------------------------------
def inputs_of(value: Any) -> dict[str, Any]:
    """An item's input as MLflow knows it, an object: anything else stands under ``input``."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    return {} if value is None else {"input": value}


def expectations_of(value: Any) -> dict[str, Any] | None:
    """An item's expected output as MLflow knows it: anything but an object is the ``expected_response`` that its judges read."""
    if value is None or isinstance(value, dict):
        return cast("dict[str, Any] | None", value)
    return {"expected_response": value}


def tags_of(metadata: Any) -> dict[str, str]:
    """Metadata as MLflow's tags: texts as they are, other values as JSON."""
    if metadata is None:
        return {}
    values = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {"metadata": metadata}
    return {str(k): v if isinstance(v, str) else msgspec.json.encode(v).decode() for k, v in values.items()}


def input_key(value: Any) -> str:
    """What tells items of one dataset apart to MLflow: SHA-256 of the key-sorted JSON of the inputs."""
    return hashlib.sha256(msgspec.json.encode(inputs_of(value), order="sorted")).hexdigest()


_JSON_TYPES = {bool: "boolean", int: "integer", float: "float", str: "string", list: "array", dict: "object"}


def observed(fields: dict[str, Any] | None, item: DatasetItem) -> dict[str, Any]:
    """``fields`` with those of one more item; the first type that was seen for a key stays (as MLflow's schema of a dataset)."""
    found = fields or {"inputs": {}, "outputs": {}, "expectations": {}, "version": "1.0"}
    parts = (("inputs", inputs_of(item.input)), ("expectations", expectations_of(item.expected_output)))
    for part, values in (*parts, ("outputs", item.output)):
        if isinstance(values, dict):
            named = cast("dict[str, Any]", values)
            new = {k: _JSON_TYPES.get(type(v), "null") for k, v in named.items() if k not in found[part]}
            before: Any = found[part]
            if new and isinstance(before, dict):
                found = {**found, part: {**cast("dict[str, Any]", before), **new}}
        elif values is not None and not found[part]:
            found = {**found, part: _JSON_TYPES[type(values)]}
    return found
