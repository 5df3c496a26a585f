"""MLflow's database and file store, written by MLflow's own client, read without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import LiveServer
from tests.wire.migrate.programs_mlflow import DATASETS, EVERYTHING
from tests.wire.migrate.test_mlflow import LOOK, LOOK_DATASETS
from tests.wire.mlflow.peer import MlflowPeer
from twinlens.cli.migrate import run

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.mark.parametrize("store", ["sqlite", "folder"])
def test_what_the_client_sees_is_the_same(
    store: str,
    start_server: Callable[..., LiveServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = start_server()
    address = f"sqlite:///{tmp_path}/mlflow.db" if store == "sqlite" else "./mlruns"
    uri = address if store == "sqlite" else f"file://{tmp_path}/mlruns"
    program, looking = EVERYTHING, LOOK
    if store == "folder":  # which has no evaluation datasets
        program, looking = program.replace(DATASETS, ""), looking.replace(LOOK_DATASETS, "")
    with MlflowPeer(uri, tmp_path, MLFLOW_ALLOW_FILE_STORE="true") as peer:
        peer.run(program)
        before = peer.run(looking)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("ml*/**/*")}
    run(address, f"twinlens+{ours.url}/planned", dry_run=True)
    said = capsys.readouterr().out
    assert "Nothing has been written" in said and "At least" not in said
    with ours.client() as http:
        assert [p["id"] for p in http.get("/api/twinlens/v1/projects").json()["projects"]] == ["default"]
    for _ in range(2):
        run(address, f"twinlens+{ours.url}/default")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("ml*/**/*")} == files
    (folder := tmp_path / "ours").mkdir()
    with MlflowPeer(ours.url, folder) as peer:
        after = peer.run(looking)
    for part, seen in before.items():
        assert after[part] == seen, part
