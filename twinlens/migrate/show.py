"""Progress bars, plans and reports on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from twinlens.domain.record import RowRecord
from twinlens.migrate.plan import Plan
from twinlens.migrate.runner import Report
from twinlens.migrate.system import Source

_NOTES = 20  #: shown at most
_WIDTH = 120  #: of tables in files and pipes


class Bars:
    """One bar per kind, on stderr; nothing where nobody looks. Use as a context manager, call with (kind, records)."""

    def __init__(self, count: Callable[[str], int | None] | None = None) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._count = count or (lambda _kind: None)
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, kind: str, records: int) -> None:
        task = self._tasks.get(kind)
        if task is None:
            task = self._tasks[kind] = self._progress.add_task(kind.replace("_", " "), total=self._total(kind))
        self._progress.advance(task, records)

    def _total(self, kind: str) -> int | None:
        return self._count(kind) if self._console.is_terminal else None

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


@contextmanager
def reading(place: str) -> Generator[None]:
    """Say that a source is being read, where somebody looks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(f"reading {place}", spinner="dots"):
        yield


def show_secrets(source: Source) -> None:
    """What of an archive has secrets, which it does not hold."""
    names = [
        f"{record.table.replace('_', ' ')}: {record.values.get('name') or record.values.get('bucket') or record.id}"
        for page in (source.read("row") if "row" in source.kinds else ())
        for record in page.records
        if isinstance(record, RowRecord) and record.secret
    ]
    if names:
        Console().print("Secrets do not travel in archives. Enter them again:", *names, sep="\n  ", highlight=False)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def show_plan(plan: Plan, title: str) -> None:
    """What would be carried."""
    table = Table()
    for name in ("kind", "records", "bytes", "time"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for each in plan.estimates:
        table.add_row(
            each.kind.replace("_", " "), "not counted" if each.records is None else f"{each.records:,}",
            "" if each.bytes is None else decimal(each.bytes), "" if each.seconds is None else _time(each.seconds),
        )  # fmt: skip
    console = _console()
    console.print(title, highlight=False, markup=False, soft_wrap=True)
    console.print(table)
    console.print(f"{'About' if plan.complete else 'At least about'} {_time(plan.seconds)}. Nothing has been written.")
    if plan.left:
        console.print(f"The target has no place for: {', '.join(plan.left).replace('_', ' ')}")


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def show_report(report: Report, title: str) -> None:
    """Both sides, kind by kind."""
    table = Table()
    for name in ("kind", "carried", "found", "missing", "different", "tokens", "cost USD", "bytes"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for t in report.totals:
        table.add_row(
            t.kind.replace("_", " "), f"{t.carried:,}", f"{t.found:,}", _bad(t.missing), _bad(t.different),
            _pair(*t.tokens), _pair(*t.cost), _pair(*t.bytes),
        )  # fmt: skip
    console = _console()
    console.print(title, highlight=False, markup=False, soft_wrap=True)
    console.print(table)


def show_notes(source: Source) -> None:
    """What a source has left out, and why."""
    notes: list[str] = getattr(source, "notes", [])
    console = Console(stderr=True)
    for note in notes[:_NOTES]:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    if len(notes) > _NOTES:
        console.print(f"note: {len(notes) - _NOTES:,} more of this kind", highlight=False)


def _bad(count: int) -> str:
    return f"[bold red]{count:,}[/]" if count else "0"


def _pair(there: float, here: float) -> str:
    """One figure when both sides agree, else both."""
    if abs(there - here) < 1e-6:
        return f"{there:,.6g}" if there else ""
    return f"[bold red]{there:,.6g} ≠ {here:,.6g}[/]"
