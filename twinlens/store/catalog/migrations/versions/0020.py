"""The MCP server registry."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def _stamps() -> list[sa.Column[str] | sa.Column[int]]:
    return [
        sa.Column("created_by", sa.Text),
        sa.Column("updated_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
    ]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "mcp_servers",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("icons", sa.Text),
        *_stamps(),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_mcp_servers"),
    )
    op.create_table(
        "mcp_versions",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        *_stamps(),
        sa.PrimaryKeyConstraint("project_id", "name", "version", name="pk_mcp_versions"),
    )
    op.create_table(
        "mcp_aliases",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", "alias", name="pk_mcp_aliases"),
    )
    op.create_table(
        "mcp_tags",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", "version", "key", name="pk_mcp_tags"),
    )
    op.create_table(
        "mcp_endpoints",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("server_name", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("transport_type", sa.Text, nullable=False),
        sa.Column("server_version", sa.Text),
        sa.Column("server_alias", sa.Text),
        *_stamps(),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", name="pk_mcp_endpoints"),
    )
    op.create_index("ix_mcp_endpoints_project_id_server_name", "mcp_endpoints", ["project_id", "server_name"])
