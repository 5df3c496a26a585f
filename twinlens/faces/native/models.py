"""Registered models: list and detail."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import FromPath, QueryParameter

from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native import schemas as s
from twinlens.faces.native.guard import visible
from twinlens.faces.native.reply import Cursor, Limit, reading, whole_id
from twinlens.faces.native.run_rows import model_row, version_row


@get("/projects/{project_id:str}/models", summary="List registered models")
async def list_models(
    request: AnyRequest,
    project_id: FromPath[str],
    filter_text: Annotated[
        str, QueryParameter(name="filter", description="MLflow's grammar: `name ILIKE '%churn%'`.")
    ] = "",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> s.RegisteredModelPage:
    """By name."""
    allowed = await reading(request, whole_id(project_id))
    search = services(request).registry.search
    seen = visible(request, "registered_model", "prompt")
    page = await in_thread(search, allowed, filter=filter_text or None, limit=limit, cursor=cursor, visible=seen)
    return s.RegisteredModelPage(models=[model_row(model) for model in page.models], next_cursor=page.next_cursor)


@get("/projects/{project_id:str}/models/{name:str}", summary="One registered model")
async def get_model(request: AnyRequest, project_id: FromPath[str], name: FromPath[str]) -> s.RegisteredModelDetail:
    """With all its versions, newest first."""
    allowed = await reading(request, whole_id(project_id))
    registry = services(request).registry
    wanted = whole_id(name)

    def read() -> s.RegisteredModelDetail:
        model = registry.get(allowed, wanted)
        quoted = wanted.replace("'", "\\'")
        versions = registry.search_versions(allowed, filter=f"name = '{quoted}'", limit=1_000).versions
        versions.sort(key=lambda version: -version.version)
        return s.RegisteredModelDetail(model=model_row(model), versions=[version_row(v) for v in versions])

    return await in_thread(read)


HANDLERS = [list_models, get_model]
