"""``python -m bench``: every measurement, all servers, one table, ``RESULTS.md``.

python -m bench                         # everything but the million traces; under 20 minutes
python -m bench --big                   # with them
python -m bench --quick --dry           # does the runner work? a few minutes, writes nothing
python -m bench --servers twinlens --suites otlp,tracking --dry
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench import report, rows
from bench.book import Book
from bench.envs import ensure
from bench.report import progress
from bench.servers import SERVERS, Server, Twinlens
from bench.suites import (
    Effort,
    big,
    corpus,
    disk,
    langfuse,
    moves,
    otlp,
    points,
    prompts,
    reads,
    scale,
    sdk,
    start,
    tracking,
    troubles,
)

SUITES = (
    "start", "tracking", "points", "otlp", "reads", "prompts", "langfuse", "disk", "scale", "sdk", "troubles", "migrate",
)  # fmt: skip


def _server(kind: type[Server], folder: Path, book: Book, effort: Effort, suites: list[str]) -> None:
    """All suites of one server; a suite that fails costs its own rows only."""
    starts = []
    if "start" in suites and kind.start_limit and effort.repeats > 1 and kind is SERVERS["twinlens"]:
        for index in range(4):
            with kind(folder / f"start-{index}") as server:
                starts.append(server.cold_start)
    if set(suites) & {"start", "tracking", "points", "otlp", "reads", "prompts", "langfuse"}:
        _step(
            f"{kind.name}: all of one process",
            lambda: _one_process(kind(folder / "main"), book, effort, suites, starts),
        )
    # More workers store nothing differently and search no faster: one of MLflow's columns is enough.
    if "disk" in suites and kind is not SERVERS["mlflow"]:
        _step(f"{kind.name}: disk", lambda: disk.measure(kind, folder / "disk", book, effort))
    if "scale" in suites and kind in (SERVERS["twinlens"], SERVERS["mlflow-1"]):
        _step(f"{kind.name}: scale", lambda: scale.measure(kind, folder / "scale", book, effort))


def _one_process(server: Server, book: Book, effort: Effort, suites: list[str], starts: list[float]) -> None:
    steps = {
        "start": lambda: start.measure(server, book, effort, starts),
        "tracking": lambda: tracking.measure(server, book, effort) if server.speaks_mlflow else None,
        "points": lambda: points.measure(server, book, effort) if server.speaks_mlflow else None,
        "otlp": lambda: otlp.measure(server, book, effort),
        "reads": lambda: reads.measure(server, book, effort),
        "prompts": lambda: prompts.measure(server, book, effort) if isinstance(server, Twinlens) else None,
        "langfuse": lambda: langfuse.ingestion(server, book, effort) if isinstance(server, Twinlens) else None,
    }
    with server:
        for name, step in steps.items():
            if name in suites:
                _step(f"{server.name}: {name}", step)


FAILURES: list[str] = []


def _step(name: str, step: Callable[[], object]) -> None:
    begun = time.monotonic()
    try:
        step()
    except Exception as error:
        FAILURES.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
        progress(f"{name}: FAILED\n{traceback.format_exc()}")
    else:
        progress(f"{name}: {time.monotonic() - begun:.0f} s")


def main() -> None:
    """Parse the arguments, measure, report."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", default=",".join(SERVERS), help="comma-separated; default: %(default)s")
    parser.add_argument("--suites", default=",".join(SUITES), help="comma-separated; default: %(default)s")
    parser.add_argument(
        "--big", action="store_true", help="also 1,000,000 traces / 10,000,000 spans (made once, kept in bench/data)"
    )
    parser.add_argument(
        "--langfuse",
        type=int,
        metavar="TRACES",
        help="also Langfuse's endpoints among this many traces of ten observations",
    )
    parser.add_argument("--big-traces", type=int, default=1_000_000, help="number of traces of --big")
    parser.add_argument("--prepare", action="store_true", help="only make peers' environments and the cached data")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: checks the runner")
    parser.add_argument("--dry", action="store_true", help="print the table, leave RESULTS.md alone")
    options = parser.parse_args()
    effort = Effort.quick() if options.quick else Effort()
    if options.big:
        effort = replace(effort, peer_scales=(*effort.peer_scales, 100_000))
    names = [name for name in options.servers.split(",") if name]
    suites = [name for name in options.suites.split(",") if name]
    if options.big or set(suites) - {"sdk", "troubles", "migrate"}:
        for name in ("mlflow", "phoenix"):
            ensure(name)  # the mlflow client is also a load generator
    if options.prepare:
        for count in effort.scales:
            corpus.runs(effort.data / f"runs-{count}", count)
        if options.big:
            corpus.traces(effort.data / f"traces-{options.big_traces}", options.big_traces)
        return
    book = rows.book()
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="twinlens-bench-"))
    try:
        for name in names:
            if suites:
                _server(SERVERS[name], folder / name, book, effort, suites)
        if "sdk" in suites:
            _step("SDKs", lambda: sdk.measure(folder / "sdk", book, effort))
        if "troubles" in suites:
            _step("SDK: troubles", lambda: troubles.measure(folder / "troubles", book, effort))
        if "migrate" in suites:
            _step("Twinlens: migrate", lambda: moves.measure(folder / "moves", book, effort))
        if options.langfuse:
            _step("Twinlens: Langfuse", lambda: langfuse.big(folder / "langfuse", book, effort, options.langfuse))
        if options.big:
            _step("Twinlens: big", lambda: big.measure(folder / "big", book, effort, options.big_traces))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.terminal(book)
    if not options.dry:
        versions = {SERVERS[name].name: SERVERS[name](folder).version() for name in names if name != "mlflow-1"}
        remarks = report.RESULTS.with_name("REMARKS.md")
        failed = "".join(f"\n- not measured: {line}" for line in FAILURES)
        text = report.markdown(
            book,
            versions,
            sys.argv[1:],
            (time.monotonic() - begun) / 60,
            (remarks.read_text() if remarks.exists() else "") + failed,
        )
        report.RESULTS.write_text(text)
        progress(f"wrote {report.RESULTS}")


if __name__ == "__main__":
    main()
