"""Opens the catalog and hands out connections.

Contract for every module of this package:

* All tables hang on ``metadata``; every table but the few global ones has a ``project_id`` column, first in its indexes.
* ``with catalog.read() as c`` sees a snapshot. ``with catalog.write() as c`` is one transaction: committed when the block
  ends, rolled back when it raises, durable (fsync) when the block has ended. On SQLite one writer runs at a time and
  starts with ``BEGIN IMMEDIATE``, so a reader that turns writer never meets ``database is locked``.
* Inside a ``write`` block, further ``write`` and ``read`` blocks of the same thread belong to its transaction: a change and what is
  written down about it (the audit log) are durable together or not at all. An inner ``write`` that raises is undone alone.
* Functions are blocking and thread-safe; faces call them through ``twinlens.faces.http.in_thread``.
* SQL is SQLAlchemy Core and the same on both engines; where one is needed, ``upsert`` picks the dialect's insert.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from twinlens.domain.errors import InvalidArgument, StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

#: Constraint names are fixed so that migrations can name them on both engines.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_UNAVAILABLE = ("disk is full", "disk i/o error", "readonly database", "unable to open", "no space left", "connection")


class Catalog:
    """One open catalog database.

    Args:
        url: a SQLAlchemy URL (``postgresql+psycopg://…``) or the path of a SQLite file.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = sa.make_url(f"sqlite:///{url}" if isinstance(url, Path) else url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._lock = threading.RLock()
        self._here = threading.local()  #: ``connection``: this thread's write transaction
        if self.is_sqlite:
            self.engine = sa.create_engine(
                self.url, connect_args={"check_same_thread": False, "timeout": 30}, pool_size=16, max_overflow=16
            )
            event.listen(self.engine, "connect", _sqlite_connect)
            event.listen(self.engine, "begin", _sqlite_begin)
        else:
            self.engine = sa.create_engine(self.url, pool_size=8, max_overflow=16, pool_pre_ping=True)
        #: Reads see one snapshot throughout; SQLite's transactions do so anyway.
        self._reader = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )

    @contextmanager
    def read(self) -> Generator[sa.Connection]:
        """A connection inside a read transaction, or in this thread's write transaction."""
        if (own := self._own()) is not None:
            yield own
            return
        with _translated(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[sa.Connection]:
        """A connection inside a write transaction, committed at the end of the outermost block of this thread."""
        if (own := self._own()) is not None:
            with own.begin_nested():
                yield own
            return
        with self._lock if self.is_sqlite else nullcontext(), _translated(), self._begin() as connection:
            self._here.connection = connection
            try:
                yield connection
            finally:
                self._here.connection = None

    @property
    def writing(self) -> bool:
        """Whether this thread is inside a write block."""
        return self._own() is not None

    def _own(self) -> sa.Connection | None:
        return getattr(self._here, "connection", None)

    @contextmanager
    def _begin(self) -> Generator[sa.Connection]:
        with self.engine.connect().execution_options(twinlens_write=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close all connections; on SQLite this folds the write-ahead log into the file."""
        self.engine.dispose()


@contextmanager
def _translated() -> Generator[None]:
    """Turn a full disk or a lost connection into ``StoreUnavailable``, and a value that no column can hold into
    ``InvalidArgument``; other database errors pass."""
    try:
        yield
    except DataError as error:  # PostgreSQL: NUL in a text, a number out of range
        raise InvalidArgument(f"a value cannot be stored: {str(error.orig).splitlines()[0]}") from error
    except OverflowError as error:  # SQLite's driver: a number out of range
        raise InvalidArgument(f"a value cannot be stored: {error}") from error
    except (OperationalError, DBAPIError) as error:
        text = str(error.orig).lower()
        if any(word in text for word in _UNAVAILABLE) or error.connection_invalidated:
            raise StoreUnavailable(f"the catalog cannot be used now: {error.orig}") from error
        raise


def _sqlite_connect(raw: Any, _record: Any) -> None:
    raw.isolation_level = None  # we say BEGIN ourselves
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-16384",
        "mmap_size=1073741824",
        "temp_store=MEMORY",
    ):
        raw.execute(f"PRAGMA {pragma}")
    raw.execute("PRAGMA case_sensitive_like=ON")  # LIKE means the same as on PostgreSQL; ILIKE is lower() LIKE lower()


def _sqlite_begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("twinlens_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def upsert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """The dialect's ``INSERT`` that knows ``on_conflict_do_update``/``_do_nothing``."""
    return insert_for(connection.dialect.name, table)


def insert_for(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """``upsert`` by name of the dialect, for statements that are built once."""
    if dialect == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # here: a start on SQLite need not wait for it

    return postgresql.insert(table)
