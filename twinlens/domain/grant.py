"""Grants on single resources, and the order of permissions (MLflow 3.18's words, as its clients send them)."""

from __future__ import annotations

import msgspec

#: From weakest to strongest. ``DENY`` beats every grant and every role below administrators.
PERMISSIONS = ("NO_PERMISSIONS", "READ", "USE", "EDIT", "MANAGE")
DENY = "DENY"
#: Types whose grants name one resource or all (``*``); the others take ``*`` only.
NAMED_TYPES = frozenset(
    {
        "experiment", "registered_model", "prompt", "scorer", "gateway_secret", "gateway_endpoint",
        "gateway_model_definition", "mcp_server", "skill",
    }
)  # fmt: skip
RESOURCE_TYPES = NAMED_TYPES | {
    "workspace", "run", "trace", "assessment", "logged_model", "review_queue", "registered_model_version",
    "prompt_version", "scorer_version", "mcp_server_version",
}  # fmt: skip


class Grant(msgspec.Struct, kw_only=True, frozen=True):
    """What a role permits on one resource, or (``*``) on all of a type."""

    id: int
    role_id: int
    resource_type: str
    resource_pattern: str
    permission: str

    def fits(self, resource_type: str, resource_id: str) -> bool:
        """Whether it speaks about this resource."""
        return self.resource_type == resource_type and self.resource_pattern in ("*", resource_id)


class Visible(msgspec.Struct, frozen=True):
    """Which things of one kind somebody may see, by id: ``only`` these (None: all), and none of ``without``."""

    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()

    def __contains__(self, id: object) -> bool:
        return id not in self.without and (self.only is None or id in self.only)


class GrantRole(msgspec.Struct, kw_only=True, frozen=True):
    """A named set of grants in one project."""

    id: int
    project_id: str
    name: str
    description: str | None = None
    grants: list[Grant] = []


class Assignment(msgspec.Struct, kw_only=True, frozen=True):
    """A user who has a role."""

    id: int
    user_id: str
    role_id: int


def strongest(*permissions: str) -> str:
    """The strongest of some permissions; ``DENY`` if it is among them."""
    if DENY in permissions:
        return DENY
    return max(("NO_PERMISSIONS", *permissions), key=PERMISSIONS.index)
