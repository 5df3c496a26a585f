"""Evaluation datasets of MLflow: read as datasets and items, and written from those of any system.

MLflow knows the current records of a dataset, told apart by their inputs, which are objects. A record carries its item's
other fields as a tag; what is no such record (past states, archived items, a second item of the same inputs) and the
dataset itself are in the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from twinlens.domain.dataset import Dataset, DatasetItem, expectations_of, input_key, inputs_of, tags_of
from twinlens.domain.ids import canonical_trace_id, hex_id, mlflow_trace_id
from twinlens.domain.record import CARRIED, AnyRecord, DatasetItemRecord, DatasetRecord
from twinlens.migrate.http import Http
from twinlens.migrate.mlflow_ledger import Ledger, LedgerWriter
from twinlens.migrate.mlflow_reader import API3, MlflowReader, RestReader
from twinlens.migrate.system import Page

DATASET_ID, ITEM = f"{CARRIED}dataset_id", f"{CARRIED}item"
_MS = 1_000_000
#: MLflow's names of where a record may come from.
_SOURCES = frozenset({"TRACE", "HUMAN", "DOCUMENT", "CODE"})


# --- reading -----------------------------------------------------------------------------------------------------------
def datasets_of(reader: MlflowReader, ledger: Ledger, numbers: dict[str, str]) -> Iterator[DatasetRecord]:
    """All datasets. ``numbers``: experiment ids as they were, by their ids here."""
    kept = {record.key: record for page in ledger.pages("dataset") for record in page}
    for said in reader.datasets():
        tags = _object(said.get("tags"))
        origin = tags.pop(DATASET_ID, None)
        record = kept.pop(origin, None) if origin else None
        if isinstance(record, DatasetRecord):
            if tags != tags_of(record.dataset.metadata):  # somebody has changed them in MLflow
                record.dataset.metadata = tags
            yield record
            continue
        yield DatasetRecord(
            dataset=Dataset(
                dataset_id=said["dataset_id"], name=said["name"], metadata=tags or None, fields=_object(said.get("schema")) or None,
                created_by=said.get("created_by"), updated_by=said.get("last_updated_by"), created_ns=_ns(said.get("created_time")),
                updated_ns=_ns(said.get("last_update_time")),
                experiment_ids=[numbers.get(str(e), str(e)) for e in said.get("experiment_ids") or []],
            )
        )  # fmt: skip
    for record in kept.values():
        if isinstance(record, DatasetRecord):
            yield record


def items_of(reader: MlflowReader, ledger: Ledger) -> Iterator[Page]:
    """All items, first those of the ledger: past states come before the present ones."""
    for page in ledger.pages("dataset_item"):
        yield Page(page, part=True)
    for said in reader.datasets():
        origin = _object(said.get("tags")).get(DATASET_ID, said["dataset_id"])
        for records in reader.records(said["dataset_id"]):
            items: list[AnyRecord] = [DatasetItemRecord(item=item_of(each, origin, said["name"])) for each in records]
            yield Page(items, part=True)


def item_of(said: dict[str, Any], dataset_id: str, name: str) -> DatasetItem:
    """A record as an item; one that had been carried here as it was, but for what was changed here."""
    tags: dict[str, Any] = dict(said.get("tags") or {})
    carried = tags.pop(ITEM, None)
    if carried:
        item = msgspec.json.decode(carried, type=DatasetItem)
        if (said.get("expectations") or None) != (expectations_of(item.expected_output) or None):
            item.expected_output = said.get("expectations")
        if tags != tags_of(item.metadata):
            item.metadata = tags
        return item
    source: Any = said.get("source")
    data: dict[str, Any] = (source or {}).get("source_data") or {}
    created, updated = _ns(said.get("created_time")), _ns(said.get("last_update_time"))
    return DatasetItem(
        item_id=said["dataset_record_id"], dataset_id=dataset_id, dataset_name=name, input=said.get("inputs"),
        expected_output=said.get("expectations"), output=said.get("outputs"), metadata=tags or None, source=source,
        source_trace_id=canonical_trace_id(data["trace_id"]) if data.get("trace_id") else None, created_by=said.get("created_by"),
        updated_by=said.get("last_updated_by"), valid_from_ns=updated, created_ns=created, updated_ns=updated,
    )  # fmt: skip


def _object(text: Any) -> dict[str, Any]:
    """JSON text of an object, as MLflow has it inside its JSON."""
    return text if isinstance(text, dict) else msgspec.json.decode(text) if text else {}


def _ns(ms: Any) -> int:
    return int(ms or 0) * _MS


# --- writing -----------------------------------------------------------------------------------------------------------
class DatasetWriter:
    """Makes evaluation datasets on a server."""

    def __init__(self, http: Http, reader: RestReader, ledger: LedgerWriter) -> None:
        self._http = http
        self._reader = reader
        self._ledger = ledger
        self._lock = threading.Lock()
        self._here: dict[str, str] | None = None
        self._outputs: dict[str, Any] = {}  #: what a dataset's schema says of outputs, by its id there
        self._records: dict[str, tuple[dict[str, str], dict[str, tuple[str, str]]]] = {}

    def dataset(self, dataset: Dataset, experiments: dict[str, str]) -> None:
        """Make or change one. ``experiments``: ids at the target."""
        self._ledger.keep([DatasetRecord(dataset=dataset)])
        tags = {**tags_of(dataset.metadata), DATASET_ID: dataset.dataset_id}
        here = self.known.get(dataset.dataset_id)
        used = [experiments[e] for e in dataset.experiment_ids if e in experiments]
        if here is None:
            body = {"name": dataset.name, "tags": _text(tags), "experiment_ids": used}
            made = self._http.post(f"{API3}/datasets/create", body)["dataset"]
            self.known[dataset.dataset_id] = str(made["dataset_id"])
            return
        path = f"{API3}/datasets/{quote(here, safe='')}"
        self._http.request("PATCH", f"{path}/tags", json={"tags": _text(tags)})
        if used:
            self._http.post(f"{path}/add-experiments", {"experiment_ids": used})

    @property
    def known(self) -> dict[str, str]:
        """Datasets at the target: their ids there, by the ids they came with."""
        if self._here is None:
            self._here = {}
            for said in self._reader.datasets():
                here = str(said["dataset_id"])
                self._here[str(_object(said.get("tags")).get(DATASET_ID, here))] = here
                self._outputs[here] = _object(said.get("schema")).get("outputs")
        return self._here

    def items(self, records: list[DatasetItemRecord]) -> None:
        """Add or change records; what MLflow cannot hold goes to the ledger."""
        with self._lock:
            self._items(records)

    def _items(self, records: list[DatasetItemRecord]) -> None:
        rows: dict[str, list[dict[str, Any]]] = {}
        kept: list[AnyRecord] = []
        for record in records:
            item = record.item
            here = self.known.get(item.dataset_id)
            if here is None or record.valid_to_ns is not None or item.status != "ACTIVE":
                kept.append(record)
                continue
            by_input, by_id = self._present(here)
            key = input_key(item.input)
            if by_input.setdefault(key, item.item_id) != item.item_id:
                kept.append(record)  # another item has these inputs
                continue
            stale = by_id.get(item.item_id)
            if stale is not None and stale[1] != key:  # it had other inputs: to MLflow that is another record
                body = {"dataset_record_ids": [stale[0]]}
                self._http.request("DELETE", f"{API3}/datasets/{quote(here, safe='')}/records", json=body)
                by_input.pop(stale[1], None)
                del by_id[item.item_id]
            rows.setdefault(here, []).append(_record(item))
        self._ledger.keep(kept)
        for here, found in rows.items():
            self._spare(here, found)
            self._http.post(f"{API3}/datasets/{quote(here, safe='')}/records", {"records": _text(found)})

    def _spare(self, here: str, rows: list[dict[str, Any]]) -> None:
        """MLflow 3.17 breaks on outputs that are an object where those before were none: objects come first, and where they
        cannot they only travel along."""
        rows.sort(key=lambda row: not isinstance(row.get("outputs"), dict))
        for row in rows:
            outputs = row.get("outputs")
            if isinstance(outputs, dict) and isinstance(self._outputs.get(here), str):
                del row["outputs"]
            elif outputs is not None and not self._outputs.get(here):
                self._outputs[here] = outputs if isinstance(outputs, dict) else "value"

    def _present(self, here: str) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
        """What a dataset holds: item ids by inputs, and (record id, inputs) by item id."""
        found = self._records.get(here)
        if found is None:
            by_input: dict[str, str] = {}
            by_id: dict[str, tuple[str, str]] = {}
            for records in self._reader.records(here):
                for said in records:
                    item = item_of(said, here, "")
                    key = input_key(said.get("inputs"))
                    by_input[key] = item.item_id
                    by_id[item.item_id] = (said["dataset_record_id"], key)
            found = self._records[here] = (by_input, by_id)
        return found


def _record(item: DatasetItem) -> dict[str, Any]:
    found: dict[str, Any] = {
        "inputs": inputs_of(item.input), "tags": {**tags_of(item.metadata), ITEM: msgspec.json.encode(item).decode()},
    }  # fmt: skip
    if item.expected_output is not None:
        found["expectations"] = expectations_of(item.expected_output)
    if item.output is not None:
        found["outputs"] = item.output
    if item.source_trace_id:
        trace_id = mlflow_trace_id(hex_id(item.source_trace_id, 32))
        found["source"] = {"source_type": "TRACE", "source_data": {"trace_id": trace_id}}
    elif item.source and item.source.get("source_type") in _SOURCES:
        found["source"] = item.source
    return found


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
