"""``/v2/datasets``, ``/dataset-items``, and the v1 form ``/datasets``."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec

from twinlens.domain.dataset import Dataset, DatasetItem
from twinlens.domain.errors import NotFound
from twinlens.domain.ids import canonical_trace_id
from twinlens.domain.media import references
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.media import media_row
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable, iso, time_of

routes = RouteTable()


def dataset_row(dataset: Dataset, project_id: str) -> dict[str, Any]:
    """A dataset as clients read it."""
    return {
        "id": dataset.dataset_id,
        "name": dataset.name,
        "description": dataset.description,
        "metadata": dataset.metadata,
        "inputSchema": dataset.input_schema,
        "expectedOutputSchema": dataset.expected_output_schema,
        "projectId": project_id,
        "createdAt": iso(dataset.created_ns),
        "updatedAt": iso(dataset.updated_ns),
    }


def item_rows(call: Call, items: list[DatasetItem]) -> list[dict[str, Any]]:
    """Items as clients read them, with the media their tokens refer to. Blocks."""
    tokens: list[list[dict[str, Any]]] = []
    for item in items:
        found: list[dict[str, Any]] = []
        for field, value in (
            ("input", item.input), ("expectedOutput", item.expected_output), ("metadata", item.metadata),
        ):  # fmt: skip
            _find_media(field, "$", value, found)
        tokens.append(found)
    known = call.services.media.many(call.project_id, [t["media"] for found in tokens for t in found])
    rows: list[dict[str, Any]] = []
    for item, found in zip(items, tokens, strict=True):
        media = [{**t, "media": media_row(call, known[t["media"]])} for t in found if t["media"] in known]
        rows.append(
            {
                "id": item.item_id,
                "projectId": call.project_id,
                "datasetId": item.dataset_id,
                "datasetName": item.dataset_name,
                "status": item.status,
                "input": item.input,
                "expectedOutput": item.expected_output,
                "metadata": item.metadata,
                "sourceTraceId": item.source_trace_id,
                "sourceObservationId": item.source_observation_id,
                "createdAt": iso(item.created_ns),
                "updatedAt": iso(item.updated_ns),
                "version": iso(item.valid_from_ns),
                "mediaReferences": media,
            }
        )
    return rows


def _find_media(field: str, path: str, value: Any, found: list[dict[str, Any]]) -> None:
    """Media tokens in a value with the JSONPath of the string that holds each."""
    if isinstance(value, str):
        if "@@@langfuseMedia:" in value:
            found += [
                {"field": field, "referenceString": token.text, "jsonPath": path, "media": token.media_id}
                for token in references(value)
            ]
    elif isinstance(value, dict):
        for key, inner in value.items():
            escaped = str(key).replace("\\", "\\\\").replace("'", "\\'")
            _find_media(field, f"{path}['{escaped}']", inner, found)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _find_media(field, f"{path}[{index}]", inner, found)


def real_name(call: Call, name: str) -> str:
    """The name of a dataset that a query parameter means: SDK 2 encodes it twice. Blocks.

    Raises:
        NotFound: no dataset is called so in either reading.
    """
    try:
        return call.services.datasets.get(call.project_id, name).name
    except NotFound:
        once = unquote(name)
        if once == name:
            raise
        return call.services.datasets.get(call.project_id, once).name


# --- datasets --------------------------------------------------------------------------------------------------
class NewDataset(msgspec.Struct, rename="camel", kw_only=True):
    """Body of an upsert; only what is sent is changed."""

    name: str
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: Any = msgspec.UNSET
    input_schema: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    expected_output_schema: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


async def _put(call: Call) -> Result:
    """Create a dataset, or describe the one of that name anew."""
    body = await call.json(NewDataset)
    fields = {k: v for k, v in msgspec.structs.asdict(body).items() if k != "name" and v is not msgspec.UNSET}
    dataset = await in_thread(call.services.datasets.put, call.project_id, body.name, **fields)
    return dataset_row(dataset, call.project_id)


async def _list(call: Call) -> Result:
    """A page of datasets."""
    query = call.query(PageQuery)
    limit, offset = query.window()
    found, total = await in_thread(call.services.datasets.list, call.project_id, limit=limit, offset=offset)
    return {"data": [dataset_row(row, call.project_id) for row in found], "meta": query.meta(total)}


@routes.on("GET", "/v2/datasets/{name*}", scope="read")
async def get(call: Call) -> Result:
    """One dataset by name."""
    return dataset_row(await in_thread(call.services.datasets.get, call.project_id, call.path["name"]), call.project_id)


@routes.on("GET", "/datasets/{name}", scope="read")
async def get_v1(call: Call) -> Result:
    """The v1 form: with items and names of runs."""
    name, project = call.path["name"], call.project_id

    def read() -> dict[str, Any]:
        datasets = call.services.datasets
        dataset = datasets.get(project, name)
        items, _ = datasets.items(project, dataset_name=name, limit=10_000, offset=0)
        runs, _ = datasets.runs(project, name, limit=10_000, offset=0)
        row = dataset_row(dataset, project)
        return row | {"items": item_rows(call, items), "runs": [run.name for run in runs]}

    return await in_thread(read)


for _version in ("/v2", ""):
    routes.on("POST", f"{_version}/datasets", scope="write")(_put)
    routes.on("GET", f"{_version}/datasets", scope="read")(_list)


# --- items -----------------------------------------------------------------------------------------------------
class NewItem(msgspec.Struct, rename="camel", kw_only=True):
    """Body of an upsert; only what is sent is changed."""

    dataset_name: str
    id: str | None = None
    input: Any = msgspec.UNSET
    expected_output: Any = msgspec.UNSET
    metadata: Any = msgspec.UNSET
    source_trace_id: str | msgspec.UnsetType | None = msgspec.UNSET
    source_observation_id: str | msgspec.UnsetType | None = msgspec.UNSET
    status: str | None = None


@routes.on("POST", "/dataset-items", scope="write")
async def put_item(call: Call) -> Result:
    """Create an item, or give one a new state."""
    body = await call.json(NewItem)
    fields = {k: v for k, v in msgspec.structs.asdict(body).items() if v is not msgspec.UNSET}
    for name in ("dataset_name", "id"):
        del fields[name]
    if fields["status"] is None:
        del fields["status"]
    if fields.get("source_trace_id"):
        fields["source_trace_id"] = canonical_trace_id(fields["source_trace_id"])

    def write() -> dict[str, Any]:
        item = call.services.datasets.put_item(call.project_id, body.dataset_name, body.id, fields)
        return item_rows(call, [item])[0]

    return await in_thread(write)


class ItemsQuery(PageQuery, rename="camel", kw_only=True):
    """Parameters of the item list."""

    dataset_name: str | None = None
    source_trace_id: str | None = None
    source_observation_id: str | None = None
    version: str | None = None


@routes.on("GET", "/dataset-items", scope="read")
async def list_items(call: Call) -> Result:
    """Active items, newest first; with ``version`` as they were then."""
    query = call.query(ItemsQuery)
    limit, offset = query.window()
    at = time_of(query.version, "version")

    def read() -> dict[str, Any]:
        items, total = call.services.datasets.items(
            call.project_id, dataset_name=real_name(call, query.dataset_name) if query.dataset_name else None,
            source_trace_id=canonical_trace_id(query.source_trace_id) if query.source_trace_id else None,
            source_observation_id=query.source_observation_id, at=at, limit=limit, offset=offset,
        )  # fmt: skip
        return {"data": item_rows(call, items), "meta": query.meta(total)}

    return await in_thread(read)


@routes.on("GET", "/dataset-items/{id}", scope="read")
async def get_item(call: Call) -> Result:
    """One active item."""
    return await in_thread(
        lambda: item_rows(call, [call.services.datasets.get_item(call.project_id, call.path["id"])])[0]
    )


@routes.on("DELETE", "/dataset-items/{id}", scope="write")
async def delete_item(call: Call) -> Result:
    """Delete an item; earlier states stay readable by ``version``."""
    await in_thread(call.services.datasets.delete_item, call.project_id, call.path["id"])
    return {"message": "Dataset item successfully deleted"}
