"""The tables, as data: column name and DuckDB type. Arrow types for appends follow from these.

No table has a unique index (docs/adr/0001-telemetry-without-unique-indexes.md). Every row carries ``seq``, the number of
the commit that wrote it; rows lie in that order, so a range of ``seq`` is found through DuckDB's zone maps. ``tkey`` is
the 64-bit hash of (project, trace id), ``skey`` that of a span id or (project, score id). Cells of ``input``, ``output``, ``attributes``, ``metadata`` and ``detail`` may
point at payloads (``cells.py``); ``refs`` lists the locators they name, for the mark phase of reclaim.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

SPANS: dict[str, str] = {
    "seq": "BIGINT", "project": "VARCHAR", "tkey": "BIGINT", "trace_id": "VARCHAR", "span_id": "VARCHAR",
    "parent_id": "VARCHAR", "name": "VARCHAR", "kind": "VARCHAR", "start_ns": "BIGINT", "end_ns": "BIGINT",
    "status": "VARCHAR", "level": "VARCHAR", "status_message": "VARCHAR", "first_token_ns": "BIGINT",
    "is_app_root": "BOOLEAN", "counted": "BOOLEAN", "model": "VARCHAR", "provider": "VARCHAR",
    "input_tokens": "BIGINT", "output_tokens": "BIGINT", "total_tokens": "BIGINT",
    "input_cost": "DOUBLE", "output_cost": "DOUBLE", "total_cost": "DOUBLE", "usage": "VARCHAR", "cost": "VARCHAR",
    "usage_source": "VARCHAR", "cost_source": "VARCHAR", "input_preview": "VARCHAR", "output_preview": "VARCHAR",
    "prompt_name": "VARCHAR", "prompt_version": "INTEGER", "tool_name": "VARCHAR", "agent_name": "VARCHAR",
    "user_id": "VARCHAR", "session_id": "VARCHAR", "environment": "VARCHAR", "release": "VARCHAR",
    "version": "VARCHAR", "service": "VARCHAR", "scope": "VARCHAR", "dialect": "VARCHAR", "source": "VARCHAR",
    "price_id": "VARCHAR", "otel_kind": "TINYINT", "created_ns": "BIGINT", "updated_ns": "BIGINT",
    "input": "VARCHAR", "output": "VARCHAR", "metadata": "VARCHAR", "attributes": "VARCHAR", "detail": "VARCHAR",
    "context": "BIGINT", "refs": "BIGINT[]", "skey": "BIGINT",
}  # fmt: skip

TRACES: dict[str, str] = {
    "seq": "BIGINT", "project": "VARCHAR", "tkey": "BIGINT", "trace_id": "VARCHAR", "experiment_id": "VARCHAR",
    "name": "VARCHAR", "root_span_id": "VARCHAR", "start_ns": "BIGINT", "end_ns": "BIGINT", "status": "VARCHAR",
    "level": "VARCHAR", "input_preview": "VARCHAR", "output_preview": "VARCHAR", "user_id": "VARCHAR",
    "session_id": "VARCHAR", "environment": "VARCHAR", "release": "VARCHAR", "version": "VARCHAR",
    "service": "VARCHAR", "public": "BOOLEAN", "bookmarked": "BOOLEAN", "client_request_id": "VARCHAR",
    "tags": "VARCHAR[]", "models": "VARCHAR[]", "run_ids": "VARCHAR[]", "prompts": "VARCHAR[]",
    "tag_values": "VARCHAR", "metadata": "VARCHAR", "span_count": "BIGINT", "error_count": "BIGINT",
    "warning_count": "BIGINT", "model_call_count": "BIGINT", "input_tokens": "BIGINT", "output_tokens": "BIGINT",
    "total_tokens": "BIGINT", "input_cost": "DOUBLE", "output_cost": "DOUBLE", "total_cost": "DOUBLE",
    "usage": "VARCHAR", "cost": "VARCHAR", "usage_source": "VARCHAR", "source": "VARCHAR",
    "created_ns": "BIGINT", "updated_ns": "BIGINT", "state": "VARCHAR", "min_seq": "BIGINT", "max_seq": "BIGINT",
    "input": "VARCHAR", "output": "VARCHAR", "refs": "BIGINT[]",
}  # fmt: skip

SCORES: dict[str, str] = {
    "seq": "BIGINT", "project": "VARCHAR", "skey": "BIGINT", "tkey": "BIGINT", "score_id": "VARCHAR",
    "name": "VARCHAR", "data_type": "VARCHAR", "kind": "VARCHAR", "trace_id": "VARCHAR", "span_id": "VARCHAR",
    "session_id": "VARCHAR", "dataset_run_id": "VARCHAR", "value": "DOUBLE", "string_value": "VARCHAR",
    "json_value": "VARCHAR", "source": "VARCHAR", "source_id": "VARCHAR", "comment": "VARCHAR", "error": "VARCHAR",
    "metadata": "VARCHAR", "config_id": "VARCHAR", "queue_id": "VARCHAR", "author_user_id": "VARCHAR",
    "environment": "VARCHAR", "timestamp_ns": "BIGINT", "created_ns": "BIGINT", "updated_ns": "BIGINT",
    "overrides": "VARCHAR", "valid": "BOOLEAN",
}  # fmt: skip

METRICS: dict[str, str] = {
    # ``owner`` is the run, or the logged model the point is also attached to; ``okey`` its 64-bit hash with the key
    "seq": "BIGINT", "project": "VARCHAR", "okey": "BIGINT", "owner": "VARCHAR", "key": "VARCHAR",
    "timestamp_ms": "BIGINT", "step": "BIGINT", "value": "DOUBLE", "run_id": "VARCHAR", "model_id": "VARCHAR",
    "dataset_name": "VARCHAR", "dataset_digest": "VARCHAR",
}  # fmt: skip

OTEL_METRICS: dict[str, str] = {
    "seq": "BIGINT", "project": "VARCHAR", "name": "VARCHAR", "unit": "VARCHAR", "kind": "VARCHAR",
    "time_ns": "BIGINT", "start_ns": "BIGINT", "value": "DOUBLE", "count": "BIGINT", "sum": "DOUBLE",
    "min": "DOUBLE", "max": "DOUBLE", "buckets": "VARCHAR", "attributes": "VARCHAR", "resource": "VARCHAR",
    "scope": "VARCHAR",
}  # fmt: skip

USAGE: dict[str, str] = {
    "seq": "BIGINT", "project": "VARCHAR", "hour_ns": "BIGINT", "environment": "VARCHAR", "kind": "VARCHAR",
    "name": "VARCHAR", "model": "VARCHAR", "provider": "VARCHAR", "user_id": "VARCHAR", "prompt_name": "VARCHAR",
    "prompt_version": "INTEGER", "spans": "BIGINT", "errors": "BIGINT", "input_tokens": "BIGINT",
    "output_tokens": "BIGINT", "total_tokens": "BIGINT", "input_cost": "DOUBLE", "output_cost": "DOUBLE",
    "total_cost": "DOUBLE",
}  # fmt: skip

WAITING_LOGS: dict[str, str] = {
    "seq": "BIGINT", "project": "VARCHAR", "trace_id": "VARCHAR", "span_id": "VARCHAR", "arrived_ns": "BIGINT",
    "data": "VARCHAR",
}  # fmt: skip

PAYLOADS: dict[str, str] = {
    # ``id`` is the locator: ascending in storage order. ``kind``: 0 text, 1 chunk of array items. ``codec``: 0 raw, 1 zstd
    "id": "BIGINT", "project": "VARCHAR", "kind": "TINYINT", "codec": "TINYINT", "size": "BIGINT", "data": "BLOB",
    "refs": "BIGINT[]",
}  # fmt: skip

META: dict[str, str] = {"key": "VARCHAR", "value": "BIGINT"}

#: Rows of ``meta``: the schema, the inbox position of metrics, the last journal entry that is in the tables.
META_ROWS = {"schema_version": SCHEMA_VERSION, "metric_watermark": 0, "journal_taken": 0}

TABLES: dict[str, dict[str, str]] = {
    "spans": SPANS, "traces": TRACES, "scores": SCORES, "metrics": METRICS, "otel_metrics": OTEL_METRICS,
    "usage": USAGE, "waiting_logs": WAITING_LOGS, "payloads": PAYLOADS, "meta": META,
}  # fmt: skip


def create_table(name: str, columns: dict[str, str]) -> str:
    """DDL of one table; harmless when it exists."""
    defined = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    return f"CREATE TABLE IF NOT EXISTS {name} ({defined})"
