"""GenAI content that travels as events: in log records on ``/v1/logs``, or in span events.

* conventions up to 1.36: one event per message (``gen_ai.system.message`` … ``gen_ai.choice``);
* 1.37 and later: ``gen_ai.client.inference.operation.details`` with the whole exchange as attributes;
* ``gen_ai.evaluation.result``: the standard channel for scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from twinlens.domain.otlp import RawLog
from twinlens.domain.score import Score
from twinlens.domain.trace import Span
from twinlens.ingest.dialects.genai import messages, with_system
from twinlens.ingest.dialects.rule import decoded, structured, text
from twinlens.ingest.usage import amount

DETAILS = "gen_ai.client.inference.operation.details"
EVALUATION = "gen_ai.evaluation.result"
CHOICE = "gen_ai.choice"
#: Name under which ``Span.rules`` keeps that a field comes from events.
FROM_EVENTS = "events"
_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
#: Rules whose content is better than an event's, because the client wrote it for us (see ``dialects.PRECEDENCE``).
_KEPT = ("langfuse:", "vercel:")

#: Name, attributes, body of one event.
Event = tuple[str, Mapping[str, Any], Any]


def content_of_events(events: Iterable[Event]) -> tuple[str | None, str | None]:
    """Input and output as JSON text, from the events of one span in time order; None where they hold nothing."""
    asked: list[dict[str, Any]] = []
    answered: list[dict[str, Any]] = []
    details: tuple[str | None, str | None] = (None, None)
    prompt: str | None = None
    completion: str | None = None
    for name, attributes, body in events:
        if name == DETAILS:
            details = _details(attributes, body)
        elif name in _ROLES:
            asked.append(_message(_ROLES[name], attributes, body))
        elif name == CHOICE:
            answered.append(_choice(attributes, body))
        elif name == "gen_ai.content.prompt":
            prompt = messages(attributes.get("gen_ai.prompt"))
        elif name == "gen_ai.content.completion":
            completion = messages(attributes.get("gen_ai.completion"))
    encode = msgspec.json.encode
    return (
        details[0] or (encode(asked).decode() if asked else None) or prompt,
        details[1] or (encode(answered).decode() if answered else None) or completion,
    )


def _fields(attributes: Mapping[str, Any], body: Any) -> dict[str, Any]:
    """Content stands in the body (log records) or in the attributes (span events)."""
    found = body if isinstance(body, dict) else decoded(body) if isinstance(body, str) else None
    if isinstance(found, dict):
        return found
    fields = {k: structured(v) for k, v in attributes.items() if not k.startswith(("gen_ai.", "event."))}
    if isinstance(body, str) and body:
        fields.setdefault("content", body)
    return fields


def _message(role: str, attributes: Mapping[str, Any], body: Any) -> dict[str, Any]:
    fields = _fields(attributes, body)
    return {"role": fields.get("role") or role, **{k: v for k, v in fields.items() if k != "role" and v is not None}}


def _choice(attributes: Mapping[str, Any], body: Any) -> dict[str, Any]:
    fields = _fields(attributes, body)
    inner = structured(fields.pop("message", None))
    if isinstance(inner, dict):
        fields = {**inner, **fields}
    elif inner is not None:
        fields["content"] = inner
    fields.pop("index", None)
    if isinstance(calls := fields.get("tool_calls"), list):
        fields["tool_calls"] = [structured(call) for call in calls]
    return {
        "role": fields.get("role") or "assistant",
        **{k: v for k, v in fields.items() if k != "role" and v is not None},
    }


def _details(attributes: Mapping[str, Any], body: Any) -> tuple[str | None, str | None]:
    source = {**(body if isinstance(body, dict) else {}), **attributes}
    asked = messages(source.get("gen_ai.input.messages"))
    return with_system(source.get("gen_ai.system_instructions"), asked), messages(source.get("gen_ai.output.messages"))


def apply_logs(span: Span, logs: Sequence[RawLog]) -> Span:
    """The span with the message content of its log records; ``span`` itself, unchanged, when that says nothing new.

    Records of other spans are ignored, and content that the span carries in a better form stays. Messages may come in
    several requests: those that earlier records brought stay in front of new ones. Applying the same records again changes
    nothing.
    """
    mine = sorted(
        (x for x in logs if x.span_id == span.span_id and x.trace_id == span.trace_id), key=lambda x: x.time_ns
    )
    if not mine:
        return span
    whole = any(x.event_name == DETAILS for x in mine)
    changes: dict[str, Any] = {}
    rules = dict(span.rules)
    found = content_of_events((x.event_name, x.attributes, x.body) for x in mine)
    for field, content in zip(("input", "output"), found, strict=True):
        before: str | None = getattr(span, field)
        if content is None or (before is not None and rules.get(field, "").startswith(_KEPT)):
            continue
        if before is not None and not whole and rules.get(field) == FROM_EVENTS:
            content = _united(before, content)
        if content != before:
            changes[field] = content
            rules[field] = FROM_EVENTS
    if span.user_id is None:  # Google ADK names the user on its records only
        user_id = next((u for u in (text(x.attributes.get("user.id")) for x in mine) if u), None)
        if user_id is not None:
            changes["user_id"] = user_id
            rules["user_id"] = FROM_EVENTS
    return msgspec.structs.replace(span, rules=rules, **changes) if changes else span


def _united(before: str, content: str) -> str:
    """Two lists of messages as one: known ones once, system messages in front."""
    old, new = msgspec.json.decode(before), msgspec.json.decode(content)
    if not (isinstance(old, list) and isinstance(new, list)):
        return content
    added = [message for message in new if message not in old]
    if not added:
        return before
    both = sorted(old + added, key=lambda m: not (isinstance(m, dict) and m.get("role") == "system"))
    return msgspec.json.encode(both).decode()


def evaluation_scores(logs: Sequence[RawLog]) -> list[Score]:
    """Scores from ``gen_ai.evaluation.result`` records (OTel GenAI conventions 1.38 and later).

    The id is derived from the record, so a record that is sent again replaces itself. Records without a name or without a
    trace are left out.
    """
    return [score for score in (_score(x) for x in logs if x.event_name == EVALUATION) if score is not None]


def _score(log: RawLog) -> Score | None:
    source: dict[str, Any] = {**(log.body if isinstance(log.body, dict) else {}), **log.attributes}
    name = text(source.get("gen_ai.evaluation.name"))
    if name is None or log.trace_id is None:
        return None
    value = source.get("gen_ai.evaluation.score.value")
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else amount(value)
    label = text(source.get("gen_ai.evaluation.score.label"))
    error = text(source.get("error.type"))
    seed = "\0".join((log.trace_id, log.span_id or "", name, str(log.time_ns), str(number), label or ""))
    return Score(
        score_id=sha256(seed.encode()).hexdigest()[:32],
        name=name,
        data_type="NUMERIC" if number is not None else "CATEGORICAL" if label else "TEXT",
        trace_id=log.trace_id,
        span_id=log.span_id,
        value=number,
        string_value=label,
        source="judge",
        source_id=text(source.get("gen_ai.request.model")) or log.scope.name or None,
        comment=text(source.get("gen_ai.evaluation.explanation")),
        error={"error_code": error} if error else None,
        metadata={
            k: v for k, v in source.items() if not k.startswith(("gen_ai.evaluation.", "event.")) and k != "error.type"
        },
        timestamp_ns=log.time_ns,
    )
