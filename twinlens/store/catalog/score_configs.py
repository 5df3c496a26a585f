"""Table and statements of score configs."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from twinlens.domain.score_config import ScoreCategory, ScoreConfig, ScoreForm
from twinlens.store.catalog.engine import Catalog, metadata, upsert

score_configs = sa.Table(
    "score_configs",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("config_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("data_type", sa.Text, nullable=False),
    sa.Column("min_value", sa.Float(53)),
    sa.Column("max_value", sa.Float(53)),
    sa.Column("categories", sa.Text),  # JSON
    sa.Column("description", sa.Text),
    sa.Column("archived", sa.Boolean, nullable=False),
    sa.Column("experiment_id", sa.Text),  # NULL: of the whole project
    sa.Column("form", sa.Text),  # JSON; NULL: nothing special
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "created_ns"),
    sa.Index(None, "project_id", "experiment_id", "name", unique=True),
)


class ScoreConfigTable:
    """Reads and writes score configs."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def add(self, project_id: str, config: ScoreConfig) -> bool:
        """Insert; False if the id, or the name within the experiment, is taken."""
        with self._catalog.write() as connection:
            statement = upsert(connection, score_configs).values(project_id=project_id, **_columns(config))
            statement = statement.on_conflict_do_nothing().returning(score_configs.c.config_id)
            return connection.execute(statement).first() is not None

    def replace(self, project_id: str, config: ScoreConfig) -> bool:
        """Overwrite the row of the same id; False if its name is another config's in the experiment."""
        s = score_configs.c
        with self._catalog.write() as connection:
            namesake = sa.select(s.config_id).where(
                s.project_id == project_id, s.experiment_id == config.experiment_id, s.name == config.name,
                s.config_id != config.config_id,
            )  # fmt: skip
            if config.experiment_id is not None and connection.execute(namesake).first():
                return False
            connection.execute(
                score_configs.update()
                .where(s.project_id == project_id, s.config_id == config.config_id)
                .values(**_columns(config))
            )
            return True

    def delete(self, project_id: str, config_id: str) -> None:
        """Remove a config, if it is there."""
        s = score_configs.c
        with self._catalog.write() as connection:
            connection.execute(score_configs.delete().where(s.project_id == project_id, s.config_id == config_id))

    def some(self, project_id: str, config_ids: list[str]) -> list[ScoreConfig]:
        """Those of these ids that exist, in the order asked for."""
        s = score_configs.c
        query = sa.select(score_configs).where(s.project_id == project_id, s.config_id.in_(config_ids))
        with self._catalog.read() as connection:
            found = {row["config_id"]: _config(row) for row in connection.execute(query).mappings()}
        return [found[config_id] for config_id in config_ids if config_id in found]

    def of_experiment(self, project_id: str, experiment_id: str) -> list[ScoreConfig]:
        """Usable configs of an experiment and of the whole project, newest first."""
        s = score_configs.c
        query = sa.select(score_configs).where(
            s.project_id == project_id, s.archived.is_(False),
            sa.or_(s.experiment_id.is_(None), s.experiment_id == experiment_id),
        )  # fmt: skip
        with self._catalog.read() as connection:
            rows = connection.execute(query.order_by(s.created_ns.desc(), s.config_id)).mappings().all()
        return [_config(row) for row in rows]

    def get(self, project_id: str, config_id: str) -> ScoreConfig | None:
        """One config."""
        s = score_configs.c
        with self._catalog.read() as connection:
            row = connection.execute(
                sa.select(score_configs).where(s.project_id == project_id, s.config_id == config_id)
            ).mappings().first()  # fmt: skip
        return None if row is None else _config(row)

    def page(self, project_id: str, limit: int, offset: int) -> tuple[list[ScoreConfig], int]:
        """Newest first, and the number of all."""
        s = score_configs.c
        with self._catalog.read() as connection:
            total = connection.execute(
                sa.select(sa.func.count()).select_from(score_configs).where(s.project_id == project_id)
            ).scalar_one()
            rows = connection.execute(
                sa.select(score_configs)
                .where(s.project_id == project_id)
                .order_by(s.created_ns.desc(), s.config_id)
                .limit(limit)
                .offset(offset)
            ).mappings().all()  # fmt: skip
        return [_config(row) for row in rows], total


def _columns(config: ScoreConfig) -> dict[str, object]:
    values = msgspec.structs.asdict(config)
    categories = values["categories"]
    values["categories"] = None if categories is None else msgspec.json.encode(categories).decode()
    values["form"] = None if config.form == ScoreForm() else msgspec.json.encode(config.form).decode()
    return values


def _config(row: sa.RowMapping) -> ScoreConfig:
    values = {key: value for key, value in row.items() if key != "project_id"}
    if values["categories"] is not None:
        values["categories"] = msgspec.json.decode(values["categories"], type=list[ScoreCategory])
    values["form"] = ScoreForm() if values["form"] is None else msgspec.json.decode(values["form"], type=ScoreForm)
    return ScoreConfig(**values)
