"""Rows of archives put into a project: each is held against the rules of what it belongs to, as if a person had entered it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from twinlens.domain.clock import now_ns
from twinlens.domain.dashboard import Dashboard, Widget
from twinlens.domain.errors import AlreadyExists, InvalidArgument
from twinlens.domain.mcp_server import check_url
from twinlens.domain.record import PROGRESS, RowRecord
from twinlens.features.evaluation_worker import OVERLAP_NS
from twinlens.store.catalog import bulk
from twinlens.store.catalog.carried import SEALED, checked, row_table
from twinlens.store.catalog.connections import ConnectionTable
from twinlens.store.catalog.dashboards import DashboardTable
from twinlens.store.catalog.evaluators import EvaluatorTable
from twinlens.store.catalog.gateway import GatewayTable
from twinlens.store.catalog.gateway_budgets import BudgetTable
from twinlens.store.catalog.guardrails import GuardrailTable
from twinlens.store.catalog.mcp_servers import McpTable
from twinlens.store.catalog.scheduled_exports import ScheduledExportTable
from twinlens.store.catalog.skills import SkillTable
from twinlens.store.catalog.webhooks import WebhookTable

Values = dict[str, Any]


def put_row_record(connection: sa.Connection, project_id: str, record: RowRecord) -> None:
    """Store a row. One that was changed here since stays as it is; secrets here stay, those of the archive never come.

    Raises:
        InvalidArgument: it breaks a rule of its table, or its table does not travel.
        AlreadyExists: another row has a name that must be unique.
    """
    table = row_table(record.table)
    values = checked(table, {name: value for name, value in record.values.items() if name != SEALED})
    known = bulk.row_like(connection, table, project_id, values)
    if known is None:
        values |= _arrival(record)
    else:
        if (known.get("updated_ns") or 0) > (values.get("updated_ns") or 0):
            return
        kept = {SEALED, *PROGRESS.get(record.table, ())}
        values |= {name: value for name, value in known.items() if name in kept}
    try:
        bulk.put_row(connection, table, project_id, values)
    except IntegrityError as error:
        name = values.get("name") or record.id
        raise AlreadyExists(
            f"{record.table}: {name!r} cannot be imported, something else here has its name: rename or remove that first"
        ) from error
    read = _READ.get(record.table)
    if read is not None:
        try:
            read(connection, project_id, values)
        except (msgspec.MsgspecError, TypeError, KeyError) as error:
            raise InvalidArgument(f"{record.table}: {record.id or 'the row'} is damaged: {error}") from error


def _arrival(record: RowRecord) -> Values:
    """What is different of a row that is new here."""
    match record.table:
        case "model_connections" | "webhooks" | "scheduled_exports":
            # empty: waits to be entered again. A server that was copied must not write over the other one's files.
            off: Values = {"enabled": False, "next_ns": None} if record.table == "scheduled_exports" else {}
            return off | {SEALED: "" if record.secret or record.table == "model_connections" else None}
        case "evaluation_rules":
            return {"seen_ns": now_ns() + OVERLAP_NS}  # what was imported has been judged where it was recorded
        case _:
            return {}


# --- reading back through the type that features use, which knows the rules --------------------------------------------
def _webhook(c: sa.Connection, project_id: str, values: Values) -> None:
    found = WebhookTable(c, project_id).get(values["webhook_id"])
    if found is not None:
        found.check()


def _export(c: sa.Connection, project_id: str, _: Values) -> None:
    found = ScheduledExportTable(c, project_id).get()
    if found is not None:
        found.check()


def _connection(c: sa.Connection, project_id: str, values: Values) -> None:
    for found in ConnectionTable(c, project_id).find(connection_id=values["connection_id"]):
        found.check()


def _dashboard(c: sa.Connection, project_id: str, values: Values) -> None:
    found = DashboardTable(c, project_id).get(Dashboard, values["id"])
    if found is not None:
        found.check()


def _widget(c: sa.Connection, project_id: str, values: Values) -> None:
    found = DashboardTable(c, project_id).get(Widget, values["id"])
    if found is not None:
        found.check()


def _budget(c: sa.Connection, project_id: str, values: Values) -> None:
    for found in BudgetTable(c, project_id).find(values["budget_id"]):
        found.check()


_READ: dict[str, Callable[[sa.Connection, str, Values], object]] = {
    "webhooks": _webhook, "scheduled_exports": _export, "model_connections": _connection, "dashboards": _dashboard,
    "dashboard_widgets": _widget, "gateway_budgets": _budget,
    "gateway_endpoints": lambda c, p, v: GatewayTable(c, p).endpoints(endpoint_id=v["endpoint_id"]),
    "gateway_guardrails": lambda c, p, v: GuardrailTable(c, p).find(v["guardrail_id"]),
    "evaluation_rules": lambda c, p, v: EvaluatorTable(c, p).rules(v["rule_id"]),
    "mcp_servers": lambda c, p, v: McpTable(c, p).servers(v["name"]),
    "mcp_versions": lambda c, p, v: McpTable(c, p).versions(v["name"]),
    "mcp_endpoints": lambda c, p, v: check_url(v["url"]),
    "skill_versions": lambda c, p, v: SkillTable(c, p).versions(v["name"]),
}  # fmt: skip
