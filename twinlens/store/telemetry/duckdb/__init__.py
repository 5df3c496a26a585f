"""The embedded telemetry engine."""

from twinlens.store.telemetry.duckdb.store import DuckDBTelemetry

__all__ = ["DuckDBTelemetry"]
