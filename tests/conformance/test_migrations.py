"""A database that was migrated step by step equals one that was made at once, on both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.postgres import PostgresServer
from twinlens.domain.errors import StoreUnavailable
from twinlens.domain.run import Experiment
from twinlens.store.catalog.engine import Catalog, metadata
from twinlens.store.catalog.experiments import ExperimentTable
from twinlens.store.catalog.schema import HEAD, load_tables, migrate, prepare, revision


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Catalog]]:
    """Opens an empty database at every call."""
    opened: list[Catalog] = []

    def make() -> Catalog:
        if request.param == "sqlite":
            catalog = Catalog(tmp_path / f"{len(opened)}.db")
        else:
            server: PostgresServer = request.getfixturevalue("postgres")
            catalog = Catalog(server.url(server.create()))
        opened.append(catalog)
        return catalog

    yield make
    for catalog in opened:
        catalog.close()


def described(catalog: Catalog) -> dict[str, Any]:
    """Tables with columns, keys and indexes, without the order of columns and constraints."""
    inspector = sa.inspect(catalog.engine)
    found: dict[str, Any] = {}
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        found[table] = {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)},
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(map(str, inspector.get_foreign_keys(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "indexes": sorted(map(str, inspector.get_indexes(table))),
            "checks": sorted(map(str, inspector.get_check_constraints(table))),
        }
        if catalog.is_sqlite:
            with catalog.read() as connection:
                text = connection.execute(
                    sa.text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": table}
                ).scalar_one()
            found[table]["options"] = ("WITHOUT ROWID" in text, "AUTOINCREMENT" in text)
    return found


def test_migrating_ends_where_creating_ends(fresh: Callable[[], Catalog]) -> None:
    created, migrated = fresh(), fresh()
    prepare(created)
    load_tables()
    migrate(migrated, "head")
    assert revision(created) == revision(migrated) == HEAD
    assert described(created) == described(migrated)
    assert set(described(created)) == {table.name for table in metadata.sorted_tables}


def test_an_older_database_is_brought_up_and_keeps_its_rows(fresh: Callable[[], Catalog]) -> None:
    catalog = fresh()
    load_tables()
    migrate(catalog, "0002")
    with catalog.write() as connection:
        table = ExperimentTable(connection, "p")
        assert table.add(Experiment(experiment_id="1", name="kept", tags={"a": "b"}))
    prepare(catalog)
    assert revision(catalog) == HEAD
    with catalog.read() as connection:
        found = ExperimentTable(connection, "p").named("kept")
    assert found is not None and found.tags == {"a": "b"}
    prepare(catalog)  # nothing left to do


def test_a_newer_database_is_refused(fresh: Callable[[], Catalog]) -> None:
    catalog = fresh()
    prepare(catalog)
    with catalog.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match="newer than this Twinlens"):
        prepare(catalog)
