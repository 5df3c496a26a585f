"""Keeps the audit log: who changed which project, key, user, member, prompt label or price."""

from __future__ import annotations

from typing import Any

from twinlens.domain.audit import Actor, AuditEntry, acting
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.ids import new_uuid
from twinlens.store.catalog.audit import AuditStore
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.projects import ProjectStore


class Audit:
    """Recorded after a change has been made, in a transaction of its own."""

    def __init__(self, catalog: Catalog, clock: Clock = now_ns) -> None:
        self._store = AuditStore(catalog)
        self._projects = ProjectStore(catalog)
        self._clock = clock

    def record(
        self,
        action: str,
        object_type: str,
        object_id: str,
        *,
        project_id: str | None = None,
        organization_id: str | None = None,
        **detail: Any,
    ) -> None:
        """Add an entry in the name of whoever acts (``domain.audit.acting``).

        Args:
            organization_id: may be left out when the project is named.
            detail: what is new; fields that are None are left out. Never a secret.
        """
        if organization_id is None:
            project = self._projects.get(project_id or "")
            organization_id = project.organization_id if project else ""
        self._store.add(
            AuditEntry(
                id=new_uuid(),
                at_ns=self._clock(),
                organization_id=organization_id,
                project_id=project_id,
                actor=acting.get() or Actor(),
                action=action,
                object_type=object_type,
                object_id=object_id,
                detail={name: value for name, value in detail.items() if value is not None},
            )
        )

    def list(
        self, organization_id: str, project_id: str | None = None, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[list[AuditEntry], str | None]:
        """A page, newest first, and the cursor of the next one."""
        before = None
        if cursor:
            at, _, entry_id = cursor.partition("~")
            before = (int(at) if at.isdecimal() else 0, entry_id)
        found = self._store.list(organization_id, project_id, before=before, limit=limit + 1)
        more = f"{found[limit - 1].at_ns}~{found[limit - 1].id}" if len(found) > limit else None
        return found[:limit], more
