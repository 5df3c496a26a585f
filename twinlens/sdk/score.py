"""One judgement about a trace or a span, as the SDK hands it to backends."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Score:
    """A score. ``span_id`` None: it is about the whole trace. Ids are lower-case hex; times are Unix nanoseconds."""

    name: str
    value: float | str | bool
    trace_id: str
    span_id: str | None = None
    data_type: str = ""
    comment: str | None = None
    metadata: dict[str, Any] | None = None
    source: str = "CODE"  #: CODE or HUMAN
    author: str | None = None  #: who judged
    score_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    timestamp_ns: int = field(default_factory=time.time_ns)
    elsewhere: bool = False  #: the program named the trace, so another process may have made it

    def __post_init__(self) -> None:
        if not self.data_type:
            numeric = isinstance(self.value, (int, float))
            self.data_type = "BOOLEAN" if isinstance(self.value, bool) else "NUMERIC" if numeric else "CATEGORICAL"
        self.data_type = self.data_type.upper()

    @property
    def number(self) -> float | None:
        """The value as a number, if it is one."""
        return float(self.value) if isinstance(self.value, (int, float)) else None

    def plain(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)

    def langfuse_event(self) -> dict[str, Any]:
        """A ``score-create`` event of Langfuse's ``/api/public/ingestion`` (same in server majors 2 to 4)."""
        from datetime import UTC, datetime  # here, because the agent's start must not pay for it

        moment = datetime.fromtimestamp(self.timestamp_ns / 1e9, UTC).isoformat()
        body: dict[str, Any] = {
            "id": self.score_id, "traceId": self.trace_id, "observationId": self.span_id, "name": self.name,
            "value": float(self.value) if self.data_type in ("NUMERIC", "BOOLEAN") else str(self.value),
            "dataType": self.data_type, "comment": self.comment, "metadata": self.metadata, "timestamp": moment,
        }  # fmt: skip
        if self.source != "CODE" or self.author:
            body["metadata"] = {**(self.metadata or {}), "source": self.source, "author": self.author}
        body = {key: value for key, value in body.items() if value is not None}
        return {"id": f"event-{self.score_id}", "type": "score-create", "timestamp": moment, "body": body}
