"""Turns the spans of one agent run into one tracked run: parameters, metrics, artifacts. Export thread only."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twinlens.sdk.encode import attributes_of, loads, plain_span, spans_of
from twinlens.sdk.note import Note
from twinlens.sdk.score import Score

log = logging.getLogger("twinlens")
#: Traces whose spans are remembered until their root ends.
OPEN_TRACES = 256
#: Spans kept for the trace artifact of one run; further ones still count in its metrics.
KEPT_SPANS = 2_000
_NAME = re.compile(r"[^\w./ -]+")
_AGENTIC = (
    "langfuse.observation.type", "gen_ai.operation.name", "gen_ai.system", "gen_ai.provider.name",
    "openinference.span.kind", "traceloop.span.kind", "mlflow.spanType",
)  # fmt: skip
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
_MODEL = ("langfuse.observation.model.name", "gen_ai.response.model", "gen_ai.request.model", "llm.model_name")
_COST = ("gen_ai.usage.cost", "operation.cost", "llm.cost.total")
_WRAPPERS = ("agent", "chain", "workflow", "invoke_agent", "invoke_workflow", "tool", "execute_tool")


@dataclass(slots=True)
class RunRecord:
    """One agent run, ready to be tracked. Times are Unix milliseconds."""

    trace_id: str
    name: str
    start_ms: int
    end_ms: int
    failed: bool
    params: dict[str, str]
    metrics: dict[str, float]
    trace: dict[str, Any]
    points: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    files: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def plain(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class _Open:
    input: float = 0
    output: float = 0
    cost: float | None = None
    model: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    calls: int = 0
    tools: int = 0
    errors: int = 0
    count: int = 0
    agentic: bool = False
    below: set[bytes] = field(default_factory=set)
    wrapper_usage: tuple[float, float, float | None] = (0, 0, None)
    spans: list[dict[str, Any]] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


class RunBuilder:
    """Collects spans by trace; gives a ``RunRecord`` when a trace's root span has ended.

    Usage counts once: what a wrapping agent or workflow span repeats is only used when no model span below reported any.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._done: OrderedDict[str, bool] = OrderedDict()  # whether the trace was an agent run
        self._warned = False

    def _trace(self, trace_id: str) -> _Open:
        found = self._open.get(trace_id)
        if found is None:
            found = self._open[trace_id] = _Open()
            if len(self._open) > OPEN_TRACES:
                self._open.popitem(last=False)
        return found

    def take(
        self, request: Any, scores: list[Score], notes: Sequence[Note] = ()
    ) -> tuple[list[RunRecord], list[Score], list[Note]]:
        """Runs that are complete now, and the scores and notes that came after their run."""
        late_notes = [note for note in notes if self._late(note)]
        late: list[Score] = []
        for score in scores:
            if score.trace_id in self._done or (score.elsewhere and score.trace_id not in self._open):
                late.append(score)
            else:
                self._trace(score.trace_id).scores.append(score)
        records: list[RunRecord] = []
        for span in sorted(spans_of(request), key=lambda s: s.end_time_unix_nano):
            trace_id = span.trace_id.hex()
            trace = self._trace(trace_id)
            attributes = attributes_of(span)
            self._count(trace, span, attributes)
            if span.parent_span_id:
                continue
            del self._open[trace_id]
            if trace.agentic:
                records.append(_record(trace_id, span, attributes, trace))
            self._done[trace_id] = trace.agentic
            if len(self._done) > 4 * OPEN_TRACES:
                self._done.popitem(last=False)
        return records, late, late_notes

    def _late(self, note: Note) -> bool:
        """Keep a note for its run; True when that run is over."""
        was_run = self._done.get(note.trace_id)
        if was_run is None:
            trace = self._trace(note.trace_id)
            trace.notes.append(note)
            trace.agentic = True
        elif not was_run and not self._warned:
            self._warned = True
            log.warning(
                "twinlens: log_%s(%r) came after its trace had ended; a trace without agent, model or tool spans has no run, so it "
                "is dropped (said once)", note.kind, note.key,
            )  # fmt: skip
        return bool(was_run)

    @staticmethod
    def _count(trace: _Open, span: Any, attributes: dict[str, Any]) -> None:
        trace.count += 1
        trace.errors += span.status.code == 2
        if len(trace.spans) < KEPT_SPANS:
            trace.spans.append(plain_span(span))
        kind = str(_first(attributes, _AGENTIC) or "").lower()
        trace.agentic = trace.agentic or bool(kind)
        usage = loads(attributes.get("langfuse.observation.usage_details"))
        usage = usage if isinstance(usage, dict) else {}
        given = (
            _number(usage.get("input", usage.get("input_tokens"))),
            _number(usage.get("output", usage.get("output_tokens"))),
        )
        used_in = given[0] if given[0] is not None else _number(_first(attributes, _INPUT))
        used_out = given[1] if given[1] is not None else _number(_first(attributes, _OUTPUT))
        costs = loads(attributes.get("langfuse.observation.cost_details"))
        cost = _number(_first(attributes, _COST))
        if isinstance(costs, dict):
            parts = [n for n in (_number(v) for k, v in costs.items() if k != "total") if n is not None]
            cost = _number(costs.get("total", sum(parts) if parts else None))
        if kind in ("tool", "execute_tool"):
            trace.tools += 1
        if used_in is None and used_out is None and cost is None:
            return
        if kind in _WRAPPERS:
            trace.wrapper_usage = (used_in or 0, used_out or 0, cost)
            return
        if span.span_id in trace.below:  # a wrapper around a call that was counted
            trace.below.add(span.parent_span_id)
            return
        trace.below.add(span.parent_span_id)
        trace.calls += 1
        trace.input += used_in or 0
        trace.output += used_out or 0
        if cost is not None:
            trace.cost = (trace.cost or 0) + cost
        trace.model = trace.model or _first(attributes, _MODEL)
        parameters = loads(attributes.get("langfuse.observation.model.parameters"))
        trace.parameters = trace.parameters or (parameters if isinstance(parameters, dict) else {
            k.removeprefix("gen_ai.request."): v
            for k, v in attributes.items()
            if k.startswith("gen_ai.request.") and k != "gen_ai.request.model"
        })  # fmt: skip


def _record(trace_id: str, root: Any, attributes: dict[str, Any], trace: _Open) -> RunRecord:
    if not trace.calls:
        trace.input, trace.output, trace.cost = trace.wrapper_usage
    params: dict[str, Any] = {"agent": attributes.get("gen_ai.agent.name") or root.name}
    model = trace.model or _first(attributes, _MODEL)
    if model:
        params["model"] = model
    params |= trace.parameters
    prefix = "langfuse.observation.metadata."
    params |= {k.removeprefix(prefix): v for k, v in attributes.items() if k.startswith(prefix)}
    metrics: dict[str, float] = {
        "latency_s": (root.end_time_unix_nano - root.start_time_unix_nano) / 1e9,
        "input_tokens": trace.input, "output_tokens": trace.output, "total_tokens": trace.input + trace.output,
        "llm_calls": trace.calls, "tool_calls": trace.tools, "spans": trace.count, "errors": trace.errors,
    }  # fmt: skip
    if trace.cost is not None:
        metrics["cost"] = trace.cost
    for score in trace.scores:
        if score.number is not None:
            metrics[metric_name(score.name)] = score.number
    for note in trace.notes:
        if note.kind == "param":
            params[note.key] = note.value
        elif note.kind == "metric" and note.step is None:
            metrics[metric_name(note.key)] = note.value
    points = [point(n) for n in trace.notes if n.kind == "metric" and n.step is not None]
    return RunRecord(
        points=points, files=[(n.key, n.value) for n in trace.notes if n.kind == "artifact"],
        trace_id=trace_id, name=root.name, start_ms=root.start_time_unix_nano // 1_000_000,
        end_ms=root.end_time_unix_nano // 1_000_000, failed=root.status.code == 2,
        params={metric_name(str(k)): param_value(v) for k, v in list(params.items())[:80]},
        metrics=metrics, trace={"trace_id": trace_id, "spans": trace.spans, "scores": [s.plain() for s in trace.scores]},
    )  # fmt: skip


def point(note: Note) -> dict[str, Any]:
    """A noted metric as MLflow takes it."""
    stamp = note.timestamp_ns // 1_000_000
    return {"key": metric_name(note.key), "value": note.value, "timestamp": stamp, "step": note.step or 0}


def param_value(value: Any) -> str:
    """A parameter's value as text, at most MLflow's 6,000 characters."""
    return str(value)[:6000]


def metric_name(name: str) -> str:
    """A name that MLflow accepts for params and metrics: letters, digits, ``_ - . /`` and space, at most 250."""
    return _NAME.sub("_", name)[:250] or "_"


def _first(attributes: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((attributes[n] for n in names if attributes.get(n) not in (None, "")), None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
