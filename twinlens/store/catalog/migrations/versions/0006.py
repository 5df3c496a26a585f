"""Deployments, their releases and environments."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "deployments",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("deployment_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("release_number", sa.Integer, nullable=False),
        sa.Column("health", sa.Text, nullable=False),
        sa.Column("health_message", sa.Text, nullable=False),
        sa.Column("health_ns", sa.BigInteger),
        sa.Column("retired", sa.Boolean, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "deployment_id", name="pk_deployments"),
        sa.UniqueConstraint("project_id", "environment", "name", name="uq_deployments_project_id_environment_name"),
    )
    op.create_index("ix_deployments_project_id_kind_subject", "deployments", ["project_id", "kind", "subject"])
    op.create_table(
        "deployment_releases",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("deployment_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("model_uri", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("until_ns", sa.BigInteger),
        sa.Column("from_environment", sa.Text),
        sa.Column("restores", sa.Integer),
        sa.PrimaryKeyConstraint("project_id", "deployment_id", "number", name="pk_deployment_releases"),
    )
    op.create_index("ix_deployment_releases_project_id_run_id", "deployment_releases", ["project_id", "run_id"])
    op.create_table(
        "deployment_environments",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_deployment_environments"),
    )
