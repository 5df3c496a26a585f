"""Datasets, their items with history, and runs over them.

Rules (Langfuse server v4.16): a dataset is upserted by name, an item by id; an id of another dataset does not exist here; every state
of an item is kept and can be read as of a time; items must satisfy the dataset's JSON Schemas; a run is made by its first
item; deleting a run deletes its links, never the traces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy.exc import IntegrityError

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.dataset import (
    Dataset,
    DatasetItem,
    DatasetRun,
    DatasetRunItem,
    check_dataset_name,
    experiment_id,
    observed,
)
from twinlens.domain.errors import Conflict, InvalidArgument, NotFound
from twinlens.domain.ids import check_id, new_uuid
from twinlens.features.json_schema import check_schema, violations
from twinlens.store.catalog.dataset_runs import DatasetRunTable
from twinlens.store.catalog.datasets import DatasetTable, Place
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.keyset import decode_cursor, encode_cursor

T = TypeVar("T")
_MS = 1_000_000
_STATUSES = frozenset({"ACTIVE", "ARCHIVED"})
MAX_RUNS = 10_000  #: runs of one dataset
_PAGE = 500


class ItemDraft(msgspec.Struct, kw_only=True):
    """An item to store; ``fields`` as ``Datasets.put_item`` takes them."""

    item_id: str | None = None
    fields: dict[str, Any]


class Datasets:
    """See the module's text. All methods block."""

    def __init__(self, catalog: Catalog, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._clock = clock

    # --- datasets ----------------------------------------------------------------------------------------------
    def put(self, project_id: str, name: str, **fields: Any) -> Dataset:
        """Create a dataset or change the given fields of the one with that name.

        Args:
            fields: ``description``, ``metadata``, ``input_schema``, ``expected_output_schema``.

        Raises:
            InvalidArgument: bad name, not a JSON Schema, or existing items would violate the new one.
        """
        check_dataset_name(name)
        for key in ("input_schema", "expected_output_schema"):
            if fields.get(key) is not None:
                check_schema(fields[key], key)
        now = self._clock()

        def write(table: DatasetTable) -> Dataset:
            found = table.dataset(name=name)
            if found is None:
                made = Dataset(dataset_id=new_uuid(), name=name, created_ns=now, updated_ns=now, **fields)
                table.put_dataset(made, new=True)
                return made
            changed = msgspec.structs.replace(found, **fields, updated_ns=now)
            if fields.keys() & {"input_schema", "expected_output_schema"}:
                self._check_items(table, changed)
            table.put_dataset(changed, new=False)
            return changed

        return self._write(project_id, write)

    @staticmethod
    def _check_items(table: DatasetTable, dataset: Dataset) -> None:
        offset, total = 0, 1
        while offset < total:
            items, total = table.items(
                dataset_id=dataset.dataset_id, source_trace_id=None, source_observation_id=None, at=None, limit=500,
                offset=offset,
            )  # fmt: skip
            for item in items:
                check_item(dataset, item, f"item '{item.item_id}' ")
            offset += 500

    def get(self, project_id: str, name: str) -> Dataset:
        """One dataset by name.

        Raises:
            NotFound: no such dataset.
        """
        with self._catalog.read() as connection:
            return _dataset(DatasetTable(connection, project_id), name=name)

    def get_by_id(self, project_id: str, dataset_id: str) -> Dataset:
        """One dataset by id.

        Raises:
            NotFound: no such dataset.
        """
        with self._catalog.read() as connection:
            return _dataset(DatasetTable(connection, project_id), dataset_id=dataset_id)

    def get_any(self, project_id: str, id_or_name: str) -> Dataset:
        """One dataset by id, else by name.

        Raises:
            NotFound: no such dataset.
        """
        try:
            return self.get_by_id(project_id, id_or_name)
        except NotFound:
            return self.get(project_id, id_or_name)

    def list(self, project_id: str, *, limit: int, offset: int) -> tuple[list[Dataset], int]:
        """Newest first, and the number of all."""
        with self._catalog.read() as connection:
            return DatasetTable(connection, project_id).page(limit, offset)

    def page(
        self, project_id: str, *, limit: int, cursor: str | None = None
    ) -> tuple[list[Dataset], int, str | None]:  # fmt: skip
        """Newest first, the number of all, and the cursor of the next page.

        Raises:
            InvalidArgument: a bad cursor.
        """
        with self._catalog.read() as connection:
            found, total = DatasetTable(connection, project_id).page(limit + 1, after=_place(cursor, "datasets"))
        more = [(row.created_ns, row.dataset_id) for row in found[limit - 1 : limit]] if len(found) > limit else []
        return found[:limit], total, encode_cursor(more[0], "datasets") if more else None

    def delete(self, project_id: str, dataset_id: str) -> None:
        """Delete a dataset with its items, their history and its runs; traces stay.

        Raises:
            NotFound: no such dataset.
        """
        with self._catalog.write() as connection:
            table = DatasetTable(connection, project_id)
            _dataset(table, dataset_id=dataset_id, lock=True)
            runs = DatasetRunTable(connection, project_id)
            for run in runs.page(dataset_id, MAX_RUNS, 0)[0]:
                runs.delete(run.run_id)
            table.delete_dataset(dataset_id)

    # --- items -------------------------------------------------------------------------------------------------
    def put_item(
        self, project_id: str, dataset_name: str, item_id: str | None = None, fields: Mapping[str, Any] | None = None
    ) -> DatasetItem:
        """Create an item, or give the item of that id a new state with the given fields changed.

        Args:
            fields: ``input``, ``expected_output``, ``metadata``, ``source_trace_id``, ``source_observation_id``, ``status``.

        Raises:
            NotFound: no such dataset, or the id belongs to an item of another dataset.
            InvalidArgument: bad id or status, or the dataset's schema is violated.
        """
        draft = ItemDraft(item_id=item_id or None, fields=dict(fields or {}))

        def write(table: DatasetTable) -> DatasetItem:
            dataset = _dataset(table, name=dataset_name, lock=True)
            state = self._put(table, dataset, draft, self._clock())
            changed = msgspec.structs.replace(
                dataset, fields=observed(dataset.fields, state), updated_ns=state.updated_ns
            )
            table.put_dataset(changed, new=False)
            return state

        return self._write(project_id, write)

    def put_many(self, project_id: str, dataset_id: str, drafts: Sequence[ItemDraft]) -> list[bool | str]:
        """``put_item`` for many, in one transaction; for each whether it is new, or what is wrong with it.

        Raises:
            NotFound: no such dataset.
        """
        now = self._clock()

        def write(table: DatasetTable) -> list[bool | str]:
            dataset = _dataset(table, dataset_id=dataset_id, lock=True)
            seen = dataset.fields
            results: list[bool | str] = []
            for index, draft in enumerate(drafts):
                try:
                    state = self._put(table, dataset, draft, now + index)
                except (InvalidArgument, NotFound) as error:
                    results.append(str(error))
                    continue
                seen = observed(seen, state)
                results.append(state.created_ns == now + index)
            table.put_dataset(msgspec.structs.replace(dataset, fields=seen, updated_ns=now), new=False)
            return results

        return self._write(project_id, write)

    @staticmethod
    def _put(table: DatasetTable, dataset: Dataset, draft: ItemDraft, now: int) -> DatasetItem:
        """Give an item a new state. Nothing is written when this raises."""
        fields = draft.fields
        if fields.get("status", "ACTIVE") not in _STATUSES:
            raise InvalidArgument("status must be ACTIVE or ARCHIVED")
        wanted = check_id(draft.item_id) if draft.item_id else new_uuid()
        found = table.item(wanted) if draft.item_id else None
        if found is not None and found.dataset_id != dataset.dataset_id:
            raise NotFound(f"Dataset item with id {wanted} not found for project")
        at = now // _MS * _MS
        if draft.item_id:
            at = max(at, table.last_time(wanted) // _MS * _MS + _MS)
        base = found or DatasetItem(item_id=wanted, dataset_id=dataset.dataset_id, created_ns=now)
        state = msgspec.structs.replace(base, **fields, dataset_name=dataset.name, valid_from_ns=at, updated_ns=now)
        check_item(dataset, state)
        table.close_item(wanted, at)
        table.add_item(state)
        return state

    def get_item(self, project_id: str, item_id: str) -> DatasetItem:
        """The current state of an active item.

        Raises:
            NotFound: no such item, or it is archived.
        """
        with self._catalog.read() as connection:
            found = DatasetTable(connection, project_id).item(item_id)
        if found is None or found.status != "ACTIVE":
            raise NotFound("Dataset item not found")
        return found

    def items(
        self, project_id: str, *, dataset_name: str | None = None, source_trace_id: str | None = None,
        source_observation_id: str | None = None, at: int | None = None, limit: int, offset: int,
    ) -> tuple[list[DatasetItem], int]:  # fmt: skip
        """Active items, newest first, now or as they were at a time (nanoseconds), and the number of all.

        Raises:
            NotFound: no dataset of that name.
        """
        with self._catalog.read() as connection:
            table = DatasetTable(connection, project_id)
            dataset_id = None if dataset_name is None else _dataset(table, name=dataset_name).dataset_id
            return table.items(
                dataset_id=dataset_id, source_trace_id=source_trace_id, source_observation_id=source_observation_id,
                at=at, limit=limit, offset=offset,
            )  # fmt: skip

    def item_page(
        self, project_id: str, dataset_id: str, *, at: int | None = None, limit: int, cursor: str | None = None
    ) -> tuple[list[DatasetItem], int, str | None]:  # fmt: skip
        """Active items of a dataset, newest first, the number of all, and the cursor of the next page.

        Raises:
            NotFound: no such dataset.
            InvalidArgument: a bad cursor, or one of another dataset or time.
        """
        signature = [dataset_id, at]
        with self._catalog.read() as connection:
            table = DatasetTable(connection, project_id)
            _dataset(table, dataset_id=dataset_id)
            found, total = table.items(
                dataset_id=dataset_id, source_trace_id=None, source_observation_id=None, at=at, limit=limit + 1,
                after=_place(cursor, signature),
            )  # fmt: skip
        more = [(row.created_ns, row.item_id) for row in found[limit - 1 : limit]] if len(found) > limit else []
        return found[:limit], total, encode_cursor(more[0], signature) if more else None

    def history(self, project_id: str, dataset_id: str, item_id: str) -> list[DatasetItem]:
        """All states of an item, newest first.

        Raises:
            NotFound: the dataset never had such an item.
        """
        with self._catalog.read() as connection:
            found = DatasetTable(connection, project_id).states(dataset_id, item_id)
        if not found:
            raise NotFound("Dataset item not found")
        return found

    def versions(self, project_id: str, dataset_id: str, limit: int) -> list[tuple[int, int]]:
        """Times (nanoseconds) at which items of a dataset changed, newest first, and how many did.

        Raises:
            NotFound: no such dataset.
        """
        with self._catalog.read() as connection:
            table = DatasetTable(connection, project_id)
            _dataset(table, dataset_id=dataset_id)
            return table.versions(dataset_id, limit)

    def each_item(self, project_id: str, dataset_name: str, at: int | None = None) -> Iterator[DatasetItem]:
        """Active items as they are now (or were at a time), oldest first, read as they are asked for."""
        with self._catalog.read() as connection:
            dataset_id = _dataset(DatasetTable(connection, project_id), name=dataset_name).dataset_id
        after: tuple[int, str] | None = None
        while True:
            with self._catalog.read() as connection:
                found = DatasetTable(connection, project_id).first_items(dataset_id, _PAGE, after, at)
            yield from found
            if len(found) < _PAGE:
                return
            after = (found[-1].created_ns, found[-1].item_id)

    def by_input(self, project_id: str, dataset_id: str, keys: Sequence[str]) -> dict[str, DatasetItem]:
        """Active items by ``domain.dataset.input_key``; of several with one input the newest."""
        with self._catalog.read() as connection:
            return DatasetTable(connection, project_id).by_input(dataset_id, keys)

    def delete_item(self, project_id: str, item_id: str) -> None:
        """Delete an item; reads as of an earlier time still see it.

        Raises:
            NotFound: no such item.
        """

        def write(table: DatasetTable) -> None:
            at = max(self._clock() // _MS * _MS, table.last_time(item_id) // _MS * _MS + _MS)
            if not table.close_item(item_id, at):
                raise NotFound("Dataset item not found")

        self._write(project_id, write)

    # --- runs --------------------------------------------------------------------------------------------------
    def link(
        self, project_id: str, run_name: str, item_id: str, trace_id: str, *, observation_id: str | None = None,
        run_description: str | None = None, metadata: Any = None, dataset_version_ns: int | None = None,
        created_ns: int | None = None,
    ) -> DatasetRunItem:  # fmt: skip
        """Say which trace a run produced for an item. Makes the run if it is new; the same link twice is one.

        Archived items have runs too: they may have been fetched before, or as of an earlier time. Deleted ones only when
        the version of the dataset is said.

        Raises:
            NotFound: no such item.
            InvalidArgument: a bad name or id.
        """
        check_dataset_name(run_name)
        check_id(trace_id, "traceId")
        now = self._clock()
        with self._catalog.write() as connection:
            table = DatasetTable(connection, project_id)
            item = table.newest_state(item_id) if dataset_version_ns is not None else table.item(item_id)
            if item is None:
                raise NotFound("Dataset item not found")
            run_id = experiment_id(project_id, item.dataset_id, run_name)
            runs = DatasetRunTable(connection, project_id)
            runs.put(
                DatasetRun(
                    run_id=run_id, dataset_id=item.dataset_id, name=run_name, description=run_description,
                    metadata=metadata, created_ns=now, updated_ns=now,
                )
            )  # fmt: skip
            what = "\x00".join((item_id, trace_id, observation_id or ""))
            link = DatasetRunItem(
                run_item_id=hashlib.sha256(f"{run_id}\x00{what}".encode()).hexdigest()[:32], run_id=run_id,
                run_name=run_name, item_id=item_id, trace_id=trace_id, observation_id=observation_id,
                dataset_version_ns=dataset_version_ns, created_ns=created_ns or now, updated_ns=now,
            )  # fmt: skip
            runs.put_item(link)
        return link

    def dataset_of(self, project_id: str, item_id: str) -> str:
        """Id of the dataset that an item belongs, or belonged, to.

        Raises:
            NotFound: there never was such an item.
        """
        with self._catalog.read() as connection:
            item = DatasetTable(connection, project_id).newest_state(item_id)
        if item is None:
            raise NotFound("Dataset item not found")
        return item.dataset_id

    def runs(self, project_id: str, dataset_name: str, *, limit: int, offset: int) -> tuple[list[DatasetRun], int]:
        """Runs of a dataset, newest first, and the number of all.

        Raises:
            NotFound: no such dataset.
        """
        with self._catalog.read() as connection:
            dataset = _dataset(DatasetTable(connection, project_id), name=dataset_name)
            return DatasetRunTable(connection, project_id).page(dataset.dataset_id, limit, offset)

    def run(self, project_id: str, dataset_name: str, run_name: str) -> DatasetRun:
        """One run by name.

        Raises:
            NotFound: no such dataset or run.
        """
        with self._catalog.read() as connection:
            dataset = _dataset(DatasetTable(connection, project_id), name=dataset_name)
            run_id = experiment_id(project_id, dataset.dataset_id, run_name)
            found = DatasetRunTable(connection, project_id).get(run_id)
        if found is None:
            raise NotFound("Dataset run not found")
        return found

    def run_by_id(self, project_id: str, run_id: str) -> DatasetRun | None:
        """One registered run by id."""
        with self._catalog.read() as connection:
            return DatasetRunTable(connection, project_id).get(run_id)

    def runs_between(
        self, project_id: str, start_ns: int, end_ns: int | None = None, dataset_ids: list[str] | None = None
    ) -> list[DatasetRun]:
        """Runs that had activity in a time range."""
        with self._catalog.read() as connection:
            return DatasetRunTable(connection, project_id).between(start_ns, end_ns, dataset_ids)

    def run_items(
        self, project_id: str, run: DatasetRun, *, limit: int = 10_000, offset: int = 0
    ) -> tuple[list[DatasetRunItem], int]:
        """Links of a run, newest first, and the number of all."""
        with self._catalog.read() as connection:
            return DatasetRunTable(connection, project_id).items(run, limit, offset)

    def links_between(
        self, project_id: str, start_ns: int, end_ns: int | None = None, *, run_ids: list[str] | None = None,
        names: list[str] | None = None, item_ids: list[str] | None = None, dataset_ids: list[str] | None = None,
        limit: int, after: tuple[int, str] | None = None,
    ) -> list[tuple[DatasetRunItem, DatasetRun, DatasetItem | None]]:  # fmt: skip
        """Links of any run made in a time range, newest first, with their run and item, behind ``after`` (time, id)."""
        with self._catalog.read() as connection:
            links = DatasetRunTable(connection, project_id).links(
                start_ns, end_ns, run_ids=run_ids, names=names, item_ids=item_ids, dataset_ids=dataset_ids, limit=limit,
                after=after,
            )  # fmt: skip
            table = DatasetTable(connection, project_id)
            return [(link, run, table.item(link.item_id)) for link, run in links]

    def delete_run(self, project_id: str, dataset_name: str, run_name: str) -> None:
        """Delete a run and its links; traces stay.

        Raises:
            NotFound: no such dataset or run.
        """
        run = self.run(project_id, dataset_name, run_name)
        with self._catalog.write() as connection:
            DatasetRunTable(connection, project_id).delete(run.run_id)

    def _write(self, project_id: str, work: Callable[[DatasetTable], T]) -> T:
        try:
            with self._catalog.write() as connection:
                return work(DatasetTable(connection, project_id))
        except IntegrityError as error:
            raise Conflict("The dataset is being changed by someone else, try again") from error


def _place(cursor: str | None, signature: Any) -> Place | None:
    """Where a list goes on; creation times are whole numbers whatever a cursor says.

    Raises:
        InvalidArgument: garbage, or a cursor of another list.
    """
    if cursor is None:
        return None
    created_ns, row_id = decode_cursor(cursor, signature, 2)
    if not isinstance(created_ns, int) or not isinstance(row_id, str):
        raise InvalidArgument("Invalid page token")
    return created_ns, row_id


def _dataset(
    table: DatasetTable, *, name: str | None = None, dataset_id: str | None = None, lock: bool = False
) -> Dataset:
    found = table.dataset(name=name, dataset_id=dataset_id, lock=lock)
    if found is None:
        raise NotFound("Dataset not found")
    return found


def check_item(dataset: Dataset, item: DatasetItem, who: str = "") -> None:
    """Raise ``InvalidArgument`` unless the item satisfies the dataset's schemas. ``who`` begins the message."""
    for field, schema, value in (
        ("input", dataset.input_schema, item.input),
        ("expectedOutput", dataset.expected_output_schema, item.expected_output),
    ):
        if schema is not None and (broken := violations(schema, value)):
            raise InvalidArgument(f"{who}{field} does not match the dataset's schema: {'; '.join(broken)}")
