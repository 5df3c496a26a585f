"""States of versions in MLflow's newer registries (MCP servers, skills) and the steps between them."""

from __future__ import annotations

from typing import Literal

from twinlens.domain.errors import InvalidArgument

Status = Literal["draft", "active", "deprecated", "deleted"]
_NEXT: dict[Status, tuple[Status, ...]] = {
    "draft": ("active", "deleted"), "active": ("deprecated", "draft"), "deprecated": ("active", "deleted"), "deleted": (),
}  # fmt: skip


def check_first_status(status: Status, what: str) -> None:
    """Raise ``InvalidArgument`` unless a version may begin with this status."""
    if status not in ("draft", "active"):
        raise InvalidArgument(f"Initial {what} registration status must be 'draft' or 'active'.")


def check_step(current: Status, new: Status) -> None:
    """Raise ``InvalidArgument`` unless a version may go from one status to the other."""
    if new not in _NEXT[current]:
        allowed = sorted(_NEXT[current])
        raise InvalidArgument(f"Invalid status transition from '{current}' to '{new}'. Allowed transitions: {allowed}")
