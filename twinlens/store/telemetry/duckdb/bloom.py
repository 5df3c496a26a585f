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
    """Says "certainly absent" or "maybe there" of a 64-bit key. One thread loads and adds; ``maybe`` may be asked by any."""

    def __init__(self, table: str, column: str) -> None:
        self._table = table
        self._column = column
        self._bitmaps: tuple[int, bytearray, bytearray] | None = None  #: the last bit's number, and two bitmaps
        self._capacity = 0
        self._count = 0

    def load(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Build the filter from the table; also called again when it has become too full."""
        self._count = int(one_row(connection, f"SELECT count(*) FROM {self._table}")[0])
        size = 1 << min(max((self._count * _BITS_PER_KEY).bit_length(), _LEAST_BITS), _MOST_BITS)
        self._capacity = max(self._count * 2, size // _BITS_PER_KEY * 2)
        last = size - 1
        one, two = bytearray(size // 8), bytearray(size // 8)
        if self._count:
            row = one_row(
                connection,
                f"SELECT bitstring_agg(({self._column} & {last})::INTEGER, 0, {last})::BLOB, "
                f"bitstring_agg((({self._column} >> 32) & {last})::INTEGER, 0, {last})::BLOB FROM {self._table}",
            )
            one, two = bytearray(row[0]), bytearray(row[1])
        self._bitmaps = last, one, two

    @property
    def ready(self) -> bool:
        """False until loaded, and when more keys were added than it was made for."""
        return self._bitmaps is not None and self._count <= self._capacity

    def add(self, key: int) -> None:
        """Note a key that is going to be stored."""
        assert self._bitmaps is not None
        last, one, two = self._bitmaps
        low, high = key & last, (key >> 32) & last
        one[low >> 3] |= 128 >> (low & 7)
        two[high >> 3] |= 128 >> (high & 7)
        self._count += 1

    def __contains__(self, key: int) -> bool:
        assert self._bitmaps is not None
        last, one, two = self._bitmaps
        low = key & last
        if not one[low >> 3] & (128 >> (low & 7)):
            return False
        high = (key >> 32) & last
        return bool(two[high >> 3] & (128 >> (high & 7)))

    def maybe(self, key: int) -> bool:
        """Whether the key may be there; true also before ``load``."""
        return self._bitmaps is None or key in self
