"""Decoded spans to canonical ones: runs the dialect plans and joins what depends on several attributes.

Raw attributes are always kept on the span, together with the name of the rule that filled each field, so that changed
rules can be run again over stored data. A span keeps the name its exporter gave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twinlens.domain.otlp import RawSpan
from twinlens.domain.trace import Scope, Span, SpanEvent, TracePatch
from twinlens.ingest import usage as usage_shapes
from twinlens.ingest.dialects.genai import with_system
from twinlens.ingest.dialects.plan import COMBINED, FIRST_TOKEN_EVENTS, Plan, Planner, Step, planner_for
from twinlens.ingest.dialects.rule import Source, text
from twinlens.ingest.logs import FROM_EVENTS, content_of_events

#: Resource attributes that describe the sender's machinery and are no use as trace tags (reference: MLflow).
_NO_TAGS = ("telemetry.sdk.", "mlflow.")
_ENVIRONMENT = ("langfuse.environment", "deployment.environment.name", "deployment.environment")
#: Rules that outrank messages in events.
_ABOVE_EVENTS = ("langfuse:", "vercel:")


class _Group:
    """What spans of one resource and scope share."""

    __slots__ = ("fields", "planner", "resource", "scope", "tag_values")

    def __init__(self, resource: dict[str, Any], scope: Scope) -> None:
        # held so that their ids, which are the group's key, stay theirs
        self.resource = resource
        self.scope = scope
        self.planner: Planner = planner_for(
            Source(
                scope=scope,
                sdk_language=str(resource.get("telemetry.sdk.language") or ""),
                sdk_name=str(resource.get("telemetry.sdk.name") or ""),
            )
        )
        fields = {
            "environment": next((e for e in (text(resource.get(k)) for k in _ENVIRONMENT) if e), None),
            "release": text(resource.get("langfuse.release")),
            "version": text(resource.get("langfuse.version")) or text(resource.get("service.version")),
            "service": text(resource.get("service.name")),
        }
        self.fields: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        self.tag_values: dict[str, str | None] = {
            key: value
            for key, value in ((k, text(v)) for k, v in resource.items() if not k.startswith(_NO_TAGS))
            if value is not None
        }


#: When the spans of a trace said a field, or an entry (second) of one that is a map: the start of the latest that did.
_Said = dict[tuple[str, str | None], int]

#: Exporters that know more about a span than plain OTLP says (see ``domain.merge.SOURCE_RANK``).
_SOURCES = {"langfuse": "langfuse", "mlflow": "mlflow"}


def normalise(raw_spans: Sequence[RawSpan]) -> tuple[list[Span], list[TracePatch]]:
    """Canonical spans in the order given, and what they say about their traces: a patch per trace and time of saying.

    Args:
        raw_spans: decoded spans; their ``resource`` and ``scope`` objects are shared by reference, also by the result.
    """
    groups: dict[tuple[int, int], _Group] = {}
    spans: list[Span] = []
    patches: dict[str, TracePatch] = {}
    said: dict[str, _Said] = {}
    for raw in raw_spans:
        key = (id(raw.resource), id(raw.scope))
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(raw.resource, raw.scope)
        plan = group.planner.plan(raw.attributes)
        span = _span(raw, group, plan)
        spans.append(span)
        if plan.trace or group.tag_values or plan.collected:
            _patch(patches, said, raw, span, group, plan)
    return spans, [part for patch in patches.values() for part in _by_time(patch, said.get(patch.trace_id))]


def _span(raw: RawSpan, group: _Group, plan: Plan) -> Span:
    attributes = raw.attributes
    rules = plan.names
    found = group.fields.copy()
    missed: dict[str, str | None] = {}
    if plan.direct:
        _run(plan.direct, attributes, found, missed)
    for field, entries in plan.collected:
        if not field.startswith("trace."):
            collected = _collect(entries, attributes)
            if collected:
                found[field] = collected
            else:
                missed[field] = None
    status = raw.status
    if "level" not in found:
        if status == "error":
            found["level"] = "ERROR"
    elif status == "unset" and found["level"] == "ERROR":
        status = "error"
    end_ns = raw.end_ns
    if end_ns is not None and end_ns < raw.start_ns:
        end_ns = raw.start_ns
    span = Span(
        trace_id=raw.trace_id,
        span_id=raw.span_id,
        parent_id=raw.parent_id if raw.parent_id != raw.span_id else None,  # its own parent: a loop for every reader
        name=raw.name,
        start_ns=raw.start_ns or end_ns or 0,
        end_ns=end_ns,
        status=status,
        attributes=attributes,
        events=raw.events,
        links=raw.links,
        resource=raw.resource,
        scope=raw.scope,
        otel_kind=raw.otel_kind,
        trace_state=raw.trace_state,
        dialect=plan.dialect,
        source=_SOURCES.get(plan.dialect, "otlp"),
        **found,
    )
    if plan.usage:
        span.usage = _usage(plan.usage, attributes, missed)
        if span.usage:
            span.usage_source = "client"
    if plan.cost:
        span.cost = _cost(plan.cost, attributes, missed)
        if span.cost:
            span.cost_source = "client"
    if plan.special:
        _special(plan, span, missed)
    if raw.events:
        _events(span, raw.events, plan, missed)
    if status == "error" and not span.status_message:
        span.status_message = raw.status_message or _exception(raw.events)
    elif raw.status_message and not span.status_message:
        span.status_message = raw.status_message
    if span.prompt_version is not None and span.prompt_name is None:
        span.prompt_version = None  # a version of nothing
        missed["prompt_version"] = None
    span.rules = _rules(rules, missed) if missed else rules
    return span


def _rules(first: dict[str, str], missed: dict[str, str | None]) -> dict[str, str]:
    """The rules that filled the fields: the best candidates, except where those yielded nothing."""
    return {field: rule for field, rule in {**first, **missed}.items() if rule is not None}


def _run(
    steps: tuple[Step, ...], attributes: dict[str, Any], found: dict[str, Any], missed: dict[str, str | None]
) -> None:
    """Fill fields by their best candidate that yields; note where that was not the first."""
    for field, candidates in steps:
        name, key, read = candidates[0]
        value = read(attributes if key is None else attributes[key])
        if value is None:
            missed[field] = None
            for name, key, read in candidates[1:]:
                value = read(attributes if key is None else attributes[key])
                if value is not None:
                    missed[field] = name
                    break
            else:
                continue
        found[field] = value


def _collect(entries: tuple[Any, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    collected: dict[str, Any] = {}
    for name, rule, key, read in entries:
        value = read(attributes[key])
        if value is None:
            continue
        if name is not None:
            collected[name] = value
        elif isinstance(value, dict):
            collected.update(value)
        else:
            # Langfuse: metadata that is no object hangs under its own name
            collected[rule.rsplit(".", 1)[-1].rsplit(":", 1)[-1]] = value
    return collected


def _usage(steps: tuple[Step, ...], attributes: dict[str, Any], missed: dict[str, str | None]) -> dict[str, int]:
    found: dict[str, Any] = {}
    local: dict[str, str | None] = {}
    if steps[0][0] == "usage":
        _run(steps[:1], attributes, found, local)
        if found:
            counted = usage_shapes.from_mapping(found["usage"], flat_included=steps[0][1][0][0].startswith("mlflow:"))
            if counted:
                missed.update({"usage." + f: None for f, _ in steps[1:]})
                missed.update(local)
                return counted
        missed["usage"] = None
        steps = steps[1:]
    found, local = {}, {}
    _run(steps, attributes, found, local)
    missed.update({"usage." + k: v for k, v in local.items()})
    return usage_shapes.from_slots(found)


def _cost(steps: tuple[Step, ...], attributes: dict[str, Any], missed: dict[str, str | None]) -> dict[str, float]:
    found: dict[str, Any] = {}
    local: dict[str, str | None] = {}
    if steps[0][0] == "cost":
        _run(steps[:1], attributes, found, local)
        if found:
            cost = usage_shapes.cost_from_mapping(found["cost"])
            if cost:
                missed.update({"cost." + f: None for f, _ in steps[1:]})
                missed.update(local)
                return cost
        missed["cost"] = None
        steps = steps[1:]
    found, local = {}, {}
    _run(steps, attributes, found, local)
    missed.update({"cost." + k: v for k, v in local.items()})
    return usage_shapes.with_total(found)


def _special(plan: Plan, span: Span, missed: dict[str, str | None]) -> None:
    """Fields that combine with others."""
    found: dict[str, Any] = {}
    local: dict[str, str | None] = {}
    _run(plan.special, span.attributes, found, local)
    if "system" in found:
        rule = missed["input"] if "input" in missed else plan.names.get("input")
        if rule is None or rule.startswith("genai"):
            span.input = with_system(found["system"], span.input)
    if span.completion_start_ns is None and ("first_token_ms" in found or "first_token_s" in found):
        distance_ns = found["first_token_ms"] * 1e6 if "first_token_ms" in found else found["first_token_s"] * 1e9
        span.completion_start_ns = span.start_ns + round(distance_ns)
        local.pop("first_token_s", None)
    version = found.get("prompt_version_text")
    if version is not None and span.prompt_version is None:
        if version.isdecimal() and len(version) < 10:
            span.prompt_version = int(version)
        else:
            local["prompt_version_text"] = None
    missed.update({COMBINED.get(field, field): rule for field, rule in local.items()})


def _events(span: Span, events: list[SpanEvent], plan: Plan, missed: dict[str, str | None]) -> None:
    """First token, and GenAI messages in span events (conventions up to 1.36, still written by several)."""
    if span.completion_start_ns is None:
        first = min((e.time_ns for e in events if e.name in FIRST_TOKEN_EVENTS), default=None)
        if first is not None:
            span.completion_start_ns = first
            missed["completion_start_ns"] = FROM_EVENTS
    messages = [e for e in events if e.name.startswith("gen_ai.")]
    if not messages:
        return
    input_text, output_text = content_of_events((e.name, e.attributes, None) for e in messages)
    for field, content in (("input", input_text), ("output", output_text)):
        if content is None:
            continue
        rule = missed[field] if field in missed else plan.names.get(field)
        if rule is None or not rule.startswith(_ABOVE_EVENTS):
            setattr(span, field, content)
            missed[field] = FROM_EVENTS


def _exception(events: list[SpanEvent]) -> str:
    """Text of the last recorded exception."""
    for event in reversed(events):
        if event.name == "exception":
            kind = text(event.attributes.get("exception.type"))
            message = text(event.attributes.get("exception.message"))
            return ": ".join(x for x in (kind, message) if x)
    return ""


def _patch(
    patches: dict[str, TracePatch], said: dict[str, _Said], raw: RawSpan, span: Span, group: _Group, plan: Plan
) -> None:  # fmt: skip
    """Add what one span says about its trace; the latest span that says a thing has the last word, in whatever order they come.

    Args:
        said: by trace, when what has been said.
    """
    patch = patches.get(raw.trace_id)
    if patch is None:
        has_own = plan.trace or any(f.startswith("trace.") for f, _ in plan.collected)
        if not group.tag_values and not has_own:
            return
        patch = patches[raw.trace_id] = TracePatch(
            trace_id=raw.trace_id, tag_values=group.tag_values or None, said_ns=raw.start_ns
        )
    elif group.tag_values and patch.tag_values is not group.tag_values:
        patch.tag_values = {**(patch.tag_values or {}), **group.tag_values}
    patch.said_ns = max(raw.start_ns, patch.said_ns)
    times = said.get(raw.trace_id)
    if times is None:
        times = said[raw.trace_id] = {}
    if plan.trace:
        found: dict[str, Any] = {}
        missed: dict[str, str | None] = {}
        _run(plan.trace, raw.attributes, found, missed)
        if missed:
            span.rules = _rules(span.rules, {f"trace.{field}": rule for field, rule in missed.items()})
        for field, value in found.items():
            before = getattr(patch, field)
            if field in ("tags", "prompts"):
                setattr(patch, field, list(dict.fromkeys([*(before or ()), *value])))
            elif raw.start_ns >= times.get((field, None), 0):
                setattr(patch, field, value)
                times[field, None] = raw.start_ns
    for field, entries in plan.collected:
        if field.startswith("trace."):
            collected = _collect(entries, raw.attributes)
            if collected:
                target = field.removeprefix("trace.")
                merged = dict(getattr(patch, target) or {})
                for key, value in collected.items():
                    if raw.start_ns >= times.get((target, key), 0):
                        merged[key] = value
                        times[target, key] = raw.start_ns
                setattr(patch, target, merged)


def _by_time(patch: TracePatch, said: _Said | None) -> list[TracePatch]:
    """The patch in parts that hold what was said at one time each, oldest first, so that other requests can be older or newer."""
    older = {time for time in said.values() if time < patch.said_ns} if said else None
    if not said or not older:
        return [patch]
    parts = {time: TracePatch(trace_id=patch.trace_id, said_ns=time) for time in sorted(older)}
    for (field, key), time in said.items():
        part = parts.get(time)
        if part is None:
            continue
        if key is None:
            setattr(part, field, getattr(patch, field))
            setattr(patch, field, None)
        else:
            mine: dict[str, Any] = getattr(patch, field)
            setattr(part, field, {**(getattr(part, field) or {}), key: mine[key]})
            setattr(patch, field, {name: value for name, value in mine.items() if name != key} or None)
    return [*parts.values(), patch]
