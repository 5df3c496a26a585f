"""Roles per project, grants on single resources, deletion of projects, the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def _serial() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create what access beyond one role per organization needs."""
    op.add_column("projects", sa.Column("deleted_ns", sa.BigInteger))
    op.create_table(
        "project_memberships",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "user_id", name="pk_project_memberships"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_project_memberships_project_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_project_memberships_user_id"),
    )
    op.create_index("ix_project_memberships_user_id", "project_memberships", ["user_id"])
    op.create_table(
        "grant_roles",
        sa.Column("id", _serial(), nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_grant_roles"),
        sa.UniqueConstraint("project_id", "name", name="uq_grant_roles_project_id_name"),
    )
    op.create_table(
        "grants",
        sa.Column("id", _serial(), nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("role_id", sa.BigInteger, nullable=False),
        sa.Column("resource_type", sa.Text, nullable=False),
        sa.Column("resource_pattern", sa.Text, nullable=False),
        sa.Column("permission", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_grants"),
        sa.ForeignKeyConstraint(["role_id"], ["grant_roles.id"], name="fk_grants_role_id", ondelete="CASCADE"),
        sa.UniqueConstraint(
            "role_id", "resource_type", "resource_pattern", name="uq_grants_role_id_resource_type_resource_pattern"
        ),
    )
    op.create_table(
        "grant_members",
        sa.Column("id", _serial(), nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("role_id", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_grant_members"),
        sa.ForeignKeyConstraint(["role_id"], ["grant_roles.id"], name="fk_grant_members_role_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_grant_members_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("role_id", "user_id", name="uq_grant_members_role_id_user_id"),
    )
    op.create_index("ix_grant_members_user_id", "grant_members", ["user_id"])
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text),
        sa.Column("actor_name", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object_type", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_organization_id_at_ns", "audit_log", ["organization_id", "at_ns"])
    op.create_index("ix_audit_log_project_id_at_ns", "audit_log", ["project_id", "at_ns"])
