"""Users and their permissions, as MLflow's basic-auth application has them. Hand-made JSON there too.

A user is a member of the caller's organization. An administrator is its owner or administrator, everybody else starts
as a viewer, which is MLflow's default permission ``READ``.
"""

from __future__ import annotations

from typing import Any

from twinlens.domain.errors import PermissionDenied
from twinlens.domain.grant import GrantRole
from twinlens.domain.project import Member, User
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.roles import role_row
from twinlens.faces.mlflow.wire import Call, RpcTable
from twinlens.faces.mlflow.workspaces import workspace_name

rpcs = RpcTable()
_USERS = "/mlflow/users"
_ADMINS = ("OWNER", "ADMIN")


def _row(user: User, role: str) -> dict[str, Any]:
    return {"id": user.id, "username": user.email, "is_admin": role in _ADMINS}


def _member(call: Call, username: str) -> Member:
    """A member of the caller's organization; anybody may look at oneself only.

    Raises:
        PermissionDenied: somebody else, and the caller is no administrator.
        NotFound: no such member.
    """
    who, members = call.caller, call.services.members
    if "organization" not in who.scopes and (
        who.user_id is None or members.user(who.user_id).email != username.lower()
    ):
        raise PermissionDenied("Permission denied: only an administrator may ask for other users")
    return members.member(who.organization_id, members.named(username).id)


@rpcs.rpc("POST", "2.0", _USERS + "/create", scope="organization")
def create_user(call: Call) -> dict[str, Any]:
    """A new user. The first one who can sign in becomes the owner, so that somebody can."""
    username, password = call.params.required("username"), call.params.required("password")
    members, who = call.services.members, call.caller
    role = "VIEWER" if members.anybody_signs_in() else "OWNER"
    made = members.add_user(who, who.organization_id, username, password=password, role=role)
    return {"user": _row(made, role)}


@rpcs.rpc("GET", "2.0", _USERS + "/get", scope="known")
def get_user(call: Call) -> dict[str, Any]:
    """One user, with the roles."""
    found = _member(call, call.params.required("username"))
    roles = call.services.permissions.roles_of(found.user.id)
    return {"user": _row(found.user, found.role) | {"roles": [role_row(call, role) for role in roles]}}


@rpcs.rpc("GET", "2.0", _USERS + "/current", scope="known")
def current_user(call: Call) -> dict[str, Any]:
    """Who the caller is. A key, or a caller of open mode, is shown as a user without an id."""
    who = call.caller
    admin = "organization" in who.scopes
    user: dict[str, Any] = {"id": who.user_id, "username": who.public_key or "local", "is_admin": admin}
    if who.user_id:
        user["username"] = call.services.members.user(who.user_id).email
    return {"user": user, "is_basic_auth": who.user_id is not None}


@rpcs.rpc("GET", "2.0", _USERS + "/list", scope="organization")
def list_users(call: Call) -> dict[str, Any]:
    """All members with their roles."""
    found = call.services.members.of_organization(call.caller.organization_id)
    roles = call.services.permissions.roles_of
    return {
        "users": [
            _row(one.user, one.role) | {"roles": [role_row(call, role) for role in roles(one.user.id)]} for one in found
        ]
    }


@rpcs.rpc("PATCH", "2.0", _USERS + "/update-password", scope="known")
def update_password(call: Call) -> dict[str, Any]:
    """Who changes the own password has to know it."""
    found, password = _member(call, call.params.required("username")), call.params.required("password")
    who = call.caller
    if found.user.id == who.user_id:
        current = call.params.text("current_password")
        if not current:
            raise invalid("Current password is required when changing your own password.")
        if not call.services.access.knows(found.user.email, current):
            raise invalid("Current password does not match.")
        if current == password:
            raise invalid("New password must differ from the current password.")
    call.services.members.set_password(who, who.organization_id, found.user.id, password)
    return {}


@rpcs.rpc("PATCH", "2.0", _USERS + "/update-admin", scope="organization")
def update_admin(call: Call) -> dict[str, Any]:
    """Make an administrator, or a viewer again."""
    found, admin = _member(call, call.params.required("username")), call.params.boolean("is_admin")
    if admin is None:
        raise invalid("Missing value for required parameter 'is_admin'.")
    if admin != (found.role in _ADMINS):
        role = "VIEWER" if not admin else "OWNER" if call.caller.outranks("OWNER") else "ADMIN"
        call.services.members.put(call.caller, call.caller.organization_id, found.user.id, role)
    return {}


@rpcs.rpc("DELETE", "2.0", _USERS + "/delete", scope="organization")
def delete_user(call: Call) -> dict[str, Any]:
    """Removes the user with all grants."""
    found = _member(call, call.params.required("username"))
    call.services.members.delete_user(call.caller, call.caller.organization_id, found.user.id)
    return {}


# --- permissions ---------------------------------------------------------------------------------------------------------
@rpcs.rpc("GET", "3.0", _USERS + "/current/permissions", scope="known")
def current_permissions(call: Call) -> dict[str, Any]:
    """Every grant of the caller."""
    who = call.caller
    roles = call.services.permissions.roles_of(who.user_id) if who.user_id else []
    return {"is_admin": "organization" in who.scopes, "permissions": _rows(call, roles)}


@rpcs.rpc("GET", "3.0", _USERS + "/permissions/list", scope="known")
def list_permissions(call: Call) -> dict[str, Any]:
    """Every grant of a user."""
    found = _member(call, call.params.required("username"))
    roles = call.services.permissions.roles_of(found.user.id)
    return {"is_admin": found.role in _ADMINS, "permissions": _rows(call, roles)}


def _rows(call: Call, roles: list[GrantRole]) -> list[dict[str, Any]]:
    return [
        {
            "role_id": role.id, "role_name": role.name, "workspace": workspace_name(call, role.project_id),
            "resource_type": grant.resource_type, "resource_pattern": grant.resource_pattern,
            "permission": grant.permission,
        }
        for role in roles
        for grant in role.grants
    ]  # fmt: skip


def _resource(call: Call) -> tuple[str, str]:
    return call.params.required("resource_type"), call.params.required("resource_id")


@rpcs.rpc("POST", "3.0", _USERS + "/permissions/grant", scope="manage")
def grant(call: Call) -> dict[str, Any]:
    """A grant on one resource of the selected workspace."""
    found = call.services.members.named(call.params.required("username"))
    permission = call.params.required("permission")
    call.services.permissions.grant_user(call.project_id, found.id, *_resource(call), permission)
    return {}


@rpcs.rpc("POST", "3.0", _USERS + "/permissions/revoke", scope="manage")
@rpcs.rpc("DELETE", "3.0", _USERS + "/permissions/revoke", scope="manage")
def revoke(call: Call) -> dict[str, Any]:
    """Take such a grant away."""
    found = call.services.members.named(call.params.required("username"))
    call.services.permissions.revoke_user(call.project_id, found.id, *_resource(call))
    return {}


@rpcs.rpc("GET", "3.0", _USERS + "/permissions/get", scope="known")
def get_permission(call: Call) -> dict[str, Any]:
    """What a user may do with a resource of the selected workspace. ``allowed`` is USE or more."""
    found = _member(call, call.params.required("username"))
    permission = call.services.permissions.of_user(call.project_id, found.user.id, *_resource(call))
    return {"allowed": permission in ("USE", "EDIT", "MANAGE"), "permission": permission}
