"""A Bloom filter over row keys, so that most new traces and scores cost no query.

Built by the database itself (two bitmaps out of ``bitstring_agg``) when it is first asked, so that opening stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinlens.store.telemetry.duckdb.engine import one_row

if TYPE_CHECKING:
    import duckdb

_LEAST_BITS = 20
_MOST_BITS = 27
_BITS_PER_KEY = 16


class BloomFilter:
    """Says "certainly absent" or "maybe there" of a 64-bit key. One thread at a time."""

    def __init__(self, table: str, column: str) -> None:
        self._table = table
        self._column = column
        self._one: bytearray | None = None
        self._two = bytearray()
        self._bits = 0
        self._capacity = 0
        self._count = 0

    def load(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Build the filter from the table; also called again when it has become too full."""
        self._count = int(one_row(connection, f"SELECT count(*) FROM {self._table}")[0])
        self._bits = min(max((self._count * _BITS_PER_KEY).bit_length(), _LEAST_BITS), _MOST_BITS)
        size = 1 << self._bits
        self._capacity = max(self._count * 2, size // _BITS_PER_KEY * 2)
        self._one, self._two = bytearray(size // 8), bytearray(size // 8)
        if self._count:
            last = size - 1
            row = one_row(
                connection,
                f"SELECT bitstring_agg(({self._column} & {last})::INTEGER, 0, {last})::BLOB, "
                f"bitstring_agg((({self._column} >> 32) & {last})::INTEGER, 0, {last})::BLOB FROM {self._table}",
            )
            self._one, self._two = bytearray(row[0]), bytearray(row[1])

    @property
    def ready(self) -> bool:
        """False until loaded, and when more keys were added than it was made for."""
        return self._one is not None and self._count <= self._capacity

    def add(self, key: int) -> None:
        """Note a key that is going to be stored."""
        assert self._one is not None
        last = (1 << self._bits) - 1
        low, high = key & last, (key >> 32) & last
        self._one[low >> 3] |= 128 >> (low & 7)
        self._two[high >> 3] |= 128 >> (high & 7)
        self._count += 1

    def __contains__(self, key: int) -> bool:
        assert self._one is not None
        last = (1 << self._bits) - 1
        low = key & last
        if not self._one[low >> 3] & (128 >> (low & 7)):
            return False
        high = (key >> 32) & last
        return bool(self._two[high >> 3] & (128 >> (high & 7)))
