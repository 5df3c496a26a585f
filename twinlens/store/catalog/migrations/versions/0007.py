"""Datasets as MLflow knows them: who changed them, which experiments use them, records told apart by their inputs."""

import msgspec
import sqlalchemy as sa
from alembic import op

from twinlens.domain.dataset import input_key

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns, give existing items their key."""
    op.create_table(
        "dataset_experiments",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("dataset_id", sa.Text, nullable=False),
        sa.Column("experiment_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "dataset_id", "experiment_id", name="pk_dataset_experiments"),
    )
    with op.batch_alter_table("datasets") as batch:
        for name in ("fields", "created_by", "updated_by"):
            batch.add_column(sa.Column(name, sa.Text))
    with op.batch_alter_table("dataset_items") as batch:
        for name in ("output", "source", "created_by", "updated_by"):
            batch.add_column(sa.Column(name, sa.Text))
        batch.add_column(sa.Column("input_key", sa.Text, nullable=False, server_default=""))
    items = sa.table(
        "dataset_items", *(sa.column(name) for name in ("project_id", "item_id", "valid_from_ns", "input", "input_key"))
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(items)).mappings().all():
        own = [items.c[name] == row[name] for name in ("project_id", "item_id", "valid_from_ns")]
        key = input_key(None if row["input"] is None else msgspec.json.decode(row["input"]))
        connection.execute(items.update().where(*own).values(input_key=key))
    with op.batch_alter_table("dataset_items") as batch:
        batch.alter_column("input_key", server_default=None)
    op.create_index(
        "ix_dataset_items_project_id_dataset_id_input_key", "dataset_items", ["project_id", "dataset_id", "input_key"]
    )
