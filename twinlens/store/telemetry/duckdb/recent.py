"""Where to begin looking for the newest rows.

A "newest 50" over a million rows in time order is the worst case of a top-N: every row read beats the ones before. So the
reader asks for the rows since a guessed time first, which zone maps answer from the last few blocks, and only goes further
back when that does not fill the page. Rows since any time are a prefix of "newest first", so a full page is the right one.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from twinlens.store.telemetry.duckdb.engine import one_row
from twinlens.store.telemetry.duckdb.fields import DEFAULT_ORDER
from twinlens.store.telemetry.query import Query

if TYPE_CHECKING:
    import duckdb

_SMALL = 20_000  #: rows below which one plain query is as good
_FIRST = 4  #: the first window should hold so many pages
_GROWTH = 64
_LEAST_GROWTH = 4
_WIDEST = 0.25  #: beyond this part of all time, read everything
_FRESH_S = 5.0


class RecentWindows:
    """Guesses from the table's extremes and row count, which DuckDB knows without reading rows."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, int, int, int]] = {}

    def windows(
        self, connection: duckdb.DuckDBPyConnection, view: str, query: Query, upper: Any
    ) -> Generator[int, int]:
        """Starting times to try one after the other, each further back; ``upper`` is where the page before ended.

        It is sent how many rows each of them found, which says how far back the page will be full: where a condition fits nothing
        lately, only all of time will do.
        """
        low, high, rows = self._extent(connection, view)
        if rows < _SMALL:
            return
        top = high if not isinstance(upper, int) else min(high, upper)
        wanted = query.limit + 1 + max(0, query.offset)
        width = max(1, (high - low) * wanted * _FIRST // rows)
        while width < (high - low) * _WIDEST and top - width > low:
            found = yield top - width
            if not found:
                return
            width *= min(_GROWTH, max(_LEAST_GROWTH, 2 * wanted // found))

    def _extent(self, connection: duckdb.DuckDBPyConnection, view: str) -> tuple[int, int, int]:
        now = time.monotonic()
        known = self._known.get(view)
        if known is None or now - known[0] > _FRESH_S:
            column = DEFAULT_ORDER[view]
            low, high, rows = one_row(connection, f"SELECT min({column}), max({column}), count(*) FROM {view}")
            known = self._known[view] = (now, low or 0, high or 0, rows)
        return known[1:]
