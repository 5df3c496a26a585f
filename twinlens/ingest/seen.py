"""Which spans were written lately, so that a late child of a known trace costs no query to prove that it is new."""

from __future__ import annotations

from collections.abc import Sequence

_BITS = 1 << 23
_MASK = _BITS - 1
CAPACITY = _BITS // 16  #: spans per generation


class SeenSpans:
    """Two generations of a Bloom filter over (project, trace, span). Writer thread only.

    It answers for traces created since ``since_ns``: all their spans are in one of the generations. Time never runs
    backwards here, whatever the clock does, so a trace is never taken for younger than the filter is old.
    """

    def __init__(self, now_ns: int) -> None:
        self._latest = now_ns
        self._young = bytearray(_BITS // 8)
        self._old = bytearray(_BITS // 8)
        self._young_since = self.since_ns = now_ns
        self._count = 0

    def tick(self, now_ns: int) -> int:
        """The time to stamp on what is written now."""
        self._latest = max(self._latest + 1, now_ns)
        return self._latest

    def add(self, project_id: str, trace_id: str, span_ids: Sequence[str]) -> None:
        """Note spans that are about to be committed. Noting some that then fail does no harm."""
        bits = self._young
        for span_id in span_ids:
            key = hash((project_id, trace_id, span_id))
            low, high = key & _MASK, (key >> 32) & _MASK
            bits[low >> 3] |= 1 << (low & 7)
            bits[high >> 3] |= 1 << (high & 7)
        self._count += len(span_ids)
        if self._count >= CAPACITY:
            self._old, self._young = self._young, bytearray(_BITS // 8)
            self.since_ns, self._young_since = self._young_since, self._latest
            self._count = 0

    def maybe(self, project_id: str, trace_id: str, span_id: str) -> bool:
        """False: certainly not written since ``since_ns``."""
        key = hash((project_id, trace_id, span_id))
        low, high = key & _MASK, (key >> 32) & _MASK
        for bits in (self._young, self._old):
            if bits[low >> 3] & (1 << (low & 7)) and bits[high >> 3] & (1 << (high & 7)):
                return True
        return False
