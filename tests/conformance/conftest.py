"""Engines that the conformance suites run against. A real PostgreSQL is started once per test process."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, find_binaries
from tests.telemetry import ENGINES, running_writer
from twinlens.ingest.writer import Writer
from twinlens.store.catalog.engine import Catalog, metadata
from twinlens.store.catalog.schema import prepare
from twinlens.store.telemetry.interface import TelemetryStore


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL; skips where none is installed."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    server = PostgresServer(binaries)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "catalog.db"
    catalog = Catalog(path)
    prepare(catalog)
    catalog.close()
    return path


@pytest.fixture(scope="session")
def _postgres_url(postgres: PostgresServer) -> str:
    url = postgres.url(postgres.create())
    catalog = Catalog(url)
    prepare(catalog)
    catalog.close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalog with the current schema, on each engine."""
    if request.param == "sqlite":
        path = tmp_path / "catalog.db"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        catalog = Catalog(path)
        yield catalog
        catalog.close()
        return
    catalog = Catalog(request.getfixturevalue("_postgres_url"))
    yield catalog
    # Emptying is ten times faster than copying a database.
    with catalog.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    catalog.close()


@pytest.fixture(params=list(ENGINES))
def telemetry_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], TelemetryStore]:
    """Opens (also again, after closing) one telemetry store, on each engine."""
    return lambda: ENGINES[request.param](tmp_path / "telemetry")


@pytest.fixture
def telemetry(telemetry_engine: Callable[[], TelemetryStore]) -> Iterator[TelemetryStore]:
    """An empty telemetry store."""
    store = telemetry_engine()
    yield store
    store.close()


@pytest.fixture
def writer(telemetry: TelemetryStore) -> Iterator[Writer]:
    """The writer of ``telemetry``."""
    with running_writer(telemetry) as writer:
        yield writer
