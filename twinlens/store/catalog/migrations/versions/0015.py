"""Dashboards and their widgets."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create the tables."""
    for name in ("dashboards", "dashboard_widgets"):
        op.create_table(
            name,
            sa.Column("project_id", sa.Text, nullable=False),
            sa.Column("id", sa.Text, nullable=False),
            sa.Column("body", sa.Text, nullable=False),
            sa.Column("updated_ns", sa.BigInteger, nullable=False),
            sa.PrimaryKeyConstraint("project_id", "id", name=f"pk_{name}"),
        )
        op.create_index(f"ix_{name}_project_id_updated_ns", name, ["project_id", "updated_ns"])
