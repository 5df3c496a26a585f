"""Which payloads are stored already: a bounded, forgetful table from content hash to locator.

A fixed table of slots, two hash words and a locator each; a new entry takes the place of an older one in its slot. What has
been forgotten is stored a second time, which costs space and never correctness. The key of the hash is random per process,
so nobody can craft two contents that meet; 128 bits make an accident impossible in practice.
"""

from __future__ import annotations

import mmap
import secrets
import struct
from hashlib import blake2b

SLOTS = 1 << 20  #: 24 bytes each, touched only when used
_halves = struct.Struct("<QQ").unpack


class PayloadCache:
    """Maps (project, content) to a locator. Whoever holds the tables only."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._mask = slots - 1
        self._slots = slots
        self._secret = secrets.token_bytes(32)
        self._keys: dict[str, bytes] = {}
        self.clear()

    def clear(self) -> None:
        """Forget everything (after payloads were dropped)."""
        self._first = memoryview(mmap.mmap(-1, self._slots * 8)).cast("Q")
        self._second = memoryview(mmap.mmap(-1, self._slots * 8)).cast("Q")
        self._locators = memoryview(mmap.mmap(-1, self._slots * 8)).cast("q")

    def project_key(self, project_id: str) -> bytes:
        """The hash key of a project: equal contents of two projects are two payloads."""
        key = self._keys.get(project_id)
        if key is None:
            key = self._keys[project_id] = blake2b(project_id.encode(), key=self._secret, digest_size=32).digest()
        return key

    def find(self, key: bytes, data: bytes, kind: int) -> tuple[int, tuple[int, int, int]]:
        """Locator of the content (0: unknown), and the place to hand to ``remember``."""
        first, second = _halves(blake2b(data, digest_size=16, key=key).digest())
        second ^= kind
        slot = first & self._mask
        if self._first[slot] == first and self._second[slot] == second:
            return self._locators[slot], (slot, first, second)
        return 0, (slot, first, second)

    def remember(self, place: tuple[int, int, int], locator: int) -> None:
        """Note where the content is going to be stored."""
        slot, first, second = place
        self._first[slot], self._second[slot], self._locators[slot] = first, second, locator

    def forget(self, slots: list[int]) -> None:
        """Take back what a failed commit had noted."""
        for slot in slots:
            self._first[slot] = self._second[slot] = 0
