"""``/scim/*``: users of the organization, for identity providers (RFC 7643 and 7644, as far as Langfuse has it).

A SCIM user is a member of the caller's organization. ``active: false`` and DELETE end the membership; a user who
belongs nowhere else is removed. Members made here have the role ``NONE`` unless ``roles`` names another.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import msgspec

from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound, TwinlensError
from twinlens.domain.project import Member, User
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.projects import organization_of
from twinlens.faces.langfuse.wire import Call, Reply, Result, RouteTable, iso

routes = RouteTable()
_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_CORE = "urn:ietf:params:scim:schemas:core:2.0"
_TYPE = "application/scim+json"
_MAX_PAGE = 100
_FILTER = re.compile(r'\s*userName\s+eq\s+"((?:[^"\\]|\\.)*)"\s*', re.IGNORECASE)
Handler = Callable[[Call], Awaitable[Result]]


def _scim(method: str, path: str) -> Callable[[Handler], Handler]:
    """Declare a handler for who manages the organization; its errors have SCIM's shape."""

    def declare(handler: Handler) -> Handler:
        @wraps(handler)
        async def answered(call: Call) -> Result:
            organization_of(call)
            try:
                return await handler(call)
            except (TwinlensError, msgspec.DecodeError) as error:
                status = error.status if isinstance(error, TwinlensError) else 400
                message = error.message if isinstance(error, TwinlensError) else str(error)
                unique = isinstance(error, AlreadyExists)
                kind = "uniqueness" if unique else "invalidValue" if isinstance(error, InvalidArgument) else None
                body: dict[str, Any] = {"schemas": [_ERROR], "status": str(status), "detail": message}
                return Reply(body | ({"scimType": kind} if kind else {}), status, media_type=_TYPE)

        return routes.on(method, f"/scim{path}", scope=None)(answered)

    return declare


def _meta(kind: str, path: str) -> dict[str, str]:
    return {"resourceType": kind, "location": f"/api/public/scim/{path}"}


def _listed(rows: list[dict[str, Any]], total: int | None = None, start: int = 1) -> dict[str, Any]:
    return {
        "schemas": [_LIST], "totalResults": len(rows) if total is None else total, "startIndex": start,
        "itemsPerPage": len(rows), "Resources": rows,
    }  # fmt: skip


def _user_row(user: User, *, active: bool = True, role: str | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "schemas": [_USER],
        "id": user.id,
        "userName": user.email,
        "name": {"formatted": user.name},
        "emails": [{"primary": True, "value": user.email, "type": "work"}],
        "active": active,
        "meta": {"resourceType": "User", "created": iso(user.created_ns), "lastModified": iso(user.created_ns)},
    }
    return row if role is None else row | {"roles": [role]}


# --- description ---------------------------------------------------------------------------------------------------------
@_scim("GET", "/ServiceProviderConfig")
async def service_provider_config(_call: Call) -> Result:
    """What is supported."""
    return {
        "schemas": [f"{_CORE}:ServiceProviderConfig"],
        "documentationUri": "https://www.rfc-editor.org/rfc/rfc7644",
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": _MAX_PAGE},
        "changePassword": {"supported": True},
        "sort": {"supported": False},
        "etag": {"supported": False},
        "authenticationSchemes": [
            {
                "name": "HTTP Basic",
                "description": "Key pair of the organization: public key as name, secret key as password",
                "specUri": "https://www.rfc-editor.org/rfc/rfc7617",
                "type": "httpbasic",
                "primary": True,
            }
        ],
        "meta": _meta("ServiceProviderConfig", "ServiceProviderConfig"),
    }


@_scim("GET", "/ResourceTypes")
async def resource_types(_call: Call) -> Result:
    """Users only."""
    user: dict[str, Any] = {
        "schemas": [f"{_CORE}:ResourceType"], "id": "User", "name": "User", "endpoint": "/Users",
        "description": "Members of the organization", "schema": _USER, "schemaExtensions": [],
        "meta": _meta("ResourceType", "ResourceTypes/User"),
    }  # fmt: skip
    return _listed([user])


def _attribute(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {
        "name": name, "type": kind, "multiValued": False, "required": False, "caseExact": False,
        "mutability": "readWrite", "returned": "default", "uniqueness": "none",
    } | more  # fmt: skip


@_scim("GET", "/Schemas")
async def schemas(_call: Call) -> Result:
    """The attributes of a user."""
    attributes = [
        _attribute("userName", required=True, uniqueness="server", mutability="immutable"),
        _attribute("name", "complex", subAttributes=[_attribute("formatted")]),
        _attribute(
            "emails", "complex", multiValued=True,
            subAttributes=[_attribute("value"), _attribute("type"), _attribute("primary", "boolean")],
        ),
        _attribute("active", "boolean"),
        _attribute("password", returned="never", mutability="writeOnly"),
        _attribute("roles", multiValued=True),
    ]  # fmt: skip
    user: dict[str, Any] = {
        "schemas": [f"{_CORE}:Schema"], "id": _USER, "name": "User", "description": "Member of the organization",
        "attributes": attributes, "meta": _meta("Schema", f"Schemas/{_USER}"),
    }  # fmt: skip
    return _listed([user])


# --- users ---------------------------------------------------------------------------------------------------------------
class UsersQuery(msgspec.Struct, rename="camel", kw_only=True):
    """Parameters of the list; ``start_index`` counts from 1."""

    filter: str | None = None
    start_index: int = 1
    count: int = _MAX_PAGE


@_scim("GET", "/Users")
async def list_users(call: Call) -> Result:
    """Members, or the one that the filter ``userName eq "…"`` names."""
    query = call.query(UsersQuery)
    members = await in_thread(call.services.members.of_organization, call.principal.organization_id)
    if query.filter:
        match = _FILTER.fullmatch(query.filter)
        if match is None:
            raise InvalidArgument('the only filter that is supported is: userName eq "name"')
        wanted = re.sub(r"\\(.)", r"\1", match[1]).lower()
        members = [member for member in members if member.user.email == wanted]
    start = max(query.start_index, 1)
    page = members[start - 1 :][: max(0, min(query.count, _MAX_PAGE))]
    return _listed([_user_row(m.user, role=m.role) for m in page], len(members), start)


class Name(msgspec.Struct, rename="camel", kw_only=True):
    """Parts of a name."""

    formatted: str | None = None
    given_name: str | None = None
    family_name: str | None = None

    @property
    def text(self) -> str | None:
        """In one piece; None when nothing is said."""
        return self.formatted or " ".join(part for part in (self.given_name, self.family_name) if part) or None


class UserBody(msgspec.Struct, rename="camel", kw_only=True):
    """A user as identity providers send it. Whatever else they send is ignored."""

    user_name: str
    name: Name | None = None
    display_name: str | None = None
    active: bool | None = None
    password: str | None = None
    roles: list[str] | None = None

    @property
    def shown_name(self) -> str | None:
        """The name to show; None when nothing is said."""
        return (self.name.text if self.name else None) or self.display_name

    @property
    def role(self) -> str | None:
        """The role in the organization; None when nothing is said."""
        return self.roles[0].upper() if self.roles else None


@_scim("POST", "/Users")
async def create_user(call: Call) -> Result:
    """A new member."""
    body = await call.json(UserBody)
    role = body.role or "NONE"
    user = await in_thread(
        call.services.members.add_user, call.principal, call.principal.organization_id, body.user_name,
        name=body.shown_name or "", password=body.password, role=role,
    )  # fmt: skip
    return Reply(_user_row(user, role=role), 201)


@_scim("GET", "/Users/{id}")
async def get_user(call: Call) -> Result:
    """One member."""
    member = await in_thread(call.services.members.member, call.principal.organization_id, call.path["id"])
    return _user_row(member.user, role=member.role)


@_scim("PUT", "/Users/{id}")
async def replace_user(call: Call) -> Result:
    """Change what is given. The userName stays as it is."""
    body = await call.json(UserBody)
    return await in_thread(_change, call, body.active, body.shown_name, body.password, body.role)


class Operation(msgspec.Struct, kw_only=True):
    """One change; ``path`` may be missing, then ``value`` is an object of attributes."""

    op: str
    path: str | None = None
    value: Any = None


class Patch(msgspec.Struct, kw_only=True):
    """Body of a patch."""

    operations: list[Operation] = msgspec.field(name="Operations")


class Changes(msgspec.Struct, rename="camel", kw_only=True):
    """What a patch may change."""

    active: bool | None = None
    name: Name | None = None
    display_name: str | None = None
    formatted: str | None = msgspec.field(default=None, name="name.formatted")
    password: str | None = None
    roles: list[str] | None = None


@_scim("PATCH", "/Users/{id}")
async def patch_user(call: Call) -> Result:
    """``replace`` and ``add`` of active, name, displayName, password and roles."""
    values: dict[str, Any] = {}
    for operation in (await call.json(Patch)).operations:
        if operation.op.lower() not in ("replace", "add"):
            raise InvalidArgument(f"the operation {operation.op!r} is not supported; known: replace, add")
        given = {operation.path: operation.value} if operation.path else operation.value
        if not isinstance(given, dict):
            raise InvalidArgument("an operation needs a path, or an object as its value")
        values |= given  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(values.get("active"), str):  # Microsoft Entra sends "False"
        values["active"] = values["active"].lower() == "true"
    changes = msgspec.convert(values, Changes)
    name = changes.formatted or (changes.name.text if changes.name else None) or changes.display_name
    role = changes.roles[0].upper() if changes.roles else None
    return await in_thread(_change, call, changes.active, name, changes.password, role)


@_scim("DELETE", "/Users/{id}")
async def delete_user(call: Call) -> Result:
    """End the membership. 200 with an empty object rather than 204: Langfuse's client (4.18) reads the body as JSON."""
    members, who = call.services.members, call.principal
    await in_thread(members.delete_user, who, who.organization_id, call.path["id"])
    return {}


def _change(call: Call, active: bool | None, name: str | None, password: str | None, role: str | None) -> Result:
    members, who, user_id = call.services.members, call.principal, call.path["id"]
    organization_id = who.organization_id
    try:
        member: Member = members.member(organization_id, user_id)
    except NotFound:
        if not active:
            raise
        member = members.put(who, organization_id, user_id, role or "NONE")  # back again
    if name is not None and name != member.user.name:
        members.rename(who, organization_id, user_id, name)
    if password is not None:
        members.set_password(who, organization_id, user_id, password)
    if role is not None and role != member.role:
        members.put(who, organization_id, user_id, role)
    if active is False:
        members.remove(who, organization_id, user_id)
        return _user_row(members.user(user_id), active=False)
    member = members.member(organization_id, user_id)
    return _user_row(member.user, role=member.role)
