"""Table and statements of price rows. Rules live in ``features.prices``, arithmetic in ``ingest.pricing``."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.price import Price, PriceTier
from twinlens.store.catalog.engine import Catalog, metadata

prices = sa.Table(
    "prices",
    metadata,
    sa.Column("project_id", sa.String(255), primary_key=True),
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("match_pattern", sa.Text, nullable=False),
    sa.Column("provider", sa.Text),
    sa.Column("start_ns", sa.BigInteger),
    sa.Column("unit", sa.String(16), nullable=False),
    sa.Column("tokenizer", sa.Text),
    sa.Column("tokenizer_config", sa.Text),  # JSON
    sa.Column("tiers", sa.Text, nullable=False),  # JSON
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "model_name"),
)

_tiers = msgspec.json.Decoder(tuple[PriceTier, ...])


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _row(row: sa.Row[Any]) -> Price:
    return Price(
        id=row.id,
        model_name=row.model_name,
        match_pattern=row.match_pattern,
        tiers=_tiers.decode(row.tiers),
        provider=row.provider,
        start_ns=row.start_ns,
        unit=row.unit,
        tokenizer=row.tokenizer,
        tokenizer_config=None if row.tokenizer_config is None else msgspec.json.decode(row.tokenizer_config),
        created_ns=row.created_ns,
        updated_ns=row.updated_ns,
    )


def _values(price: Price) -> dict[str, Any]:
    return {
        "model_name": price.model_name,
        "match_pattern": price.match_pattern,
        "provider": price.provider,
        "start_ns": price.start_ns,
        "unit": price.unit,
        "tokenizer": price.tokenizer,
        "tokenizer_config": None if price.tokenizer_config is None else _text(price.tokenizer_config),
        "tiers": _text(price.tiers),
        "created_ns": price.created_ns,
        "updated_ns": price.updated_ns,
    }


class PriceRows:
    """Price rows over a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def list(self, project_id: str) -> list[Price]:
        """All rows of a project by model name, newest start first."""
        query = (
            sa.select(prices)
            .where(prices.c.project_id == project_id)
            .order_by(prices.c.model_name, sa.func.coalesce(prices.c.start_ns, 0).desc(), prices.c.id)
        )
        with self._catalog.read() as connection:
            return [_row(row) for row in connection.execute(query)]

    def get(self, project_id: str, price_id: str) -> Price | None:
        """One row."""
        query = sa.select(prices).where(prices.c.project_id == project_id, prices.c.id == price_id)
        with self._catalog.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _row(row)

    def insert(self, project_id: str, price: Price) -> None:
        """Add a row; its id must be new."""
        with self._catalog.write() as connection:
            connection.execute(sa.insert(prices).values(project_id=project_id, id=price.id, **_values(price)))

    def update(self, project_id: str, price: Price) -> bool:
        """Replace a row; False when it is not there."""
        where = (prices.c.project_id == project_id, prices.c.id == price.id)
        with self._catalog.write() as connection:
            return connection.execute(sa.update(prices).where(*where).values(_values(price))).rowcount > 0

    def delete(self, project_id: str, price_id: str) -> bool:
        """Remove a row; False when it is not there."""
        where = (prices.c.project_id == project_id, prices.c.id == price_id)
        with self._catalog.write() as connection:
            return connection.execute(sa.delete(prices).where(*where)).rowcount > 0
