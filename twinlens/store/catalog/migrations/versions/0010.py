"""Evaluators, evaluation rules, evaluations."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "evaluators",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("evaluator_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("experiment_id", sa.Text),
        sa.Column("paused_ns", sa.BigInteger),
        sa.Column("paused_reason", sa.Text),
        sa.Column("paused_message", sa.Text),
        sa.Column("created_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "evaluator_id", name="pk_evaluators"),
    )
    op.create_index(
        "ix_evaluators_project_id_experiment_id_name", "evaluators", ["project_id", "experiment_id", "name"]
    )
    op.create_table(
        "evaluator_versions",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("evaluator_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("version_id", sa.Text, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("version_created_by", sa.Text),
        sa.Column("version_created_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "evaluator_id", "version", name="pk_evaluator_versions"),
    )
    op.create_table(
        "evaluation_rules",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("rule_id", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("seen_ns", sa.BigInteger, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "rule_id", name="pk_evaluation_rules"),
    )
    op.create_table(
        "evaluations",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("evaluation_id", sa.Text, nullable=False),
        sa.Column("evaluator_id", sa.Text, nullable=False),
        sa.Column("rule_id", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("span_id", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("due_ns", sa.BigInteger, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "evaluation_id", name="pk_evaluations"),
    )
    op.create_index("ix_evaluations_status_due_ns", "evaluations", ["status", "due_ns"])
    op.create_index(
        "ix_evaluations_project_id_evaluator_id_created_ns",
        "evaluations",
        ["project_id", "evaluator_id", "created_ns"],
    )
