"""Who may do what: a project's settings, members of projects and of the organization, users, the audit log."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Struct, UnsetType

from twinlens.domain.audit import AuditEntry
from twinlens.domain.project import Member, Principal
from twinlens.faces.http import AnyRequest, in_thread, principal, project_principal, services
from twinlens.faces.native import schemas as s
from twinlens.faces.native.reply import whole_id
from twinlens.faces.native.rows import ms
from twinlens.features.projects import KEEP

RoleName = Literal["OWNER", "ADMIN", "MEMBER", "VIEWER", "NONE"]
AuditLimit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows per page.")]
AuditCursor = Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")]


class ProjectChange(Struct, kw_only=True):
    """``PATCH /projects/{project_id}``: what is given."""

    name: str | UnsetType = UNSET
    retention_days: int | UnsetType | None = UNSET  #: None keeps everything


class MemberInfo(Struct, kw_only=True):
    """A user and the role."""

    user_id: str
    email: str
    name: str
    role: RoleName
    project_role: RoleName | None = None  #: replaces ``role`` in this project


class MemberList(Struct, kw_only=True):
    """Members of the organization, longest first."""

    members: list[MemberInfo]
    may_manage_organization: bool


class NewRole(Struct, kw_only=True):
    """Which role a user gets; in a project None lets the organization's role count again."""

    role: RoleName | None


class NewUser(Struct, kw_only=True):
    """``POST /organization/members``. Without a password the user cannot sign in yet."""

    email: str
    name: str = ""
    password: str | None = None
    role: RoleName = "MEMBER"


class AuditRow(Struct, kw_only=True):
    """One change."""

    id: str
    at_ms: float
    actor_kind: str  #: user | key | open | system
    actor: str
    action: str
    object_type: str
    object_id: str
    project_id: str | None
    detail: dict[str, Any]


class AuditPage(Struct, kw_only=True):
    """Newest first."""

    entries: list[AuditRow]
    next_cursor: str | None


async def managing(request: AnyRequest, project_id: str) -> Principal:
    """The caller, who manages the project."""
    who = await project_principal(request, whole_id(project_id))
    who.require("manage")
    return who


async def governing(request: AnyRequest) -> Principal:
    """The caller, who manages the organization."""
    who = await principal(request)
    who.require("organization")
    return who


@patch("/projects/{project_id:str}", summary="Change a project's settings")
async def edit_project(request: AnyRequest, project_id: FromPath[str], data: JSONBody[ProjectChange]) -> s.ProjectInfo:
    """Name and retention."""
    who = await managing(request, project_id)
    made = await in_thread(
        services(request).projects.update,
        who.project_id,
        name=None if isinstance(data.name, UnsetType) else data.name,
        retention_days=KEEP if isinstance(data.retention_days, UnsetType) else data.retention_days,
    )
    return s.ProjectInfo(
        id=made.id,
        name=made.name,
        organization_id=made.organization_id,
        created_ms=ms(made.created_ns),
        retention_days=made.retention_days,
    )


@delete("/projects/{project_id:str}", summary="Delete a project")
async def delete_project(request: AnyRequest, project_id: FromPath[str]) -> None:
    """Gone at once; what it held is removed in the background."""
    who = await managing(request, project_id)
    who.require("organization")
    await in_thread(services(request).removal.remove, who.project_id)


@get("/projects/{project_id:str}/members", summary="Members and their roles in a project")
async def list_members(request: AnyRequest, project_id: FromPath[str]) -> MemberList:
    """Everybody of the organization, with the role of the own in this project."""
    who = await managing(request, project_id)

    def read() -> MemberList:
        members = services(request).members
        own = {member.user.id: member.role for member in members.of_project(who.project_id)}
        found = members.of_organization(who.organization_id)
        return MemberList(
            members=[_member(member, cast("RoleName | None", own.get(member.user.id))) for member in found],
            may_manage_organization="organization" in who.scopes,
        )

    return await in_thread(read)


@patch("/projects/{project_id:str}/members/{user_id:str}", status_code=204, summary="Set a member's role in a project")
async def set_project_role(
    request: AnyRequest, project_id: FromPath[str], user_id: FromPath[str], data: JSONBody[NewRole]
) -> None:
    """It replaces the organization's role in this project."""
    who = await managing(request, project_id)
    members = services(request).members
    if data.role is None:
        await in_thread(members.remove_from_project, who, who.project_id, whole_id(user_id))
    else:
        await in_thread(members.put_in_project, who, who.project_id, whole_id(user_id), data.role)


@post("/organization/members", summary="Add a user")
async def add_member(request: AnyRequest, data: JSONBody[NewUser]) -> MemberInfo:
    """A new user, or one that another organization knows already."""
    who = await governing(request)
    user = await in_thread(
        services(request).members.add_user, who, who.organization_id, data.email, name=data.name,
        password=data.password, role=data.role,
    )  # fmt: skip
    return MemberInfo(user_id=user.id, email=user.email, name=user.name, role=data.role)


@patch("/organization/members/{user_id:str}", summary="Set a member's role in the organization")
async def set_role(request: AnyRequest, user_id: FromPath[str], data: JSONBody[NewRole]) -> MemberInfo:
    """It counts in every project without a role of its own."""
    who = await governing(request)
    members = services(request).members
    return _member(await in_thread(members.put, who, who.organization_id, whole_id(user_id), data.role or "NONE"))


@delete("/organization/members/{user_id:str}", summary="Remove a member")
async def remove_member(request: AnyRequest, user_id: FromPath[str]) -> None:
    """A user who belongs to no other organization is deleted."""
    who = await governing(request)
    await in_thread(services(request).members.delete_user, who, who.organization_id, whole_id(user_id))


@get("/projects/{project_id:str}/audit", summary="Audit log of a project")
async def project_audit(
    request: AnyRequest, project_id: FromPath[str], cursor: AuditCursor = None, limit: AuditLimit = 100
) -> AuditPage:
    """Who changed its settings, keys, members, prompt labels and prices."""
    who = await managing(request, project_id)
    return await in_thread(_audit, request, who.organization_id, who.project_id, cursor, limit)


@get("/organization/audit", summary="Audit log of the organization")
async def organization_audit(request: AnyRequest, cursor: AuditCursor = None, limit: AuditLimit = 100) -> AuditPage:
    """All projects together, deleted ones too."""
    who = await governing(request)
    return await in_thread(_audit, request, who.organization_id, None, cursor, limit)


def _audit(
    request: AnyRequest, organization_id: str, project_id: str | None, cursor: str | None, limit: int
) -> AuditPage:
    found, more = services(request).audit.list(organization_id, project_id, cursor=cursor, limit=limit)
    return AuditPage(entries=[_entry(entry) for entry in found], next_cursor=more)


def _entry(entry: AuditEntry) -> AuditRow:
    return AuditRow(
        id=entry.id,
        at_ms=ms(entry.at_ns),
        actor_kind=entry.actor.kind,
        actor=entry.actor.name or entry.actor.id or entry.actor.kind,
        action=entry.action,
        object_type=entry.object_type,
        object_id=entry.object_id,
        project_id=entry.project_id,
        detail=entry.detail,
    )


def _member(member: Member, project_role: RoleName | None = None) -> MemberInfo:
    user = member.user
    return MemberInfo(user_id=user.id, email=user.email, name=user.name, role=member.role, project_role=project_role)


HANDLERS = [
    edit_project, delete_project, list_members, set_project_role, add_member, set_role, remove_member, project_audit,
    organization_audit,
]  # fmt: skip
