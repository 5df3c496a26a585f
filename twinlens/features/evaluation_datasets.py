"""Datasets as MLflow's programs use them: records merged by their inputs, tags, and the experiments that use a dataset.

The rows are those of ``features.datasets``; only the rules differ (reference: MLflow 3.18). Unlike MLflow, which lets two datasets
share a name and then cannot find either by name, a name is unique in a project: creating one that exists returns it, with the
given tags and experiments added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.dataset import Dataset, DatasetItem, check_dataset_name, input_key, observed
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import canonical_trace_id, new_hex
from twinlens.features.datasets import Datasets, check_item
from twinlens.features.experiments import Experiments
from twinlens.query.evaluate import holds
from twinlens.query.mlflow_filter_datasets import read_field
from twinlens.store.catalog.datasets import DatasetTable
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.keyset import decode_cursor, encode_cursor
from twinlens.store.telemetry.query import Expr

#: MLflow's reserved tag: who wrote.
USER = "mlflow.user"
SOURCE_TYPES = ("UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE")
_MS = 1_000_000


class Record(msgspec.Struct, kw_only=True):
    """A record to merge. What is UNSET is left as it is in a record with these inputs."""

    inputs: dict[str, Any]
    outputs: Any = msgspec.UNSET
    expectations: dict[str, Any] | None = None
    tags: dict[str, Any] | None = None
    source: dict[str, Any] | None = None


class EvaluationDatasets:
    """See the module's text. All methods block."""

    def __init__(self, catalog: Catalog, datasets: Datasets, experiments: Experiments, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._datasets = datasets
        self._experiments = experiments
        self._clock = clock

    # --- datasets ----------------------------------------------------------------------------------------------
    def create(
        self, project_id: str, name: str, tags: Mapping[str, Any] | None = None, experiment_ids: Sequence[str] = (),
        user: str | None = None,
    ) -> Dataset:  # fmt: skip
        """Make a dataset, or return the one of that name with tags and experiments added.

        Raises:
            InvalidArgument: bad name.
            NotFound: no such experiment.
        """
        check_dataset_name(name)
        self._check_experiments(project_id, experiment_ids)
        tags = dict(tags or {})
        author = tags.get(USER) or user or None
        try:
            found = self._datasets.get(project_id, name)
        except NotFound:
            found = self._datasets.put(
                project_id, name, metadata=tags or None, created_by=author, updated_by=author
            )  # fmt: skip
            tags = {}
        return self._change(project_id, found.dataset_id, tags, add=experiment_ids, user=author)

    def get(self, project_id: str, dataset_id: str) -> Dataset:
        """One dataset.

        Raises:
            NotFound: no such dataset.
        """
        with self._catalog.read() as connection:
            return _found(DatasetTable(connection, project_id), dataset_id)

    def sizes(self, project_id: str, datasets: Sequence[Dataset]) -> dict[str, int]:
        """Number of active items by dataset id; absent: none."""
        with self._catalog.read() as connection:
            return DatasetTable(connection, project_id).counts([each.dataset_id for each in datasets])

    def search(
        self, project_id: str, where: Expr, order: Sequence[tuple[str, bool]], *,
        experiment_ids: Sequence[str] = (), limit: int, cursor: str | None = None,
    ) -> tuple[list[Dataset], str | None]:  # fmt: skip
        """Datasets that satisfy a filter, by fields (descending or not; default newest first), and the next page's cursor.

        Raises:
            InvalidArgument: not a cursor of this search.
        """
        with self._catalog.read() as connection:
            rows = DatasetTable(connection, project_id).all()
        wanted = set(experiment_ids)
        found = [
            row
            for row in rows
            if (not wanted or wanted.intersection(row.experiment_ids))
            and holds(where, lambda c, r=row: read_field(r, c))
        ]
        found.sort(key=lambda row: row.dataset_id)
        for field, descending in reversed(order or [("created_ms", True)]):
            found.sort(key=lambda row, f=field: _sort_value(row, f), reverse=descending)
        query = [repr(where), [*order], [*experiment_ids]]
        start = int(decode_cursor(cursor, query, 1)[0]) if cursor else 0
        more = len(found) > start + limit
        return found[start : start + limit], encode_cursor([start + limit], query) if more else None

    def delete(self, project_id: str, dataset_id: str) -> None:
        """Remove a dataset with its records, history and runs; traces stay. An absent one is no error."""
        try:
            self._datasets.delete(project_id, dataset_id)
        except NotFound:
            return

    def set_tags(self, project_id: str, dataset_id: str, tags: Mapping[str, Any]) -> Dataset:
        """Add tags; one with the value None is removed.

        Raises:
            NotFound: no such dataset.
        """
        return self._change(project_id, dataset_id, tags)

    def add_experiments(self, project_id: str, dataset_id: str, experiment_ids: Sequence[str]) -> Dataset:
        """Say that experiments use a dataset.

        Raises:
            NotFound: no such dataset or experiment.
        """
        self._check_experiments(project_id, experiment_ids)
        return self._change(project_id, dataset_id, add=experiment_ids)

    def remove_experiments(self, project_id: str, dataset_id: str, experiment_ids: Sequence[str]) -> Dataset:
        """Say that experiments no longer use a dataset.

        Raises:
            NotFound: no such dataset.
        """
        return self._change(project_id, dataset_id, remove=experiment_ids)

    def _check_experiments(self, project_id: str, experiment_ids: Sequence[str]) -> None:
        for each in experiment_ids:
            self._experiments.get(project_id, each)

    def _change(
        self, project_id: str, dataset_id: str, tags: Mapping[str, Any] | None = None, *, add: Sequence[str] = (),
        remove: Sequence[str] = (), user: str | None = None,
    ) -> Dataset:  # fmt: skip
        with self._catalog.write() as connection:
            table = DatasetTable(connection, project_id)
            found = _found(table, dataset_id, lock=True)
            changed = found
            if tags:
                changed = msgspec.structs.replace(
                    found, metadata=_merged(found.metadata, tags), updated_by=user or found.updated_by
                )
            used = sorted((set(found.experiment_ids) | set(add)) - set(remove))
            if used != found.experiment_ids:
                table.set_experiments(dataset_id, used)
                changed = msgspec.structs.replace(changed, experiment_ids=used)
            if changed is not found:
                changed = msgspec.structs.replace(changed, updated_ns=self._clock())
                table.put_dataset(changed, new=False)
            return changed

    # --- records -----------------------------------------------------------------------------------------------
    def merge(self, project_id: str, dataset_id: str, records: Sequence[Record]) -> tuple[int, int]:
        """Add records; one whose inputs are there already gives that one new outputs, expectations and tags.

        Returns:
            How many were added and how many changed.

        Raises:
            NotFound: no such dataset.
            InvalidArgument: a source is wrong, or the dataset's schema is violated; then nothing is written.
        """
        for index, record in enumerate(records):
            _check_source(index, record)
        with self._catalog.write() as connection:
            table = DatasetTable(connection, project_id)
            dataset = _found(table, dataset_id, lock=True)
            known = table.by_input(dataset_id, [input_key(record.inputs) for record in records])
            old = {item.item_id: item for item in known.values()}
            now = self._clock()
            newest = max((item.valid_from_ns + _MS for item in old.values()), default=0)
            at = max(now // _MS * _MS, newest)
            states: dict[str, DatasetItem] = {}
            updated, fields, user = 0, dataset.fields, dataset.updated_by
            for index, record in enumerate(records):
                key = input_key(record.inputs)
                before = states.get(key) or known.get(key)
                base = before or DatasetItem(
                    item_id="dr-" + new_hex(), dataset_id=dataset_id, input=record.inputs, created_ns=now + index
                )
                state = _joined(base, record, new=before is None)
                state = msgspec.structs.replace(
                    state, dataset_name=dataset.name, valid_from_ns=at, updated_ns=now
                )  # fmt: skip
                check_item(dataset, state, f"record {index + 1}: ")
                states[key] = state
                fields = observed(fields, state)
                user = (record.tags or {}).get(USER) or user
                updated += before is not None
            for key in states.keys() & known.keys():
                table.close_item(known[key].item_id, at)
            table.add_items([*states.values()])
            table.put_dataset(
                msgspec.structs.replace(dataset, fields=fields, updated_by=user, updated_ns=now), new=False
            )
        return len(records) - updated, updated

    def records(
        self, project_id: str, dataset_id: str, *, limit: int, cursor: str | None = None
    ) -> tuple[list[DatasetItem], str | None]:
        """Records, oldest first, and the cursor of the next page.

        Raises:
            NotFound: no such dataset.
            InvalidArgument: not a cursor of this dataset's records.
        """
        after = decode_cursor(cursor, dataset_id, 2) if cursor else None
        with self._catalog.read() as connection:
            table = DatasetTable(connection, project_id)
            _found(table, dataset_id)
            found = table.first_items(dataset_id, limit + 1, (int(after[0]), str(after[1])) if after else None)
        page = found[:limit]
        more = len(found) > limit
        return page, encode_cursor([page[-1].created_ns, page[-1].item_id], dataset_id) if more else None

    def delete_records(self, project_id: str, dataset_id: str, record_ids: Sequence[str]) -> int:
        """Delete records; reads as of an earlier time still see them. How many there were.

        Raises:
            NotFound: no such dataset.
        """
        with self._catalog.write() as connection:
            table = DatasetTable(connection, project_id)
            dataset = _found(table, dataset_id, lock=True)
            now = self._clock()
            gone = 0
            for each in dict.fromkeys(record_ids):
                item = table.item(each)
                if item is not None and item.dataset_id == dataset_id and item.status == "ACTIVE":
                    gone += table.close_item(each, max(now // _MS * _MS, item.valid_from_ns + _MS))
            if gone:
                table.put_dataset(msgspec.structs.replace(dataset, updated_ns=now), new=False)
        return gone


def _found(table: DatasetTable, dataset_id: str, *, lock: bool = False) -> Dataset:
    found = table.dataset(dataset_id=dataset_id, lock=lock)
    if found is None:
        raise NotFound(f"Evaluation dataset with id '{dataset_id}' not found")
    return found


def _sort_value(row: Dataset, field: str) -> Any:
    return row.name if field == "name" else row.created_ns if field == "created_ms" else row.updated_ns


def _merged(metadata: Any, tags: Mapping[str, Any]) -> Any:
    """Metadata with tags added (those of value None removed). Metadata that is no object is kept under its own key."""
    before = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
    if metadata is not None and not isinstance(metadata, dict):
        before = {"metadata": metadata}
    after = {**before, **tags}
    return {key: value for key, value in after.items() if value is not None} or None


def _check_source(index: int, record: Record) -> None:
    if record.source is None:
        return
    kind = record.source.get("source_type")
    if not isinstance(kind, str) or kind.upper() not in SOURCE_TYPES:
        raise InvalidArgument(
            f"Invalid dataset record source type: {kind} (record {index + 1}). Valid source types: {[*SOURCE_TYPES]}"
        )


def _joined(base: DatasetItem, record: Record, *, new: bool) -> DatasetItem:
    """``base`` with what a record says. Outputs are replaced, expectations and tags united; the source stays as it was."""
    changes: dict[str, Any] = {}
    if record.outputs is not msgspec.UNSET:
        changes["output"] = record.outputs
    if record.expectations:
        before = base.expected_output
        if before is not None and not isinstance(before, dict):
            before = {"expected_response": before}
        changes["expected_output"] = {**(before or {}), **record.expectations}
    elif new:
        changes["expected_output"] = record.expectations
    if record.tags:
        changes["metadata"] = _merged(base.metadata, record.tags)
        user = record.tags.get(USER)
        changes["updated_by"] = user or base.updated_by
        if new:
            changes["created_by"] = user
    if new and record.source is not None:
        changes |= source_fields(record.source)
    return msgspec.structs.replace(base, **changes)


def source_fields(source: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of an item from MLflow's account of its source: a trace is also named the way other clients read it."""
    kind = str(source.get("source_type") or "UNSPECIFIED").upper()
    found = source.get("source_data")
    data = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    fields: dict[str, Any] = {"source": {"source_type": kind, "source_data": data}}
    trace_id, span_id = data.get("trace_id"), data.get("span_id")
    if kind == "TRACE" and isinstance(trace_id, str) and trace_id:
        fields["source_trace_id"] = canonical_trace_id(trace_id)
        fields["source_observation_id"] = span_id if isinstance(span_id, str) and span_id else None
    return fields
