"""Scores to columns and rows to scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from twinlens.domain.score import Score

_COPIED = (
    "score_id", "name", "data_type", "kind", "trace_id", "span_id", "session_id", "dataset_run_id", "value",
    "string_value", "json_value", "source", "source_id", "comment", "config_id", "queue_id", "author_user_id",
    "environment", "timestamp_ns", "created_ns", "updated_ns", "overrides", "valid",
)  # fmt: skip
ROW = (*_COPIED, "error", "metadata")


def score_columns(scores: Sequence[Score]) -> dict[str, list[Any]]:
    """Columns of everything that comes from the score itself."""
    columns: dict[str, list[Any]] = {name: [getattr(s, name) for s in scores] for name in _COPIED}
    columns["error"] = [msgspec.json.encode(s.error).decode() if s.error else None for s in scores]
    columns["metadata"] = [msgspec.json.encode(s.metadata).decode() if s.metadata else None for s in scores]
    return columns


def column(name: str, scores: Sequence[Score]) -> list[Any] | None:
    """One of the columns that come from the score itself; None for others."""
    if name == "metadata":
        return [msgspec.json.encode(s.metadata).decode() if s.metadata else None for s in scores]
    return [getattr(s, name) for s in scores] if name in _COPIED else None


def decode_score(row: Sequence[Any]) -> Score:
    """Score from the columns of ``ROW``."""
    error, metadata = row[len(_COPIED) : len(ROW)]
    return Score(
        **dict(zip(_COPIED, row, strict=False)),
        error=msgspec.json.decode(error) if error else None,
        metadata=msgspec.json.decode(metadata) if metadata else {},
    )
