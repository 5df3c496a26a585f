"""``/projects`` and the API keys of a project."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.errors import PermissionDenied
from twinlens.domain.project import ApiKey, Principal, Project
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.errors import BadRequest, issue
from twinlens.faces.langfuse.wire import Call, Reply, Result, RouteTable, iso, time_of
from twinlens.features.projects import KEEP

routes = RouteTable()
_ORGANIZATION_ONLY = "Organization-scoped API key required for this operation"


async def managing(call: Call, project_id: str) -> Principal:
    """The caller, working in a project of its organization whose settings, keys and members it may manage.

    Raises:
        PermissionDenied: not with these credentials.
        NotFound: no such project for this caller.
    """
    who = call.principal
    if who.key_id and "organization" not in who.scopes:
        raise PermissionDenied(_ORGANIZATION_ONLY)
    who = await in_thread(call.services.access.for_project, who, project_id)
    who.require("manage")
    return who


def organization_of(call: Call) -> str:
    """The organization that the caller may manage.

    Raises:
        PermissionDenied: not with these credentials.
    """
    if "organization" not in call.principal.scopes:
        raise PermissionDenied(_ORGANIZATION_ONLY)
    return call.principal.organization_id


def project_row(project: Project) -> dict[str, Any]:
    """A project as clients read it."""
    row: dict[str, Any] = {"id": project.id, "name": project.name, "metadata": project.metadata}
    if project.retention_days is not None:
        row["retentionDays"] = project.retention_days
    return row


def key_row(key: ApiKey) -> dict[str, Any]:
    """A key without its secret."""
    return {
        "id": key.id,
        "createdAt": iso(key.created_ns),
        "expiresAt": iso(key.expires_ns),
        "lastUsedAt": iso(key.last_used_ns),
        "note": key.note or None,
        "publicKey": key.public_key,
        "displaySecretKey": key.hint,
    }


def _whole_row(call: Call, project: Project) -> dict[str, Any]:
    organization = call.services.projects.organization(project.organization_id)
    return project_row(project) | {"organization": {"id": organization.id, "name": organization.name}}


@routes.on("GET", "/projects", scope=None)
async def projects(call: Call) -> Result:
    """The project of the key: what ``auth_check`` and ``get_trace_url`` ask."""

    def read() -> dict[str, Any]:
        return {"data": [_whole_row(call, call.services.projects.get(call.project_id))]}

    return await in_thread(read)


class ProjectBody(msgspec.Struct, rename="camel", kw_only=True):
    """Body of create and update; retention in days, 0 keeps everything."""

    name: str
    metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    retention: int | msgspec.UnsetType | None = msgspec.UNSET


@routes.on("POST", "/projects", scope=None)
async def create(call: Call) -> Result:
    """A new project of the organization."""
    organization_id = organization_of(call)
    body = await call.json(ProjectBody)
    made = await in_thread(
        call.services.projects.create, body.name, organization_id=organization_id, metadata=body.metadata or None,
        retention_days=body.retention or None,
    )  # fmt: skip
    return Reply(await in_thread(_whole_row, call, made), 201)


@routes.on("PUT", "/projects/{id}", scope=None)
async def update(call: Call) -> Result:
    """Change name, and metadata and retention if they are given."""
    who = await managing(call, call.path["id"])
    body = await call.json(ProjectBody)
    made = await in_thread(
        call.services.projects.update, who.project_id, name=body.name,
        metadata=KEEP if body.metadata is msgspec.UNSET else body.metadata,
        retention_days=KEEP if body.retention is msgspec.UNSET else body.retention,
    )  # fmt: skip
    return await in_thread(_whole_row, call, made)


@routes.on("DELETE", "/projects/{id}", scope=None)
async def delete(call: Call) -> Result:
    """Gone at once; what it held is removed in the background."""
    organization_of(call)
    who = await managing(call, call.path["id"])
    await in_thread(call.services.removal.remove, who.project_id)
    message = "Project deletion has been initiated and is being processed asynchronously."
    return Reply({"success": True, "message": message}, 202)


@routes.on("GET", "/projects/{id}/apiKeys", scope=None)
async def list_keys(call: Call) -> Result:
    """Without secrets."""
    who = await managing(call, call.path["id"])
    found = await in_thread(call.services.projects.keys, who.project_id)
    return {"apiKeys": [key_row(key) for key in found]}


class NewKey(msgspec.Struct, rename="camel", kw_only=True):
    """Body of a create call. Public and secret key may be given, but only both."""

    note: str | None = None
    public_key: str | None = None
    secret_key: str | None = None
    expires_at: str | None = None
    kind: str = "project"  #: Twinlens: also read-only and ingest-only

    def checked(self) -> NewKey:
        """Itself.

        Raises:
            BadRequest: half a pair, or keys without the usual prefixes.
        """
        if (self.public_key is None) != (self.secret_key is None):
            raise BadRequest(issue("publicKey and secretKey must be given together", "secretKey"))
        if self.public_key is not None and not self.public_key.startswith("pk-lf-"):
            raise BadRequest(issue('publicKey must start with "pk-lf-"', "publicKey"))
        if self.secret_key is not None and (not self.secret_key.startswith("sk-lf-") or len(self.secret_key) < 16):
            raise BadRequest(issue('secretKey must start with "sk-lf-" and have 16 characters or more', "secretKey"))
        return self


def new_key_row(key: ApiKey, secret: str) -> dict[str, Any]:
    """A key with its secret, which is shown this once."""
    row = key_row(key)
    return {name: row[name] for name in row if name != "lastUsedAt"} | {"secretKey": secret}


@routes.on("POST", "/projects/{id}/apiKeys", scope=None)
async def create_key(call: Call) -> Result:
    """The answer holds the secret, this once."""
    who = await managing(call, call.path["id"])
    body = (await call.json(NewKey)).checked()
    key, secret = await in_thread(
        call.services.projects.create_key, who.project_id, public_key=body.public_key, secret_key=body.secret_key,
        note=body.note or "", kind=body.kind, expires_ns=time_of(body.expires_at, "expiresAt"),
    )  # fmt: skip
    return Reply(new_key_row(key, secret), 201)


@routes.on("DELETE", "/projects/{id}/apiKeys/{key}", scope=None)
async def delete_key(call: Call) -> Result:
    """In force at once."""
    who = await managing(call, call.path["id"])
    await in_thread(call.services.projects.delete_key, who.project_id, call.path["key"])
    return {"success": True}
