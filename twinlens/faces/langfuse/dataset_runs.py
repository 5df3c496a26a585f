"""Runs over datasets: ``/datasets/{name}/runs`` and ``/dataset-run-items``."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.dataset import DatasetRun, DatasetRunItem
from twinlens.domain.errors import NotFound
from twinlens.domain.ids import canonical_trace_id
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.errors import BadRequest, issue
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable, iso, time_of

routes = RouteTable()


def run_row(run: DatasetRun) -> dict[str, Any]:
    """A run as clients read it."""
    return {
        "id": run.run_id,
        "name": run.name,
        "description": run.description,
        "metadata": run.metadata,
        "datasetId": run.dataset_id,
        "datasetName": run.dataset_name,
        "createdAt": iso(run.created_ns),
        "updatedAt": iso(run.updated_ns),
    }


def run_item_row(item: DatasetRunItem) -> dict[str, Any]:
    """A link as clients read it."""
    return {
        "id": item.run_item_id,
        "datasetRunId": item.run_id,
        "datasetRunName": item.run_name,
        "datasetItemId": item.item_id,
        "traceId": item.trace_id,
        "observationId": item.observation_id,
        "createdAt": iso(item.created_ns),
        "updatedAt": iso(item.updated_ns),
    }


class NewRunItem(msgspec.Struct, rename="camel", kw_only=True):
    """Body of a link."""

    run_name: str
    dataset_item_id: str
    run_description: str | None = None
    metadata: Any = None
    trace_id: str | None = None
    observation_id: str | None = None
    dataset_version: str | None = None
    created_at: str | None = None


@routes.on("POST", "/dataset-run-items", scope="write")
async def link(call: Call) -> Result:
    """Say which trace a run produced for an item. An observation alone names its trace too."""
    body = await call.json(NewRunItem)
    version, created = time_of(body.dataset_version, "datasetVersion"), time_of(body.created_at, "createdAt")
    if not body.trace_id and not body.observation_id:
        raise BadRequest(issue("Either traceId or observationId must be set", "traceId"))

    def write() -> dict[str, Any]:
        trace_id = canonical_trace_id(body.trace_id) if body.trace_id else None
        if trace_id is None:
            span = call.services.telemetry.span(call.project_id, None, body.observation_id or "")
            if span is None:
                raise NotFound("Observation not found")
            trace_id = span.trace_id
        made = call.services.dataset_experiments.link(
            call.project_id, body.run_name, body.dataset_item_id, trace_id, observation_id=body.observation_id,
            run_description=body.run_description, metadata=body.metadata, dataset_version_ns=version,
            created_ns=created,
        )  # fmt: skip
        return run_item_row(made)

    return await in_thread(write)


class RunItemsQuery(PageQuery, rename="camel", kw_only=True):
    """Which run."""

    dataset_id: str
    run_name: str


@routes.on("GET", "/dataset-run-items", scope="read")
async def list_items(call: Call) -> Result:
    """Links of a run, newest first."""
    query = call.query(RunItemsQuery)
    limit, offset = query.window()

    def read() -> dict[str, Any]:
        name = call.services.datasets.get_by_id(call.project_id, query.dataset_id).name
        _, items = call.services.dataset_experiments.run(call.project_id, name, query.run_name)
        data = [run_item_row(item) for item in items[offset : offset + limit]]
        return {"data": data, "meta": query.meta(len(items))}

    return await in_thread(read)


@routes.on("GET", "/datasets/{name*}/runs", scope="read")
async def list_runs(call: Call) -> Result:
    """Runs of a dataset, newest first."""
    query = call.query(PageQuery)
    limit, offset = query.window()
    runs = await in_thread(call.services.dataset_experiments.runs, call.project_id, call.path["name"])
    return {"data": [run_row(run) for run in runs[offset : offset + limit]], "meta": query.meta(len(runs))}


@routes.on("GET", "/datasets/{name*}/runs/{run*}", scope="read")
async def get_run(call: Call) -> Result:
    """One run with its links."""
    run, items = await in_thread(
        call.services.dataset_experiments.run, call.project_id, call.path["name"], call.path["run"]
    )
    return run_row(run) | {"datasetRunItems": [run_item_row(item) for item in items]}


@routes.on("DELETE", "/datasets/{name*}/runs/{run*}", scope="write")
async def delete_run(call: Call) -> Result:
    """Delete a run and its links; traces stay."""
    await in_thread(call.services.dataset_experiments.delete_run, call.project_id, call.path["name"], call.path["run"])
    return {"message": "Dataset run successfully deleted"}
