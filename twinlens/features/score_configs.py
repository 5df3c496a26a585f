"""Score configs: create, read, change, archive, delete."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.ids import new_uuid
from twinlens.domain.score_config import ScoreConfig, ScoreForm
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.score_configs import ScoreConfigTable

#: The question that every experiment has (MLflow 3.17); its name is reserved.
STANDARD_NAME = "Feedback"
STANDARD_INSTRUCTION = "Share any feedback on this trace."


class ScoreConfigs:
    """All methods block."""

    def __init__(self, catalog: Catalog, clock: Clock = now_ns) -> None:
        self._table = ScoreConfigTable(catalog)
        self._clock = clock

    def create(self, project_id: str, config: ScoreConfig) -> ScoreConfig:
        """Store a new config under a new id.

        Raises:
            InvalidArgument: its parts do not fit together, or its name is reserved.
            AlreadyExists: the experiment has a config of this name.
        """
        _check(config)
        now = self._clock()
        stored = msgspec.structs.replace(config, config_id=new_uuid(), created_ns=now, updated_ns=now)
        if not self._table.add(project_id, stored):
            raise _taken(config)
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
        stored = self.get(project_id, config_id)
        if stored.form.standard:
            raise InvalidArgument("The experiment's default question cannot be edited.")
        changed = msgspec.structs.replace(stored, **changes, updated_ns=self._clock())
        if changed.data_type != stored.data_type or changed.form.multi_select != stored.form.multi_select:
            raise InvalidArgument("the type of the answer cannot be changed after creation")
        _check(changed)
        if not self._table.replace(project_id, changed):
            raise _taken(changed)
        return changed

    def delete(self, project_id: str, config_id: str) -> None:
        """Remove a config; scores that were given by it stay. None of that id is no error.

        Raises:
            InvalidArgument: it is the standard question of an experiment.
        """
        for found in self._table.some(project_id, [config_id]):
            if found.form.standard:
                raise InvalidArgument("The experiment's default question cannot be deleted.")
            self._table.delete(project_id, config_id)

    def some(self, project_id: str, config_ids: list[str]) -> list[ScoreConfig]:
        """Those of these ids that exist, in the order asked for."""
        return self._table.some(project_id, config_ids)

    def of_experiment(self, project_id: str, experiment_id: str) -> list[ScoreConfig]:
        """What people can be asked in an experiment: its own configs and those of the whole project, newest first.

        The first call for an experiment creates its standard question.
        """
        standard_id = f"feedback-{experiment_id}"
        found = self._table.of_experiment(project_id, experiment_id)
        if any(config.config_id == standard_id for config in found):
            return found
        now = self._clock()
        standard = ScoreConfig(
            config_id=standard_id, name=STANDARD_NAME, data_type="TEXT", description=STANDARD_INSTRUCTION,
            experiment_id=experiment_id, form=ScoreForm(standard=True), created_ns=now, updated_ns=now,
        )  # fmt: skip
        self._table.add(project_id, standard)
        return self._table.of_experiment(project_id, experiment_id)


def _check(config: ScoreConfig) -> None:
    config.check()
    if config.experiment_id is not None and config.name.strip().lower() == STANDARD_NAME.lower():
        raise InvalidArgument(
            f"`{config.name}` is reserved for the experiment's default question and cannot be used for another label schema."
        )


def _taken(config: ScoreConfig) -> AlreadyExists:
    return AlreadyExists(
        f"Label schema with name '{config.name}' already exists for experiment '{config.experiment_id}'."
    )
