"""Experiments: list, create, rename, delete, restore."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from twinlens.domain.run import Experiment
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native import run_schemas as rs
from twinlens.faces.native.guard import shown
from twinlens.faces.native.reply import reading, whole_id, writing
from twinlens.faces.native.run_rows import experiment_row

View = Annotated[Literal["active", "deleted", "all"], QueryParameter(description="Which lifecycle stages.")]


@get("/projects/{project_id:str}/experiments", summary="List experiments")
async def list_experiments(request: AnyRequest, project_id: FromPath[str], view: View = "active") -> rs.ExperimentList:
    """Newest first, with the number of active runs and the start of the newest one."""
    allowed = await reading(request, whole_id(project_id))
    found: list[Experiment] = await in_thread(services(request).experiments.list, allowed, view)
    may_see = shown(request, "experiment")
    return rs.ExperimentList(experiments=[experiment_row(one) for one in found if may_see(one.experiment_id)])


@post("/projects/{project_id:str}/experiments", summary="Create an experiment")
async def create_experiment(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[rs.NewExperiment]
) -> rs.ExperimentRow:
    """409 when the name is taken, be it by a deleted experiment."""
    allowed = await writing(request, whole_id(project_id))
    experiments = services(request).experiments

    def create() -> Experiment:
        return experiments.get(allowed, experiments.create(allowed, data.name, None, data.tags.items()))

    return experiment_row(await in_thread(create))


@get("/projects/{project_id:str}/experiments/{experiment_id:str}", summary="One experiment")
async def get_experiment(
    request: AnyRequest, project_id: FromPath[str], experiment_id: FromPath[str]
) -> rs.ExperimentRow:
    """Deleted or not."""
    allowed = await reading(request, whole_id(project_id))
    return experiment_row(await in_thread(services(request).experiments.get, allowed, experiment_id))


@patch("/projects/{project_id:str}/experiments/{experiment_id:str}", summary="Rename an experiment")
async def rename_experiment(
    request: AnyRequest, project_id: FromPath[str], experiment_id: FromPath[str], data: JSONBody[rs.ExperimentEdit]
) -> rs.ExperimentRow:
    """Active ones only."""
    allowed = await writing(request, whole_id(project_id))
    experiments = services(request).experiments
    await in_thread(experiments.rename, allowed, experiment_id, data.name)
    return experiment_row(await in_thread(experiments.get, allowed, experiment_id))


@delete("/projects/{project_id:str}/experiments/{experiment_id:str}", summary="Delete an experiment")
async def delete_experiment(request: AnyRequest, project_id: FromPath[str], experiment_id: FromPath[str]) -> None:
    """With its runs; can be restored."""
    allowed = await writing(request, whole_id(project_id))
    await in_thread(services(request).experiments.delete, allowed, experiment_id)


@post(
    "/projects/{project_id:str}/experiments/{experiment_id:str}/restore",
    status_code=200,
    summary="Restore an experiment",
)
async def restore_experiment(
    request: AnyRequest, project_id: FromPath[str], experiment_id: FromPath[str]
) -> rs.ExperimentRow:
    """With the runs that were deleted with it."""
    allowed = await writing(request, whole_id(project_id))
    experiments = services(request).experiments
    await in_thread(experiments.restore, allowed, experiment_id)
    return experiment_row(await in_thread(experiments.get, allowed, experiment_id))


HANDLERS = [
    list_experiments, create_experiment, get_experiment, rename_experiment, delete_experiment, restore_experiment,
]  # fmt: skip
