"""What writers say about a trace as a whole, brought into its summary.

Authorities (reference: MLflow's two writers in any order, ``mlflow.md`` 2.10; Langfuse merge, ``langfuse.md`` 3.1):
``spans`` < ``client`` < ``final``. A field a higher authority has set is not changed by a lower one. Among equals the
latest statement (``said_ns``) wins; a missing ``said_ns`` means now. Nothing said never erases. Environment and start are
immutable once a client has set them; ``final`` may still fix the start. Tags, linked runs and prompts are united, metadata
deep-merged.
"""

from __future__ import annotations

from typing import Any

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.merge import deep_union
from twinlens.domain.preview import preview
from twinlens.domain.trace import TracePatch, TraceSummary

_FIELDS = (
    "name", "user_id", "session_id", "environment", "release", "version", "public", "bookmarked", "client_request_id",
    "status", "start_ns", "end_ns", "input", "output", "input_preview", "output_preview",
)  # fmt: skip
_FINAL = frozenset({"status", "start_ns", "end_ns", "input_preview", "output_preview"})
_IMMUTABLE = frozenset({"environment", "start_ns"})


def apply_patch(summary: TraceSummary, patch: TracePatch, now_ns: int) -> None:
    """Change ``summary`` in place.

    Raises:
        InvalidArgument: the trace lives in another experiment.
    """
    if patch.experiment_id is not None:
        assign_experiment(summary, patch.experiment_id)
    said = patch.said_ns or now_ns
    for name in _FIELDS:
        value = getattr(patch, name)
        if value is not None and value != "":
            _say(summary, name, value, said, patch.authority)
    _unite(summary, patch, said)
    if patch.authority != "spans":
        if patch.usage:
            summary.usage = {**patch.usage, "total": patch.usage.get("total", sum(patch.usage.values()))}
            summary.client_usage = True
            summary.usage_source = "client"
            _claim(summary, "usage")
        if patch.cost:
            summary.cost = {**patch.cost, "total": patch.cost.get("total", sum(patch.cost.values()))}
            _claim(summary, "cost")
    if patch.authority == "final":
        summary.final = True


def assign_experiment(summary: TraceSummary, experiment_id: str) -> None:
    """Put a trace into an experiment. A trace nobody has assigned may be moved; an assigned one may not.

    Raises:
        InvalidArgument: it was assigned to another one.
    """
    if "experiment_id" in summary.client_fields and summary.experiment_id != experiment_id:
        raise InvalidArgument(
            f"trace {summary.trace_id} belongs to experiment {summary.experiment_id}, not to experiment {experiment_id}"
        )
    summary.experiment_id = experiment_id
    _claim(summary, "experiment_id")


def _claim(summary: TraceSummary, name: str) -> None:
    if name not in summary.client_fields:
        summary.client_fields |= {name}


def _say(summary: TraceSummary, name: str, value: Any, said: int, authority: str) -> None:
    origins = summary.state.origins
    claimed = name in summary.client_fields
    if authority == "spans":
        if claimed or said < origins.get(name, 0):
            return
    elif claimed:
        if summary.final and name in _FINAL and authority != "final":
            return
        # the final word overrides the immutability that holds among clients
        if authority != "final" and (name in _IMMUTABLE or said < origins.get(name, 0)):
            return
    if authority != "spans":
        _claim(summary, name)
    origins[name] = said
    setattr(summary, name, value)
    if name in ("input", "output") and f"{name}_preview" not in summary.client_fields:
        setattr(summary, f"{name}_preview", preview(value))


def _unite(summary: TraceSummary, patch: TracePatch, said: int) -> None:
    if patch.tags is not None:
        summary.tags = sorted(set(patch.tags) if patch.replace_tags else {*summary.tags, *patch.tags})
    if patch.tag_values:
        values = {**summary.tag_values, **patch.tag_values}
        summary.tag_values = {k: v for k, v in values.items() if v is not None}
    if patch.metadata:
        origins = summary.state.origins
        older = said < origins.get("metadata", 0)
        summary.metadata = (
            deep_union(patch.metadata, summary.metadata) if older else deep_union(summary.metadata, patch.metadata)
        )
        origins["metadata"] = max(said, origins.get("metadata", 0))
    if patch.run_ids:
        summary.run_ids = sorted({*summary.run_ids, *patch.run_ids})
    if patch.prompts:
        summary.prompts = sorted({*summary.prompts, *patch.prompts})
