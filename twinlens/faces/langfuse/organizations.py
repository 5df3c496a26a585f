"""``/organizations/*``, the members of a project, and the instance's ``/api/admin/organizations``."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from twinlens.domain.errors import PermissionDenied
from twinlens.domain.project import Member, Organization
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.projects import NewKey, key_row, managing, new_key_row, organization_of, project_row
from twinlens.faces.langfuse.wire import Call, Reply, Result, RouteTable, iso, time_of

routes = RouteTable()
_ADMIN = "/api/admin/organizations"


class NewMember(msgspec.Struct, rename="camel", kw_only=True):
    """Who gets which role."""

    user_id: str
    role: Literal["OWNER", "ADMIN", "MEMBER", "VIEWER"]


class OldMember(msgspec.Struct, rename="camel", kw_only=True):
    """Who shall be no member any more."""

    user_id: str


def _member_row(member: Member) -> dict[str, Any]:
    user = member.user
    return {"userId": user.id, "role": member.role, "email": user.email, "name": user.name}


def _member_rows(members: list[Member]) -> dict[str, Any]:
    """Clients know no role ``NONE``: who has it is not listed."""
    return {"memberships": [_member_row(member) for member in members if member.role != "NONE"]}


@routes.on("GET", "/organizations/projects", scope=None)
async def list_projects(call: Call) -> Result:
    """All projects of the organization."""
    found = await in_thread(call.services.projects.list, organization_of(call))
    return {
        "projects": [project_row(p) | {"createdAt": iso(p.created_ns), "updatedAt": iso(p.updated_ns)} for p in found]
    }


@routes.on("GET", "/organizations/apiKeys", scope=None)
async def list_keys(call: Call) -> Result:
    """Keys of the organization itself."""
    found = await in_thread(call.services.projects.organization_keys, organization_of(call))
    return {"apiKeys": [key_row(key) for key in found]}


@routes.on("GET", "/organizations/memberships", scope=None)
async def list_members(call: Call) -> Result:
    """Members and their roles."""
    return _member_rows(await in_thread(call.services.members.of_organization, organization_of(call)))


@routes.on("PUT", "/organizations/memberships", scope=None)
async def put_member(call: Call) -> Result:
    """Make a user a member, or change the role."""
    organization_id = organization_of(call)
    body = await call.json(NewMember)
    made = await in_thread(call.services.members.put, call.principal, organization_id, body.user_id, body.role)
    return _member_row(made)


@routes.on("DELETE", "/organizations/memberships", scope=None)
async def delete_member(call: Call) -> Result:
    """End a membership."""
    organization_id = organization_of(call)
    body = await call.json(OldMember)
    await in_thread(call.services.members.remove, call.principal, organization_id, body.user_id)
    return {"message": "Successfully removed user from organization", "userId": body.user_id}


@routes.on("GET", "/projects/{id}/memberships", scope=None)
async def list_project_members(call: Call) -> Result:
    """Users with a role of their own in the project."""
    who = await managing(call, call.path["id"])
    return _member_rows(await in_thread(call.services.members.of_project, who.project_id))


@routes.on("PUT", "/projects/{id}/memberships", scope=None)
async def put_project_member(call: Call) -> Result:
    """Give a member of the organization another role in this project."""
    who = await managing(call, call.path["id"])
    body = await call.json(NewMember)
    made = await in_thread(call.services.members.put_in_project, who, who.project_id, body.user_id, body.role)
    return _member_row(made)


@routes.on("DELETE", "/projects/{id}/memberships", scope=None)
async def delete_project_member(call: Call) -> Result:
    """The role in the organization counts again."""
    who = await managing(call, call.path["id"])
    body = await call.json(OldMember)
    await in_thread(call.services.members.remove_from_project, who, who.project_id, body.user_id)
    return {"message": "Successfully removed user from project", "userId": body.user_id}


# --- the instance --------------------------------------------------------------------------------------------------------
class OrganizationBody(msgspec.Struct, kw_only=True):
    """Body of create and update."""

    name: str


def _administering(call: Call) -> None:
    if not call.principal.instance:
        raise PermissionDenied("This needs the instance's ADMIN_API_KEY as Bearer token")


def _organization_row(organization: Organization) -> dict[str, Any]:
    return {"id": organization.id, "name": organization.name, "createdAt": iso(organization.created_ns), "metadata": {}}


@routes.on("GET", _ADMIN, scope=None)
async def list_organizations(call: Call) -> Result:
    """All organizations."""
    _administering(call)
    found = await in_thread(call.services.projects.organizations)
    return {"organizations": [_organization_row(one) for one in found]}


@routes.on("POST", _ADMIN, scope=None)
async def create_organization(call: Call) -> Result:
    """A new organization."""
    _administering(call)
    body = await call.json(OrganizationBody)
    return Reply(_organization_row(await in_thread(call.services.projects.put_organization, body.name)), 201)


@routes.on("GET", _ADMIN + "/{id}", scope=None)
async def get_organization(call: Call) -> Result:
    """One organization with its projects."""
    _administering(call)
    projects = call.services.projects
    found = await in_thread(projects.organization, call.path["id"])
    owned = await in_thread(projects.list, found.id)
    return _organization_row(found) | {"projects": [project_row(project) for project in owned]}


@routes.on("PUT", _ADMIN + "/{id}", scope=None)
async def rename_organization(call: Call) -> Result:
    """Another name."""
    _administering(call)
    found = await in_thread(call.services.projects.organization, call.path["id"])
    body = await call.json(OrganizationBody)
    return _organization_row(await in_thread(call.services.projects.put_organization, body.name, found.id))


@routes.on("DELETE", _ADMIN + "/{id}", scope=None)
async def delete_organization(call: Call) -> Result:
    """Only without projects."""
    _administering(call)
    await in_thread(call.services.projects.delete_organization, call.path["id"])
    return {"success": True}


@routes.on("GET", _ADMIN + "/{id}/apiKeys", scope=None)
async def list_organization_keys(call: Call) -> Result:
    """Without secrets."""
    _administering(call)
    found = await in_thread(call.services.projects.organization, call.path["id"])
    keys = await in_thread(call.services.projects.organization_keys, found.id)
    return {"apiKeys": [key_row(key) for key in keys]}


@routes.on("POST", _ADMIN + "/{id}/apiKeys", scope=None)
async def create_organization_key(call: Call) -> Result:
    """A key of the organization; the answer holds the secret, this once."""
    _administering(call)
    body = (await call.json(NewKey)).checked()
    key, secret = await in_thread(
        call.services.projects.create_key, None, organization_id=call.path["id"], kind="organization",
        public_key=body.public_key, secret_key=body.secret_key, note=body.note or "",
        expires_ns=time_of(body.expires_at, "expiresAt"),
    )  # fmt: skip
    return Reply(new_key_row(key, secret), 201)


@routes.on("DELETE", _ADMIN + "/{id}/apiKeys/{key}", scope=None)
async def delete_organization_key(call: Call) -> Result:
    """In force at once."""
    _administering(call)
    await in_thread(call.services.projects.delete_organization_key, call.path["id"], call.path["key"])
    return {"success": True}
