"""Score configs: create, read, change, archive."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import NotFound
from twinlens.domain.ids import new_uuid
from twinlens.domain.score_config import ScoreConfig
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.score_configs import ScoreConfigTable


class ScoreConfigs:
    """All methods block."""

    def __init__(self, catalog: Catalog, clock: Clock = now_ns) -> None:
        self._table = ScoreConfigTable(catalog)
        self._clock = clock

    def create(self, project_id: str, config: ScoreConfig) -> ScoreConfig:
        """Store a new config under a new id.

        Raises:
            InvalidArgument: its parts do not fit together.
        """
        config.check()
        now = self._clock()
        stored = msgspec.structs.replace(config, config_id=new_uuid(), created_ns=now, updated_ns=now)
        self._table.add(project_id, stored)
        return stored

    def get(self, project_id: str, config_id: str) -> ScoreConfig:
        """One config.

        Raises:
            NotFound: no such config.
        """
        found = self._table.get(project_id, config_id)
        if found is None:
            raise NotFound("Score config not found within authorized project")
        return found

    def list(self, project_id: str, *, limit: int, offset: int) -> tuple[list[ScoreConfig], int]:
        """Newest first, and the number of all."""
        return self._table.page(project_id, limit, offset)

    def update(self, project_id: str, config_id: str, **changes: Any) -> ScoreConfig:
        """Change fields of a config; its data type stays.

        Raises:
            NotFound: no such config.
            InvalidArgument: the parts no longer fit together.
        """
        changed = msgspec.structs.replace(self.get(project_id, config_id), **changes, updated_ns=self._clock())
        changed.check()
        self._table.replace(project_id, changed)
        return changed
