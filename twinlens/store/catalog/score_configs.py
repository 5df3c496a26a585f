"""Table and statements of score configs."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from twinlens.domain.score_config import ScoreCategory, ScoreConfig
from twinlens.store.catalog.engine import Catalog, metadata

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
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "created_ns"),
)


class ScoreConfigTable:
    """Reads and writes score configs."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def add(self, project_id: str, config: ScoreConfig) -> None:
        """Insert."""
        with self._catalog.write() as connection:
            connection.execute(score_configs.insert().values(project_id=project_id, **_columns(config)))

    def replace(self, project_id: str, config: ScoreConfig) -> None:
        """Overwrite the row of the same id."""
        s = score_configs.c
        with self._catalog.write() as connection:
            connection.execute(
                score_configs.update()
                .where(s.project_id == project_id, s.config_id == config.config_id)
                .values(**_columns(config))
            )

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
    return values


def _config(row: sa.RowMapping) -> ScoreConfig:
    values = {key: value for key, value in row.items() if key != "project_id"}
    if values["categories"] is not None:
        values["categories"] = msgspec.json.decode(values["categories"], type=list[ScoreCategory])
    return ScoreConfig(**values)
