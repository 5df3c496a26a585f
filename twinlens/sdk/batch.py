"""What backends get at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinlens.sdk.note import Note
    from twinlens.sdk.runs import RunRecord
    from twinlens.sdk.score import Score


@dataclass(slots=True)
class Batch:
    """What the backends get: OTLP spans (shared: copy before changing), scores, agent runs that ended, and what came after them."""

    request: Any
    scores: list[Score]
    runs: list[RunRecord] = field(default_factory=list)
    late_scores: list[Score] = field(default_factory=list)
    late_notes: list[Note] = field(default_factory=list)
