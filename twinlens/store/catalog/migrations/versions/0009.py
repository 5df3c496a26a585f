"""What traces show of deployed versions, by hour."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "observed_versions",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("hour_ns", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.Double, nullable=False),
        sa.Column("latency_ns", sa.Double, nullable=False),
        sa.Column("ended", sa.BigInteger, nullable=False),
        sa.Column("first_ns", sa.BigInteger, nullable=False),
        sa.Column("last_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "project_id", "hour_ns", "kind", "environment", "subject", "version", name="pk_observed_versions"
        ),
    )
    op.create_table(
        "observed_marks",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("upto_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_observed_marks"),
    )
