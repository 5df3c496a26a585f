"""Roles that grant single resources, as MLflow's permission API has them, and what they come to together with the
roles of members.

The role in the organization or project decides first: an administrator ``MANAGE``, a member ``EDIT`` (and may delete),
a viewer ``READ``, others ``NO_PERMISSIONS``. Grants raise that for single resources, and ``DENY`` takes it away from
everybody but administrators. They count on every face: where a request names a thing, for that thing; searches of experiments, runs,
models, prompts and traces leave out what is not open; what else reaches over the whole project needs a right in all of it, and is
refused to who is denied something in it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound, PermissionDenied
from twinlens.domain.grant import (
    DENY,
    NAMED_TYPES,
    PERMISSIONS,
    RESOURCE_TYPES,
    Assignment,
    Grant,
    GrantRole,
    Visible,
    strongest,
)
from twinlens.domain.project import Principal, Scope, scopes_of
from twinlens.features.audit import Audit
from twinlens.features.projects import Projects, check_name
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.grants import GrantStore, move_grants
from twinlens.store.catalog.users import UserStore

T = TypeVar("T")
#: What one target of a request may be granted as: an experiment, or all runs.
Target = Sequence[tuple[str, str]]
_NEEDS = {"read": "READ", "ingest": "EDIT", "score": "EDIT", "write": "EDIT"}


class Permissions:
    """Roles, grants and their effect. Changes are in force at once and in the audit log."""

    def __init__(self, catalog: Catalog, projects: Projects) -> None:
        self._store = GrantStore(catalog)
        self._users = UserStore(catalog)
        self._audit = Audit(catalog)
        self._projects = projects

    # --- the effect ------------------------------------------------------------------------------------------------
    def check(self, who: Principal, scope: str, targets: Sequence[Target], *, deleting: bool = False) -> None:
        """Raise ``PermissionDenied`` unless the caller may do ``scope`` with every target.

        Args:
            targets: none for a call that names no resource: then only what holds for the whole project counts.
            deleting: removing what is there; for that a grant has to be ``MANAGE``.
        """
        if not targets and who.denied_something:
            who.require("read")  # says why
        for target in targets or [()]:
            permission = effective(who.scopes, who.grants, target)
            by_role = scope in who.scopes and permission != DENY
            needed = "MANAGE" if deleting else _NEEDS.get(scope, "MANAGE")
            if not by_role and (permission == DENY or PERMISSIONS.index(permission) < PERMISSIONS.index(needed)):
                raise PermissionDenied(f"Permission denied: this needs {needed}")

    def admit(
        self, who: Principal, scope: Scope, targets: Sequence[Target], *, deleting: bool = False
    ) -> Principal:  # fmt: skip
        """The caller as one who may do ``scope`` here: for these things, checked by their grants.

        Raises:
            PermissionDenied: as ``check``.
        """
        if not who.grants:
            return who
        self.check(who, scope, targets, deleting=deleting)
        return msgspec.structs.replace(who, scopes=who.scopes | {scope}, grants=())

    @staticmethod
    def lister(who: Principal) -> Principal:
        """The caller as one who may read a list from which the face leaves out what is not ``visible``."""
        return msgspec.structs.replace(who, scopes=who.scopes | {"read"}, grants=())

    def visible(self, who: Principal, *resource_types: str) -> Visible | None:
        """Which things that grants of any of these types speak about a search may find; None: all.

        The same rules as ``may_read``, for a search that leaves out what it may not show.
        """
        if "manage" in who.scopes or not who.grants:
            return None
        held = [grant for grant in who.grants if grant.resource_type in resource_types]
        denied = frozenset(grant.resource_pattern for grant in held if grant.permission == DENY)
        opened = frozenset(grant.resource_pattern for grant in held if grant.permission in PERMISSIONS[1:])
        if "*" in denied:
            return Visible(only=frozenset())
        everything = "read" in who.scopes or "*" in opened or any(g.resource_type == "workspace" for g in who.grants)
        return Visible(only=None if everything else opened, without=denied)

    def may_read(self, who: Principal, target: Target) -> bool:
        """Whether a listing may show a resource."""
        return effective(who.scopes, who.grants, target) not in (DENY, "NO_PERMISSIONS")

    # --- what becomes of resources ---------------------------------------------------------------------------------
    def renamed(
        self, connection: sa.Connection, project_id: str, resource_types: Sequence[str], old: str, new: str
    ) -> None:
        """A resource has another name: its grants go with it, in the caller's transaction. Call ``settled`` after it."""
        move_grants(connection, project_id, resource_types, old, new)

    def removed(self, connection: sa.Connection, project_id: str, resource_types: Sequence[str], id: str) -> None:
        """A resource is gone for good: so are its grants; a new one of the same name begins without. As ``renamed``."""
        move_grants(connection, project_id, resource_types, id, None)

    def settled(self) -> None:
        """What was moved is in force."""
        self._projects.changed()

    def of_user(self, project_id: str, user_id: str, resource_type: str, resource_id: str) -> str:
        """What a user may do with a resource.

        Raises:
            InvalidArgument: unknown type.
        """
        _check_type(resource_type)
        organization_id = self._projects.get(project_id).organization_id
        role, own = self._users.roles(user_id).get(organization_id), self._users.project_roles(user_id).get(project_id)
        held = [grant for found in self._store.roles_of(user_id, project_id) for grant in found.grants]
        return effective(scopes_of(role, own), held, [(resource_type, resource_id)])

    # --- roles -----------------------------------------------------------------------------------------------------
    def project_of_role(self, role_id: int) -> str:
        """The project that a role belongs to.

        Raises:
            NotFound: there is no such role.
        """
        return _found(self._store.project_of_role(role_id), f"Role with id={role_id} not found")

    def project_of_grant(self, grant_id: int) -> str:
        """The project that a grant belongs to.

        Raises:
            NotFound: there is no such grant.
        """
        return _found(self._store.project_of_grant(grant_id), f"Role permission with id={grant_id} not found")

    def create_role(self, project_id: str, name: str, description: str | None = None) -> GrantRole:
        """A new role without grants.

        Raises:
            AlreadyExists: the project has one of this name.
            InvalidArgument: no name, or one that is kept for grants to single users.
        """
        with self._audit.together():
            made = self._store.add_role(project_id, _role_name(name), description)
            self._audit.record("create", "role", str(made.id), project_id=project_id, name=name)
        return made

    def role(self, project_id: str, role_id: int) -> GrantRole:
        """One role with its grants.

        Raises:
            NotFound: there is no such role.
        """
        return _found(self._store.role(project_id, role_id), f"Role with id={role_id} not found")

    def roles(self, project_id: str) -> list[GrantRole]:
        """All roles of a project."""
        return self._store.roles(project_id)

    def roles_of(self, user_id: str) -> list[GrantRole]:
        """All roles of a user, in all projects."""
        return self._store.roles_of(user_id)

    def change_role(self, project_id: str, role_id: int, name: str | None, description: str | None) -> GrantRole:
        """Set what is given.

        Raises:
            NotFound, AlreadyExists: as above.
            InvalidArgument: as above, or nothing is given.
        """
        if name is None and description is None:
            raise InvalidArgument("At least one of 'name' or 'description' must be provided to update a role.")
        old = self.role(project_id, role_id)
        with self._audit.together():
            self._store.change_role(
                project_id, role_id, old.name if name is None else _role_name(name),
                old.description if description is None else description,
            )  # fmt: skip
            self._audit.record(
                "update", "role", str(role_id), project_id=project_id, name=name, description=description
            )
        return self.role(project_id, role_id)

    def delete_role(self, project_id: str, role_id: int) -> None:
        """Remove a role with its grants.

        Raises:
            NotFound: there is no such role.
        """
        with self._change("delete", project_id, role_id):
            if not self._store.delete_role(project_id, role_id):
                raise NotFound(f"Role with id={role_id} not found")

    # --- grants ----------------------------------------------------------------------------------------------------
    def add_grant(self, project_id: str, role_id: int, resource_type: str, pattern: str, permission: str) -> Grant:
        """Grant something to a role.

        Raises:
            NotFound: there is no such role.
            AlreadyExists: it has a grant on this; ``change_grant`` gives another permission.
            InvalidArgument: a type, pattern or permission that does not exist or go together.
        """
        _check_grant(resource_type, pattern, permission)
        held = self.role(project_id, role_id).grants
        if any((grant.resource_type, grant.resource_pattern) == (resource_type, pattern) for grant in held):
            raise AlreadyExists(
                f"A grant on resource_type={resource_type}, resource={pattern} already exists: change or remove it."
            )
        return self._put(project_id, role_id, resource_type, pattern, permission)

    def _put(self, project_id: str, role_id: int, resource_type: str, pattern: str, permission: str) -> Grant:
        _check_grant(resource_type, pattern, permission)
        told = {"resource_type": resource_type, "resource": pattern, "permission": permission}
        with self._change("update", project_id, role_id, **told):
            return self._store.put_grant(project_id, role_id, resource_type, pattern, permission)

    def change_grant(self, project_id: str, grant_id: int, permission: str) -> Grant:
        """Another permission.

        Raises:
            NotFound, InvalidArgument: as above.
        """
        old = self._store.grant(project_id, grant_id)
        if old is None:
            raise NotFound(f"Role permission with id={grant_id} not found")
        return self._put(project_id, old.role_id, old.resource_type, old.resource_pattern, permission)

    def remove_grant(self, project_id: str, grant_id: int) -> None:
        """Take a grant away.

        Raises:
            NotFound: there is no such grant.
        """
        old = self._store.grant(project_id, grant_id)
        if old is None:
            raise NotFound(f"Role permission with id={grant_id} not found")
        with self._change("update", project_id, old.role_id, resource_type=old.resource_type, permission="removed"):
            if not self._store.delete_grant(project_id, grant_id):
                raise NotFound(f"Role permission with id={grant_id} not found")

    # --- who has them ----------------------------------------------------------------------------------------------
    def assign(self, project_id: str, role_id: int, user_id: str) -> Assignment:
        """Give a role to a user.

        Raises:
            NotFound: there is no such role.
            AlreadyExists: the user has it.
        """
        if any(one.user_id == user_id for one in self.assignments(project_id, role_id)):
            raise AlreadyExists(f"The user has the role with id={role_id} already")
        with self._change("update", project_id, role_id, user=user_id):
            return self._store.assign(project_id, role_id, user_id)

    def unassign(self, project_id: str, role_id: int, user_id: str) -> None:
        """Take a role away.

        Raises:
            NotFound: the user does not have it.
        """
        with self._change("update", project_id, role_id, user_removed=user_id):
            if not self._store.unassign(project_id, role_id, user_id):
                raise NotFound(f"User {user_id} is not assigned to role {role_id}")

    def assignments(self, project_id: str, role_id: int) -> list[Assignment]:
        """Who has a role.

        Raises:
            NotFound: there is no such role.
        """
        self.role(project_id, role_id)
        return self._store.members(project_id, role_id)

    def grant_user(self, project_id: str, user_id: str, resource_type: str, resource_id: str, permission: str) -> None:
        """Grant something to one user: kept in a role of the user's own.

        Raises:
            AlreadyExists, InvalidArgument: as ``add_grant``.
        """
        _check_grant(resource_type, resource_id, permission)
        name = _own_role(user_id)
        role = self._store.role_named(project_id, name) or self._store.add_role(project_id, name, None)
        self._store.assign(project_id, role.id, user_id)
        self.add_grant(project_id, role.id, resource_type, resource_id, permission)

    def revoke_user(self, project_id: str, user_id: str, resource_type: str, resource_id: str) -> None:
        """Take away what ``grant_user`` gave.

        Raises:
            NotFound: it gave nothing.
        """
        role = self._store.role_named(project_id, _own_role(user_id))
        found = next(
            (
                g
                for g in (role.grants if role else [])
                if (g.resource_type, g.resource_pattern) == (resource_type, resource_id)
            ),
            None,
        )
        if found is None:
            raise NotFound(f"No direct permission on {resource_type} {resource_id!r} for this user")
        self.remove_grant(project_id, found.id)

    @contextmanager
    def _change(self, action: str, project_id: str, role_id: int, **detail: str) -> Generator[None]:
        """A change of a role and its entry in one transaction, in force afterwards."""
        with self._audit.together():
            yield
            self._audit.record(action, "role", str(role_id), project_id=project_id, **detail)
        self._projects.changed()


def effective(scopes: frozenset[str], grants: Sequence[Grant], target: Target) -> str:
    """The permission that rights of a role and grants come to. An empty target is the whole project."""
    base = (
        "MANAGE"
        if "manage" in scopes
        else "EDIT"
        if "write" in scopes
        else "READ"
        if "read" in scopes
        else "NO_PERMISSIONS"
    )
    if base == "MANAGE":
        return base
    held = [grant.permission for grant in grants for kind, id in target if grant.fits(kind, id)]
    # A grant on the workspace makes a reader (USE) or an administrator (MANAGE) of it.
    held += ["MANAGE" if g.permission == "MANAGE" else "READ" for g in grants if g.resource_type == "workspace"]
    return strongest(base, *held)


def _own_role(user_id: str) -> str:
    return f"__user_{user_id}__"


def _role_name(name: str) -> str:
    name = check_name(name, "a role")
    if name.startswith("__user_"):
        raise InvalidArgument("names that begin with __user_ are kept for permissions of single users")
    return name


def _check_type(resource_type: str) -> None:
    if resource_type not in RESOURCE_TYPES:
        raise InvalidArgument(
            f"Invalid resource type '{resource_type}'. Valid resource types are: {', '.join(sorted(RESOURCE_TYPES))}"
        )


def _check_grant(resource_type: str, pattern: str, permission: str) -> None:
    _check_type(resource_type)
    if not pattern or (pattern != "*" and resource_type not in NAMED_TYPES):
        raise InvalidArgument(f"Invalid resource_pattern '{pattern}' for resource_type='{resource_type}': only '*' is")
    known = ("USE", "MANAGE") if resource_type == "workspace" else (*PERMISSIONS[1:], DENY)
    if permission not in known:
        raise InvalidArgument(f"Invalid permission '{permission}' for '{resource_type}'. Valid are: {', '.join(known)}")


def _found(value: T | None, message: str) -> T:
    if value is None:
        raise NotFound(message)
    return value
