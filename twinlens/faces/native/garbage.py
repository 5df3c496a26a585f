"""Removing for good what was deleted, and counting what there is."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native.reply import reading, whole_id, writing


class CollectRequest(Struct, kw_only=True):
    """``POST /projects/{project_id}/gc``. Only what is deleted already is removed; without limits all of it."""

    older_than_days: float = 0.0  #: deleted at least so long ago
    run_ids: list[str] | None = None  #: only these runs
    experiment_ids: list[str] | None = None  #: only these experiments, with their runs, models and traces
    dry_run: bool = False  #: only count


class Collected(Struct, kw_only=True):
    """What was removed, or would be."""

    runs: int
    logged_models: int
    experiments: int
    traces: int
    files: int  #: artifacts in the server's own store
    payload_bytes: int
    dry_run: bool


class Counts(Struct, kw_only=True):
    """``GET /projects/{project_id}/counts``."""

    experiments: int
    runs: int
    deleted_runs: int  #: wait to be removed for good
    runs_by_status: dict[str, int]
    logged_models: int
    registered_models: int
    model_versions: int
    deployments: int
    traces: int
    spans: int
    scores: int


@post("/projects/{project_id:str}/gc", status_code=200, summary="Remove for good what was deleted")
async def collect_garbage(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[CollectRequest]
) -> Collected:  # fmt: skip
    """With artifacts and metric points, and give the space back. Stopped half-way, it goes on when asked again."""
    allowed = await writing(request, whole_id(project_id))
    done = await services(request).garbage.collect(
        allowed, older_than_ms=int(data.older_than_days * 86_400_000), run_ids=data.run_ids,
        experiment_ids=data.experiment_ids, dry_run=data.dry_run,
    )  # fmt: skip
    return Collected(
        runs=done.runs, logged_models=done.logged_models, experiments=done.experiments, traces=done.traces,
        files=done.files, payload_bytes=done.payload_bytes, dry_run=done.dry_run,
    )  # fmt: skip


@get("/projects/{project_id:str}/counts", summary="How much there is")
async def count_everything(request: AnyRequest, project_id: FromPath[str]) -> Counts:
    """Active things by kind; what is deleted apart."""
    allowed = await reading(request, whole_id(project_id))
    return Counts(**await in_thread(services(request).garbage.counts, allowed))


HANDLERS = [collect_garbage, count_everything]
