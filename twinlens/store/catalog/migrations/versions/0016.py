"""Scheduled exports."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "scheduled_exports",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("export_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("access_key", sa.Text),
        sa.Column("sealed", sa.Text),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("frequency", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("path_style", sa.Boolean, nullable=False),
        sa.Column("file_type", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("start_ns", sa.BigInteger),
        sa.Column("compressed", sa.Boolean, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("field_groups", sa.Text, nullable=False),
        sa.Column("done_ns", sa.BigInteger),
        sa.Column("next_ns", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("error_ns", sa.BigInteger),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_scheduled_exports"),
    )
