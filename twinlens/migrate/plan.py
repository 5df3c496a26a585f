"""What a migration is going to carry, and about how long that takes. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from twinlens.domain.record import KINDS, ArtifactRecord, MediaRecord
from twinlens.migrate.system import Source

#: Records of a kind that are read to learn how large they are and how long that takes.
_SAMPLE = 200
#: Reading there, writing here and reading here again, against reading there alone.
_WAYS = 3
#: Bytes of files that are carried per second, as a guess.
_FILES_PER_SECOND = 20e6


class Estimate(msgspec.Struct, kw_only=True):
    """One kind: records and their bytes as JSON (of files: their own), each None when not known."""

    kind: str
    records: int | None
    bytes: int | None = None
    seconds: float | None = None


class Plan(msgspec.Struct, frozen=True):
    """What is going to be carried, and kinds the target cannot take."""

    estimates: list[Estimate]
    left: list[str]

    @property
    def seconds(self) -> float:
        """About how long it takes; at least that where some kinds are not counted."""
        return sum(each.seconds or 0.0 for each in self.estimates)

    @property
    def complete(self) -> bool:
        """Whether everything is counted."""
        return all(each.records is not None for each in self.estimates)


def make_plan(source: Source, kinds: Iterable[str] = KINDS) -> Plan:
    """Count, and read a few records of each kind; under a limit of requests per second the time keeps to it too.

    Args:
        kinds: what the target takes.
    """
    taken = set(kinds)
    carried = [kind for kind in KINDS if kind in source.kinds and kind in taken]
    found = [_files(source, kind) if kind in ("artifact", "media") else _records(source, kind) for kind in carried]
    left = [kind for kind in KINDS if kind in source.kinds and kind not in taken]
    return Plan([each for each in found if each.records != 0], left)


def _records(source: Source, kind: str) -> Estimate:
    count = source.count(kind)
    if count == 0:
        return Estimate(kind=kind, records=0)
    begun = time.perf_counter()
    seen = size = 0
    ended = True
    for page in source.read(kind):
        seen += len(page.records)
        size += sum(len(msgspec.json.encode(record)) for record in page.records)
        if seen >= _SAMPLE:
            ended = False
            break
    took = time.perf_counter() - begun
    if ended or count is None:
        count = seen if ended else None
    if count is None or not seen:
        return Estimate(kind=kind, records=count)
    share = max(count, seen) / seen
    return Estimate(kind=kind, records=count, bytes=round(size * share), seconds=took * share * _WAYS)


def _files(source: Source, kind: str) -> Estimate:
    """All are listed: their sizes differ too much to be guessed."""
    count = size = 0
    begun = time.perf_counter()
    for page in source.read(kind):
        count += len(page.records)
        for record in page.records:
            if isinstance(record, ArtifactRecord):
                size += record.size
            elif isinstance(record, MediaRecord):
                size += record.media.content_length or 0
    took = time.perf_counter() - begun
    return Estimate(kind=kind, records=count, bytes=size, seconds=took * _WAYS + _WAYS * size / _FILES_PER_SECOND)
