"""Backends without a server: a JSON Lines file and the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinlens.sdk.backends.base import Backend
from twinlens.sdk.encode import attributes_of, plain_span

if TYPE_CHECKING:
    from twinlens.sdk.batch import Batch


def _rows(batch: Batch) -> Iterator[dict[str, Any]]:
    for resource in batch.request.resource_spans:
        of_resource = attributes_of(resource.resource)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {"type": "span", **plain_span(span, of_resource)}
    for score in batch.scores:
        yield {"type": "score", **score.plain()}


class Jsonl(Backend):
    """Appends one line per span and score. Lines of one batch are written with one call, so processes may share a file."""

    name = "jsonl"

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.path = Path(options.get("path") or "twinlens-traces.jsonl")

    def write(self, batch: Batch) -> None:
        lines = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in _rows(batch))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.write(lines.encode("utf-8", "replace"))


class Console(Backend):
    """One line per span and score on stderr, or stdout when asked."""

    name = "console"

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.stdout = options.get("stream") == "stdout"

    def write(self, batch: Batch) -> None:
        lines: list[str] = []
        for row in _rows(batch):
            if row["type"] == "score":
                lines.append(f"score {row['name']}={row['value']} trace={row['trace_id']}")
                continue
            seconds = (row["end_time_unix_nano"] - row["start_time_unix_nano"]) / 1e9
            kind = row["attributes"].get("langfuse.observation.type", "span")
            lines.append(f"{kind} {row['name']} {seconds:.3f}s {row['status']} trace={row['trace_id']}")
        stream = sys.stdout if self.stdout else sys.stderr
        stream.write("".join(line + "\n" for line in lines))
        stream.flush()
