"""Which traces are stored, and where: what spares the write path its queries."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from twinlens.domain.trace import TraceSummary
from twinlens.store.telemetry.duckdb import trace_codec
from twinlens.store.telemetry.duckdb.bloom import BloomFilter
from twinlens.store.telemetry.duckdb.keys import row_key

if TYPE_CHECKING:
    import duckdb

TraceKey = tuple[str, str]
#: Opens a connection when one is needed.
Connect: TypeAlias = "Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]"
RECENT = 8_192  #: summaries kept in memory


class KnownTrace(msgspec.Struct):
    """A stored summary and its place. ``seq`` is the commit of the row, ``min_seq``/``max_seq`` those of its spans."""

    tkey: int
    summary: TraceSummary
    seq: int
    min_seq: int
    max_seq: int
    input: str | None = None  #: cells of the explicit trace input and output
    output: str | None = None
    refs: list[int] | None = None


class KnownTraces:
    """A Bloom filter over all traces and the rows of recent ones. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: OrderedDict[TraceKey, KnownTrace] = OrderedDict()
        self._bloom = BloomFilter("traces", "tkey")

    def find(self, connect: Connect, keys: Iterable[TraceKey]) -> dict[TraceKey, KnownTrace]:
        """Those of the traces that are stored.

        ``connect`` is asked under the lock, so that what it shows is not older than what ``stored`` has noted.
        """
        with self._lock:
            return self._find(connect, keys)

    def _find(self, connect: Connect, keys: Iterable[TraceKey]) -> dict[TraceKey, KnownTrace]:
        if not self._bloom.ready:
            with connect() as connection:
                self._bloom.load(connection)
        found: dict[TraceKey, KnownTrace] = {}
        missing: dict[int, TraceKey] = {}
        for key in keys:
            recent = self._recent.get(key)
            if recent is not None:
                found[key] = recent
                continue
            tkey = row_key(*key)
            if tkey in self._bloom:
                missing[tkey] = key
        if missing:
            with connect() as connection:
                rows = self._load(connection, list(missing))
            for project_id, known in rows:
                key = (project_id, known.summary.trace_id)
                if missing[known.tkey] == key:
                    found[key] = known
                    self._remember(key, known)
        return found

    def _load(self, connection: duckdb.DuckDBPyConnection, tkeys: Sequence[int]) -> list[tuple[str, KnownTrace]]:
        columns = ", ".join(trace_codec.ROW)
        rows = connection.execute(
            f"SELECT {columns}, project, tkey, seq, min_seq, max_seq, input, output, refs FROM traces "
            f"WHERE tkey IN ({','.join(map(str, tkeys))})"
        ).fetchall()
        n = len(trace_codec.ROW)
        return [(row[n], KnownTrace(row[n + 1], trace_codec.decode_summary(row), *row[n + 2 :])) for row in rows]

    def maybe(self, tkey: int) -> bool:
        """Whether a trace of this key may be stored. Never asks the database."""
        return self._bloom.maybe(tkey)

    def stored(self, key: TraceKey, known: KnownTrace, *, new: bool) -> None:
        """Note a committed row."""
        with self._lock:
            if new:
                self._bloom.add(known.tkey)
            self._remember(key, known)

    def _remember(self, key: TraceKey, known: KnownTrace) -> None:
        self._recent[key] = known
        self._recent.move_to_end(key)
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    def forget(self, project_id: str, trace_ids: Iterable[str] | None = None) -> None:
        """Deleted traces: some, or all of a project."""
        with self._lock:
            keys = (
                [k for k in self._recent if k[0] == project_id]
                if trace_ids is None
                else [(project_id, t) for t in trace_ids]
            )
            for key in keys:
                self._recent.pop(key, None)

    def clear(self) -> None:
        """Forget everything (the file was opened again)."""
        with self._lock:
            self._recent.clear()
            self._bloom = BloomFilter("traces", "tkey")
