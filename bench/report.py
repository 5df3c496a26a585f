"""The book as a table on the terminal and as ``RESULTS.md``."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.book import Book, Row, show

OURS = "Twinlens"
RESULTS = Path(__file__).resolve().parent / "RESULTS.md"


def machine() -> str:
    """Processor, cores, memory, system, Python."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(os.sched_getaffinity(0))} cores of {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _verdict(row: Row) -> str:
    met = row.met()
    return "" if met is None else ("met" if met else "missed")


def _ratio(row: Row, peer: str) -> str:
    ratio = row.ratio(peer)
    if ratio is None:
        return ""
    return f"{ratio:,.0f}×" if ratio >= 10 else f"{ratio:.1f}×"


def _columns(book: Book) -> list[str]:
    """Servers with a figure, ours first."""
    names: list[str] = []
    for row in book.filled():
        names += [name for name in row.cells if name not in names]
    return sorted(names, key=lambda name: (name != OURS, names.index(name)))


def _cells(row: Row, columns: list[str]) -> list[str]:
    texts = []
    for name in columns:
        cell = row.cells.get(name)
        text = "" if cell is None else show(cell.value, row.unit)
        if cell is not None and name != OURS and (ratio := _ratio(row, name)):
            text += f" ({ratio})"
        texts.append(text)
    return texts


def terminal(book: Book, console: Console | None = None) -> None:
    """One table; peers' cells hold how many times better Twinlens is."""
    columns = _columns(book)
    table = Table(title="Twinlens against its peers: medians; in brackets how many times better Twinlens is")
    table.add_column("What")
    table.add_column("Target")
    for name in columns:
        table.add_column(name, justify="right")
    table.add_column("")
    for row in book.filled():
        verdict = _verdict(row)
        colour = {"met": "[green]met", "missed": "[red]missed"}.get(verdict, "")
        table.add_row(row.what, row.target.text if row.target else "", *_cells(row, columns), colour)
    (console or Console(width=None if sys.stdout.isatty() else 170)).print(table)


def markdown(book: Book, versions: dict[str, str], arguments: list[str], minutes: float, remarks: str = "") -> str:
    """The text of ``RESULTS.md``."""
    columns = _columns(book)
    lines = [
        "# Results",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {machine()}. Command: `{' '.join(['python -m bench', *arguments])}`, {minutes:.0f} minutes.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
        "Load generator and server share the machine. Figures are medians of the repeats; brackets in a peer's column say how many",
        "times better Twinlens is. How each line is measured: `README.md` in this folder.",
        "",
        "| What | Target | " + " | ".join(columns) + " | |",
        "|---|---|" + "---:|" * len(columns) + "---|",
    ]
    for row in book.filled():
        target = row.target.text if row.target else ""
        lines.append(f"| {row.what} | {target} | " + " | ".join(_cells(row, columns)) + f" | {_verdict(row)} |")
    notes = [
        f"- **{row.what}**, {name}: " + "; ".join(filter(None, (_spread(row, name), cell.note.replace("|", "\\|"))))
        for row in book.filled()
        for name, cell in row.cells.items()
        if cell.note or cell.spread
    ]
    if notes:
        lines += ["", "## Spread of the repeats, and what happened on the way", "", *notes]
    if remarks:
        lines += ["", remarks.strip()]
    return "\n".join(lines) + "\n"


def _spread(row: Row, name: str) -> str:
    spread = row.cells[name].spread
    return f"{show(spread[0], row.unit)} … {show(spread[1], row.unit)}" if spread else ""


def progress(text: str) -> None:
    """One line on stderr, so that the table on stdout stays clean."""
    print(f"[{datetime.now():%H:%M:%S}] {text}", file=sys.stderr, flush=True)
