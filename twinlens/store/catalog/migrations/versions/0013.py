"""Model connections, and the gateway: models, endpoints, budgets and usage, guardrails."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create what model connections and the gateway need."""
    op.create_table(
        "model_connections",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("connection_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("provider", sa.Text),
        sa.Column("base_url", sa.Text),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("masked", sa.Text, nullable=False),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("with_default_models", sa.Boolean, nullable=False),
        sa.Column("header_names", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.Column("updated_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "connection_id", name="pk_model_connections"),
        sa.UniqueConstraint("project_id", "name", name="uq_model_connections_project_id_name"),
    )
    op.create_table(
        "gateway_models",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("model_definition_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("connection_id", sa.Text),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.Column("updated_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "model_definition_id", name="pk_gateway_models"),
        sa.UniqueConstraint("project_id", "name", name="uq_gateway_models_project_id_name"),
    )
    op.create_table(
        "gateway_endpoints",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("routing_strategy", sa.Text),
        sa.Column("fallback", sa.Text),
        sa.Column("experiment_id", sa.Text),
        sa.Column("usage_tracking", sa.Boolean, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.Column("updated_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", name="pk_gateway_endpoints"),
        sa.UniqueConstraint("project_id", "name", name="uq_gateway_endpoints_project_id_name"),
    )
    op.create_table(
        "gateway_mappings",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("mapping_id", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("model_definition_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("linkage", sa.Text, nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("fallback_order", sa.Integer),
        sa.Column("created_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "mapping_id", name="pk_gateway_mappings"),
        sa.UniqueConstraint(
            "project_id", "endpoint_id", "model_definition_id", "linkage", name="uq_gateway_mappings_endpoint_model"
        ),
    )
    op.create_table(
        "gateway_tags",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", "key", name="pk_gateway_tags"),
    )
    op.create_table(
        "gateway_bindings",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("resource_type", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "project_id", "endpoint_id", "resource_type", "resource_id", name="pk_gateway_bindings"
        ),
    )
    op.create_table(
        "gateway_budgets",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("budget_id", sa.Text, nullable=False),
        sa.Column("amount", sa.Float, nullable=False),
        sa.Column("duration_unit", sa.Text, nullable=False),
        sa.Column("duration_value", sa.Integer, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.Column("updated_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "budget_id", name="pk_gateway_budgets"),
    )
    op.create_table(
        "gateway_usage",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("minute_ns", sa.BigInteger, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "minute_ns", "endpoint_id", "user", name="pk_gateway_usage"),
    )
    op.create_table(
        "gateway_guardrails",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("guardrail_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scorer_id", sa.Text, nullable=False),
        sa.Column("scorer_version", sa.Integer, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("action_endpoint_id", sa.Text),
        sa.Column("created_by", sa.Text),
        sa.Column("updated_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "guardrail_id", name="pk_gateway_guardrails"),
    )
    op.create_table(
        "guardrail_uses",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("guardrail_id", sa.Text, nullable=False),
        sa.Column("execution_order", sa.Integer),
        sa.Column("created_by", sa.Text),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", "guardrail_id", name="pk_guardrail_uses"),
    )
