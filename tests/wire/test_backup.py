"""Backups of a server that takes writes, of a stopped one, and what comes back; damage, refusals, ``kill -9``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from tests.servers import LiveServer, clean_environment
from tests.servers import run_command as twinlens
from tests.wire.test_garbage import run_with_everything
from tests.wire.test_kill import Load, stored_points, stored_scores
from twinlens.backup import restore as restoring
from twinlens.backup.make import make
from twinlens.domain.errors import InvalidArgument
from twinlens.settings import load as load_settings
from twinlens.store.telemetry.duckdb import DuckDBTelemetry

NATIVE = "/api/twinlens/v1/projects/default"


def backup(place: Path, data: Path, *more: str) -> Path:
    ran = twinlens("backup", str(place), "--data", str(data), *more)
    assert ran.returncode == 0, ran.stderr
    return Path(ran.stdout.partition(": ")[0])


def restore(source: Path, data: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return twinlens("restore", str(source), "--data", str(data), *more)


def spans_by_trace(data: Path) -> dict[str, int]:
    """Asked of the file: the server is stopped."""
    with duckdb.connect(str(data / "telemetry.duckdb"), read_only=True) as connection:
        return dict(connection.execute("SELECT trace_id, count(*) FROM spans GROUP BY 1").fetchall())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backups")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, place: Path) -> Iterator[dict[str, object]]:
    """A server that was backed up while three writers wrote, and what they knew before and after."""
    with LiveServer(tmp_path_factory.mktemp("data")) as server, server.client() as client:
        run_id = run_with_everything(client, "0")
        load = Load(server.url, run_id, 0)
        assert load.sent_after.wait(90)
        while min(len(load.traces), len(load.points), len(load.scores)) < 5:
            load.sent_after.clear()
            assert load.sent_after.wait(90)
        before = set(load.traces), set(load.points), set(load.scores)
        made = backup(place, server.data)
        load.sent_after.clear()
        assert load.sent_after.wait(90), "the writers were stopped by the backup"
        strangers = [
            client.post("/api/twinlens/v1/backup", json={"folder": str(place)}, headers={"x-twinlens-owner": proof})
            for proof in (b"", "é".encode())
        ]
        again = [backup(place, server.data, "--keep", "1")]  # the first has let go of the server
        server.kill()
        load.join()
        assert load.refused == []
        yield {
            "data": server.data, "run_id": run_id, "load": load, "before": before, "made": [made, *again],
            "strangers": strangers,
        }  # fmt: skip


def test_everything_acknowledged_before_is_there_and_nothing_later(
    loaded: dict[str, object], place: Path, start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    load, run_id = loaded["load"], str(loaded["run_id"])
    assert isinstance(load, Load)
    traces, points, scores = loaded["before"]  # type: ignore[misc]
    assert restore(place, tmp_path / "new").returncode == 0
    stored = spans_by_trace(tmp_path / "new")
    server = start_server(data=tmp_path / "new")
    with server.client() as client:
        found_points, found_scores = stored_points(client, run_id), stored_scores(client, "scored-0")
        artifact = client.get(
            "/get-artifact", params={"run_id": run_id, "path": "a.txt"}
        )  # fmt: skip
    assert traces <= stored.keys() and set(stored.values()) == {20}
    assert points <= set(found_points) and scores <= set(found_scores)
    # each writer waits for its answer, so a moment of the past is a beginning of what it wrote
    for found, prefix in ((len(stored), "trace"), (len(found_points), "point"), (len(found_scores), "score")):
        assert found, prefix
    assert sorted(stored) == [f"{1:08x}{n:024x}" for n in range(len(stored))]
    assert sorted(set(found_points)) == list(range(len(set(found_points))))
    assert set(found_scores) == {f"score-0-{n}" for n in range(len(found_scores))}
    assert len(stored) < len(load.traces), "writers went on meanwhile"
    assert artifact.content == b"x" * 1_000
    assert (tmp_path / "new" / "secret").read_bytes() == (Path(str(loaded["data"])) / "secret").read_bytes()


def test_a_stopped_instance_is_copied_as_it_lies_and_artifacts_once(
    loaded: dict[str, object], place: Path, tmp_path: Path
) -> None:
    data = Path(str(loaded["data"]))
    pool = {path for path in (place / "blobs").rglob("*") if path.is_file()}
    settings = load_settings(overrides={"data": data})
    second = make(settings, place)  # the server was killed: part of its data is in the journal
    assert {path for path in (place / "blobs").rglob("*") if path.is_file()} == pool
    restoring.restore(second.folder, load_settings(overrides={"data": tmp_path / "new"}))
    load = loaded["load"]
    assert isinstance(load, Load)
    DuckDBTelemetry.open(tmp_path / "new" / "telemetry.duckdb").close()
    assert load.traces.keys() <= spans_by_trace(tmp_path / "new").keys()
    third = make(settings, place, keep=2)
    kept = sorted(path.name for path in place.iterdir() if (path / "manifest.json").exists())
    assert kept == [second.folder.name, third.folder.name] and third.removed
    with pytest.raises(InvalidArgument, match="inside the data folder"):
        make(settings, data / "backups")


def test_damaged_newer_or_hostile_backups_are_refused_before_the_first_write(
    loaded: dict[str, object], tmp_path: Path
) -> None:
    made = make(load_settings(overrides={"data": Path(str(loaded["data"]))}), tmp_path / "b").folder
    target = tmp_path / "new"
    settings = load_settings(overrides={"data": target})
    manifest = json.loads((made / "manifest.json").read_text())

    def refused(words: str) -> None:
        with pytest.raises(InvalidArgument, match=words):
            restoring.restore(tmp_path / "b", settings)
        assert not target.exists()

    whole = (made / "telemetry.duckdb").read_bytes()
    (made / "telemetry.duckdb").write_bytes(whole[:5_000] + bytes([whole[5_000] ^ 1]) + whole[5_001:])
    refused("damaged: .*telemetry.duckdb")
    (made / "telemetry.duckdb").write_bytes(whole)
    blob = next(path for path in (tmp_path / "b" / "blobs").rglob("*") if path.is_file())
    content = blob.read_bytes()
    blob.unlink()
    refused(f"damaged: .*{blob.name}")
    blob.write_bytes(content)
    for change, words in (
        ({"version": 2}, "upgrade"),
        ({"catalog_revision": "9999"}, "newer"),
        ({"files": [*manifest["files"], {"name": "../evil", "bytes": 1, "sha256": "0" * 64}]}, "does not describe"),
    ):
        (made / "manifest.json").write_text(json.dumps(manifest | change))
        refused(words)
    (made / "manifest.json").write_text(json.dumps(manifest))
    assert "whole" in restore(tmp_path / "b", target, "--dry-run").stdout and not target.exists()
    target.mkdir()
    (target / "mine.txt").write_text("precious")
    ran = restore(tmp_path / "b", target)
    assert ran.returncode == 1 and "not empty" in ran.stderr and [p.name for p in target.iterdir()] == ["mine.txt"]


def test_a_killed_restore_is_not_taken_for_an_instance(loaded: dict[str, object], place: Path, tmp_path: Path) -> None:
    data = tmp_path / "new"
    program = (
        "import os, signal\nfrom pathlib import Path\nfrom twinlens.backup.restore import restore\n"
        "from twinlens.settings import load\n"
        f"restore(Path({str(place)!r}), load(overrides={{'data': Path({str(data)!r})}}), "
        "told=lambda step, done, total: step == 'restore' and done > total // 3 and os.kill(os.getpid(), signal.SIGKILL))"
    )
    ran = subprocess.run([sys.executable, "-c", program], env=clean_environment() | {"PYTHONPATH": os.getcwd()})
    assert ran.returncode == -9 and (data / "restoring").exists()
    refused = twinlens("serve", "--port", "0", "--data", str(data))
    assert refused.returncode == 1 and "twinlens restore" in refused.stderr, refused.stderr
    assert restore(place, data).returncode == 0 and not (data / "restoring").exists()
    assert spans_by_trace(data)


def test_only_who_reads_the_instances_key_may_hold_it(loaded: dict[str, object], tmp_path: Path) -> None:
    strangers, made = loaded["strangers"], loaded["made"]
    assert isinstance(strangers, list) and [answer.status_code for answer in strangers] == [403, 403]
    assert isinstance(made, list) and not made[0].exists(), "--keep 1"
    ran = twinlens("backup", str(tmp_path / "b"), "--data", str(tmp_path / "nothing"))
    assert ran.returncode == 1 and "no data folder" in ran.stderr
