"""The bodies of Langfuse's ingestion events (``POST /api/public/ingestion``), as clients of all generations send them.

``null`` means the same as absent everywhere. ``input`` and ``output`` stay JSON text.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Level = Literal["DEBUG", "DEFAULT", "WARNING", "ERROR"]
_NOTHING = frozenset({b"", b"null", b'""'})


class Event(msgspec.Struct, kw_only=True):
    """The envelope of one event. ``id`` is the event's, not the object's."""

    id: str
    type: str
    timestamp: str
    body: msgspec.Raw


class TraceBody(msgspec.Struct, rename="camel", kw_only=True):
    """``trace-create``."""

    id: str | None = None
    timestamp: str | None = None
    name: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    metadata: Any = None
    tags: list[str] | None = None
    release: str | None = None
    version: str | None = None
    environment: str | None = None
    public: bool | None = None


class ObservationBody(msgspec.Struct, rename="camel", kw_only=True):
    """Everything that creates or updates an observation."""

    id: str | None = None
    trace_id: str | None = None
    type: str | None = None
    name: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    completion_start_time: str | None = None
    parent_observation_id: str | None = None
    level: Level | None = None
    status_message: str | None = None
    version: str | None = None
    environment: str | None = None
    metadata: Any = None
    input: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    model: str | None = None
    model_parameters: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    usage_details: dict[str, Any] | None = None
    cost_details: dict[str, Any] | None = None
    prompt_name: str | None = None
    prompt_version: int | None = None


class ScoreBody(msgspec.Struct, rename="camel", kw_only=True):
    """``score-create`` and ``POST /scores``."""

    name: str | None = None
    value: float | str | bool | None = None
    id: str | None = None
    trace_id: str | None = None
    observation_id: str | None = None
    session_id: str | None = None
    dataset_run_id: str | None = None
    data_type: str | None = None
    comment: str | None = None
    metadata: Any = None
    environment: str | None = None
    config_id: str | None = None
    queue_id: str | None = None
    source: str | None = None
    author_user_id: str | None = None
    timestamp: str | None = None


def text_of(raw: msgspec.Raw) -> str | None:
    """JSON text of a value, or None when it says nothing: absent, null or an empty string never erase."""
    data = bytes(raw)
    return None if data in _NOTHING else data.decode()
