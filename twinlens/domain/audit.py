"""The audit log: who changed what, and who is acting right now."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import msgspec


class Actor(msgspec.Struct, kw_only=True, frozen=True):
    """Who makes a change: a user, a key, somebody on this machine in open mode, or the command line."""

    kind: str = "system"  #: user | key | open | system
    id: str | None = None
    name: str = ""


#: Who the running request is. Set by the faces when they know, read by the audit log alone: no rule depends on it.
acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


class AuditEntry(msgspec.Struct, kw_only=True, frozen=True):
    """One change. Entries are never changed and outlive what they tell about."""

    id: str
    at_ns: int
    organization_id: str
    project_id: str | None = None  #: None: about the organization
    actor: Actor
    action: str  #: create | update | delete
    object_type: str  #: project | key | user | member | role | prompt | price | organization
    object_id: str
    detail: dict[str, Any] = {}  #: what is new, never a secret
