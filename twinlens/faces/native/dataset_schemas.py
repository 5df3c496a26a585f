"""Requests and answers of the native API about datasets; the conventions are those of ``schemas``."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType


class DatasetRow(Struct, kw_only=True):
    """One dataset."""

    id: str
    name: str
    description: str | None
    metadata: Any
    input_schema: dict[str, Any] | None
    expected_output_schema: dict[str, Any] | None
    items: int  #: active ones
    created_ms: float
    updated_ms: float


class DatasetList(Struct, kw_only=True):
    """``GET /datasets``."""

    datasets: list[DatasetRow]
    total: int
    next_cursor: str | None


class DatasetEdit(Struct, kw_only=True):
    """``POST /datasets``."""

    name: str
    description: str | UnsetType | None = UNSET
    metadata: Any = UNSET
    input_schema: dict[str, Any] | UnsetType | None = UNSET
    expected_output_schema: dict[str, Any] | UnsetType | None = UNSET


class DatasetItemRow(Struct, kw_only=True):
    """One state of one item."""

    id: str
    input: Any
    expected_output: Any
    metadata: Any
    source_trace_id: str | None
    source_observation_id: str | None
    status: str
    valid_from_ms: float
    created_ms: float
    updated_ms: float


class DatasetItemList(Struct, kw_only=True):
    """Items, or states of one item."""

    items: list[DatasetItemRow]
    total: int
    next_cursor: str | None


class DatasetItemEdit(Struct, kw_only=True):
    """``POST …/items``; without ``id`` a new item."""

    id: str | None = None
    input: Any = UNSET
    expected_output: Any = UNSET
    metadata: Any = UNSET
    source_trace_id: str | UnsetType | None = UNSET
    source_observation_id: str | UnsetType | None = UNSET


class DatasetVersion(Struct, kw_only=True):
    """A time at which items changed."""

    at_ms: float
    items: int


class DatasetVersionList(Struct, kw_only=True):
    """``GET …/versions``."""

    versions: list[DatasetVersion]


class RefusedRow(Struct, kw_only=True):
    """A row that was not taken, counted from 1."""

    row: int
    message: str


class ImportReport(Struct, kw_only=True):
    """``POST …/import``; lists at most 100 errors."""

    created: int
    updated: int
    failed: int
    errors: list[RefusedRow]


class DatasetRunRow(Struct, kw_only=True):
    """One run over a dataset; latency and scores are means over its items, cost is the sum in USD."""

    id: str
    name: str
    description: str | None
    metadata: Any
    items: int
    errors: int
    latency_ms: float | None
    cost: float
    scores: dict[str, float]
    created_ms: float


class DatasetRunList(Struct, kw_only=True):
    """``GET …/runs``."""

    runs: list[DatasetRunRow]


class ComparedCell(Struct, kw_only=True):
    """What one run did for one item."""

    trace_id: str
    observation_id: str | None
    output: Any
    error: bool
    latency_ms: float | None
    cost: float
    scores: dict[str, Any]


class ComparedItem(Struct, kw_only=True):
    """One item with a cell per run; ``there`` is False once the item was deleted."""

    item_id: str
    input: Any
    expected_output: Any
    there: bool
    cells: list[ComparedCell | None]


class DatasetComparison(Struct, kw_only=True):
    """``GET …/compare``."""

    dataset_id: str
    dataset_name: str
    runs: list[DatasetRunRow]
    items: list[ComparedItem]


class DatasetRunPlace(Struct, kw_only=True):
    """``GET /dataset-runs/{run_id}``."""

    dataset_id: str
    run_id: str
