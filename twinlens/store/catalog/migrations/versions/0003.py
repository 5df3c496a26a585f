"""Registry, logged models."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create registered models, versions, aliases, logged models, and their tags, params and metrics."""
    op.create_table(
        "logged_model_metrics",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("dataset_name", sa.Text, nullable=False),
        sa.Column("dataset_digest", sa.Text, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("is_nan", sa.Boolean, nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "project_id", "model_id", "key", "run_id", "dataset_name", "dataset_digest", name="pk_logged_model_metrics"
        ),
    )
    op.create_table(
        "logged_models",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("experiment_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model_type", sa.Text),
        sa.Column("source_run_id", sa.Text),
        sa.Column("artifact_uri", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_message", sa.Text),
        sa.Column("lifecycle", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "model_id", name="pk_logged_models"),
    )
    op.create_index(
        "ix_logged_models_project_id_experiment_id_created_ms",
        "logged_models",
        ["project_id", "experiment_id", "created_ms"],
    )
    op.create_index("ix_logged_models_project_id_source_run_id", "logged_models", ["project_id", "source_run_id"])
    op.create_table(
        "registered_models",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("last_version", sa.Integer, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_registered_models"),
    )
    op.create_index("ix_registered_models_project_id_updated_ms", "registered_models", ["project_id", "updated_ms"])
    op.create_table(
        "logged_model_params",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["logged_models.project_id", "logged_models.model_id"],
            name="fk_logged_model_params_project_id_model_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "model_id", "key", name="pk_logged_model_params"),
    )
    op.create_table(
        "logged_model_tags",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["logged_models.project_id", "logged_models.model_id"],
            name="fk_logged_model_tags_project_id_model_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "model_id", "key", name="pk_logged_model_tags"),
    )
    op.create_table(
        "model_versions",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("storage_location", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("run_link", sa.Text),
        sa.Column("model_id", sa.Text),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_message", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "name"],
            ["registered_models.project_id", "registered_models.name"],
            name="fk_model_versions_project_id_name",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "name", "version", name="pk_model_versions"),
    )
    op.create_index("ix_model_versions_project_id_model_id", "model_versions", ["project_id", "model_id"])
    op.create_index("ix_model_versions_project_id_run_id", "model_versions", ["project_id", "run_id"])
    op.create_table(
        "registered_model_aliases",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "name"],
            ["registered_models.project_id", "registered_models.name"],
            name="fk_registered_model_aliases_project_id_name",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "name", "alias", name="pk_registered_model_aliases"),
    )
    op.create_table(
        "registered_model_tags",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "name"],
            ["registered_models.project_id", "registered_models.name"],
            name="fk_registered_model_tags_project_id_name",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "name", "key", name="pk_registered_model_tags"),
    )
    op.create_index("ix_registered_model_tags_project_id_key", "registered_model_tags", ["project_id", "key"])
    op.create_table(
        "model_version_tags",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "name", "version"],
            ["model_versions.project_id", "model_versions.name", "model_versions.version"],
            name="fk_model_version_tags_project_id_name_version",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "name", "version", "key", name="pk_model_version_tags"),
    )
    op.create_index("ix_model_version_tags_project_id_key", "model_version_tags", ["project_id", "key"])
