"""Scheduled exports on every catalog: each row in a file, once per change, whatever interrupts the worker."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.telemetry import ENGINES, model_call, running_writer
from twinlens.domain.errors import InvalidArgument, NotFound, StoreUnavailable
from twinlens.domain.score import Score
from twinlens.domain.trace import TracePatch
from twinlens.features.export_parquet import ParquetForm
from twinlens.features.export_worker import ExportWorker
from twinlens.features.scheduled_exports import ScheduledExports
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Writer
from twinlens.store.catalog.engine import Catalog
from twinlens.store.secrets import Sealer
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Query

P = "p1"
HOUR = 3_600_000_000_000
START = 480_000 * HOUR  #: on the hour, in 2024
FOLDER: dict[str, Any] = {"kind": "FOLDER", "bucket": "backup", "frequency": "hourly", "compressed": False}


class Setting:
    """A store whose clock the test sets, and the exports over it."""

    writer: Writer

    def __init__(self, catalog: Catalog, store: TelemetryStore, folder: Path) -> None:
        self.now = START
        self.store = store
        self.folder = folder / "backup" / P
        self.exports = ScheduledExports(
            catalog, Sealer("k"), folder=folder, anywhere=False, secured=lambda: True, clock=lambda: self.now
        )
        self.worker = ExportWorker(catalog, self.exports, store, clock=lambda: self.now)

    def write(self, trace_id: str, **more: Any) -> None:
        """A trace with a call and a score."""
        score = Score(score_id=f"{trace_id}-s", trace_id=trace_id, name="quality", data_type="NUMERIC", value=0.5)
        patch = TracePatch(trace_id=trace_id, name="ask", input=json.dumps({"q": "why, é\n"}), **more)
        batch = Batch(project_id=P, spans=[model_call(trace_id, f"{trace_id}-0")], patches=[patch], scores=[score])
        self.writer.submit_sync(batch)
        self.store.scores(Query(project_id=P))  # a read, so that it is in the tables while the clock stands

    def run(self) -> None:
        """What the worker does when it is time."""
        self.worker.export(P, self.exports.get(P))

    def rows(self, table: str) -> dict[str, list[str]]:
        """Ids in each file."""
        files = sorted((self.folder / table).glob("*.jsonl")) if (self.folder / table).exists() else []
        return {file.name: [json.loads(line)["id"] for line in file.read_text().splitlines()] for file in files}


@pytest.fixture
def setting(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    store = ENGINES["duckdb"](tmp_path)
    made = Setting(catalog, store, tmp_path / "exports")
    for module in ("commit", "store"):
        monkeypatch.setattr(f"twinlens.store.telemetry.duckdb.{module}.now_ns", lambda: made.now)
    with running_writer(store, clock=lambda: made.now) as made.writer:
        yield made
    store.close()


def test_each_change_is_in_the_file_of_its_period(setting: Setting) -> None:
    setting.write("early")
    setting.now += HOUR * 5 + HOUR // 2  # nothing in between
    setting.write("late")
    setting.exports.put(P, None, **FOLDER)
    setting.run()
    assert setting.rows("traces") == {"2024-10-04T01-00-00Z.jsonl": ["early"]}
    assert setting.exports.status(P, setting.exports.get(P)) == "up_to_date"
    assert setting.exports.get(P).done_ns == START + 5 * HOUR
    setting.write("early", user_id="ann")  # changes: it is in the next file too
    setting.now += HOUR
    setting.run()
    assert setting.rows("traces")["2024-10-04T06-00-00Z.jsonl"] == ["late", "early"]
    assert set(setting.rows("observations")) == set(setting.rows("scores")) == set(setting.rows("traces"))
    setting.run()  # nothing is due, nothing changes
    assert len(setting.rows("traces")) == 2


def test_an_interrupted_period_is_written_again_over_the_same_files(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.write("t")
    setting.now += 2 * HOUR
    setting.exports.put(P, None, **FOLDER)
    real = setting.worker._write  # pyright: ignore[reportPrivateUsage]
    written: list[str] = []

    async def failing(store: Any, project: str, export: Any, table: str, *period: int) -> bool:
        if written:
            raise StoreUnavailable("the disk is gone")
        written.append(table)
        return await real(store, project, export, table, *period)

    monkeypatch.setattr(setting.worker, "_write", failing)
    setting.run()
    export = setting.exports.get(P)
    assert (setting.exports.status(P, export), export.error, export.done_ns) == ("error", "the disk is gone", None)
    before = setting.rows("traces")
    monkeypatch.setattr(setting.worker, "_write", real)
    setting.run()
    assert setting.rows("traces") == before == {"2024-10-04T01-00-00Z.jsonl": ["t"]}
    assert setting.rows("scores") == {"2024-10-04T01-00-00Z.jsonl": ["t-s"]}
    assert setting.exports.get(P).error is None


def test_forms_of_files(setting: Setting) -> None:
    setting.write("a", tags=["x", "y"])
    setting.write("b")
    rows: list[dict[str, Any]] = []
    for file_type, compressed in (("JSON", True), ("CSV", False), ("JSONL", True), ("PARQUET", True)):
        setting.exports.put(P, None, **FOLDER | {"file_type": file_type, "compressed": compressed})
        names = setting.worker.now(P)
        assert len(names) == 3
        raw = (setting.folder.parent / names[0]).read_bytes()
        if file_type == "PARQUET":
            table = pq.read_table(io.BytesIO(raw))
            assert str(table.schema.field("timestamp").type) == "timestamp[ms, tz=UTC]"
            assert table.column("total_cost").to_pylist() == [pytest.approx(row["total_cost"]) for row in rows]
            rows = [row | {"input": json.loads(row["input"])} for row in table.to_pylist()]
            text = ""
        else:
            text = gzip.decompress(raw).decode() if compressed else raw.decode()
        if file_type == "JSON":
            rows = json.loads(text)
        elif file_type == "CSV":
            rows = [
                r | {"tags": json.loads(r["tags"]), "input": json.loads(r["input"])}
                for r in csv.DictReader(io.StringIO(text))
            ]
        elif file_type == "JSONL":
            rows = [json.loads(line) for line in text.splitlines()]
        assert [(row["id"], row["tags"], row["input"]) for row in rows] == [
            ("a", ["x", "y"], {"q": "why, é\n"}), ("b", [], {"q": "why, é\n"}),
        ]  # fmt: skip


def test_parquet_files_grow_page_by_page() -> None:
    for pages in (
        [[{"id": "a", "value": 0.5, "created_at": "2026-01-01T00:00:00.000Z", "metadata": {"k": 1}}]] * 3,
        [[]],
    ):
        form = ParquetForm(compressed=False)
        raw = b"".join([form.rows(page) for page in pages]) + form.end()
        assert pq.read_table(io.BytesIO(raw)).num_rows == sum(len(page) for page in pages)
    assert pq.ParquetFile(io.BytesIO(raw)).num_row_groups == 0


def test_enriched_observations_know_their_trace(setting: Setting) -> None:
    setting.write("a", user_id="ann")
    setting.exports.put(P, None, **FOLDER, source="OBSERVATIONS_V2", field_groups=["core", "basic", "usage"])
    assert [name.split("/")[1] for name in setting.worker.now(P)] == ["observations_v2", "scores"]
    [row] = [json.loads(file.read_text()) for file in (setting.folder / "observations_v2").iterdir()]
    assert (row["id"], row["user_id"], row["usage_details"]["input"], row["type"]) == ("a-0", "ann", 10, "GENERATION")
    assert "input" not in row


def test_secrets_are_sealed_and_places_checked(setting: Setting, catalog: Catalog) -> None:
    bucket: dict[str, Any] = {"kind": "S3", "bucket": "b-1", "region": "us-east-1", "access_key": "AKIA"}
    sealed = setting.exports.put(P, "very-secret", **bucket).sealed or ""
    assert sealed.startswith("v1.") and "very-secret" not in sealed
    assert setting.exports.put(P, None, prefix="x/").sealed == sealed
    for wrong, said in (
        ({"kind": "FOLDER", "bucket": "../up"}, "bucketName"), ({"prefix": "../x/"}, "prefix"), ({"prefix": "x"}, "prefix"),
        ({"endpoint": "http://127.0.0.1:9"}, "TWINLENS_EXPORT_ADDRESSES"), ({"frequency": "never"}, "exportFrequency"),
        ({"endpoint": "https://127.0.0.1"}, "not public"), ({"mode": "FROM_CUSTOM_DATE"}, "exportStartDate"),
        ({"field_groups": ["io"]}, "core"), ({"file_type": "XLSX"}, "fileType"),
    ):  # fmt: skip
        with pytest.raises(InvalidArgument, match=said):
            setting.exports.put(P, None, **wrong)
    assert setting.exports.get(P).prefix == "x/"
    setting.exports.delete(P)
    with pytest.raises(InvalidArgument, match="secretAccessKey"):
        setting.exports.put(P, None, **bucket)
    with pytest.raises(NotFound):
        setting.worker.now(P)
