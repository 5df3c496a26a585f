"""Mounts the native API and describes it."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Response, Router, get
from litestar.openapi import OpenAPIConfig
from litestar.types import ControllerRouterHandler

from twinlens import __version__
from twinlens.faces.native import (
    administration,
    annotation,
    artifacts,
    backup,
    comments,
    dashboards,
    datasets,
    deployments,
    evaluators,
    experiments,
    exports,
    garbage,
    gateway,
    instance,
    issues,
    lineage,
    live,
    mcp_servers,
    metrics,
    models,
    overview,
    prices,
    prompts,
    runs,
    scores,
    sessions,
    skills,
    traces,
    transfer,
    webhooks,
)
from twinlens.faces.native.guard import permit
from twinlens.faces.native.reply import handle_error
from twinlens.features.services import Services

PREFIX = "/api/twinlens/v1"
_MODULES = (
    instance,
    administration,
    overview,
    traces,
    scores,
    annotation,
    comments,
    dashboards,
    sessions,
    experiments,
    runs,
    metrics,
    artifacts,
    models,
    deployments,
    lineage,
    garbage,
    prices,
    prompts,
    live,
    datasets,
    transfer,
    backup,
    evaluators,
    webhooks,
    exports,
    gateway,
    issues,
    skills,
    mcp_servers,
)


def _handlers() -> list[ControllerRouterHandler]:
    return [handler for module in _MODULES for handler in module.HANDLERS]


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document of exactly these routes. Built when first asked for, because it takes a while."""
    from twinlens.faces.native import schemas

    app = Litestar(
        route_handlers=[Router(PREFIX, route_handlers=_handlers())],
        openapi_config=OpenAPIConfig(
            title="Twinlens",
            version=__version__,
            description=(schemas.__doc__ or "").strip(),
            use_handler_docstrings=True,
            operation_id_creator=lambda handler, _method, _path: handler.handler_name,
        ),
        logging_config=None,
    )
    schema = msgspec.to_builtins(app.openapi_schema.to_schema())  # defaults may be structs
    (_, forms) = msgspec.json.schema_components([schemas.Problem], ref_template="#/components/schemas/{name}")
    schema["components"]["schemas"].update(forms)
    problem = {
        "description": "Any error.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for methods in schema["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("400", None)  # Litestar's own form, which this API does not use
            operation["responses"]["default"] = problem
    live_answer = schema["paths"][f"{PREFIX}/projects/{{project_id}}/live"]["get"]["responses"]["200"]
    live_answer["content"] = {"text/event-stream": live_answer["content"]["text/plain"]}
    return schema


@get("/openapi.json", summary="This document", include_in_schema=False, opt={"access": "public"}, sync_to_thread=True)
def openapi() -> Response[dict[str, Any]]:
    """The description of this API."""
    return Response(document(), media_type=MediaType.JSON)


def router(services: Services) -> Router:
    """The native API."""
    del services  # handlers find them through the request
    return Router(
        PREFIX, route_handlers=[*_handlers(), openapi], exception_handlers={Exception: handle_error}, guards=[permit]
    )
