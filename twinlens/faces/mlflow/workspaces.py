"""Workspaces: MLflow's word for projects. A workspace's name is the project's id; ``default`` is the default project."""

from __future__ import annotations

import re
from typing import Any

from twinlens.domain.errors import NotFound
from twinlens.domain.project import DEFAULT_PROJECT, Project
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.wire import Call, Raw, RpcTable, present, to_json

rpcs = RpcTable()
_ALL = "/mlflow/workspaces"
_ONE = _ALL + "/{workspace_name}"
#: MLflow 3.17, ``WorkspaceNameValidator``.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_RESERVED = frozenset({"workspaces", "api", "ajax-api", "static-files"})
_MODES = ("RESTRICT", "CASCADE", "SET_DEFAULT")


def workspace_name(call: Call, project_id: str) -> str:
    """The name clients know a project by."""
    return DEFAULT_PROJECT if project_id == call.services.projects.default_id else project_id


def project_named(call: Call, name: str) -> str:
    """The project behind a workspace's name.

    Raises:
        NotFound: not for this caller.
    """
    wanted = call.services.projects.default_id if name == DEFAULT_PROJECT else name
    try:
        return call.services.access.for_project(call.caller, wanted).project_id
    except NotFound:
        raise NotFound(f"Workspace '{name}' not found") from None


def _row(call: Call, project: Project) -> dict[str, Any]:
    return present(name=workspace_name(call, project.id), description=project.metadata.get("description"))


@rpcs.rpc("GET", "3.0", _ALL, scope="known")
def list_workspaces(call: Call) -> dict[str, Any]:
    """Those that the caller may use."""
    visible = set(call.services.access.visible(call.caller))
    return {"workspaces": [_row(call, p) for p in call.services.projects.list() if p.id in visible]}


@rpcs.rpc("GET", "3.0", _ONE, scope="known")
def get_workspace(call: Call) -> dict[str, Any]:
    """One workspace."""
    return {"workspace": _row(call, call.services.projects.get(project_named(call, call.path["workspace_name"])))}


@rpcs.rpc("POST", "3.0", _ALL, scope="organization")
def create_workspace(call: Call) -> Raw:
    """Answers 201."""
    name = call.params.required("name")
    if not 2 <= len(name) <= 63 or not _NAME.fullmatch(name):
        raise invalid(f"Workspace name '{name}' must be 2 to 63 lower case letters, digits and hyphens within.")
    if name in _RESERVED:
        raise invalid(f"Workspace name '{name}' is reserved and cannot be used.")
    _refuse_places(call)
    description = call.params.text("description")
    made = call.services.projects.create(
        name, organization_id=call.caller.organization_id, project_id=name,
        metadata=None if description is None else {"description": description},
    )  # fmt: skip
    return Raw(to_json({"workspace": _row(call, made)}), 201)


@rpcs.rpc("PATCH", "3.0", _ONE, scope="known")
def update_workspace(call: Call) -> dict[str, Any]:
    """Another description."""
    project_id = _managed(call, "manage")
    _refuse_places(call)
    found = call.services.projects.get(project_id)
    description = call.params.text("description")
    if description is not None:
        found = call.services.projects.update(project_id, metadata=found.metadata | {"description": description})
    return {"workspace": _row(call, found)}


@rpcs.rpc("DELETE", "3.0", _ONE, scope="known")
def delete_workspace(call: Call) -> Raw:
    """Answers 204. ``RESTRICT`` refuses while anything is in it, ``CASCADE`` deletes that too."""
    project_id = _managed(call, "organization")
    mode = call.request.query_params.get("mode") or call.params.text("mode") or "RESTRICT"
    if mode not in _MODES:
        raise invalid(f"Invalid value '{mode}' for parameter 'mode' supplied: one of {', '.join(_MODES)}.")
    removal = call.services.removal
    if mode != "CASCADE" and removal.holds(project_id):
        if mode == "SET_DEFAULT":
            raise invalid(
                "SET_DEFAULT cannot move what a workspace holds: recorded data belongs to its project for good. "
                "Delete it with mode=CASCADE, or keep the workspace."
            )
        raise invalid(f"Workspace '{call.path['workspace_name']}' is not empty. Delete it with mode=CASCADE.")
    removal.remove(project_id)
    return Raw(status=204)


def _managed(call: Call, scope: Any) -> str:
    project_id = project_named(call, call.path["workspace_name"])
    call.services.access.for_project(call.caller, project_id).require(scope)
    return project_id


def _refuse_places(call: Call) -> None:
    if call.params.text("default_artifact_root") or call.params.has("trace_archival_config"):
        raise invalid("A workspace has no artifact root or archive of its own here: leave these fields out.")
