"""Roles that grant resources of a workspace, as MLflow's basic-auth application has them."""

from __future__ import annotations

from typing import Any

from twinlens.domain.errors import PermissionDenied
from twinlens.domain.grant import Assignment, Grant, GrantRole
from twinlens.faces.mlflow.wire import Call, RpcTable, present
from twinlens.faces.mlflow.workspaces import project_named, workspace_name

rpcs = RpcTable()
_ROLES = "/mlflow/roles"


def role_row(call: Call, role: GrantRole) -> dict[str, Any]:
    """A role with its grants."""
    return present(
        id=role.id, name=role.name, workspace=workspace_name(call, role.project_id), description=role.description,
        permissions=[_grant_row(grant) for grant in role.grants],
    )  # fmt: skip


def _grant_row(grant: Grant) -> dict[str, Any]:
    return {name: getattr(grant, name) for name in grant.__struct_fields__}


def _assignment_row(assignment: Assignment) -> dict[str, Any]:
    return {name: getattr(assignment, name) for name in assignment.__struct_fields__}


def _managed(call: Call, project_id: str) -> str:
    """``project_id``, if the caller manages it."""
    call.services.access.for_project(call.caller, project_id).require("manage")
    return project_id


def _role(call: Call) -> tuple[str, int]:
    """Project and id of the role that the request names."""
    role_id = call.params.required_integer("role_id")
    return _managed(call, call.services.permissions.project_of_role(role_id)), role_id


def _grant(call: Call) -> tuple[str, int]:
    """Project and id of the grant that the request names."""
    grant_id = call.params.required_integer("role_permission_id")
    return _managed(call, call.services.permissions.project_of_grant(grant_id)), grant_id


@rpcs.rpc("POST", "3.0", _ROLES + "/create", scope="known")
def create_role(call: Call) -> dict[str, Any]:
    """A new role."""
    name, workspace = call.params.required("name"), call.params.text("workspace")
    project_id = _managed(call, project_named(call, workspace) if workspace else call.project_id)
    made = call.services.permissions.create_role(project_id, name, call.params.text("description"))
    return {"role": role_row(call, made)}


@rpcs.rpc("GET", "3.0", _ROLES + "/get", scope="known")
def get_role(call: Call) -> dict[str, Any]:
    """One role."""
    return {"role": role_row(call, call.services.permissions.role(*_role(call)))}


@rpcs.rpc("GET", "3.0", _ROLES + "/list", scope="known")
def list_roles(call: Call) -> dict[str, Any]:
    """Roles of one workspace, or of all that the caller manages."""
    services, workspace = call.services, call.params.text("workspace")
    if workspace:
        projects = [_managed(call, project_named(call, workspace))]
    else:
        visible = [services.access.for_project(call.caller, id) for id in services.access.visible(call.caller)]
        projects = [who.project_id for who in visible if "manage" in who.scopes]
    return {"roles": [role_row(call, role) for id in projects for role in services.permissions.roles(id)]}


@rpcs.rpc("PATCH", "3.0", _ROLES + "/update", scope="known")
def update_role(call: Call) -> dict[str, Any]:
    """Another name or description."""
    name, description = call.params.text("name"), call.params.text("description")
    return {"role": role_row(call, call.services.permissions.change_role(*_role(call), name, description))}


@rpcs.rpc("DELETE", "3.0", _ROLES + "/delete", scope="known")
def delete_role(call: Call) -> dict[str, Any]:
    """With its grants."""
    call.services.permissions.delete_role(*_role(call))
    return {}


@rpcs.rpc("POST", "3.0", _ROLES + "/permissions/add", scope="known")
def add_permission(call: Call) -> dict[str, Any]:
    """Grant something to a role."""
    params = call.params
    grant = (params.required("resource_type"), params.required("resource_pattern"), params.required("permission"))
    return {"role_permission": _grant_row(call.services.permissions.add_grant(*_role(call), *grant))}


@rpcs.rpc("DELETE", "3.0", _ROLES + "/permissions/remove", scope="known")
def remove_permission(call: Call) -> dict[str, Any]:
    """Take a grant away."""
    call.services.permissions.remove_grant(*_grant(call))
    return {}


@rpcs.rpc("GET", "3.0", _ROLES + "/permissions/list", scope="known")
def list_permissions(call: Call) -> dict[str, Any]:
    """Grants of a role."""
    return {"role_permissions": [_grant_row(g) for g in call.services.permissions.role(*_role(call)).grants]}


@rpcs.rpc("PATCH", "3.0", _ROLES + "/permissions/update", scope="known")
def update_permission(call: Call) -> dict[str, Any]:
    """Another permission."""
    permission = call.params.required("permission")
    return {"role_permission": _grant_row(call.services.permissions.change_grant(*_grant(call), permission))}


@rpcs.rpc("POST", "3.0", _ROLES + "/assign", scope="known")
def assign(call: Call) -> dict[str, Any]:
    """Give a role to a user."""
    user = call.services.members.named(call.params.required("username"))
    return {"assignment": _assignment_row(call.services.permissions.assign(*_role(call), user.id))}


@rpcs.rpc("DELETE", "3.0", _ROLES + "/unassign", scope="known")
def unassign(call: Call) -> dict[str, Any]:
    """Take a role away."""
    user = call.services.members.named(call.params.required("username"))
    call.services.permissions.unassign(*_role(call), user.id)
    return {}


@rpcs.rpc("GET", "3.0", _ROLES + "/users/list", scope="known")
def list_role_users(call: Call) -> dict[str, Any]:
    """Who has a role."""
    return {"assignments": [_assignment_row(one) for one in call.services.permissions.assignments(*_role(call))]}


@rpcs.rpc("GET", "3.0", "/mlflow/users/roles/list", scope="known")
def list_user_roles(call: Call) -> dict[str, Any]:
    """Roles of a user: one's own, or those in projects that the caller manages."""
    services, who = call.services, call.caller
    user = services.members.named(call.params.required("username"))
    roles = services.permissions.roles_of(user.id)
    if user.id != who.user_id:
        if "manage" not in who.scopes:
            raise PermissionDenied("Permission denied: only an administrator may ask for other users")
        visible = set(services.access.visible(who))
        roles = [role for role in roles if role.project_id in visible]
    return {"roles": [role_row(call, role) for role in roles]}
