"""Evaluation datasets (API 3.0). Langfuse's datasets and items are the same rows.

``tags`` and ``records`` travel as JSON text inside the JSON, both ways (recorded from MLflow 3.18's client).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast

import msgspec

from twinlens.domain.dataset import Dataset, DatasetItem, expectations_of, inputs_of, tags_of
from twinlens.domain.ids import mlflow_trace_id
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, present
from twinlens.features.evaluation_datasets import Record
from twinlens.query.mlflow_filter_datasets import dataset_filter, dataset_order

rpcs = RpcTable()

_ONE = "/mlflow/datasets/{dataset_id}"
MAX_PAGE = 1_000
MAX_RECORDS_PAGE = 1_000
_NS_PER_MS = 1_000_000


# --- datasets ------------------------------------------------------------------------------------------------------
def dataset_json(dataset: Dataset, size: int) -> dict[str, Any]:
    """``Dataset`` on the wire. The digest changes with every change of the dataset."""
    updated = dataset.updated_ns // _NS_PER_MS
    return present(
        dataset_id=dataset.dataset_id, name=dataset.name, tags=_text(tags_of(dataset.metadata)),
        schema=_text(dataset.fields) if dataset.fields else None,
        profile=_text({"num_records": size}) if size else None,
        digest=hashlib.sha256(f"{dataset.name}:{updated}".encode()).hexdigest()[:8],
        created_time=dataset.created_ns // _NS_PER_MS, last_update_time=updated, created_by=dataset.created_by,
        last_updated_by=dataset.updated_by, experiment_ids=dataset.experiment_ids or None,
    )  # fmt: skip


def _reply(call: Call, dataset: Dataset) -> Reply:
    sizes = call.services.evaluation_datasets.sizes(call.project_id, [dataset])
    return {"dataset": dataset_json(dataset, sizes.get(dataset.dataset_id, 0))}


@rpcs.rpc("POST", "3.0", "/mlflow/datasets/create")
def create(call: Call) -> Reply:
    """Create a dataset."""
    name = call.params.required("name")
    tags = _object(call, "tags")
    made = call.services.evaluation_datasets.create(
        call.project_id, name, tags, call.params.texts("experiment_ids"), call.user
    )
    return _reply(call, made)


@rpcs.rpc("GET", "3.0", "/mlflow/datasets/search")
@rpcs.rpc("POST", "3.0", "/mlflow/datasets/search", scope="read")
def search(call: Call) -> Reply:
    """A page of datasets."""
    params = call.params
    found, cursor = call.services.evaluation_datasets.search(
        call.project_id,
        dataset_filter(params.text("filter_string", "filter")),
        dataset_order(params.texts("order_by")),
        experiment_ids=params.texts("experiment_ids"),
        limit=params.max_results(MAX_PAGE, 50_000),
        cursor=params.text("page_token") or None,
    )
    sizes = call.services.evaluation_datasets.sizes(call.project_id, found)
    rows = [dataset_json(each, sizes.get(each.dataset_id, 0)) for each in found]
    return present(datasets=rows or None, next_page_token=cursor)


@rpcs.rpc("GET", "3.0", _ONE)
def get(call: Call) -> Reply:
    """One dataset."""
    return _reply(call, call.services.evaluation_datasets.get(call.project_id, call.path["dataset_id"]))


@rpcs.rpc("DELETE", "3.0", _ONE)
def delete(call: Call) -> Reply:
    """Delete a dataset with its records; an absent one is no error."""
    call.services.evaluation_datasets.delete(call.project_id, call.path["dataset_id"])
    return None


@rpcs.rpc("PATCH", "3.0", _ONE + "/tags")
def set_tags(call: Call) -> Reply:
    """Add tags."""
    call.params.required("tags")
    tags = {key: value for key, value in (_object(call, "tags") or {}).items() if value is not None}  # null: as it was
    return _reply(call, call.services.evaluation_datasets.set_tags(call.project_id, call.path["dataset_id"], tags))


@rpcs.rpc("DELETE", "3.0", _ONE + "/tags/{key}")
def delete_tag(call: Call) -> Reply:
    """Remove one tag; an absent one is no error."""
    call.services.evaluation_datasets.set_tags(call.project_id, call.path["dataset_id"], {call.path["key"]: None})
    return None


@rpcs.rpc("GET", "3.0", _ONE + "/experiment-ids")
def experiment_ids(call: Call) -> Reply:
    """The experiments that use a dataset."""
    found = call.services.evaluation_datasets.get(call.project_id, call.path["dataset_id"]).experiment_ids
    return {"experiment_ids": found} if found else {}


@rpcs.rpc("POST", "3.0", _ONE + "/add-experiments")
def add_experiments(call: Call) -> Reply:
    """Say that experiments use a dataset."""
    return _reply(
        call,
        call.services.evaluation_datasets.add_experiments(
            call.project_id, call.path["dataset_id"], call.params.texts("experiment_ids")
        ),
    )


@rpcs.rpc("POST", "3.0", _ONE + "/remove-experiments")
def remove_experiments(call: Call) -> Reply:
    """Say that experiments no longer use a dataset."""
    return _reply(
        call,
        call.services.evaluation_datasets.remove_experiments(
            call.project_id, call.path["dataset_id"], call.params.texts("experiment_ids")
        ),
    )


# --- records -------------------------------------------------------------------------------------------------------
def record_json(item: DatasetItem) -> dict[str, Any]:
    """A record as it stands inside the JSON text."""
    source = _source(item)
    return present(
        dataset_record_id=item.item_id, dataset_id=item.dataset_id, inputs=inputs_of(item.input), outputs=item.output,
        expectations=expectations_of(item.expected_output), tags=tags_of(item.metadata), source=source,
        source_id=source["source_data"].get("trace_id" if source["source_type"] == "TRACE" else "source_id")
        if source else None,
        source_type=source["source_type"] if source else None, created_time=item.created_ns // _NS_PER_MS,
        last_update_time=item.updated_ns // _NS_PER_MS, created_by=item.created_by, last_updated_by=item.updated_by,
    )  # fmt: skip


def _source(item: DatasetItem) -> dict[str, Any] | None:
    """Where the record comes from; an item that other clients made of a trace comes from that trace."""
    if item.source_trace_id is None:
        return item.source
    data = {**((item.source or {}).get("source_data") or {}), "trace_id": mlflow_trace_id(item.source_trace_id)}
    if item.source_observation_id:
        data["span_id"] = item.source_observation_id
    return {"source_type": "TRACE", "source_data": data}


@rpcs.rpc("POST", "3.0", _ONE + "/records")
def merge_records(call: Call) -> Reply:
    """Add records, or change those whose inputs are there already."""
    call.params.required("records")
    found = _json(call, "records")
    if not isinstance(found, list):
        raise invalid("Invalid value for parameter 'records': it must be the JSON text of a list of objects.")
    records = [_record(index, each) for index, each in enumerate(cast("list[Any]", found))]
    added, changed = call.services.evaluation_datasets.merge(call.project_id, call.path["dataset_id"], records)
    return {"inserted_count": added, "updated_count": changed}


def _record(index: int, value: Any) -> Record:
    if not isinstance(value, dict):
        raise invalid(f"records[{index}]: each record must be an object with 'inputs'.")
    values = cast("dict[str, Any]", value)
    values = {**values, "inputs": values.get("inputs") or {}}
    try:
        return msgspec.convert(values, Record)
    except msgspec.ValidationError as error:
        raise invalid(f"records[{index}]: {error}") from None


@rpcs.rpc("GET", "3.0", _ONE + "/records")
def get_records(call: Call) -> Reply:
    """A page of records, oldest first."""
    limit = call.params.max_results(MAX_RECORDS_PAGE, MAX_RECORDS_PAGE)
    found, cursor = call.services.evaluation_datasets.records(
        call.project_id, call.path["dataset_id"], limit=limit, cursor=call.params.text("page_token") or None
    )
    return present(records=_text([record_json(item) for item in found]), next_page_token=cursor)


@rpcs.rpc("DELETE", "3.0", _ONE + "/records")
def delete_records(call: Call) -> Reply:
    """Delete records by id; unknown ones are skipped."""
    ids = call.params.texts("dataset_record_ids")
    return {
        "deleted_count": call.services.evaluation_datasets.delete_records(call.project_id, call.path["dataset_id"], ids)
    }


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _json(call: Call, name: str) -> Any:
    text = call.params.text(name)
    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:  # perhaps with NaN and Infinity, as the client writes them: kept as text
        try:
            return json.loads(text or "", parse_constant=str)
        except (ValueError, RecursionError) as error:
            raise invalid(f"Invalid value for parameter '{name}': not JSON ({error}).") from None
    except (UnicodeEncodeError, RecursionError) as error:
        raise invalid(f"Invalid value for parameter '{name}': not JSON ({error}).") from None


def _object(call: Call, name: str) -> dict[str, Any] | None:
    value = _json(call, name)
    if value is not None and not isinstance(value, dict):
        raise invalid(f"Invalid value for parameter '{name}': it must be the JSON text of an object.")
    return cast("dict[str, Any] | None", value)
