"""Keeps the audit log: who changed which project, key, user, member, prompt label or price."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from twinlens.domain.audit import Actor, AuditEntry, acting
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.ids import new_uuid
from twinlens.store.catalog.audit import AuditStore
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.projects import ProjectStore


class Audit:
    """An entry is stored in the transaction of the change that it tells of: both are durable, or neither."""

    def __init__(self, catalog: Catalog, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._store = AuditStore(catalog)
        self._projects = ProjectStore(catalog)
        self._clock = clock

    @contextmanager
    def together(self) -> Generator[None]:
        """One transaction for a change and its entry, where the change is made through stores."""
        with self._catalog.write():
            yield

    def note(self, action: str, object_type: str, object_id: str, *, project_id: str, **detail: Any) -> None:
        """Add an entry that tells of no change in the catalog, in a transaction of its own; see ``record``."""
        with self.together():
            self.record(action, object_type, object_id, project_id=project_id, **detail)

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
        """Add an entry in the name of whoever acts (``domain.audit.acting``), inside the transaction of the change.

        Args:
            organization_id: may be left out when the project is named.
            detail: what is new; fields that are None are left out. Never a secret.

        Raises:
            RuntimeError: outside of a transaction.
        """
        if not self._catalog.writing:
            raise RuntimeError(f"the entry about {object_type} {object_id!r} is not in the transaction of its change")
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
