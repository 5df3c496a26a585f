"""MLflow's database and file store, written by MLflow's own client, read without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from tests.postgres import PostgresServer, find_binaries
from tests.servers import LiveServer
from tests.wire.migrate.programs_mlflow import DATASETS, EVERYTHING
from tests.wire.migrate.test_mlflow import LOOK, LOOK_DATASETS
from tests.wire.mlflow.peer import MlflowPeer
from twinlens.cli.migrate import run
from twinlens.migrate.mlflow_database import DatabaseReader
from twinlens.migrate.mlflow_source import MlflowSource

pytestmark = [pytest.mark.peer, pytest.mark.slow]


class Store(msgspec.Struct):
    """A store, how its client names it, and what the client sees there."""

    address: str
    uri: str
    looking: str
    seen: dict[str, Any]


def filled(folder: Path, store: str) -> Store:
    address = f"sqlite:///{folder}/mlflow.db" if store == "sqlite" else f"{folder}/mlruns"
    uri = address if store == "sqlite" else f"file://{folder}/mlruns"
    if store == "folder":  # which has no evaluation datasets
        program, looking = EVERYTHING.replace(DATASETS, ""), LOOK.replace(LOOK_DATASETS, "")
    else:
        program, looking = EVERYTHING.replace("math.nan}", "2}"), LOOK  # PostgreSQL's JSON has no NaN
    with MlflowPeer(uri, folder, MLFLOW_ALLOW_FILE_STORE="true") as peer:
        peer.run(program)
        return Store(address, uri, looking, peer.run(looking))


@pytest.fixture(scope="module", params=["sqlite", "folder"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return filled(tmp_path_factory.mktemp(request.param), request.param)


def test_what_the_client_sees_is_the_same(
    store: Store, start_server: Callable[..., LiveServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    ours = start_server()
    home = Path(store.address.removeprefix("sqlite:///")).parent
    files = {path: path.stat().st_mtime_ns for path in home.glob("ml*/**/*")}
    run(store.address, f"twinlens+{ours.url}/planned", dry_run=True)
    said = capsys.readouterr().out
    assert "Nothing has been written" in said and "At least" not in said
    with ours.client() as http:
        assert [p["id"] for p in http.get("/api/twinlens/v1/projects").json()["projects"]] == ["default"]
    for _ in range(2):
        run(store.address, f"twinlens+{ours.url}/default")
    assert {path: path.stat().st_mtime_ns for path in home.glob("ml*/**/*")} == files
    (folder := tmp_path / "ours").mkdir()
    with MlflowPeer(ours.url, folder) as peer:
        after = peer.run(store.looking)
    for part, seen in store.seen.items():
        assert after[part] == seen, part


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    server = PostgresServer(binaries)
    server.start()
    yield server
    server.stop()


def test_postgresql_says_the_same(store: Store, postgres: PostgresServer) -> None:
    """The client's own tables, put into PostgreSQL, are the same records."""
    if not store.address.startswith("sqlite"):
        pytest.skip("a database is needed")
    url = postgres.url(postgres.create())
    there, here, tables = sa.create_engine(store.address), sa.create_engine(url), sa.MetaData()
    tables.reflect(there)
    with there.connect() as reading, here.begin() as writing:
        for table in tables.sorted_tables:
            plain = sa.Table(
                table.name,
                sa.MetaData(),
                *(sa.Column(c.name, c.type.as_generic(allow_nulltype=True)) for c in table.columns),
            )
            plain.create(writing)
            rows = [dict(row) for row in reading.execute(sa.select(table)).mappings()]
            if rows:
                writing.execute(plain.insert(), rows)
    sides = [MlflowSource(DatabaseReader(address)) for address in (store.address, url)]
    for kind in sides[0].kinds:
        records = [[msgspec.to_builtins(r) for page in side.read(kind) for r in page.records] for side in sides]
        assert records[0] == records[1], kind
        assert records[0] or kind in ("dataset_run", "dataset_run_item"), kind
