"""What archives carry of each table of the catalog. Every table is in exactly one of ``TYPED``, ``ROWS`` and ``STAYS``; a
test holds new tables to that."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument
from twinlens.store.catalog.engine import metadata

#: Parts of records with a type of their own (``twinlens.domain.record``).
TYPED = frozenset({
    "comments", "dataset_experiments", "dataset_items", "dataset_run_items", "dataset_runs", "datasets", "experiments",
    "experiment_tags", "logged_models", "logged_model_metrics", "logged_model_params", "logged_model_tags", "media",
    "media_links", "prices", "prompt_dependencies", "prompt_labels", "prompt_tags", "prompt_versions", "prompts",
    "registered_models", "registered_model_aliases", "registered_model_tags", "model_versions", "model_version_tags",
    "run_datasets", "runs", "latest_metrics", "run_inputs", "run_models", "run_params", "run_tags", "score_configs",
})  # fmt: skip
#: Carried row by row, as ``RowRecord``.
ROWS = frozenset({
    "annotation_items", "annotation_queues", "annotation_reviewers", "annotation_reviews", "dashboards",
    "dashboard_widgets", "deployments", "deployment_environments", "deployment_releases", "evaluators",
    "evaluator_versions", "evaluation_rules", "evaluations", "gateway_bindings", "gateway_budgets", "gateway_endpoints",
    "gateway_guardrails", "gateway_mappings", "gateway_models", "gateway_tags", "gateway_usage", "guardrail_uses",
    "issues", "mcp_aliases", "mcp_endpoints", "mcp_servers", "mcp_tags", "mcp_versions", "model_connections",
    "protected_labels", "scheduled_exports", "skills", "skill_files", "skill_labels", "skill_pieces",
    "skill_versions", "webhooks",
})  # fmt: skip
#: Of these: only for who administers the project, in both directions.
MANAGED = frozenset({"gateway_budgets", "model_connections", "protected_labels", "scheduled_exports", "webhooks"})
#: Column with a secret that only this instance's key opens. It is never carried; an empty one waits to be entered again.
SEALED = "sealed"
#: Not carried, and why.
STAYS: dict[str, str] = {
    "organizations": "people and their access belong to the instance",
    "users": "people and their access belong to the instance",
    "memberships": "people and their access belong to the instance",
    "project_memberships": "people and their access belong to the instance",
    "user_sessions": "people and their access belong to the instance",
    "grant_roles": "people and their access belong to the instance",
    "grants": "people and their access belong to the instance",
    "grant_members": "people and their access belong to the instance",
    "api_keys": "keys open the instance that made them",
    "projects": "the manifest names them; the target keeps its own settings",
    "audit_log": "says who did what on this instance",
    "counters": "numbers this instance gives out; an import moves them behind what it brings",
    "gateway_reservations": "what calls under way on this server may cost",
    "jobs": "work under way on this server; what it found is carried as scores and runs",
    "metric_inbox": "points on their way; they are read with the others",
    "observed_marks": "derived from spans",
    "observed_versions": "derived from spans",
    "webhook_deliveries": "events of this instance on their way",
}


def row_tables(*, managed: bool) -> list[sa.Table]:
    """The tables of ``ROWS``, things before their parts (which have longer keys); without ``MANAGED`` ones unless asked for."""
    found = [t for t in metadata.sorted_tables if t.name in ROWS and (managed or t.name not in MANAGED)]
    return sorted(found, key=lambda table: len(table.primary_key))


def row_table(name: str) -> sa.Table:
    """The table that a row is for.

    Raises:
        InvalidArgument: there is none, or its rows do not travel.
    """
    if name in ROWS:
        return metadata.tables[name]
    if name in TYPED or name in STAYS:
        raise InvalidArgument(f"rows of {name!r} are not imported: {STAYS.get(name, 'they have records of their own')}")
    raise InvalidArgument(f"there is no table {name!r} here: is the archive from a newer Twinlens?")


def checked(table: sa.Table, values: dict[str, Any]) -> dict[str, Any]:
    """The values of those columns that there are, in their types.

    Raises:
        InvalidArgument: a value does not fit its column, or one is missing.
    """
    found: dict[str, Any] = {}
    for column in table.c:
        name = column.name
        if name == "project_id" or (name == SEALED and name not in values):
            continue
        value = values.get(name)
        kind: type = column.type.python_type
        if kind is str and name == "experiment_id" and isinstance(value, int):
            value = str(value)
        if kind is float and type(value) is int:
            value = float(value)
        if kind is bytes and isinstance(value, str):  # JSON has no bytes
            value = _unpacked(value)
        if type(value) is not kind and not (value is None and column.nullable):
            raise InvalidArgument(f"{table.name}: {name} must be {kind.__name__}, not {str(value)[:100]!r}")
        found[name] = value
    return found


def _unpacked(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None
