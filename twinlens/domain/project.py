"""Who may do what where: organizations, projects, keys, users, and the principal a request turns out to be."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from twinlens.domain.errors import PermissionDenied

#: ``read``: see data. ``ingest``: send telemetry. ``score``: send scores. ``write``: change and delete.
#: ``organization``: manage projects, keys and members of the organization.
Scope = Literal["read", "ingest", "score", "write", "organization"]

PROJECT_SCOPES: frozenset[str] = frozenset({"read", "ingest", "score", "write"})
EVERY_SCOPE: frozenset[str] = PROJECT_SCOPES | {"organization"}
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


class User(msgspec.Struct, kw_only=True, frozen=True):
    """A person who signs in with e-mail address and password."""

    id: str
    email: str
    name: str = ""
    created_ns: int = 0


class Principal(msgspec.Struct, kw_only=True, frozen=True):
    """Who a request is, and the one project it works in."""

    project_id: str
    organization_id: str
    scopes: frozenset[str]
    key_id: str | None = None
    public_key: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    open: bool = False  #: admitted because the server is in open mode, not because of a credential

    def require(self, scope: Scope) -> None:
        """Raise ``PermissionDenied`` unless this principal may do ``scope``."""
        if scope not in self.scopes:
            raise PermissionDenied(f"these credentials do not permit this: the {scope!r} right is missing")
