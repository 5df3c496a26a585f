"""What the identifiers of MLflow's grammar mean when MCP servers, their versions and endpoints are searched, and how they
are read off one (reference: MLflow 3.17, ``SearchMCP…Utils``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.mcp_server import McpEndpoint, McpServer, McpVersion, place
from twinlens.domain.semver import precedence
from twinlens.query.mlflow_filter import Clause, parse_filter, parse_order_by
from twinlens.query.mlflow_filter_runs import check_op, number_value, text_value
from twinlens.store.telemetry.query import Cmp, Expr

_ATTRIBUTE = (None, "attribute", "attributes", "attr")
_NUMERIC = {"=", "!=", ">", ">=", "<", "<="}
_TEXTUAL = {"=", "!=", "LIKE", "ILIKE"}
_LISTS = {"IN", "NOT IN"}
_TIMES = {"created_at", "last_updated_at"}

_SERVER = {"name": _TEXTUAL | _LISTS, "display_name": _TEXTUAL, "status": _TEXTUAL | _LISTS}
_VERSION = {"name": _TEXTUAL, "status": _TEXTUAL | _LISTS}
_ENDPOINT = {"status": _TEXTUAL, "server_name": _TEXTUAL | _LISTS, "transport_type": _TEXTUAL}

#: Field and whether it descends.
Order = Sequence[tuple[str, bool]]


def _attribute(clause: Clause, texts: Mapping[str, set[str]], *others: str) -> Expr:
    if clause.entity not in _ATTRIBUTE:
        raise InvalidArgument(f"Invalid filter type '{clause.entity}' in: {clause.text}")
    if clause.key in _TIMES:
        return Cmp(clause.key, check_op(clause, _NUMERIC), number_value(clause, clause.key))
    if clause.key not in texts:
        valid = sorted({*texts, *_TIMES, *others})
        raise InvalidArgument(f"Invalid attribute key '{clause.key}' specified. Valid keys are '{valid}'")
    return Cmp(clause.key, check_op(clause, texts[clause.key]), text_value(clause, clause.key))


def _server(clause: Clause) -> Expr:
    if clause.entity in ("tag", "tags"):
        return Cmp("tag", check_op(clause, _TEXTUAL | _LISTS), text_value(clause, "tag"), clause.key)
    if clause.entity in _ATTRIBUTE and clause.key == "has_access_endpoints":
        value = str(clause.value).lower()
        if clause.op != "=" or value not in ("true", "false"):
            raise InvalidArgument("has_access_endpoints only supports = 'true' or = 'false'")
        return Cmp(clause.key, "=", value == "true")
    return _attribute(clause, _SERVER, "has_access_endpoints")


def _version(clause: Clause) -> Expr:
    if clause.entity in _ATTRIBUTE and clause.key == "version":
        value, op = text_value(clause, "version"), check_op(clause, _NUMERIC)
        # Equality is that of the text: versions that differ in build metadata are two.
        return Cmp("version", op, value) if op in ("=", "!=") else Cmp("precedence", op, precedence(value))
    return _attribute(clause, _VERSION, "version")


def _endpoint(clause: Clause) -> Expr:
    return _attribute(clause, _ENDPOINT)


def server_filter(text: str | None) -> Expr:
    """Filter of a search for servers."""
    return parse_filter(text, _server)


def version_filter(text: str | None) -> Expr:
    """Filter of a search for versions of a server."""
    return parse_filter(text, _version)


def endpoint_filter(text: str | None) -> Expr:
    """Filter of a search for endpoints."""
    return parse_filter(text, _endpoint)


def _order(items: Sequence[str], *names: str) -> Order:
    valid = {*names, *_TIMES}
    found: list[tuple[str, bool]] = []
    for item in items:
        sort = parse_order_by(item)
        if sort.entity is not None or sort.key not in valid:
            raise InvalidArgument(f"Invalid order_by key '{item}'. Valid keys: {sorted(valid)}")
        if any(sort.key == known for known, _ in found):
            raise InvalidArgument(f"Duplicate order_by field: '{sort.key}'")
        found.append((sort.key, sort.descending))
    return found


def server_order(items: Sequence[str]) -> Order:
    """Order of a search for servers; by name in the end."""
    return [*_order(items, "name"), ("name", False)]


def version_order(items: Sequence[str]) -> Order:
    """Order of a search for versions; the oldest first in the end."""
    return [*_order(items, "version"), ("created_at", False), ("version", False)]


def endpoint_order(items: Sequence[str]) -> Order:
    """Order of a search for endpoints; by id in the end."""
    return [*_order(items, "id", "server_name"), ("id", False)]


def read_server(row: McpServer, condition: Cmp) -> Any:
    """The value of a server that a condition is about; None when it has none."""
    match condition.field:
        case "tag":
            return row.tags.get(condition.key or "")
        case "status":
            return row.latest.status if row.latest else None
        case "has_access_endpoints":
            return bool(row.endpoints)
        case field:
            return sort_value(row, field)


def read_version(row: McpVersion, condition: Cmp) -> Any:
    """The value of a version that a condition is about."""
    match condition.field:
        case "precedence":
            return precedence(row.version)
        case "version":
            return row.version
        case field:
            return sort_value(row, field)


def read_endpoint(row: McpEndpoint, condition: Cmp) -> Any:
    """The value of an endpoint that a condition is about."""
    if condition.field == "status":
        return row.resolved.status if row.resolved else None
    return sort_value(row, condition.field)


def sort_value(row: McpServer | McpVersion | McpEndpoint, field: str) -> Any:
    """What rows are sorted by under this name."""
    match field:
        case "created_at":
            return row.created_ns // 1_000_000
        case "last_updated_at":
            return row.updated_ns // 1_000_000
        case "id" if isinstance(row, McpEndpoint):
            return row.endpoint_id
        case "version" if isinstance(row, McpVersion):
            return place(row)
        case _:
            return getattr(row, field)
