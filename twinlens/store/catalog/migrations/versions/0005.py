"""Prices."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the price rows."""
    op.create_table(
        "prices",
        sa.Column("project_id", sa.String(255), nullable=False),
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("match_pattern", sa.Text, nullable=False),
        sa.Column("provider", sa.Text),
        sa.Column("start_ns", sa.BigInteger),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("tokenizer", sa.Text),
        sa.Column("tokenizer_config", sa.Text),
        sa.Column("tiers", sa.Text, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_prices"),
    )
    op.create_index("ix_prices_project_id_model_name", "prices", ["project_id", "model_name"])
