"""Experiments, runs, metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create experiments, runs with what hangs on them, and the inbox of metrics."""
    op.create_table(
        "counters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "experiments",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("artifact_location", sa.Text(), nullable=False),
        sa.Column("lifecycle", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("run_count", sa.Integer(), nullable=False),
        sa.Column("last_run_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "experiment_id", name="pk_experiments"),
    )
    op.create_index(
        "ix_experiments_project_id_lifecycle_created_ms_experiment_id",
        "experiments",
        ["project_id", "lifecycle", "created_ms", "experiment_id"],
        unique=False,
    )
    op.create_index("ix_experiments_project_id_name", "experiments", ["project_id", "name"], unique=True)
    op.create_table(
        "metric_inbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_metric_inbox"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run_datasets",
        sa.Column("dataset_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("dataset_no", name="pk_run_datasets"),
    )
    op.create_index(
        "ix_run_datasets_project_id_experiment_id_name_digest",
        "run_datasets",
        ["project_id", "experiment_id", "name", "digest"],
        unique=True,
    )
    op.create_table(
        "experiment_tags",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "experiment_id"],
            ["experiments.project_id", "experiments.experiment_id"],
            name="fk_experiment_tags_project_id_experiment_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "experiment_id", "key", name="pk_experiment_tags"),
    )
    op.create_table(
        "runs",
        sa.Column("run_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("lifecycle", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("artifact_uri", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "experiment_id"],
            ["experiments.project_id", "experiments.experiment_id"],
            name="fk_runs_project_id_experiment_id",
        ),
        sa.PrimaryKeyConstraint("run_no", name="pk_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_runs_newest",
        "runs",
        ["project_id", "experiment_id", "lifecycle", sa.literal_column("start_ms DESC"), "run_id"],
        unique=False,
    )
    op.create_index("ix_runs_project_id_run_id", "runs", ["project_id", "run_id"], unique=True)
    op.create_table(
        "latest_metrics",
        sa.Column("run_no", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_no"], ["runs.run_no"], name="fk_latest_metrics_run_no", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_no", "key", name="pk_latest_metrics"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_latest_metrics_project_id_experiment_id_key_value_run_no",
        "latest_metrics",
        ["project_id", "experiment_id", "key", "value", "run_no"],
        unique=False,
    )
    op.create_table(
        "run_inputs",
        sa.Column("run_no", sa.BigInteger(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("context", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_no"], ["run_datasets.dataset_no"], name="fk_run_inputs_dataset_no"),
        sa.ForeignKeyConstraint(["run_no"], ["runs.run_no"], name="fk_run_inputs_run_no", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_no", "dataset_no", name="pk_run_inputs"),
    )
    op.create_index("ix_run_inputs_dataset_no", "run_inputs", ["dataset_no"], unique=False)
    op.create_table(
        "run_models",
        sa.Column("run_no", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["run_no"], ["runs.run_no"], name="fk_run_models_run_no", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_no", "direction", "model_id", "step", name="pk_run_models"),
    )
    op.create_table(
        "run_params",
        sa.Column("run_no", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_no"], ["runs.run_no"], name="fk_run_params_run_no", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_no", "key", name="pk_run_params"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_run_params_project_id_experiment_id_key_head_run_no",
        "run_params",
        ["project_id", "experiment_id", "key", "head", "run_no"],
        unique=False,
    )
    op.create_table(
        "run_tags",
        sa.Column("run_no", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_no"], ["runs.run_no"], name="fk_run_tags_run_no", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_no", "key", name="pk_run_tags"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_run_tags_project_id_experiment_id_key_head_run_no",
        "run_tags",
        ["project_id", "experiment_id", "key", "head", "run_no"],
        unique=False,
    )
