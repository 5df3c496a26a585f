"""Export and import of everything real clients write; archives nobody should trust."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from tests.servers import LiveServer, clean_environment
from tests.wire.migrate.conftest import Filled
from tests.wire.migrate.programs_native import NATIVE, SECRET
from twinlens.cli.archive import export, import_
from twinlens.domain.record import KINDS, PROGRESS, AnyRecord
from twinlens.migrate.archive_format import MANIFEST
from twinlens.migrate.archive_reader import ArchiveReader
from twinlens.migrate.errors import ArchiveError, MigrationError
from twinlens.migrate.http import Http
from twinlens.migrate.native import TwinlensSource
from twinlens.store.catalog.carried import ROWS, TYPED

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def _plain(record: AnyRecord) -> Any:
    """As JSON says it, sets in order; when a span or file was last stored is each server's own affair."""
    plain = msgspec.json.decode(msgspec.json.encode(record, order="deterministic"))
    plain.get("media", {}).pop("uploaded_ns", None)
    for name in PROGRESS.get(plain.get("table"), ()):
        plain["values"].pop(name)
    for span in plain.get("spans", ()):
        span.pop("updated_ns")
    return plain


def everything(url: str, project: str = "default") -> dict[str, list[Any]]:
    """All records of a project, and the bytes of its files."""
    source = TwinlensSource(Http(url), project)
    found: dict[str, list[Any]] = {}
    for kind in KINDS:
        records = [record for page in source.read(kind) for record in page.records]
        found[kind] = sorted((_plain(record) for record in records), key=lambda r: json.dumps(r, sort_keys=True))
        if kind in ("artifact", "media"):
            found[kind + " bytes"] = sorted(b"".join(source.content(record)) for record in records)  # type: ignore[arg-type]
    return found


@pytest.fixture(scope="module")
def archive(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("archive") / "all"
    export(place, url=filled.url)
    return place


def test_round_trip_is_equal(
    filled: Filled, archive: Path, start_server: Callable[..., LiveServer], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    other = start_server()
    packed = tmp_path / "all.tar.zst"
    export(packed, url=filled.url)
    import_(packed, url=other.url)
    printed = capsys.readouterr().out
    assert_tables_are_full(filled, other)
    there, here = everything(filled.url), everything(other.url)
    assert set(there) == {*KINDS, "artifact bytes", "media bytes"}
    assert all(there[kind] for kind in KINDS)
    for kind, records in there.items():
        assert here[kind] == records, kind
    import_(archive, url=other.url)  # the same content again, from a folder
    assert everything(other.url) == here
    assert_secrets_stayed(archive, other, printed)
    # what comes later finds the past: the next experiment gets a number of its own, latest values and usage are there
    with other.client() as http:
        made = http.post("/api/2.0/mlflow/experiments/create", json={"name": "next"}).json()
        assert int(made["experiment_id"]) > int(filled.made["experiment"])
        run = http.get("/api/2.0/mlflow/runs/get", params={"run_id": filled.made["parent"]}).json()["run"]
        assert {m["key"] for m in run["data"]["metrics"]} == {"loss", "odd", "huge"}
        assert next(m["value"] for m in run["data"]["metrics"] if m["key"] == "loss") == 1 / 12


def assert_tables_are_full(filled: Filled, other: LiveServer) -> None:
    """Every table that is carried has rows, and as many there as here: a new one must be filled by ``programs_native``."""
    counts: list[dict[str, int]] = []
    for server in (filled, other):
        with closing(sqlite3.connect(f"file:{server.data / 'catalog.db'}?mode=ro", uri=True)) as catalog:
            counts.append(
                {name: catalog.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in sorted(TYPED | ROWS)}
            )  # fmt: skip
    there, here = counts
    assert [name for name, count in there.items() if not count] == []
    assert here == there


def assert_secrets_stayed(archive: Path, other: LiveServer, printed: str) -> None:
    """Neither a secret nor its sealed form is in an archive; what needs one says so, and takes it again."""
    rows = [json.loads(line) for line in (archive / "projects/0/row.jsonl").read_text().splitlines()]
    assert not any("sealed" in row["values"] for row in rows)
    assert not any(SECRET.encode() in file.read_bytes() for file in archive.rglob("*") if file.is_file())
    waiting = {row["values"].get("name", row["table"]) for row in rows if row.get("secret")}
    assert waiting == {"signed", "scheduled_exports", "house"}
    assert all(f": {name}\n" in printed for name in ("signed", "lake", "house"))
    with other.client() as http:
        connections = {c["name"]: c for c in http.get(f"{NATIVE}/connections").json()["connections"]}
        assert [connections[name]["key"] for name in ("house", "open")] == ["enter it again", None]
        hello = {"model": "chat", "messages": [{"role": "user", "content": "x"}]}
        refused = http.post("/gateway/mlflow/v1/chat/completions", json=hello)
        assert refused.status_code < 500 and "enter this one again" in refused.text
        path = f"{NATIVE}/connections/{connections['house']['id']}"
        assert http.patch(path, json={"api_key": "sk-entered-again"}).json()["key"].endswith("ain")
        hooks = {hook["name"]: hook for hook in http.get(f"{NATIVE}/webhooks").json()["webhooks"]}
        told = http.post(f"{NATIVE}/webhooks/{hooks['signed']['id']}/test", json={}).json()
        assert "enter this one again" in told["error"]
        assert http.get(f"{NATIVE}/scheduled-export").json()["export"]["has_secret"] is False
        again = {"secret": SECRET}
        assert http.patch(f"{NATIVE}/webhooks/{hooks['signed']['id']}", json=again).json()["signed"] is True


def test_rows_that_break_a_rule_are_refused(live_server: LiveServer) -> None:
    """An archive cannot set what a person could not."""
    hook = {
        "webhook_id": "w", "name": "w", "url": "https://example.com", "events": '["prompt.created"]', "description": None,
        "status": "ACTIVE", "created_ns": 1, "updated_ns": 1,
    }  # fmt: skip
    export = {
        "export_id": "x", "kind": "FOLDER", "bucket": "../../etc", "endpoint": None, "region": "auto", "access_key": None,
        "prefix": "", "frequency": "daily", "enabled": True, "path_style": False, "file_type": "CSV", "mode": "FULL_HISTORY",
        "start_ns": None, "compressed": True, "source": "OBSERVATIONS_V2", "field_groups": "[]", "done_ns": None,
        "next_ns": None, "error": None, "error_ns": None, "created_ns": 1, "updated_ns": 1,
    }  # fmt: skip
    wrong = [
        ("webhooks", hook | {"events": "{"}, "damaged"), ("webhooks", hook | {"events": '["nope"]'}, "nope"),
        ("webhooks", hook | {"status": 5}, "status must be str"), ("scheduled_exports", export, "bucketName"),
        ("webhook_deliveries", {}, "on their way"), ("dashboards", {"id": "d", "body": "{}", "updated_ns": 1}, "damaged"),
    ]  # fmt: skip
    with live_server.client() as http:
        for table, values, says in wrong:
            record = {"kind": "row", "table": table, "values": values}
            answer = http.post(f"{NATIVE}/records", json=record)
            assert answer.status_code == 400 and says in answer.json()["message"], answer.text
        first = {"kind": "row", "table": "webhooks", "values": hook | {"sealed": "v1.forged"}, "secret": False}
        assert http.post(f"{NATIVE}/records", json=first).status_code == 200
        (stored,) = http.get(f"{NATIVE}/webhooks").json()["webhooks"]
        assert stored["signed"] is False
        http.patch(f"{NATIVE}/webhooks/w", json={"name": "newer"}).raise_for_status()
        assert http.post(f"{NATIVE}/records", json=first).status_code == 200
        assert http.get(f"{NATIVE}/webhooks").json()["webhooks"][0]["name"] == "newer"
        assert http.get(f"{NATIVE}/scheduled-export").json()["export"] is None


def test_into_another_project_with_taken_names(
    filled: Filled, archive: Path, start_server: Callable[..., LiveServer]
) -> None:
    other = start_server()
    with other.client() as http:
        taken = http.post("/api/2.0/mlflow/experiments/create", json={"name": "taken"}).json()["experiment_id"]
        assert taken == filled.made["experiment"]
    import_(archive, url=other.url)
    with other.client() as http:
        found = http.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "churn"}).json()
        number = found["experiment"]["experiment_id"]
        assert number != taken
        run = http.get("/api/2.0/mlflow/runs/get", params={"run_id": filled.made["parent"]}).json()["run"]
        assert run["info"]["experiment_id"] == number
        assert run["info"]["artifact_uri"].endswith(f"/{number}/{filled.made['parent']}/artifacts")
        trace = http.get(f"/api/3.0/mlflow/traces/{filled.made['trace']}").json()["trace"]["trace_info"]
        assert trace["trace_location"]["mlflow_experiment"]["experiment_id"] == number
        at = "/api/3.0/mlflow"
        [scorer] = http.get(f"{at}/scorers/list", params={"experiment_id": number}).json()["scorers"]
        online = http.get(f"{at}/scorers/online-configs", params={"scorer_ids": [scorer["scorer_id"]]}).json()[
            "configs"
        ]
        assert [each["experiment_id"] for each in online] == [number]
        schemas = http.get(f"{at}/label-schemas/list", params={"experiment_id": number}).json()["label_schemas"]
        assert ("how good", number) in {(each["name"], each["experiment_id"]) for each in schemas}
    import_(archive, url=other.url, project="second")
    assert len(everything(other.url, "second")["trace"]) == len(everything(filled.url)["trace"])


def test_parts_and_plain_files(filled: Filled, tmp_path: Path, start_server: Callable[..., LiveServer]) -> None:
    export(tmp_path / "one", url=filled.url, project="default", trace=filled.made["langfuse"])
    export(tmp_path / "two", url=filled.url, project="default", experiment=filled.made["experiment"])
    other = start_server()
    import_(tmp_path / "one", url=other.url)
    assert [r["trace"]["trace_id"] for r in everything(other.url)["trace"]] == [filled.made["langfuse"]]
    import_(tmp_path / "two", url=other.url)
    found = everything(other.url)
    assert len(found["run"]) == 5
    assert len(found["trace"]) == 3
    export(tmp_path / "t.csv", url=filled.url, format="csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert {row["trace_id"] for row in rows} >= {filled.made["langfuse"], filled.made["langfuse2"]}
    export(tmp_path / "t.jsonl", url=filled.url, format="otlp")
    third = start_server()
    with third.client() as http:
        sent = [http.post("/v1/traces", content=line, headers={"Content-Type": "application/json"}).status_code
                for line in (tmp_path / "t.jsonl").read_text().splitlines() if filled.made["langfuse2"] not in line]  # fmt: skip
    assert set(sent) == {200}
    tokens = {r["trace"]["trace_id"]: r["trace"].get("usage", {}).get("total") for r in everything(filled.url)["trace"]}
    for record in everything(third.url)["trace"]:
        assert record["trace"].get("usage", {}).get("total") == tokens[record["trace"]["trace_id"]]


def test_killed_import_goes_on(
    filled: Filled, archive: Path, start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    other = start_server()
    place = tmp_path / "progress.db"
    command = [sys.executable, "-m", "twinlens", "import", str(archive), "--url", other.url, "--checkpoint", str(place)]
    slow = subprocess.Popen(
        [*command, "--rate", "8"], env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with other.client() as http:
        while slow.poll() is None:  # until the first runs are there
            if http.get("/api/twinlens/v1/projects/default/records/run").json()["records"]:
                break
    os.kill(slow.pid, signal.SIGKILL)
    slow.communicate()
    assert slow.returncode == -signal.SIGKILL
    assert not everything(other.url)["artifact"]
    assert subprocess.run(command, env=clean_environment(), capture_output=True).returncode == 0
    assert not place.exists()
    assert everything(other.url) == everything(filled.url)


# --- not to be trusted -----------------------------------------------------------------------------------------------
def _manifest(folder: Path, **changes: Any) -> None:
    head = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(head | changes))


def _listed(folder: Path, path: str, content: bytes) -> None:
    """Replace a file and say so in the manifest."""
    (folder / path).write_bytes(content)
    head = json.loads((folder / MANIFEST).read_bytes())
    for entry in head["files"]:
        if entry["path"] == path:
            entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (folder / MANIFEST).write_text(json.dumps(head))


def _damage(folder: Path) -> None:
    file = folder / "projects/0/span.parquet"
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


def _climb(folder: Path) -> None:
    record = {"kind": "artifact", "owner": "run", "owner_id": "r", "path": "../../x", "size": 1, "sha256": "0" * 64}
    _listed(folder, "projects/0/artifact.jsonl", json.dumps(record).encode() + b"\n")


def _foreign(folder: Path) -> None:
    head = json.loads((folder / MANIFEST).read_bytes())
    head["files"].append({"path": "../outside", "bytes": 0, "sha256": "0" * 64})
    (folder / MANIFEST).write_text(json.dumps(head))


def _link(folder: Path) -> None:
    file = folder / "projects/0/run.jsonl"
    file.rename(folder / "aside")
    file.symlink_to(folder / "aside")


def _nonsense(folder: Path) -> None:
    _listed(folder, "projects/0/score.parquet", b"PAR1 this is not Parquet PAR1")


def _wrong_form(folder: Path) -> None:
    _listed(folder, "projects/0/run.jsonl", b'{"kind":"run","run":{"run_id":5}}\n')


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "flipped bit": (_damage, "damaged"),
    "missing file": (lambda f: (f / "projects/0/run.jsonl").unlink(), "missing"),
    "newer format": (lambda f: _manifest(f, version=2), "upgrade"),
    "another format": (lambda f: _manifest(f, format="x"), "does not say"),
    "broken manifest": (lambda f: (f / MANIFEST).write_bytes(b"{"), "cannot be read"),
    "path that climbs": (_climb, "leaves its folder"),
    "file outside": (_foreign, "does not belong"),
    "link": (_link, "not a plain file"),
    "not Parquet": (_nonsense, "damaged"),
    "wrong record": (_wrong_form, "not a record"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_archive_is_refused_before_the_first_write(
    name: str, archive: Path, tmp_path: Path, live_server: LiveServer
) -> None:
    break_it, says = BAD[name]
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", archive, copy], check=True)
    break_it(copy)
    with pytest.raises(ArchiveError, match=says):
        import_(copy, url=live_server.url)
    assert not everything(live_server.url)["run"]


def _packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with path.open("wb") as raw, zstandard.ZstdCompressor(3).stream_writer(raw) as out, tarfile.open(fileobj=out, mode="w|") as tar:  # fmt: skip
        for info, content in members:
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path


def test_hostile_tar_is_refused(tmp_path: Path) -> None:
    climbing = tarfile.TarInfo("../../evil")
    linked = tarfile.TarInfo("projects/0/run.jsonl")
    linked.type, linked.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(ArchiveError, match="does not belong"):
        ArchiveReader(_packed(tmp_path / "a.tar.zst", (climbing, b"x")))
    with pytest.raises(ArchiveError, match="plain file"):
        ArchiveReader(_packed(tmp_path / "b.tar.zst", (linked, b"")))
    bomb = tarfile.TarInfo("projects/0/run.jsonl")
    with pytest.raises(ArchiveError, match="bomb"):
        ArchiveReader(_packed(tmp_path / "c.tar.zst", (bomb, bytes(200 << 20))))
    (tmp_path / "d.tar.zst").write_bytes((tmp_path / "c.tar.zst").read_bytes()[:500])
    with pytest.raises(ArchiveError):
        ArchiveReader(tmp_path / "d.tar.zst")
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]


def test_a_difference_is_loud(
    filled: Filled, archive: Path, start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """A target that already holds another value of the same thing is not overwritten in silence."""
    other = start_server()
    progress = tmp_path / "progress.db"
    import_(archive, url=other.url, checkpoint=progress)
    with other.client() as http:
        body = {"run_id": filled.made["parent"], "key": "late", "value": "x"}
        assert http.post("/api/2.0/mlflow/runs/log-parameter", json=body).status_code == 200
    with pytest.raises(MigrationError, match="run: 0 missing, 1 different"):
        import_(archive, url=other.url, checkpoint=progress)
