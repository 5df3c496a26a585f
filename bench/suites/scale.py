"""runs/search among many runs."""
from __future__ import annotations
from pathlib import Path
from bench.book import Book
from bench.servers import Server
from bench.suites import Effort
def measure(kind: type[Server], folder: Path, book: Book, effort: Effort) -> None:
    raise NotImplementedError
