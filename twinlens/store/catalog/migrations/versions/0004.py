"""Prompts, score configs, datasets, media, comments."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables of this part."""
    op.create_table(
        "prompts",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("properties", sa.Text(), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_prompts"),
    )
    op.create_table(
        "prompt_versions",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("commit_message", sa.Text(), nullable=True),
        sa.Column("response_format", sa.Text(), nullable=True),
        sa.Column("model_config", sa.Text(), nullable=True),
        sa.Column("version_tags", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", "version", name="pk_prompt_versions"),
    )
    op.create_index(
        "ix_prompt_versions_project_id_updated_ns", "prompt_versions", ["project_id", "updated_ns"], unique=False
    )
    op.create_index(
        "ix_prompt_versions_project_id_version_id", "prompt_versions", ["project_id", "version_id"], unique=True
    )
    op.create_table(
        "prompt_labels",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", "label", name="pk_prompt_labels"),
    )
    op.create_index("ix_prompt_labels_project_id_label", "prompt_labels", ["project_id", "label"], unique=False)
    op.create_table(
        "prompt_tags",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", "tag", name="pk_prompt_tags"),
    )
    op.create_index("ix_prompt_tags_project_id_tag", "prompt_tags", ["project_id", "tag"], unique=False)
    op.create_table(
        "prompt_dependencies",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("parent_name", sa.Text(), nullable=False),
        sa.Column("parent_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("child_name", sa.Text(), nullable=False),
        sa.Column("child_version", sa.Integer(), nullable=True),
        sa.Column("child_label", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "project_id", "parent_name", "parent_version", "position", name="pk_prompt_dependencies"
        ),
    )
    op.create_index(
        "ix_prompt_dependencies_project_id_child_name",
        "prompt_dependencies",
        ["project_id", "child_name"],
        unique=False,
    )
    op.create_table(
        "score_configs",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("config_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data_type", sa.Text(), nullable=False),
        sa.Column("min_value", sa.Float(precision=53), nullable=True),
        sa.Column("max_value", sa.Float(precision=53), nullable=True),
        sa.Column("categories", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "config_id", name="pk_score_configs"),
    )
    op.create_index(
        "ix_score_configs_project_id_created_ns", "score_configs", ["project_id", "created_ns"], unique=False
    )
    op.create_table(
        "datasets",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("input_schema", sa.Text(), nullable=True),
        sa.Column("expected_output_schema", sa.Text(), nullable=True),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "dataset_id", name="pk_datasets"),
    )
    op.create_index("ix_datasets_project_id_created_ns", "datasets", ["project_id", "created_ns"], unique=False)
    op.create_index("ix_datasets_project_id_name", "datasets", ["project_id", "name"], unique=True)
    op.create_table(
        "dataset_items",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("valid_from_ns", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("valid_to_ns", sa.BigInteger(), nullable=True),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("input", sa.Text(), nullable=True),
        sa.Column("expected_output", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("source_trace_id", sa.Text(), nullable=True),
        sa.Column("source_observation_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "item_id", "valid_from_ns", name="pk_dataset_items"),
    )
    op.create_index(
        "ix_dataset_items_project_id_dataset_id_valid_to_ns_created_ns",
        "dataset_items",
        ["project_id", "dataset_id", "valid_to_ns", "created_ns"],
        unique=False,
    )
    op.create_index(
        "ix_dataset_items_project_id_source_trace_id", "dataset_items", ["project_id", "source_trace_id"], unique=False
    )
    op.create_table(
        "dataset_runs",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "run_id", name="pk_dataset_runs"),
    )
    op.create_index("ix_dataset_runs_project_id_created_ns", "dataset_runs", ["project_id", "created_ns"], unique=False)
    op.create_index(
        "ix_dataset_runs_project_id_dataset_id_name", "dataset_runs", ["project_id", "dataset_id", "name"], unique=True
    )
    op.create_table(
        "dataset_run_items",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("run_item_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("observation_id", sa.Text(), nullable=True),
        sa.Column("dataset_version_ns", sa.BigInteger(), nullable=True),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "run_id", "run_item_id", name="pk_dataset_run_items"),
    )
    op.create_index(
        "ix_dataset_run_items_project_id_run_id_created_ns",
        "dataset_run_items",
        ["project_id", "run_id", "created_ns"],
        unique=False,
    )
    op.create_index(
        "ix_dataset_run_items_project_id_trace_id", "dataset_run_items", ["project_id", "trace_id"], unique=False
    )
    op.create_table(
        "media",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("media_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("content_length", sa.BigInteger(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("uploaded_ns", sa.BigInteger(), nullable=True),
        sa.Column("upload_http_status", sa.Integer(), nullable=True),
        sa.Column("upload_http_error", sa.Text(), nullable=True),
        sa.Column("upload_time_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "media_id", name="pk_media"),
    )
    op.create_table(
        "media_links",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("media_id", sa.Text(), nullable=False),
        sa.Column("link_hash", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("observation_id", sa.Text(), nullable=True),
        sa.Column("dataset_id", sa.Text(), nullable=True),
        sa.Column("dataset_item_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "media_id", "link_hash", name="pk_media_links"),
    )
    op.create_index("ix_media_links_project_id_trace_id", "media_links", ["project_id", "trace_id"], unique=False)
    op.create_table(
        "comments",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("comment_id", sa.Text(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("author_user_id", sa.Text(), nullable=True),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "comment_id", name="pk_comments"),
    )
    op.create_index("ix_comments_project_id_created_ns", "comments", ["project_id", "created_ns"], unique=False)
    op.create_index(
        "ix_comments_project_id_object_type_object_id",
        "comments",
        ["project_id", "object_type", "object_id"],
        unique=False,
    )
