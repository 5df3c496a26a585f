"""Files of other tools, recorded by ``tests.fixtures.trackers``, as records; damaged and hostile ones."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from twinlens.domain.record import (
    ArtifactRecord,
    ExperimentRecord,
    MetricsRecord,
    RunRecord,
    ScoreRecord,
    TraceRecord,
)
from twinlens.domain.run import Run
from twinlens.domain.trace import Span
from twinlens.ingest.normalise import normalise
from twinlens.ingest.otlp_json import decode_spans
from twinlens.migrate import locate
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.essence import sums
from twinlens.migrate.files import reading, wandb
from twinlens.migrate.files.detect import detect
from twinlens.migrate.files.source import FileSource
from twinlens.migrate.files.spool import Spool
from twinlens.migrate.plain import otlp

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
TRACKERS = FIXTURES / "trackers"


def opened(place: str | Path) -> FileSource:
    source = locate.source(locate.parse(str(place)))
    assert isinstance(source, FileSource)
    return source


def everything(source: FileSource, kind: str) -> list[Any]:
    return [record for page in source.read(kind) for record in page.records]


def run_of(source: FileSource, name: str) -> Run:
    found = [r.run for r in everything(source, "run") if isinstance(r, RunRecord) and r.run.name == name]
    assert len(found) == 1
    return found[0]


def points(source: FileSource, run_id: str) -> dict[str, list[tuple[Any, int]]]:
    return {
        r.name: [(p.value, p.step) for p in r.points]
        for r in everything(source, "metrics")
        if isinstance(r, MetricsRecord) and r.run_id == run_id
    }


def files(source: FileSource, run_id: str) -> dict[str, bytes]:
    return {
        r.path: b"".join(source.content(r))
        for r in everything(source, "artifact")
        if isinstance(r, ArtifactRecord) and r.owner_id == run_id
    }


@pytest.mark.parametrize("name", ["wandb", "trackio", "tensorboard", "superoptix", "phoenix"])
def test_the_tool_is_recognised_and_reading_again_finds_the_same(name: str) -> None:
    assert detect(TRACKERS / name) == name
    first, second = opened(TRACKERS / name), opened(f"{name}+{TRACKERS / name}")
    for kind in first.kinds:
        records = everything(first, kind)
        assert records == everything(second, kind) and len({r.key for r in records}) == len(records)
        after = next(page.after for page in first.read(kind) if page.after is not None)
        assert [r.key for page in second.read(kind, after) for r in page.records] == [
            r.key for r in records[len(records) :]
        ] or kind in ("metrics", "trace")


def test_wandb() -> None:
    source = opened(TRACKERS / "wandb")
    assert [r.experiment.name for r in everything(source, "experiment") if isinstance(r, ExperimentRecord)] == ["churn"]
    run = run_of(source, "first")
    assert (run.run_id, run.status, run.start_ms) == ("r1abc234", "FINISHED", 1795657087) or run.start_ms
    assert run.params == {"lr": "0.1", "layers.sizes": "[1,2]", "layers.bias": "null", "late": "5"}
    assert run.tags["mlflow.note.content"] == "hello" and run.tags["wandb.tags"] == "x"
    assert run.tags["wandb.group"] == "g"
    found = points(source, run.run_id)
    assert found["loss"] == [(1 / (i + 1), i) for i in range(5)]
    assert [value for value, _ in found["odd"]] == ["NaN", "NaN", "Infinity", "NaN", "NaN"]
    assert found["val.acc"][-1] == (0.4, 4) and found["ok"] == [(1.0, 5)]
    assert found["best"] == [(0.9, 5)] and not any(name.startswith("_") for name in found)
    kept = files(source, run.run_id)
    picture = next(content for path, content in kept.items() if path.startswith("media/images/"))
    assert picture.startswith(b"\x89PNG") and json.loads(kept["wandb-history.jsonl"])["text"] == "hello"
    assert run_of(source, "second").status == "FAILED"
    assert any("not on this machine" in note for note in source.notes)  # the artifact's file was on another one


def test_wandb_takes_no_file_that_a_record_or_link_merely_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("weights")  # as long and with the same hash as the artifact's file
    folder = tmp_path / "runs"
    shutil.copytree(TRACKERS / "wandb", folder)
    inside = next(folder.glob("*r1abc234")) / "files"
    (inside / "link.txt").symlink_to(secret)
    (inside / "up").symlink_to(tmp_path, target_is_directory=True)
    source = opened(folder)
    kept = files(source, "r1abc234")
    assert "link.txt" not in kept and not any("secret" in path for path in kept)
    assert any("link.txt" in note for note in source.notes)


def test_a_torn_log_is_read_to_its_last_record_and_a_damaged_one_refused(tmp_path: Path) -> None:
    whole = next((TRACKERS / "wandb").glob("*r1abc234/*.wandb")).read_bytes()
    torn = tmp_path / "run-r1abc234.wandb"
    torn.write_bytes(whole[:-20])
    source = opened(torn)
    assert run_of(source, "first").status == "RUNNING" and points(source, "r1abc234")["loss"]
    assert any("incomplete" in note for note in source.notes)
    count = len(list(wandb.records(next((TRACKERS / "wandb").glob("*r1abc234/*.wandb")), Spool())))
    rng = random.Random(5)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.randrange(7, len(whole))] ^= 1 << rng.randrange(8)
        torn.write_bytes(damaged)
        try:
            read = list(wandb.records(torn, notes := Spool()))
        except MigrationError:
            continue
        assert notes.notes and len(read) < count, "a changed byte was not seen"


def test_tensorboard() -> None:
    source = opened(TRACKERS / "tensorboard")
    run = run_of(source, "run1")
    assert run.params == {"lr": "0.1", "opt": "adam", "flag": "true", "n": "3"}
    assert (run.start_ms or 0) <= 1_700_000_000_000
    found = points(source, run.run_id)
    assert [step for _, step in found["loss"]] == [0, 1, 2, 3] and found["loss"][1][0] == 0.5
    assert round(float(found["hp/acc"][0][0]), 6) == 0.9
    kept = files(source, run.run_id)
    assert kept["text/note/text_summary/0.md"] == b"hello **x**"
    assert kept["images/sample/img/1.png"].startswith(b"\x89PNG") and not source.notes
    [row] = map(json.loads, kept["histograms/weights.jsonl"].splitlines())  # of the numbers 0 to 9
    buckets = row["buckets"]
    assert (row["step"], row["time"]) == (0, 1_700_000_006)
    assert sum(count for _, _, count in buckets) == 10 and (buckets[0][0], buckets[-1][1]) == (0, 9)
    assert all(one[0] <= one[1] <= other[0] for one, other in itertools.pairwise(buckets))


def test_trackio() -> None:
    source = opened(TRACKERS / "trackio")
    run = run_of(source, "first")
    assert run.params == {"lr": "0.1", "layers": "[1,2]"}
    found = points(source, run.run_id)
    assert found["loss"] == [(1.0, 0), (0.5, 1), (1 / 3, 2)] and found["odd"] == [("NaN", 3)]
    kept = files(source, run.run_id)
    assert next(content for path, content in kept.items() if path.startswith("media/picture/3/")).startswith(b"\x89PNG")
    assert json.loads(kept["trackio-log.jsonl"].splitlines()[0])["note"] == "text"
    (trace,) = everything(source, "trace")
    assert isinstance(trace, TraceRecord) and trace.trace.run_ids == [run.run_id]
    generation = next(span for span in trace.spans if span.kind == "generation")
    assert (generation.model, generation.usage["total"], generation.cost["total"]) == ("gpt-4o", 15, 0.01)
    assert generation.parent_id == trace.trace.root_span_id


def test_superoptix() -> None:
    source = opened(TRACKERS / "superoptix")
    (trace,) = everything(source, "trace")
    assert isinstance(trace, TraceRecord)
    spans = {span.name: span for span in trace.spans}
    assert set(spans) == {"agent_run", "search", "note", "answer"}
    root = spans["agent_run"]
    assert root.parent_id is None and root.kind == "agent" and root.end_ns and root.end_ns > root.start_ns
    assert spans["search"].parent_id == root.span_id and spans["note"].parent_id == spans["search"].span_id
    answer = spans["answer"]
    assert (answer.kind, answer.status, answer.status_message) == ("generation", "error", "no answer")
    assert answer.usage == {"input": 10, "output": 5} and answer.cost == {"total": 0.01}
    runs = {r.run.name: r.run for r in everything(source, "run") if isinstance(r, RunRecord)}
    assert set(runs) == {"developer_run", "developer_GEPA"}
    assert points(source, runs["developer_run"].run_id)["tokens_used"] == [(168.0, 0)]
    assert files(source, runs["developer_GEPA"].run_id)["best_prompt.txt"] == b"Be brief."
    assert [r.experiment.name for r in everything(source, "experiment")] == ["SuperOptiX-developer"]


@pytest.mark.parametrize("name", ["page.json", "spans.parquet"])
def test_phoenix(name: str) -> None:
    source = opened(TRACKERS / "phoenix" / name)
    traces = [r for r in everything(source, "trace") if isinstance(r, TraceRecord)]
    assert len(traces) == 2
    for trace in traces:
        spans = {span.name: span for span in trace.spans}
        llm = spans["llm"]
        assert (llm.kind, llm.model, llm.usage["total"]) == ("generation", "gpt-4o", 15)
        assert json.loads(llm.input or "") == [{"role": "user", "content": "hi"}] or llm.input == '"hi"'
        assert spans["agent"].session_id and spans["agent"].metadata in ({"k": 0}, {"k": 1})
        assert spans["fails"].status == "error" and spans["fails"].parent_id == spans["agent"].span_id


# --- OTLP ----------------------------------------------------------------------------------------------------------------
def essence(spans: list[Span]) -> list[Any]:
    record = TraceRecord(trace=everything_of(spans), spans=spans)
    return sorted(
        (s.kind, s.key, s.digest, s.tokens, round(s.cost, 9)) for s in sums(record, exact=False) if s.kind == "span"
    )


def everything_of(spans: list[Span]) -> Any:
    from twinlens.domain.summary import new_summary

    return new_summary(spans[0].trace_id, 0)


@pytest.mark.parametrize("form", ["lines", "file", "gzip", "folder"])
def test_what_is_exported_as_otlp_comes_back(form: str, tmp_path: Path) -> None:
    """All recorded dialects: normalised, exported, read again."""
    before: dict[str, list[Span]] = {}
    lines: list[bytes] = []
    for path in sorted((FIXTURES / "otlp").glob("*.json")):
        requests = json.loads(path.read_text()) if ".normalised" not in path.name else []
        for request in requests if isinstance(requests, list) else [requests]:
            body = request.get("body", request)
            if "resourceSpans" in body:
                spans, _ = normalise(decode_spans(json.dumps(body).encode()))
                for span in spans:
                    before.setdefault(span.trace_id, []).append(span)
                lines.append(json.dumps(otlp(spans)).encode())
    assert len(lines) > 10
    place = tmp_path / "traces.jsonl"
    if form == "lines":
        place.write_bytes(b"\n".join(lines) + b"\n")
    elif form == "gzip":
        place = tmp_path / "traces.jsonl.gz"
        place.write_bytes(gzip.compress(b"\n".join(lines)))
    elif form == "file":
        place = tmp_path / "traces.json"
        place.write_bytes(b"[" + b",".join(lines) + b"]")
    else:
        place = tmp_path
        for number, line in enumerate(lines):
            (tmp_path / f"{number:03}.json").write_bytes(line + b"\n")
    source = opened(place)
    after = {r.trace.trace_id: r.spans for r in everything(source, "trace") if isinstance(r, TraceRecord)}
    assert after.keys() == before.keys()
    for trace_id, spans in before.items():
        latest = list({span.span_id: span for span in spans}.values())  # a span that was reported twice counts once
        assert essence(after[trace_id]) == essence(latest), trace_id


def test_our_own_jsonl_backend_and_a_torn_last_line(tmp_path: Path) -> None:
    span = {
        "type": "span", "trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "1", "parent_span_id": None, "name": "answer",
        "start_time_unix_nano": 1_000, "end_time_unix_nano": 2_000, "status": "OK", "status_message": None,
        "attributes": {"langfuse.observation.type": "generation", "langfuse.observation.input": '"hi"'}, "events": [],
    }  # fmt: skip
    score = {
        "type": "score", "name": "quality", "value": True, "trace_id": "0" * 31 + "1", "span_id": None, "data_type": "BOOLEAN",
        "comment": "fine", "metadata": None, "source": "HUMAN", "author": "me", "score_id": "s1", "timestamp_ns": 5,
    }  # fmt: skip
    file = tmp_path / "twinlens-traces.jsonl"
    file.write_text(json.dumps(span) + "\n" + json.dumps(score) + "\n" + json.dumps(span)[:50])
    source = opened(file)
    (trace,) = everything(source, "trace")
    assert (trace.spans[0].kind, trace.spans[0].input) == ("generation", '"hi"')
    (found,) = everything(source, "score")
    assert isinstance(found, ScoreRecord) and (found.score.value, found.score.source) == (1.0, "human")
    assert source.notes == [f"{file}: the last line is incomplete and was left out"]
    file.write_text(json.dumps(span) + "\n{broken}\n" + json.dumps(score) + "\n")
    with pytest.raises(MigrationError, match="line 2 is not JSON"):
        opened(file).count("trace")


# --- hostile and unclear -------------------------------------------------------------------------------------------------
def test_unclear_and_missing_places_are_explained(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="no such file"):
        locate.parse(str(tmp_path / "nothing"))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(MigrationError, match=r"not clear what this is.*wandb\+"):
        locate.parse(str(tmp_path))
    shutil.copytree(TRACKERS / "wandb", tmp_path / "wandb")
    shutil.copytree(TRACKERS / "tensorboard", tmp_path / "tensorboard")
    with pytest.raises(MigrationError, match=r"several tools.*tensorboard\+.*wandb\+"):
        locate.parse(str(tmp_path))
    with pytest.raises(MigrationError, match="nothing to carry"):
        opened(f"otlp+{tmp_path / 'notes.txt'}").count("trace")


def test_huge_and_pickled_things_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_RECORD", 1_000)
    bomb = tmp_path / "a.jsonl.gz"
    bomb.write_bytes(gzip.compress(b'{"resourceSpans": "' + b"x" * 100_000 + b'"}'))
    with pytest.raises(MigrationError, match="longer than"):
        opened(f"otlp+{bomb}").count("trace")
    (tmp_path / "deep.jsonl").write_text('{"resourceSpans":' + "[" * 900 + "]" * 900 + "}\n")
    with pytest.raises(MigrationError):
        opened(f"otlp+{tmp_path / 'deep.jsonl'}").count("trace")
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(MigrationError, match="not clear"):
        locate.parse(str(tmp_path / "a.pkl"))
    event = tmp_path / "events.out.tfevents.1.x"
    event.write_bytes((1 << 60).to_bytes(8, "little") + b"\0\0\0\0")
    with pytest.raises(MigrationError, match="damaged"):
        opened(event).count("run")
