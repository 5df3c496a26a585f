"""Labels of prompts that not everybody may move."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "protected_labels",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "label", name="pk_protected_labels"),
    )
