"""Heads of skills, lists of files apart from their versions, and files that are no text."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add two columns and a table. What is there stays as it is: an empty column means that the body says it."""
    op.add_column("skills", sa.Column("head", sa.Text))
    op.add_column("skill_versions", sa.Column("files", sa.Text))
    op.create_table(
        "skill_pieces",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("piece", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "sha256", "piece", name="pk_skill_pieces"),
    )
