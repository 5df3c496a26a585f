"""Who may do what where: organizations, projects, keys, users, and the principal a request turns out to be."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

import msgspec

from twinlens.domain.errors import PermissionDenied
from twinlens.domain.grant import DENY, Grant

#: ``read``: see data. ``ingest``: send telemetry. ``score``: send scores. ``write``: change and delete.
#: ``manage``: the project's settings, keys and members. ``organization``: its projects, keys, users and members.
Scope = Literal["read", "ingest", "score", "write", "manage", "organization"]
#: What a member is, strongest first. ``NONE``: known to the organization, but without any right in it.
Role = Literal["OWNER", "ADMIN", "MEMBER", "VIEWER", "NONE"]
ROLES: tuple[Role, ...] = get_args(Role)

PROJECT_SCOPES: frozenset[str] = frozenset({"read", "ingest", "score", "write"})
EVERY_SCOPE: frozenset[str] = PROJECT_SCOPES | {"manage", "organization"}
#: What each role in an organization grants in all of its projects.
ROLE_SCOPES: dict[str, frozenset[str]] = {
    "OWNER": EVERY_SCOPE,
    "ADMIN": EVERY_SCOPE,
    "MEMBER": PROJECT_SCOPES,
    "VIEWER": frozenset({"read"}),
    "NONE": frozenset(),
}
#: What each kind of stored key grants.
KEY_SCOPES: dict[str, frozenset[str]] = {
    "project": PROJECT_SCOPES,
    "read-only": frozenset({"read"}),
    "ingest-only": frozenset({"ingest", "score"}),
    "organization": EVERY_SCOPE,
}

DEFAULT_ORGANIZATION = "default"
DEFAULT_PROJECT = "default"


class Organization(msgspec.Struct, kw_only=True, frozen=True):
    """A group of projects that share members."""

    id: str
    name: str
    created_ns: int = 0


class Project(msgspec.Struct, kw_only=True, frozen=True):
    """The unit of tenancy: everything that is recorded belongs to exactly one project."""

    id: str
    organization_id: str
    name: str
    metadata: dict[str, Any] = {}
    retention_days: int | None = None  #: None keeps everything
    created_ns: int = 0
    updated_ns: int = 0


class ApiKey(msgspec.Struct, kw_only=True, frozen=True):
    """A stored key pair. The secret itself is never stored, only its keyed hash; ``hint`` shows its ends."""

    id: str
    public_key: str
    hint: str
    kind: str = "project"  #: a key of ``KEY_SCOPES``
    organization_id: str
    project_id: str | None = None  #: None for keys of a whole organization
    note: str = ""
    created_ns: int = 0
    expires_ns: int | None = None
    last_used_ns: int | None = None  #: to within minutes


class User(msgspec.Struct, kw_only=True, frozen=True):
    """A person who signs in with e-mail address and password."""

    id: str
    email: str
    name: str = ""
    created_ns: int = 0


class Member(msgspec.Struct, kw_only=True, frozen=True):
    """A user's role in an organization, or the role that replaces it in one project."""

    user: User
    role: Role


def scopes_of(role: str | None, project_role: str | None = None) -> frozenset[str]:
    """What a user may do in a project.

    A role in the project replaces the one in the organization; who manages the organization goes on managing it.

    Args:
        role: in the organization; None for who is no member.
        project_role: in the project; None when nothing was said.
    """
    organization = ROLE_SCOPES.get(role or "NONE", frozenset[str]())
    if project_role is None:
        return organization
    return (ROLE_SCOPES[project_role] - {"organization"}) | (organization & {"manage", "organization"})


class Principal(msgspec.Struct, kw_only=True, frozen=True):
    """Who a request is, and the one project it works in."""

    project_id: str
    organization_id: str
    scopes: frozenset[str]
    key_id: str | None = None
    public_key: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    role: str | None = None  #: of a user: the strongest of the roles that count in the project and its organization
    grants: tuple[Grant, ...] = ()  #: of a user, on single resources of the project
    instance: bool = False  #: may manage every organization: open mode, or the instance's administrator
    open: bool = False  #: admitted because the server is in open mode, not because of a credential

    @property
    def administers(self) -> bool:
        """Whether ``require_administrator`` lets the caller pass."""
        return not self.denied_something and ("manage" in self.scopes or bool(self.key_id and "write" in self.scopes))

    def require_administrator(self) -> None:
        """Raise ``PermissionDenied`` unless the caller administers the project, or is a program with the project's own key pair.

        Asked before addresses and secrets of other servers are stored: whoever sets them makes this server call them.
        """
        if not self.administers:
            self.require("manage")

    def require(self, scope: Scope) -> None:
        """Raise ``PermissionDenied`` unless this principal may do ``scope`` in the whole project.

        Who is denied single things of it may not: a face that knows which thing is meant asks ``features.permissions`` first, and
        goes on with the principal that it gives back.
        """
        if self.denied_something:
            raise PermissionDenied(
                "Permission denied: this reaches over the whole project, and some of it is denied to you. Name one thing."
            )
        if scope not in self.scopes:
            raise PermissionDenied(f"these credentials do not permit this: the {scope!r} right is missing")
        if not self.project_id and scope != "organization":
            raise PermissionDenied(
                "these credentials belong to no project yet: create one, or name one that you may use"
            )

    @property
    def denied_something(self) -> bool:
        """Whether a grant denies this principal something. Nothing can be denied to who manages the project."""
        return "manage" not in self.scopes and any(grant.permission == DENY for grant in self.grants)

    @property
    def moves_protected(self) -> bool:
        """Whether this principal may move protected prompt labels: who manages the project, and any key pair, so that
        a pipeline can release (rule of Langfuse's documentation, November 2026: protection restricts people)."""
        return self.user_id is None or "manage" in self.scopes

    def outranks(self, role: str) -> bool:
        """Whether this principal may give or take away ``role``. Keys of an organization speak for its owner."""
        return self.user_id is None or ROLES.index(cast("Role", self.role or "NONE")) <= ROLES.index(cast("Role", role))
