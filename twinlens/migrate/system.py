"""What a system must offer to be moved from or to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import msgspec

from twinlens.domain.record import AnyRecord, ArtifactRecord, MediaRecord

#: A record whose bytes travel apart.
Content = ArtifactRecord | MediaRecord


class Page(msgspec.Struct, frozen=True):
    """Records that belong together, and the position behind them: JSON, from which ``Source.read`` goes on.

    ``part``: more of the same follows, and there is no position in between.
    """

    records: list[AnyRecord]
    after: Any = None
    part: bool = False


class Source(Protocol):
    """One project of a system, read from. Methods may be called from several threads."""

    kinds: tuple[str, ...]  #: what it holds, in the order of ``twinlens.domain.record.KINDS``

    def count(self, kind: str) -> int | None:
        """How many records of a kind there are, for the plan; None when that is not cheap to know."""
        ...

    def read(self, kind: str, after: Any = None) -> Iterator[Page]:
        """All records of a kind behind a position, in an order that does not change while data is added."""
        ...

    def content(self, record: Content) -> Iterator[bytes]:
        """The bytes of an artifact or media file."""
        ...


class Target(Protocol):
    """One project of a system, written to. Writing a record again changes nothing."""

    kinds: tuple[str, ...]

    def write(self, records: list[AnyRecord]) -> None:
        """Store records of one kind; they are durable on return."""
        ...

    def store(self, record: Content, chunks: Iterable[bytes]) -> None:
        """Store the bytes of a file; its owner (or record) has been written."""
        ...

    def reader(self) -> Source:
        """The target as a source, to compare what arrived."""
        ...

    def close(self) -> None:
        """Everything has been written."""
        ...
