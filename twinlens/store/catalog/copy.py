"""Whole catalogs: out into a SQLite file, whatever the engine, and from such a file into an empty PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from twinlens.domain.errors import AlreadyExists, InvalidState
from twinlens.store.catalog.engine import Catalog, metadata
from twinlens.store.catalog.schema import HEAD, load_tables, prepare, revision

_PAGES = 4_096  #: of SQLite, copied at once
_ROWS = 1_000


class CatalogSnapshot:
    """The catalog at the moment of construction. Use ``open_snapshot``."""

    def __init__(self, connection: sa.Connection, catalog: Catalog) -> None:
        self._c = connection
        self._catalog = catalog
        #: of the schema; the first statement also fixes what the transaction sees
        self.revision = str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar())

    def save(self, path: Path) -> None:
        """Write it to a new SQLite file.

        Raises:
            InvalidState: a PostgreSQL catalog that this version has not migrated yet.
        """
        if self._catalog.is_sqlite:
            source = self._c.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            with closing(sqlite3.connect(path)) as target:
                source.backup(target, pages=_PAGES)
                target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            return
        if self.revision != HEAD:
            raise InvalidState(
                f"the catalog is at revision {self.revision}, this Twinlens works with {HEAD}: start the server once"
            )
        made = Catalog(path)
        try:
            prepare(made)
            with made.write() as target:
                _pour(self._c, target)
        finally:
            made.close()


@contextmanager
def open_snapshot(catalog: Catalog) -> Generator[CatalogSnapshot]:
    """The catalog as it is now, for as long as the block lasts. Nobody waits for it."""
    with catalog.read() as connection:
        yield CatalogSnapshot(connection, catalog)


def check_empty(catalog: Catalog) -> None:
    """Make sure that ``fill`` may fill a database.

    Raises:
        AlreadyExists: it has tables.
    """
    if sa.inspect(catalog.engine).get_table_names():
        raise AlreadyExists("the catalog database is not empty: create a new one, or empty it")


def fill(path: Path, catalog: Catalog) -> None:
    """Put a saved catalog into an empty database, in one transaction. The file is migrated if it is older.

    Raises:
        AlreadyExists: the database has tables.
    """
    check_empty(catalog)
    load_tables()
    source = Catalog(path)
    try:
        prepare(source)
        with source.read() as rows, catalog.write() as target:
            metadata.create_all(target)
            target.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            target.execute(sa.text("INSERT INTO alembic_version VALUES (:v)"), {"v": revision(source)})
            _pour(rows, target)
            if not catalog.is_sqlite:
                _count_on(target)
    finally:
        source.close()


def _pour(source: sa.Connection, target: sa.Connection) -> None:
    """All rows; ``target`` gets them in the place of what its schema brought along."""
    for table in reversed(metadata.sorted_tables):
        target.execute(table.delete())
    for table in metadata.sorted_tables:
        found = source.execution_options(stream_results=True).execute(sa.select(table))
        for rows in found.mappings().partitions(_ROWS):
            target.execute(table.insert(), [dict(row) for row in rows])


def _count_on(target: sa.Connection) -> None:
    """Let PostgreSQL give out numbers behind those that were put in. (SQLite looks at the rows itself.)"""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            target.execute(
                sa.text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), "
                    f"(SELECT coalesce(max({column.name}), 0) + 1 FROM {table.name}), false)"
                )
            )
