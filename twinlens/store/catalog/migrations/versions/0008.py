"""Annotation queues and issues; score configs that belong to an experiment."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the tables of human feedback and widen the score configs."""
    op.add_column("score_configs", sa.Column("experiment_id", sa.Text))
    op.add_column("score_configs", sa.Column("form", sa.Text))
    op.create_index(
        "ix_score_configs_project_id_experiment_id_name", "score_configs", ["project_id", "experiment_id", "name"],
        unique=True,
    )  # fmt: skip
    op.create_table(
        "annotation_queues",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("queue_id", sa.Text, nullable=False),
        sa.Column("experiment_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("personal", sa.Boolean, nullable=False),
        sa.Column("config_ids", sa.Text, nullable=False),
        sa.Column("reviews_needed", sa.Integer, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "queue_id", name="pk_annotation_queues"),
    )
    op.create_index(
        "ix_annotation_queues_project_id_experiment_id_name_key", "annotation_queues",
        ["project_id", "experiment_id", "name_key"], unique=True,
    )  # fmt: skip
    op.create_table(
        "annotation_reviewers",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("queue_id", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "queue_id", "reviewer", name="pk_annotation_reviewers"),
    )
    op.create_table(
        "annotation_items",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("queue_id", sa.Text, nullable=False),
        sa.Column("object_type", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("completed_by", sa.Text),
        sa.Column("completed_ns", sa.BigInteger),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "item_id", name="pk_annotation_items"),
    )
    op.create_index(
        "ix_annotation_items_project_id_queue_id_object_type_object_id", "annotation_items",
        ["project_id", "queue_id", "object_type", "object_id"], unique=True,
    )  # fmt: skip
    op.create_index(
        "ix_annotation_items_project_id_queue_id_created_ns",
        "annotation_items",
        ["project_id", "queue_id", "created_ns"],
    )
    op.create_index("ix_annotation_items_project_id_object_id", "annotation_items", ["project_id", "object_id"])
    op.create_table(
        "annotation_reviews",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("reviewed_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "item_id", "reviewer", name="pk_annotation_reviews"),
    )
    op.create_table(
        "issues",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("issue_id", sa.Text, nullable=False),
        sa.Column("experiment_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("severity", sa.Text),
        sa.Column("root_causes", sa.Text, nullable=False),
        sa.Column("categories", sa.Text, nullable=False),
        sa.Column("source_run_id", sa.Text),
        sa.Column("created_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "issue_id", name="pk_issues"),
    )
    op.create_index(
        "ix_issues_project_id_experiment_id_created_ns", "issues", ["project_id", "experiment_id", "created_ns"]
    )
