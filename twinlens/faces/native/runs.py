"""Runs: table, one run, comparison, edits, deletion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import msgspec
from litestar import get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from twinlens.domain.errors import InvalidArgument, TwinlensError
from twinlens.domain.run import Run
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native import run_schemas as rs
from twinlens.faces.native import schemas as s
from twinlens.faces.native.experiments import View
from twinlens.faces.native.reply import Cursor, Limit, reading, whole_id, writing
from twinlens.faces.native.run_rows import NOTE_TAG, experiment_row, metric_values, run_row
from twinlens.features.services import Services
from twinlens.query.mlflow_filter_runs import run_filter, run_order
from twinlens.store.telemetry.query import Cmp, Query

MAX_COMPARED = 100


@get("/projects/{project_id:str}/runs", summary="Search runs")
async def list_runs(
    request: AnyRequest,
    project_id: FromPath[str],
    experiment_id: Annotated[
        list[str] | None,
        QueryParameter(name="experiment_id", description="Of these experiments; all active ones if none."),
    ] = None,
    filter_text: Annotated[
        str, QueryParameter(name="filter", description="MLflow's grammar: `metrics.loss < 0.1 and params.lr = '0.01'`.")
    ] = "",
    order_by: Annotated[
        list[str] | None,
        QueryParameter(name="order_by", description="MLflow's grammar: `metrics.loss ASC`. Repeatable."),
    ] = None,
    view: View = "active",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> rs.RunPage:
    """Newest first unless ``order_by`` says otherwise; with metrics, params and tags."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)

    def read() -> rs.RunPage:
        experiments = experiment_id or [one.experiment_id for one in graph.experiments.list(allowed)]
        page = graph.runs.search(
            allowed,
            experiments,
            run_filter(filter_text) if filter_text.strip() else None,
            run_order(order_by) if order_by else (),
            view=view,
            limit=limit,
            cursor=cursor,
        )
        return rs.RunPage(
            runs=[run_row(run) for run in page.runs],
            metric_keys=_keys([m.key for m in run.metrics] for run in page.runs),
            param_keys=_keys(run.params for run in page.runs),
            tag_keys=_keys(run.tags for run in page.runs),
            next_cursor=page.next_cursor,
        )

    return await in_thread(read)


@get("/projects/{project_id:str}/runs/compare", summary="Compare runs")
async def compare_runs(
    request: AnyRequest,
    project_id: FromPath[str],
    run_id: Annotated[
        list[str], QueryParameter(name="run_id", description="Two or more runs.", min_items=1, max_items=MAX_COMPARED)
    ],
) -> rs.RunCompare:
    """Whole rows in the order asked for, and the keys in which they differ."""
    allowed = await reading(request, whole_id(project_id))
    runs = services(request).runs

    def read() -> list[Run]:
        return [runs.get(allowed, one) for one in run_id]

    found = await in_thread(read)
    return rs.RunCompare(
        runs=[run_row(run) for run in found],
        differing_params=_differing([run.params for run in found]),
        differing_metrics=_differing([{m.key: m.value for m in run.metrics} for run in found]),
        differing_tags=_differing([run.tags for run in found]),
    )


@get("/projects/{project_id:str}/runs/{run_id:str}", summary="One run")
async def get_run(request: AnyRequest, project_id: FromPath[str], run_id: FromPath[str]) -> rs.RunDetail:
    """Deleted or not, with its experiment, data sets, models and the number of linked traces."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)

    def read() -> rs.RunDetail:
        run = graph.runs.get(allowed, run_id)
        linked = Query(project_id=allowed, where=Cmp("run_ids", "any of", [run_id]))
        return rs.RunDetail(
            run=run_row(run),
            experiment=experiment_row(graph.experiments.get(allowed, run.experiment_id)),
            artifact_uri=run.artifact_uri,
            note=run.tags.get(NOTE_TAG),
            datasets=[
                rs.DatasetUse(
                    name=one.dataset.name,
                    digest=one.dataset.digest,
                    source_type=one.dataset.source_type,
                    context=one.tags.get("mlflow.data.context"),
                )
                for one in run.dataset_inputs
            ],
            models=_models(graph, allowed, run),
            trace_count=graph.telemetry.count("traces", linked),
        )

    return await in_thread(read)


@get("/projects/{project_id:str}/runs/{run_id:str}/metrics", summary="Newest value of every metric")
async def run_metrics(request: AnyRequest, project_id: FromPath[str], run_id: FromPath[str]) -> rs.MetricKeys:
    """By key."""
    allowed = await reading(request, whole_id(project_id))
    run = await in_thread(services(request).runs.get, allowed, run_id)
    return rs.MetricKeys(metrics=metric_values(run.metrics))


@patch("/projects/{project_id:str}/runs/{run_id:str}", summary="Rename, describe, tag a run")
async def edit_run(
    request: AnyRequest, project_id: FromPath[str], run_id: FromPath[str], data: JSONBody[rs.RunEdit]
) -> rs.RunRow:
    """Fields left out stay as they are."""
    allowed = await writing(request, whole_id(project_id))
    runs = services(request).runs

    def write() -> Run:
        present = runs.get(allowed, run_id).tags
        changes = dict(data.tags or {})
        if data.note is not None:
            changes[NOTE_TAG] = data.note
        if data.name is not None:
            runs.update(allowed, run_id, name=data.name)
        for key, value in changes.items():
            if value is not None:
                runs.set_tag(allowed, run_id, key, value)
            elif key in present:
                runs.delete_tag(allowed, run_id, key)
        return runs.get(allowed, run_id)

    return run_row(await in_thread(write))


@post("/projects/{project_id:str}/runs/delete", status_code=200, summary="Delete runs")
async def delete_runs(request: AnyRequest, project_id: FromPath[str], data: JSONBody[rs.RunIds]) -> s.Done:
    """Can be restored."""
    allowed = await writing(request, whole_id(project_id))
    return await _each(services(request).runs.delete, allowed, data.run_ids)


@post("/projects/{project_id:str}/runs/restore", status_code=200, summary="Restore runs")
async def restore_runs(request: AnyRequest, project_id: FromPath[str], data: JSONBody[rs.RunIds]) -> s.Done:
    """The opposite of deleting."""
    allowed = await writing(request, whole_id(project_id))
    return await _each(services(request).runs.restore, allowed, data.run_ids)


async def _each(change: Callable[[str, str], None], project_id: str, run_ids: list[str]) -> s.Done:
    if len(run_ids) > 1_000:
        raise InvalidArgument("run_ids: at most 1,000 at once")

    def write() -> None:
        for run_id in run_ids:
            change(project_id, run_id)

    await in_thread(write)
    return s.Done(count=len(run_ids))


def _models(graph: Services, project_id: str, run: Run) -> list[rs.ModelLink]:
    """Logged models of a run and the registered versions made from it."""
    links: list[rs.ModelLink] = []
    for model_id in dict.fromkeys([*(output.model_id for output in run.model_outputs), *run.model_inputs]):
        try:
            model = graph.logged_models.get(project_id, model_id)
        except TwinlensError:  # deleted meanwhile
            continue
        links.append(rs.ModelLink(model_id=model_id, name=model.name, version=None, status=model.status))
    versions = graph.registry.search_versions(project_id, filter=f"run_id = '{run.run_id}'", limit=100).versions
    links += [rs.ModelLink(model_id=v.model_id, name=v.name, version=str(v.version), status=v.status) for v in versions]
    return links


def _keys(groups: Iterable[Iterable[str]]) -> list[str]:
    return sorted({key for group in groups for key in group})


def _differing(rows: list[dict[str, Any]]) -> list[str]:
    missing = msgspec.UNSET
    keys = _keys(rows)
    return [key for key in keys if len({repr(row.get(key, missing)) for row in rows}) > 1]


HANDLERS = [list_runs, compare_runs, get_run, run_metrics, edit_run, delete_runs, restore_runs]
