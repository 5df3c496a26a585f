"""``/llm-connections``: accounts at model providers. MLflow's gateway secrets are the same rows; secrets are never answered."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from twinlens.domain.errors import NotFound
from twinlens.domain.gateway import ModelConnection
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.errors import BadRequest, issue
from twinlens.faces.langfuse.wire import Call, PageQuery, Reply, Result, RouteTable, iso

routes = RouteTable()

Adapter = Literal["anthropic", "openai", "azure", "bedrock", "google-vertex-ai", "google-ai-studio"]
#: Langfuse's name of a protocol -> our kind of provider, where they differ.
_KINDS = {"google-ai-studio": "gemini", "google-vertex-ai": "vertex_ai"}
_ADAPTERS = {kind: adapter for adapter, kind in _KINDS.items()}
#: Adapter -> the one field that its configuration has, its type, and whether it must be there.
_CONFIG: dict[str, tuple[str, type, bool]] = {
    "bedrock": ("region", str, True), "openai": ("useResponsesApi", bool, False),
    "google-vertex-ai": ("location", str, False),
}  # fmt: skip


def adapter_of(provider: str | None) -> str:
    """Langfuse's name for a kind of provider; what it does not know speaks OpenAI's protocol."""
    found = _ADAPTERS.get(provider or "", provider or "openai")
    return found if found in get_args(Adapter) else "openai"


def connection_row(connection: ModelConnection) -> dict[str, Any]:
    """A connection as clients read it."""
    shown = connection.masked.get("api_key") or next(iter(connection.masked.values()), "***")
    return {
        "id": connection.connection_id,
        "provider": connection.name,
        "adapter": adapter_of(connection.provider),
        "displaySecretKey": "..." + shown[-4:] if shown != "***" else "...",
        "baseURL": connection.base_url,
        "customModels": connection.models,
        "withDefaultModels": connection.with_default_models,
        "extraHeaderKeys": connection.header_names,
        "config": connection.config or None,
        "createdAt": iso(connection.created_ns),
        "updatedAt": iso(connection.updated_ns),
    }


@routes.on("GET", "/llm-connections", scope="read")
async def list_connections(call: Call) -> Result:
    """A page, newest first."""
    query = call.query(PageQuery)
    limit, offset = query.window()
    found = (await in_thread(call.services.connections.list, call.project_id))[::-1]
    rows = [connection_row(each) for each in found[offset : offset + limit]]
    return {"data": rows, "meta": query.meta(len(found))}


class Upsert(msgspec.Struct, rename="camel", kw_only=True):
    """Body of an upsert; what is not sent stays as it is."""

    provider: str
    adapter: Adapter
    secret_key: str
    base_url: str | msgspec.UnsetType | None = msgspec.field(default=msgspec.UNSET, name="baseURL")
    custom_models: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    with_default_models: bool | msgspec.UnsetType | None = msgspec.UNSET
    extra_headers: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    config: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET

    def check(self) -> None:
        """Raise ``BadRequest`` for an empty key, or a configuration that the adapter does not have."""
        for name, value in (("provider", self.provider), ("secretKey", self.secret_key)):
            if not value.strip():
                raise BadRequest(issue("String must contain at least 1 character(s)", name, code="too_small"))
        wanted = _CONFIG.get(self.adapter)
        config = self.config or {}
        if wanted is None:
            if config:
                raise BadRequest(issue(f"Config is not supported for the {self.adapter} adapter", "config"))
        elif (config or wanted[2]) and not (list(config) == [wanted[0]] and isinstance(config[wanted[0]], wanted[1])):
            shape = f'{{"{wanted[0]}": <{"boolean" if wanted[1] is bool else "string"}>}}'
            raise BadRequest(issue(f"Config of the {self.adapter} adapter must be {shape}", "config"))


@routes.on("PUT", "/llm-connections", scope="write")
async def upsert(call: Call) -> Result:
    """Store a connection under its name (``provider``), be it new or known."""
    call.principal.require_administrator()
    body = await call.json(Upsert)
    body.check()
    fields: dict[str, Any] = {
        "base_url": body.base_url, "models": body.custom_models, "with_default_models": body.with_default_models,
        "config": body.config,
    }  # fmt: skip
    empty: dict[str, Any] = {"base_url": None, "models": [], "with_default_models": True, "config": {}}
    said: dict[str, Any] = {
        name: empty[name] if value is None else value for name, value in fields.items() if value is not msgspec.UNSET
    }
    if said.get("base_url") == "":
        said["base_url"] = None
    headers = None if body.extra_headers is msgspec.UNSET else body.extra_headers or {}
    secret, connections = {"api_key": body.secret_key}, call.services.connections
    kind = _KINDS.get(body.adapter, body.adapter)

    def write() -> tuple[ModelConnection, bool]:
        known = connections.named(call.project_id, body.provider)
        if known is None:
            draft = ModelConnection(connection_id="", name=body.provider, provider=kind, **said)
            return connections.create(call.project_id, draft, secret, headers), True
        # An OpenAI-compatible provider that MLflow's clients name keeps its name.
        provider = known.provider if adapter_of(known.provider) == body.adapter and known.provider else kind
        changed = connections.update(
            call.project_id, known.connection_id, secret=secret, headers=headers, provider=provider, **said
        )  # fmt: skip
        return changed, False

    stored, new = await in_thread(write)
    return Reply(connection_row(stored), 201 if new else 200)


@routes.on("DELETE", "/llm-connections/{id}", scope="write")
async def delete(call: Call) -> Result:
    """Remove a connection; evaluators that name it are paused."""
    call.principal.require_administrator()
    try:
        await in_thread(call.services.connections.delete, call.project_id, call.path["id"])
    except NotFound:
        raise NotFound("LLM connection not found") from None
    return {"message": "LLM connection successfully deleted"}
