"""The million traces."""
from __future__ import annotations
from pathlib import Path
from bench.book import Book
from bench.suites import Effort
def measure(folder: Path, book: Book, effort: Effort, traces: int) -> None:
    raise NotImplementedError
