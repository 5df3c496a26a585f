"""One module per kind of measurement. Each has functions that take a running server and write cells into the book."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Effort:
    """How long and how often to measure. ``quick`` is for checking the runner, not for figures worth keeping."""

    repeats: int = 3
    seconds: float = 5.0  #: of one repeat
    peer_seconds: float = 4.0
    peer_repeats: int = 2  #: of what keeps a peer busy long after
    runs: int = 300
    agents: int = 20
    peer_agents: int = 4
    scales: tuple[int, ...] = (10_000, 100_000)
    peer_scales: tuple[int, ...] = (10_000,)
    keys: int = 12_000  #: distinct metric keys of one experiment
    points: int = 1_000_000  #: of one metric
    peer_points: int = 1_000_000
    points_seconds: float = 400.0  #: for writing them
    moved_spans: int = 100_000  #: of one migration
    moved_runs: int = 1_000
    wait: float = 60.0  #: how long stored spans are waited for
    data: Path = Path(__file__).resolve().parent.parent / "data"

    @staticmethod
    def quick() -> Effort:
        """Seconds instead of minutes."""
        return Effort(repeats=1, peer_repeats=1, seconds=2.0, peer_seconds=2.0, runs=30, agents=2, peer_agents=1, wait=15.0,
                      scales=(1000,), peer_scales=(1000,), keys=1_000, points=10_000, peer_points=10_000, points_seconds=20.0,
                      moved_spans=2_000, moved_runs=20)  # fmt: skip
