"""Carries records from a source to a target: pages in flight side by side, a position after each, a comparison at the end."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from twinlens.domain.record import (
    KINDS,
    AnyRecord,
    ArtifactRecord,
    MediaRecord,
    PromptRecord,
    SpansRecord,
    TraceRecord,
)
from twinlens.features.prompt_composition import dependencies_of
from twinlens.migrate.checkpoint import Checkpoint, Total
from twinlens.migrate.errors import BusyError, MigrationError
from twinlens.migrate.essence import Sum, sums
from twinlens.migrate.system import Content, Page, Source, Target

#: Times that a file is sent to a busy server.
_TRIES = 8
#: Told after each page: kind, records carried by it.
Progress = Callable[[str, int], None]
#: Kinds whose pages refer to each other, so that one follows the other; also those that tell the target its ids.
_IN_TURN = frozenset({"experiment", "run", "logged_model", "registered_model", "prompt", "dataset", "price"})
#: Carried again whenever a migration goes on: small, and the target's ids of them are needed.
_AGAIN = frozenset({"experiment"})


class Report(msgspec.Struct, frozen=True):
    """How both sides compare."""

    totals: list[Total]

    @property
    def clean(self) -> bool:
        """Whether nothing is missing or different."""
        return not any(t.missing or t.different for t in self.totals)


class Migration:
    """One project from one system to another.

    Args:
        exact: compare everything, not only what all systems have (see ``essence``).
        workers: pages in flight.
    """

    def __init__(
        self, source: Source, target: Target, checkpoint: Checkpoint, *, exact: bool = False, workers: int = 4,
        progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self._source = source
        self._target = target
        self._checkpoint = checkpoint
        self._exact = exact
        self._workers = workers
        self._progress = progress or (lambda _kind, _records: None)

    @property
    def kinds(self) -> list[str]:
        """What is carried, in order."""
        return [k for k in KINDS if k in self._source.kinds and k in self._target.kinds]

    def run(self) -> None:
        """Carry everything that the checkpoint does not know as done; all of it again when it knows all as done.

        Raises:
            MigrationError: source or target failed; run again to go on.
        """
        if all(self._checkpoint.state(kind)[1] for kind in self.kinds):
            self._checkpoint.reset()
        with ThreadPoolExecutor(self._workers, thread_name_prefix="twinlens-migrate") as pool:
            for kind in self.kinds:
                after, done = self._checkpoint.state(kind)
                if kind in _AGAIN:
                    self._checkpoint.restart(kind)
                    after, done = None, False
                if not done:
                    self._carry(pool, kind, after)
        self._target.close()

    def _carry(self, pool: ThreadPoolExecutor, kind: str, after: object) -> None:
        flying: deque[tuple[Page, Future[list[Sum]]]] = deque()
        held: list[Sum] = []
        width = 1 if kind in _IN_TURN else self._workers
        pages = self._source.read(kind, after)
        if kind == "prompt":
            pages = _included_first(pages)
        try:
            for page in pages:
                more = {record.trace_id for record in page.records if isinstance(record, SpansRecord)}
                while more and any(more.intersection(_traces(earlier)) for earlier, _ in flying):
                    self._landed(kind, flying, held)  # the trace comes before the rest of its spans
                while len(flying) >= width:
                    self._landed(kind, flying, held)
                flying.append((page, pool.submit(self._write, page)))
            while flying:
                self._landed(kind, flying, held)
        except MigrationError:
            while flying:  # what came before the failure is done, if it can be
                self._landed(kind, flying, held)
            raise
        finally:
            for _, future in flying:
                future.cancel()
        self._checkpoint.advance(kind, None, held, 0, done=True)

    def _landed(self, kind: str, flying: deque[tuple[Page, Future[list[Sum]]]], held: list[Sum]) -> None:
        """The oldest page is written: remember it, or hold its sums until a position comes."""
        page, future = flying[0]
        found = future.result()
        flying.popleft()
        held.extend(found)
        if not page.part and page.after is not None:
            self._checkpoint.advance(kind, page.after, held, len(page.records))
            held.clear()
        self._progress(kind, len(page.records))

    def _write(self, page: Page) -> list[Sum]:
        found: list[Sum] = []
        files = [r for r in page.records if isinstance(r, ArtifactRecord)]
        if files:
            for record in files:
                self._copy(record)
        elif page.records:
            for record in page.records:  # before writing: a target may change what it is given
                found.extend(sums(record, exact=self._exact))
            self._target.write(page.records)
            for record in page.records:
                if isinstance(record, MediaRecord) and record.media.uploaded_ns is not None:
                    self._copy(record)
        for record in files:
            found.extend(sums(record, exact=self._exact))
        return found

    def _copy(self, record: Content) -> None:
        """Carry the bytes; an artifact record learns their hash and size."""
        digest, size = hashlib.sha256(), 0

        def watched() -> Iterator[bytes]:
            nonlocal size
            for chunk in self._source.content(record):
                digest.update(chunk)
                size += len(chunk)
                yield chunk

        for attempt in range(_TRIES):
            try:
                self._target.store(record, watched())
                break
            except BusyError as error:  # a stream cannot be sent again; it is read again
                if attempt == _TRIES - 1:
                    raise
                time.sleep(error.seconds)
                digest, size = hashlib.sha256(), 0
        if isinstance(record, ArtifactRecord):
            record.sha256, record.size = digest.hexdigest(), size

    def compare(self) -> Report:
        """Read the target and compare it with what was carried, files byte by byte."""
        reader = self._target.reader()
        for kind in self.kinds:
            if kind in reader.kinds:
                for page in reader.read(kind):
                    self._checkpoint.saw(s for record in page.records for s in self._seen(reader, record))
        return Report(self._checkpoint.totals())

    def _seen(self, reader: Source, record: AnyRecord) -> Iterator[Sum]:
        if isinstance(record, ArtifactRecord):
            digest, size = hashlib.sha256(), 0
            for chunk in reader.content(record):
                digest.update(chunk)
                size += len(chunk)
            record.sha256, record.size = digest.hexdigest(), size
        return sums(record, exact=self._exact)


def _included_first(pages: Iterator[Page]) -> Iterator[Page]:
    """Prompts before those that include them, for a target may refuse what refers to nothing."""
    waiting = {record.key: record for page in pages for record in page.records if isinstance(record, PromptRecord)}
    while waiting:
        path = [next(iter(waiting))]
        while True:
            included = (d.name for v in waiting[path[-1]].versions for d in dependencies_of(v.template))
            further = next((name for name in included if name in waiting and name not in path), None)
            if further is None:
                break
            path.append(further)
        yield Page([waiting.pop(path[-1])], part=True)


def _traces(page: Page) -> Iterator[str]:
    return (record.key for record in page.records if isinstance(record, TraceRecord))


def check(report: Report) -> None:
    """Fail loudly.

    Raises:
        MigrationError: something is missing or different.
    """
    if report.clean:
        return
    parts = [
        f"{t.kind}: {t.missing} missing, {t.different} different (for example {', '.join(t.examples)})"
        for t in report.totals
        if t.missing or t.different
    ]
    raise MigrationError("both sides differ. " + "; ".join(parts))
