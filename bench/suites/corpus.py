"""Data folders of Twinlens with much in them, made once and kept in ``bench/data``."""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.schema import CreateTable

from bench import workload
from bench.report import progress
from twinlens.domain import summary
from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.domain.usage import add_usage
from twinlens.store.telemetry.interface import ProjectRows, WriteSet

PROJECT = "default"
EXPERIMENT_ID = "1"


def _prepared(folder: Path, schema: str) -> Path | None:
    """A folder to fill, next to the final one; None when the final one is complete and of this schema."""
    complete = folder / "complete"
    if complete.exists() and complete.read_text() == schema:
        return None
    work = folder.with_name(folder.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work


def _finish(work: Path, folder: Path, schema: str) -> Path:
    (work / "complete").write_text(schema)
    shutil.rmtree(folder, ignore_errors=True)
    return work.rename(folder)


def _digest(schema: object) -> str:
    return hashlib.sha256(repr(schema).encode()).hexdigest()


def runs(folder: Path, count: int) -> Path:
    """A catalog with one experiment of ``count`` runs, written by the catalog's own tables. Latest metric values only."""
    from twinlens.store.catalog import schema
    from twinlens.store.catalog.engine import Catalog, metadata
    from twinlens.store.catalog.experiments import experiments, next_number
    from twinlens.store.catalog.runs import latest_metrics, run_params, run_tags
    from twinlens.store.catalog.runs import runs as run_rows

    shape = _digest(
        [str(CreateTable(table)) + str(sorted(i.name or "" for i in table.indexes)) for table in metadata.sorted_tables]
    )
    work = _prepared(folder, shape)
    if work is None:
        return folder
    catalog = Catalog(work / "catalog.db")
    schema.prepare(catalog)
    corpus = workload.runs(count)
    rng = random.Random(5)
    scope = {"project_id": PROJECT, "experiment_id": int(EXPERIMENT_ID)}
    with catalog.write() as c:
        assert next_number(c, "experiment") == int(EXPERIMENT_ID)
        c.execute(
            experiments.insert(),
            {**scope, "name": "bench-scale", "artifact_location": "mlflow-artifacts:/1", "lifecycle": "active",
             "created_ms": 0, "updated_ms": 0, "run_count": count, "last_run_ms": None},
        )  # fmt: skip
    done = 0
    while chunk := list(islice(corpus, 5000)):
        numbered = list(enumerate(chunk, done + 1))
        with catalog.write() as c:
            ids = {no: f"{rng.getrandbits(128):032x}" for no, _ in numbered}
            c.execute(run_rows.insert(), [
                {**scope, "run_no": no, "run_id": ids[no], "name": r.name, "status": "FINISHED", "lifecycle": "active",
                 "start_ms": r.start_ms, "end_ms": r.start_ms + 60_000, "user_id": "bench",
                 "artifact_uri": f"mlflow-artifacts:/1/{ids[no]}/artifacts"}
                for no, r in numbered
            ])  # fmt: skip
            for table, pairs in (
                (run_params, [(no, k, v) for no, r in numbered for k, v in r.params.items()]),
                (run_tags, [(no, "mlflow.runName", r.name) for no, r in numbered]),
            ):
                c.execute(
                    table.insert(),
                    [{**scope, "run_no": no, "key": k, "value": v, "head": v[:64]} for no, k, v in pairs],
                )
            c.execute(latest_metrics.insert(), [
                {**scope, "run_no": no, "key": k, "value": v, "timestamp_ms": r.start_ms, "step": 0}
                for no, r in numbered
                for k, v in r.metrics.items()
            ])  # fmt: skip
        done += len(chunk)
    with catalog.read() as c:
        if catalog.is_sqlite:
            c.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    catalog.close()
    progress(f"Twinlens: {done:,} runs written")
    return _finish(work, folder, shape)


@dataclass
class Landmarks:
    """What the questions about the million traces ask for."""

    spans: int
    trace_ids: list[str]  #: evenly over time
    huge_trace_id: str
    users: list[str]
    newest_ns: int


#: Traces of one commit, and how many of them are different: ids, times, users and sessions always are, texts repeat.
_COMMIT = 2_000
_DISTINCT = 200
_HUGE = 30_000
_STEP_NS = 2_592_000_000  # a million traces fill 30 days
TAGS = ("vip", "checkout", "regression", "beta", "escalated")


def traces(folder: Path, count: int) -> Path:
    """A telemetry file with ``count`` traces of 10 spans, scores on a tenth of them, and one trace of 30,000 spans.

    Spans go through the real decoder, dialects and prices, and into the store through its own commit, 20,000 at a time.
    """
    from twinlens.ingest.enrich import Enricher
    from twinlens.ingest.normalise import normalise
    from twinlens.ingest.otlp import decode_spans
    from twinlens.ingest.pricing import Pricer
    from twinlens.store.telemetry.duckdb import DuckDBTelemetry
    from twinlens.store.telemetry.duckdb.ddl import TABLES

    shape = _digest([TABLES, _DISTINCT, _STEP_NS])
    work = _prepared(folder, shape)
    if work is None:
        return folder
    begun = time.monotonic()
    enricher = Enricher(Pricer(lambda _: []))
    store = DuckDBTelemetry.open(work / TELEMETRY, memory_limit="4GB", checkpoint_threshold="1GB")
    start_ns = time.time_ns() - count * _STEP_NS
    maker = _Clones(random.Random(3), start_ns)
    writer = workload.TraceWriter(seed=21, start_ns=start_ns)
    marks = Landmarks(
        spans=0, trace_ids=[], huge_trace_id="", users=[f"user-{i * 97 % USERS}" for i in range(50)], newest_ns=0
    )
    done = 0
    while done < count:
        body = writer.request(_DISTINCT).SerializeToString()
        spans, _ = normalise(decode_spans(body))
        enricher.enrich(spans, PROJECT)
        templates = _templates(spans)
        rows = maker.rows(templates, done, min(_COMMIT, count - done))
        if done <= count // 2 < done + _COMMIT:
            marks.huge_trace_id = maker.huge(rows, templates, start_ns + done * _STEP_NS)
        marks.spans += len(rows.spans)
        marks.trace_ids.append(rows.summaries[len(rows.summaries) // 2].trace_id)
        marks.newest_ns = rows.summaries[-1].start_ns
        store.commit(WriteSet(projects={PROJECT: rows}))
        done += min(_COMMIT, count - done)
        if done % 100_000 == 0:
            progress(f"Twinlens: {done:,} traces written, {marks.spans / (time.monotonic() - begun):,.0f} spans/s")
    store.checkpoint()
    store.close()
    (work / "landmarks.json").write_bytes(msgspec.json.encode(marks))
    return _finish(work, folder, shape)


def landmarks(folder: Path) -> Landmarks:
    """What ``traces`` noted about its folder."""
    return msgspec.json.decode((folder / "landmarks.json").read_bytes(), type=Landmarks)


USERS = 10_000
TELEMETRY = "telemetry.duckdb"


def _templates(spans: list[Span]) -> list[tuple[TraceSummary, list[Span]]]:
    by_trace: dict[str, list[Span]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    return [(_summary(trace_id, of), of) for trace_id, of in by_trace.items()]


def _summary(trace_id: str, spans: list[Span]) -> TraceSummary:
    made = summary.new_summary(trace_id, 0)
    changes: list[summary.Change] = [(None, span) for span in spans]
    summary.note_reporters(made, changes)
    summary.add_spans(made, changes)
    return made


class _Clones:
    """Many traces out of few."""

    def __init__(self, rng: random.Random, start_ns: int) -> None:
        self._rng = rng
        self._start_ns = start_ns

    def rows(self, templates: list[tuple[TraceSummary, list[Span]]], first: int, count: int) -> ProjectRows:
        """``count`` traces, numbered from ``first``, in time order."""
        rng = self._rng
        rows = ProjectRows(spans=[], summaries=[], scores=[], usage={})
        for index in range(first, first + count):
            shape, spans = templates[index % len(templates)]
            start = self._start_ns + index * _STEP_NS
            made = self._trace(rows, shape, spans, start)
            if rng.random() < 0.1:
                rows.scores.append(
                    Score(
                        score_id=f"score-{index}", name="quality", value=round(rng.random(), 3), trace_id=made.trace_id,
                        source="judge", timestamp_ns=start, created_ns=start, updated_ns=start,
                    )
                )  # fmt: skip
        return rows

    def _trace(self, rows: ProjectRows, shape: TraceSummary, spans: list[Span], start: int) -> TraceSummary:
        rng = self._rng
        trace_id = rng.randbytes(16).hex()
        user = f"user-{rng.randrange(USERS)}"
        session = f"session-{user}-{rng.randrange(20)}"
        shift = start - shape.start_ns
        ids = {span.span_id: rng.randbytes(8).hex() for span in spans}
        for span in spans:
            clone = replace(
                span, trace_id=trace_id, span_id=ids[span.span_id], parent_id=ids.get(span.parent_id or ""),
                start_ns=span.start_ns + shift, end_ns=(span.end_ns or 0) + shift, user_id=user, session_id=session,
            )  # fmt: skip
            rows.spans.append(clone)
            add_usage(rows.usage, clone, 1)
        tags = [tag for tag in TAGS if rng.random() < 0.03]
        made = replace(
            shape, trace_id=trace_id, start_ns=start, end_ns=(shape.end_ns or 0) + shift, user_id=user, session_id=session,
            root_span_id=ids[shape.root_span_id or ""], tags=tags, created_ns=start, updated_ns=start,
        )  # fmt: skip
        rows.summaries.append(made)
        return made

    def huge(self, rows: ProjectRows, templates: list[tuple[TraceSummary, list[Span]]], start: int) -> str:
        """Adds one trace of 30,000 spans: a root, 300 agents below it, 99 calls below each."""
        rng = self._rng
        trace_id = rng.randbytes(16).hex()
        root_id = rng.randbytes(8).hex()
        calls = [span for _, spans in templates[:20] for span in spans[4:]]
        spans = [
            replace(
                templates[0][1][0],
                trace_id=trace_id,
                span_id=root_id,
                parent_id=None,
                start_ns=start,
                end_ns=start + 10**12,
            )
        ]
        agent = templates[0][1][1]
        for number in range((_HUGE - 1) // 100 + 1):
            agent_id = rng.randbytes(8).hex()
            at = start + number * 10**9
            spans.append(
                replace(agent, trace_id=trace_id, span_id=agent_id, parent_id=root_id, start_ns=at, end_ns=at + 10**9)
            )
            for call in range(99):
                of = calls[(number + call) % len(calls)]
                spans.append(
                    replace(
                        of, trace_id=trace_id, span_id=rng.randbytes(8).hex(), parent_id=agent_id,
                        start_ns=at + call * 10**7, end_ns=at + call * 10**7 + 8 * 10**6,
                    )
                )  # fmt: skip
        del spans[_HUGE:]
        rows.spans.extend(spans)
        for span in spans:
            add_usage(rows.usage, span, 1)
        rows.summaries.append(_summary(trace_id, spans))
        return trace_id
