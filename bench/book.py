"""What was measured, as data: rows, cells, targets."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """One figure of one server: the median of its samples, with a note on how it came about."""

    samples: tuple[float, ...] = ()
    note: str = ""

    @property
    def value(self) -> float | None:
        """Median; None when there is only a note ("does not answer in 60 s")."""
        return statistics.median(self.samples) if self.samples else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """Least and greatest sample, when there are several."""
        return (min(self.samples), max(self.samples)) if len(self.samples) > 1 else None


@dataclass(frozen=True)
class Target:
    """A bound from the design: at least or at most so much, and at least so many times a peer's figure."""

    at_least: float | None = None
    at_most: float | None = None
    times: float | None = None  #: ratio against ``peer``
    peer: str = "MLflow"
    text: str = ""


@dataclass
class Row:
    """One line of the table. ``unit`` is one of /s, ms, µs, s, MB, ×, '' (a count)."""

    key: str
    what: str
    unit: str
    higher_is_better: bool
    target: Target | None = None
    cells: dict[str, Cell] = field(default_factory=dict)

    def ratio(self, peer: str, ours: str = "Twinlens") -> float | None:
        """How many times better than the peer; above 1 is better whatever the direction."""
        mine, theirs = self.cells.get(ours, Cell()).value, self.cells.get(peer, Cell()).value
        if mine is None or theirs is None or not mine or not theirs:
            return None
        return mine / theirs if self.higher_is_better else theirs / mine

    def met(self, ours: str = "Twinlens") -> bool | None:
        """Whether the target is met; None without a target or a figure."""
        value = self.cells.get(ours, Cell()).value
        if self.target is None or value is None:
            return None
        if self.target.at_least is not None and value < self.target.at_least:
            return False
        if self.target.at_most is not None and value > self.target.at_most:
            return False
        if self.target.times is not None:
            ratio = self.ratio(self.target.peer)
            return ratio is not None and ratio >= self.target.times
        return True


class Book:
    """All rows in the order they are shown."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = {row.key: row for row in rows}

    def record(self, key: str, server: str, *samples: float, note: str = "") -> None:
        """Write one cell."""
        self.rows[key].cells[server] = Cell(tuple(samples), note)

    def filled(self) -> list[Row]:
        """Rows that have a cell."""
        return [row for row in self.rows.values() if row.cells]


def percentile(samples: list[float], fraction: float) -> float:
    """The sample below which ``fraction`` of all lie (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def show(value: float | None, unit: str) -> str:
    """A figure as a person reads it."""
    if value is None:
        return "–"
    if unit == "/s":
        return f"{value:,.0f}/s" if value >= 10 else f"{value:.1f}/s"
    if unit == "ms":
        return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"
    if unit == "µs":
        return f"{value:,.0f} µs"
    if unit == "s":
        return f"{value:.2f} s"
    if unit == "MB":
        return f"{value:,.0f} MB" if value >= 10 else f"{value:.2f} MB"
    if unit == "%":
        return f"{value:.0f} %" if abs(value) >= 10 else f"{value:.1f} %"
    if unit == "B":
        return f"{value:,.0f} B"
    if unit == "×":
        return f"{value:.1f} ×"
    return f"{value:,.0f}"
