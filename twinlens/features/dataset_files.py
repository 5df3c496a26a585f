"""Items of a dataset as files: JSON Lines or CSV, in and out, row by row, whatever their number.

Columns (CSV) or keys (JSON Lines) are ``id``, ``input``, ``expected_output``, ``metadata``, ``source_trace_id``,
``source_observation_id``, ``status``; also in the spelling of Langfuse (``expectedOutput``) and MLflow (``inputs``,
``expectations``). A CSV cell that is JSON is read as JSON, any other text as itself; what is written reads back the same. Media stay
the references they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Literal, cast

import msgspec

from twinlens.domain.dataset import DatasetItem
from twinlens.domain.errors import InvalidArgument
from twinlens.features.datasets import Datasets, ItemDraft

Format = Literal["csv", "jsonl"]
COLUMNS = ("id", "input", "expected_output", "metadata", "source_trace_id", "source_observation_id", "status")
_SPELLINGS = {
    "id": "id", "item_id": "id", "dataset_record_id": "id", "input": "input", "inputs": "input",
    "expected_output": "expected_output", "expectedOutput": "expected_output", "expectations": "expected_output",
    "metadata": "metadata", "tags": "metadata", "source_trace_id": "source_trace_id",
    "sourceTraceId": "source_trace_id", "source_observation_id": "source_observation_id",
    "sourceObservationId": "source_observation_id", "status": "status",
}  # fmt: skip
_TEXTS = frozenset({"id", "source_trace_id", "source_observation_id", "status"})
MAX_ERRORS = 100  #: that a report lists; all are counted
MAX_CELL = 16 << 20
_BATCH = 500


class RowError(msgspec.Struct, kw_only=True):
    """A row that was not taken, counted from 1 (without the header), and why."""

    row: int
    message: str


class ImportReport(msgspec.Struct, kw_only=True):
    """What an import did. Good rows are stored even when others are not."""

    created: int = 0
    updated: int = 0
    failed: int = 0
    errors: list[RowError] = []


def read(format: Format, lines: Iterable[str]) -> Generator[tuple[int, ItemDraft | str]]:
    """Rows of a file, each with its number, as a draft or as what is wrong with it.

    Raises:
        InvalidArgument: a CSV without a usable header.
    """
    if format == "jsonl":
        for number, line in enumerate((each for each in lines if each.strip()), 1):
            yield number, _from_json(line)
        return
    csv.field_size_limit(MAX_CELL)
    rows = csv.reader(lines)
    try:
        header = [_SPELLINGS.get(name.strip().lstrip("\ufeff"), "") for name in next(rows)]
    except StopIteration:
        raise InvalidArgument("the file is empty: its first row must name the columns") from None
    if "input" not in header:
        raise InvalidArgument(f"the first row must name a column 'input'; known columns are {', '.join(COLUMNS)}")
    number = 0
    while True:
        number += 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, f"not CSV: {error}"
            continue
        if any(cells):
            yield (
                number,
                _draft({name: _cell(name, cell) for name, cell in zip(header, cells, strict=False) if name and cell}),
            )


def _from_json(line: str) -> ItemDraft | str:
    try:
        values = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        return f"not JSON: {error}"
    if not isinstance(values, dict):
        return "each line must be a JSON object"
    named = cast("dict[str, Any]", values)
    return _draft({_SPELLINGS[key]: value for key, value in named.items() if key in _SPELLINGS})


def _cell(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _draft(values: dict[str, Any]) -> ItemDraft | str:
    for name in _TEXTS & values.keys():
        if values[name] is not None and not isinstance(values[name], str):
            return f"{name} must be a text"
    if "input" not in values:
        return "input is missing"
    item_id = values.pop("id", None) or None
    return ItemDraft(item_id=item_id, fields={k: v for k, v in values.items() if v is not None or k not in _TEXTS})


def load(datasets: Datasets, project_id: str, dataset_id: str, format: Format, lines: Iterable[str]) -> ImportReport:
    """Store the rows of a file. Blocks; holds a batch in memory, never the file.

    Raises:
        NotFound: no such dataset.
        InvalidArgument: a CSV without a usable header.
    """
    datasets.get_by_id(project_id, dataset_id)
    report = ImportReport()
    batch: list[tuple[int, ItemDraft]] = []

    def refuse(row: int, message: str) -> None:
        report.failed += 1
        if len(report.errors) < MAX_ERRORS:
            report.errors.append(RowError(row=row, message=message))

    def store() -> None:
        results = datasets.put_many(project_id, dataset_id, [draft for _, draft in batch])
        for (row, _), result in zip(batch, results, strict=True):
            if isinstance(result, str):
                refuse(row, result)
            elif result:
                report.created += 1
            else:
                report.updated += 1
        batch.clear()

    for row, found in read(format, lines):
        if isinstance(found, str):
            refuse(row, found)
            continue
        batch.append((row, found))
        if len(batch) == _BATCH:
            store()
    if batch:
        store()
    report.errors.sort(key=lambda error: error.row)
    return report


def dump(items: Iterable[DatasetItem], format: Format) -> Iterator[bytes]:
    """A file's lines, the header first."""
    if format == "csv":
        yield _csv(COLUMNS)
    for item in items:
        values = [
            item.item_id, item.input, item.expected_output, item.metadata, item.source_trace_id,
            item.source_observation_id, item.status,
        ]  # fmt: skip
        if format == "csv":
            yield _csv([_text(name, value) for name, value in zip(COLUMNS, values, strict=True)])
        else:
            yield msgspec.json.encode(dict(zip(COLUMNS, values, strict=True))) + b"\n"


def _text(name: str, value: Any) -> str:
    """A cell that ``_cell`` reads back as the value."""
    if value is None:
        return ""
    if isinstance(value, str) and (name in _TEXTS or (value and _cell(name, value) == value)):
        return value
    return msgspec.json.encode(value).decode()


def _csv(cells: Iterable[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
