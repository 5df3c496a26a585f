"""``/score-configs``."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.score_config import ScoreCategory, ScoreConfig
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable, iso

routes = RouteTable()


def config_row(config: ScoreConfig, project_id: str) -> dict[str, Any]:
    """A config as clients read it."""
    return {
        "id": config.config_id,
        "name": config.name,
        "createdAt": iso(config.created_ns),
        "updatedAt": iso(config.updated_ns),
        "projectId": project_id,
        "dataType": config.data_type,
        "isArchived": config.archived,
        "minValue": config.min_value,
        "maxValue": config.max_value,
        "categories": config.categories,
        "description": config.description,
    }


class NewConfig(msgspec.Struct, rename="camel", kw_only=True):
    """Body of a create call."""

    name: str
    data_type: str
    categories: list[ScoreCategory] | None = None
    min_value: float | None = None
    max_value: float | None = None
    description: str | None = None


@routes.on("POST", "/score-configs", scope="write")
async def create(call: Call) -> Result:
    """A new config."""
    body = await call.json(NewConfig)
    config = ScoreConfig(config_id="", **msgspec.structs.asdict(body))
    return config_row(await in_thread(call.services.score_configs.create, call.project_id, config), call.project_id)


@routes.on("GET", "/score-configs", scope="read")
async def list_configs(call: Call) -> Result:
    """A page, newest first."""
    query = call.query(PageQuery)
    limit, offset = query.window()
    found, total = await in_thread(call.services.score_configs.list, call.project_id, limit=limit, offset=offset)
    return {"data": [config_row(config, call.project_id) for config in found], "meta": query.meta(total)}


@routes.on("GET", "/score-configs/{id}", scope="read")
async def get(call: Call) -> Result:
    """One config."""
    return config_row(
        await in_thread(call.services.score_configs.get, call.project_id, call.path["id"]), call.project_id
    )


class ChangedConfig(msgspec.Struct, rename="camel", kw_only=True):
    """Body of a change; only what is sent is changed."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    is_archived: bool | msgspec.UnsetType = msgspec.UNSET
    categories: list[ScoreCategory] | msgspec.UnsetType | None = msgspec.UNSET
    min_value: float | msgspec.UnsetType | None = msgspec.UNSET
    max_value: float | msgspec.UnsetType | None = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET


@routes.on("PATCH", "/score-configs/{id}", scope="write")
async def change(call: Call) -> Result:
    """Change or archive a config."""
    body = await call.json(ChangedConfig)
    said = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not msgspec.UNSET}
    if "is_archived" in said:
        said["archived"] = said.pop("is_archived")
    changed = await in_thread(call.services.score_configs.update, call.project_id, call.path["id"], **said)
    return config_row(changed, call.project_id)
