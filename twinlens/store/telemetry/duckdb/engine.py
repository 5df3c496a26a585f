"""The DuckDB database: opening, one writing connection, a pool of reading cursors, recovery, error translation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from twinlens.domain.errors import InvalidArgument, StoreUnavailable
from twinlens.store.telemetry.duckdb.arrow import forget
from twinlens.store.telemetry.duckdb.ddl import META_ROWS, SCHEMA_VERSION, TABLES, create_table
from twinlens.store.telemetry.duckdb.memtable import PendingProject
from twinlens.store.telemetry.duckdb.overlay import MaybeStored, Overlay

#: What DuckDB raises for values a user chose (a pattern, a cast), not for the state of the store.
_USER_ERRORS = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException)
_IDLE_CURSORS = 16
#: Bytes of a block. DuckDB's default of 262,144 wastes megabytes on a small file (measured in docs/adr/0001).
_BLOCK = 65_536
_NEVER = "1000TB"  #: a log that no disk holds


def one_row(connection: duckdb.DuckDBPyConnection, sql: str, params: object = None) -> tuple[Any, ...]:
    """The only row of a statement that always has one. (``fetchone`` would leave the result open.)"""
    return connection.execute(sql, params).fetchall()[0]


class Pending(NamedTuple):
    """What waits for the tables of one project: memtables with the number of their last journal entry, oldest first."""

    parts: list[tuple[int, PendingProject]]
    maybe_stored: MaybeStored


class _Block:
    """What the reads of one ``together`` share. ``caught_up``: the tables have everything from before the block."""

    def __init__(self) -> None:
        self.cursor: duckdb.DuckDBPyConnection | None = None
        self.overlays: dict[str, Overlay] = {}
        self.caught_up = False

    def over(self, project_id: str) -> Overlay:
        """What lies over the snapshot; nothing once the tables are up to date."""
        return self.overlays.setdefault(project_id, Overlay(project_id))


class Engine:
    """One open database file. One process owns it.

    ``write`` hands out the writing connection (to one thread at a time), ``read`` a cursor of its own to any thread. After a
    fatal error (DuckDB invalidates a database when it cannot write its log) the next use opens the file again.
    """

    def __init__(self, path: Path, memory_limit: str, threads: int, checkpoint_threshold: str) -> None:
        self.path = path
        self._config: dict[str, Any] = {
            "memory_limit": memory_limit,
            "threads": threads,
            "checkpoint_threshold": checkpoint_threshold,
            "default_block_size": _BLOCK,  # of a new file; an existing one keeps its own
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": str(path.parent / f"{path.name}.tmp"),
        }
        self._lock = threading.RLock()
        self._root: duckdb.DuckDBPyConnection | None = None
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._busy: set[duckdb.DuckDBPyConnection] = set()
        self._thread = threading.local()  #: ``block``: the block of reads the thread is in
        self._closed = False
        self._broken = False
        self.held = False  #: no checkpoint may happen: somebody copies the file
        self.opened = 0  #: how often the file has been opened
        self.before_read: Callable[[], None] = lambda: None  #: brings the tables up to date
        self.pending: Callable[[str], Pending | None] = lambda project_id: None  #: what the tables lack of a project
        self._open()

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            root = duckdb.connect(str(self.path), config=self._config)
            root.execute("SET preserve_insertion_order = true")
            if not one_row(root, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'meta'")[0]:
                root.begin()
                for name, columns in TABLES.items():
                    root.execute(create_table(name, columns))
                for key, value in META_ROWS.items():
                    root.execute("INSERT INTO meta VALUES (?, ?)", [key, value])
                root.commit()
            version = one_row(root, "SELECT max(value) FROM meta WHERE key = 'schema_version'")[0]
            if version != SCHEMA_VERSION:
                root.close()
                raise StoreUnavailable(
                    f"the telemetry store at {self.path} has schema {version}, this Twinlens needs schema {SCHEMA_VERSION}"
                )
        except duckdb.Error as error:
            raise StoreUnavailable(f"the telemetry store at {self.path} cannot be opened: {error}") from error
        self._root = root
        self._broken = False
        self.held = False
        self.opened += 1

    def _current(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the telemetry store is closed")
            if self._broken or self._root is None:
                self._release()
                self._open()
            assert self._root is not None
            return self._root

    def hold(self, held: bool) -> None:
        """Allow or forbid checkpoints: those DuckDB makes by itself here, the others by whoever asks ``held``."""
        threshold = _NEVER if held else self._config["checkpoint_threshold"]
        with self.write() as connection:
            connection.execute(f"SET GLOBAL checkpoint_threshold = '{threshold}'").fetchall()
        self.held = held

    @contextmanager
    def write(self) -> Generator[duckdb.DuckDBPyConnection]:
        """The writing connection, outside any transaction."""
        connection = self._current()
        try:
            yield connection
        except duckdb.Error as error:
            raise self._translate(error) from error

    @contextmanager
    def transaction(self) -> Generator[duckdb.DuckDBPyConnection]:
        """The writing connection inside a transaction: committed at the end, rolled back on any error."""
        with self.write() as connection:
            connection.begin()
            try:
                yield connection
                connection.commit()
            except BaseException:
                self._rollback(connection)
                raise

    def _rollback(self, connection: duckdb.DuckDBPyConnection) -> None:
        try:
            connection.rollback()
        except duckdb.TransactionException:
            pass  # the failed commit has already ended it
        except duckdb.Error:
            self._broken = True
        if not self._broken:
            forget(connection)

    @contextmanager
    def together(self) -> Generator[None]:
        """Reads of this thread inside the block share one snapshot, and what lies over it; see ``TelemetryStore.together``."""
        if getattr(self._thread, "block", None) is not None:  # part of a larger answer
            yield
            return
        block = self._thread.block = _Block()
        try:
            yield
        finally:
            self._thread.block = None
            self._leave(block)

    @contextmanager
    def read(self) -> Generator[duckdb.DuckDBPyConnection]:
        """A cursor with one snapshot for all statements inside the block: of everything acknowledged before."""
        block: _Block | None = getattr(self._thread, "block", None)
        if block is None:
            self.before_read()
            with self.peek() as cursor:
                yield cursor
            return
        if not block.caught_up:
            self._leave(block)
            self.before_read()
            block.caught_up = True
        with self._shared(block) as cursor:
            yield cursor

    @contextmanager
    def read_all(self, project_id: str) -> Generator[tuple[duckdb.DuckDBPyConnection, Overlay]]:
        """Like ``read``, with nothing lying over it."""
        with self.read() as cursor:
            block: _Block | None = getattr(self._thread, "block", None)
            yield cursor, Overlay(project_id) if block is None else block.over(project_id)

    @contextmanager
    def read_over(self, project_id: str) -> Generator[tuple[duckdb.DuckDBPyConnection, Overlay]]:
        """Like ``read`` for one project, without bringing the tables up to date: what they lack comes beside them."""
        block: _Block | None = getattr(self._thread, "block", None)
        if block is None:
            pending = self.pending(project_id)  # before the snapshot: what is in neither would be missed
            with self.peek() as cursor:
                yield cursor, self._overlay(cursor, project_id, pending)
            return
        if not block.caught_up and project_id not in block.overlays:
            self._leave(block)  # the snapshot must not be older than what is pending
            pending = self.pending(project_id)
            with self._shared(block) as cursor:
                block.overlays[project_id] = self._overlay(cursor, project_id, pending)
        with self._shared(block) as cursor:
            yield cursor, block.over(project_id)

    def _overlay(self, cursor: duckdb.DuckDBPyConnection, project_id: str, pending: Pending | None) -> Overlay:
        if pending is None:
            return Overlay(project_id)
        taken = one_row(cursor, "SELECT max(value) FROM meta WHERE key = 'journal_taken'")[0]
        return Overlay(
            project_id,
            [part for number, part in pending.parts if number > taken],
            [part for number, part in pending.parts if number <= taken],
            pending.maybe_stored,
        )

    @contextmanager
    def _shared(self, block: _Block) -> Generator[duckdb.DuckDBPyConnection]:
        """The block's cursor. After an error the next read gets another one."""
        if block.cursor is None:
            block.cursor = self._borrow()
        try:
            yield block.cursor
        except duckdb.Error as error:
            self._leave(block, healthy=False)
            raise self._translate(error) from error

    def _leave(self, block: _Block, *, healthy: bool = True) -> None:
        cursor, block.cursor = block.cursor, None
        block.overlays.clear()
        if cursor is not None:
            self._return(cursor, healthy)

    @contextmanager
    def peek(self) -> Generator[duckdb.DuckDBPyConnection]:
        """Like ``read``, but of what is in the tables already."""
        cursor = self._borrow()
        healthy = False
        try:
            yield cursor
            healthy = True
        except duckdb.Error as error:
            raise self._translate(error) from error
        finally:
            self._return(cursor, healthy)

    def _borrow(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            root = self._current()
            cursor = self._idle.pop() if self._idle else root.cursor()
            self._busy.add(cursor)
        try:
            cursor.begin()
        except duckdb.Error as error:
            self._return(cursor, healthy=False)
            raise self._translate(error) from error
        return cursor

    def _return(self, cursor: duckdb.DuckDBPyConnection, healthy: bool) -> None:
        try:
            cursor.rollback()
        except duckdb.Error:
            healthy = False
        with self._lock:
            known = cursor in self._busy
            self._busy.discard(cursor)
            if healthy and known and len(self._idle) < _IDLE_CURSORS:
                self._idle.append(cursor)
                return
        cursor.close()

    def _translate(self, error: duckdb.Error) -> Exception:
        text = str(error)
        if isinstance(error, duckdb.FatalException | duckdb.InternalException) or "invalidated" in text:
            self._broken = True
        if isinstance(error, _USER_ERRORS) and not self._broken:
            return InvalidArgument(text.split("\n", 1)[0])
        return StoreUnavailable(f"the telemetry store cannot do this now: {text.splitlines()[0] if text else error!r}")

    def _release(self) -> None:
        """Close every connection, so that DuckDB lets go of the instance."""
        for cursor in (*self._idle, *self._busy):
            cursor.close()
        self._idle.clear()
        self._busy.clear()
        if self._root is not None:
            self._root.close()
            self._root = None

    def close(self) -> None:
        """Flush and release the file. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._release()
