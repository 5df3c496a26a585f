"""Skills, their versions, labels and files."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "skills",
        *_text("project_id", "name", "tags"),
        sa.Column("last_version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_skills"),
    )
    op.create_table(
        "skill_versions",
        *_text("project_id", "name"),
        sa.Column("version", sa.Integer, nullable=False),
        *_text("body"),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", "version", name="pk_skill_versions"),
    )
    op.create_table(
        "skill_labels",
        *_text("project_id", "name", "label"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", "label", name="pk_skill_labels"),
    )
    op.create_table(
        "skill_files",
        *_text("project_id", "sha256", "content"),
        sa.PrimaryKeyConstraint("project_id", "sha256", name="pk_skill_files"),
    )
