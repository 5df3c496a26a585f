"""Datasets: items with their history, files in and out, runs side by side."""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from twinlens.domain.dataset import Dataset, DatasetItem
from twinlens.domain.errors import InvalidArgument, TooLarge
from twinlens.domain.ids import canonical_trace_id
from twinlens.faces.http import AnyRequest, chunks, in_thread, services
from twinlens.faces.native import dataset_schemas as d
from twinlens.faces.native.reply import Cursor, Limit, ns, reading, whole_id, writing
from twinlens.faces.native.rows import ms
from twinlens.features import dataset_files
from twinlens.features.dataset_comparison import Cell, ItemRow, RunTotals

AtMs = Annotated[float | None, QueryParameter(description="State as of this time; by default now.")]
FileFormat = Annotated[dataset_files.Format, QueryParameter(name="format", description="csv or jsonl.")]
_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
_IN_MEMORY = 4 << 20
_BASE = "/projects/{project_id:str}/datasets"
_ONE = _BASE + "/{dataset_id:str}"


def _row(dataset: Dataset, size: int) -> d.DatasetRow:
    return d.DatasetRow(
        id=dataset.dataset_id, name=dataset.name, description=dataset.description, metadata=dataset.metadata,
        input_schema=dataset.input_schema, expected_output_schema=dataset.expected_output_schema, items=size,
        created_ms=ms(dataset.created_ns), updated_ms=ms(dataset.updated_ns),
    )  # fmt: skip


def _item(item: DatasetItem) -> d.DatasetItemRow:
    return d.DatasetItemRow(
        id=item.item_id, input=item.input, expected_output=item.expected_output, metadata=item.metadata,
        source_trace_id=item.source_trace_id, source_observation_id=item.source_observation_id, status=item.status,
        valid_from_ms=ms(item.valid_from_ns), created_ms=ms(item.created_ns), updated_ms=ms(item.updated_ns),
    )  # fmt: skip


@get(_BASE, summary="List datasets")
async def list_datasets(
    request: AnyRequest, project_id: FromPath[str], limit: Limit = 100, cursor: Cursor = None
) -> d.DatasetList:
    """Newest first."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)
    found, total, following = await in_thread(graph.datasets.page, allowed, limit=limit, cursor=cursor)
    sizes = await in_thread(graph.evaluation_datasets.sizes, allowed, found)
    rows = [_row(each, sizes.get(each.dataset_id, 0)) for each in found]
    return d.DatasetList(datasets=rows, total=total, next_cursor=following)


@post(_BASE, summary="Create or change a dataset", status_code=200)
async def put_dataset(request: AnyRequest, project_id: FromPath[str], data: JSONBody[d.DatasetEdit]) -> d.DatasetRow:
    """By name; only what is sent is changed."""
    allowed = await writing(request, whole_id(project_id))
    graph = services(request)
    fields = {k: v for k, v in msgspec.structs.asdict(data).items() if k != "name" and v is not msgspec.UNSET}
    made = await in_thread(graph.datasets.put, allowed, data.name, **fields)
    sizes = await in_thread(graph.evaluation_datasets.sizes, allowed, [made])
    return _row(made, sizes.get(made.dataset_id, 0))


@get(_ONE, summary="One dataset")
async def get_dataset(request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str]) -> d.DatasetRow:
    """By id, or by name."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)
    found = await in_thread(graph.datasets.get_any, allowed, whole_id(dataset_id))
    sizes = await in_thread(graph.evaluation_datasets.sizes, allowed, [found])
    return _row(found, sizes.get(found.dataset_id, 0))


@delete(_ONE, summary="Delete a dataset")
async def delete_dataset(request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str]) -> None:
    """With its items, their history and its runs; traces stay."""
    allowed = await writing(request, whole_id(project_id))
    await in_thread(services(request).datasets.delete, allowed, whole_id(dataset_id))


# --- items ---------------------------------------------------------------------------------------------------------
@get(_ONE + "/items", summary="List items")
async def list_dataset_items(
    request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str], limit: Limit = 100, cursor: Cursor = None,
    at_ms: AtMs = None,
) -> d.DatasetItemList:  # fmt: skip
    """Active ones, newest first."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)

    def read() -> d.DatasetItemList:
        at = None if at_ms is None else ns(at_ms)
        page = graph.datasets.item_page(allowed, whole_id(dataset_id), at=at, limit=limit, cursor=cursor)
        return d.DatasetItemList(items=[_item(item) for item in page[0]], total=page[1], next_cursor=page[2])

    return await in_thread(read)


@post(_ONE + "/items", summary="Create or change an item", status_code=200)
async def put_dataset_item(
    request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str], data: JSONBody[d.DatasetItemEdit]
) -> d.DatasetItemRow:
    """A new state of the item of that id; only what is sent is changed. Refused when the dataset's schemas are violated."""
    allowed = await writing(request, whole_id(project_id))
    graph = services(request)
    fields = {k: v for k, v in msgspec.structs.asdict(data).items() if k != "id" and v is not msgspec.UNSET}
    if fields.get("source_trace_id"):
        fields["source_trace_id"] = canonical_trace_id(fields["source_trace_id"])

    def write() -> d.DatasetItemRow:
        name = graph.datasets.get_by_id(allowed, whole_id(dataset_id)).name
        return _item(graph.datasets.put_item(allowed, name, data.id, fields))

    return await in_thread(write)


@delete(_ONE + "/items/{item_id:str}", summary="Delete an item")
async def delete_dataset_item(
    request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str], item_id: FromPath[str]
) -> None:
    """Earlier states stay readable by time."""
    allowed = await writing(request, whole_id(project_id))
    graph = services(request)
    await in_thread(graph.datasets.get_by_id, allowed, whole_id(dataset_id))
    await in_thread(graph.datasets.delete_item, allowed, whole_id(item_id))


@get(_ONE + "/items/{item_id:str}/history", summary="States of an item")
async def dataset_item_history(
    request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str], item_id: FromPath[str]
) -> d.DatasetItemList:
    """Newest first."""
    allowed = await reading(request, whole_id(project_id))
    found = await in_thread(services(request).datasets.history, allowed, whole_id(dataset_id), whole_id(item_id))
    return d.DatasetItemList(items=[_item(item) for item in found], total=len(found), next_cursor=None)


@get(_ONE + "/versions", summary="Versions of a dataset")
async def dataset_versions(
    request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str], limit: Limit = 100
) -> d.DatasetVersionList:
    """Times at which items changed, newest first, with how many did."""
    allowed = await reading(request, whole_id(project_id))
    found = await in_thread(services(request).datasets.versions, allowed, whole_id(dataset_id), limit)
    return d.DatasetVersionList(versions=[d.DatasetVersion(at_ms=ms(at), items=number) for at, number in found])


# --- files ---------------------------------------------------------------------------------------------------------
@get(_ONE + "/export", summary="Items as a file")
async def export_dataset(
    request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str], file_format: FileFormat = "jsonl",
    at_ms: AtMs = None,
) -> Stream:  # fmt: skip
    """CSV or JSON Lines, streamed, oldest first."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)
    dataset = await in_thread(graph.datasets.get_by_id, allowed, whole_id(dataset_id))
    items = graph.datasets.each_item(allowed, dataset.name, None if at_ms is None else ns(at_ms))
    lines = dataset_files.dump(items, file_format)
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in dataset.name)
    headers = {
        "content-disposition": f'attachment; filename="{safe}.{file_format}"',
        "x-content-type-options": "nosniff",
    }
    return Stream(_pieces(lines), media_type=_TYPES[file_format], headers=headers)


async def _pieces(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    def some() -> bytes:
        found: list[bytes] = []
        size = 0
        for line in lines:
            found.append(line)
            size += len(line)
            if size > 1 << 16:
                break
        return b"".join(found)

    while piece := await in_thread(some):
        yield piece


@post(_ONE + "/import", summary="Store the items of a file", status_code=200)
async def import_dataset(
    request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str], file_format: FileFormat = "jsonl"
) -> d.ImportReport:
    """The body is a CSV or JSON Lines file in UTF-8. Good rows are stored; the report names the others."""
    allowed = await writing(request, whole_id(project_id))
    graph = services(request)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        size = 0
        async for piece in chunks(request):
            size += len(piece)
            if size > graph.settings.max_body * 16:
                raise TooLarge(f"The file is larger than {graph.settings.max_body * 16} bytes; split it.")
            file.write(piece)
        file.seek(0)

        def work() -> dataset_files.ImportReport:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")  # pyright: ignore[reportArgumentType]
            try:
                return dataset_files.load(graph.datasets, allowed, whole_id(dataset_id), file_format, text)
            except UnicodeDecodeError:
                raise InvalidArgument("the file is not UTF-8 text") from None
            finally:
                text.detach()

        report = await in_thread(work)
    errors = [d.RefusedRow(row=error.row, message=error.message) for error in report.errors]
    return d.ImportReport(created=report.created, updated=report.updated, failed=report.failed, errors=errors)


# --- runs ----------------------------------------------------------------------------------------------------------
def _run(totals: RunTotals) -> d.DatasetRunRow:
    run = totals.run
    return d.DatasetRunRow(
        id=run.run_id, name=run.name, description=run.description, metadata=run.metadata, items=totals.items,
        errors=totals.errors, latency_ms=None if totals.latency_ns is None else totals.latency_ns / 1e6,
        cost=totals.cost, scores=totals.scores, created_ms=ms(run.created_ns),
    )  # fmt: skip


def _cell(cell: Cell | None) -> d.ComparedCell | None:
    if cell is None:
        return None
    return d.ComparedCell(
        trace_id=cell.trace_id, observation_id=cell.observation_id, output=_value(cell.output), error=cell.error,
        latency_ms=None if cell.latency_ns is None else cell.latency_ns / 1e6, cost=cell.cost, scores=cell.scores,
    )  # fmt: skip


def _value(text: str | None) -> Any:
    try:
        return None if text is None else msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _compared(row: ItemRow) -> d.ComparedItem:
    item = row.item
    return d.ComparedItem(
        item_id=row.item_id, input=item.input if item else None, expected_output=item.expected_output if item else None,
        there=item is not None, cells=[_cell(cell) for cell in row.cells],
    )  # fmt: skip


@get(_ONE + "/runs", summary="Runs over a dataset")
async def list_dataset_runs(
    request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str]
) -> d.DatasetRunList:
    """Newest first, with means over their items."""
    allowed = await reading(request, whole_id(project_id))
    found = await in_thread(services(request).dataset_comparisons.runs, allowed, whole_id(dataset_id))
    return d.DatasetRunList(runs=[_run(each) for each in found])


@get(_ONE + "/compare", summary="Runs side by side")
async def compare_dataset_runs(
    request: AnyRequest, project_id: FromPath[str], dataset_id: FromPath[str],
    runs: Annotated[str, QueryParameter(description="Ids of up to 8 runs, the baseline first, with commas between.")],
) -> d.DatasetComparison:  # fmt: skip
    """Item by item, in the order of the dataset."""
    allowed = await reading(request, whole_id(project_id))
    wanted = [each for each in runs.split(",") if each]
    if not wanted:
        raise InvalidArgument("runs must name at least one run")
    graph = services(request)
    found = await in_thread(graph.dataset_comparisons.compare, allowed, whole_id(dataset_id), wanted)
    return d.DatasetComparison(
        dataset_id=found.dataset.dataset_id, dataset_name=found.dataset.name,
        runs=[_run(each) for each in found.runs], items=[_compared(row) for row in found.rows],
    )  # fmt: skip


@get("/projects/{project_id:str}/dataset-runs/{run_id:str}", summary="Where a dataset run belongs")
async def find_dataset_run(request: AnyRequest, project_id: FromPath[str], run_id: FromPath[str]) -> d.DatasetRunPlace:
    """The dataset of a run (experiment) that is known by its id only."""
    allowed = await reading(request, whole_id(project_id))
    found = await in_thread(services(request).dataset_comparisons.dataset_of, allowed, whole_id(run_id))
    return d.DatasetRunPlace(dataset_id=found, run_id=whole_id(run_id))


HANDLERS = [
    list_datasets, put_dataset, get_dataset, delete_dataset, list_dataset_items, put_dataset_item, delete_dataset_item,
    dataset_item_history, dataset_versions, export_dataset, import_dataset, list_dataset_runs, compare_dataset_runs,
    find_dataset_run,
]  # fmt: skip
