"""A call of the gateway as a trace: one span for the call, one below it for each attempt at a provider."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from twinlens.domain.gateway import Endpoint
from twinlens.domain.ids import new_hex, new_span_id
from twinlens.domain.trace import Span, SpanEvent, SpanLink, TracePatch
from twinlens.features.gateway_dialects import Reading
from twinlens.features.gateway_requests import Action, Target
from twinlens.ingest.batch import Batch

_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_PARAMETERS = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "seed",
    "reasoning_effort",
    "service_tier",
)
_LONGEST = ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens")
EXPECTED_TOKENS = 1_000  #: length of an answer whose request sets no limit
_TYPES = {"generation": "CHAT_MODEL", "embedding": "EMBEDDING", "chain": "CHAIN"}


class Tried(msgspec.Struct, kw_only=True):
    """One attempt at a provider."""

    target: Target
    start_ns: int
    end_ns: int = 0
    first_ns: int | None = None  #: first piece of a stream
    error: str | None = None
    reading: Reading | None = None


class CallRecord(msgspec.Struct, kw_only=True):
    """A call from its beginning to its end."""

    project_id: str
    endpoint: Endpoint
    action: Action
    body: dict[str, Any]
    user: str
    start_ns: int
    parent: str = ""  #: W3C traceparent of the caller
    tried: list[Tried] = []
    error: str | None = None
    end_ns: int = 0
    reservation: str | None = None  #: of the budgets
    trace_id: str = msgspec.field(default_factory=new_hex)

    def batch(self) -> Batch:
        """What the write path gets. Costs are not computed yet."""
        root_id = new_span_id()
        last = next((each for each in reversed(self.tried) if each.error is None), None)
        output = None if last is None or last.reading is None else _json(last.reading.output)
        name = f"gateway/{self.endpoint.name}"
        linked = _PARENT.fullmatch(self.parent)
        root = Span(
            trace_id=self.trace_id, span_id=root_id, name=name, kind="chain", start_ns=self.start_ns, end_ns=self.end_ns,
            input=_json(self.body), output=output, attributes={"endpoint_id": self.endpoint.endpoint_id, "endpoint_name": self.endpoint.name},
            links=[SpanLink(trace_id=linked[1], span_id=linked[2])] if linked else [], **_status(self.error, self.end_ns),
        )  # fmt: skip
        spans = [root, *(self._attempt(each, root_id) for each in self.tried)]
        for span in spans:
            span.source = "native"
            span.attributes["mlflow.spanType"] = _TYPES[span.kind]
        said = self.body.get("user")
        metadata = {
            "mlflow.gateway.endpointId": self.endpoint.endpoint_id,
            "mlflow.gateway.requestType": self.action.kind,
        }
        if self.user:
            metadata["mlflow.auth.username"] = self.user
        patch = TracePatch(
            trace_id=self.trace_id, experiment_id=self.endpoint.experiment_id, name=name, metadata=metadata,
            user_id=said if isinstance(said, str) and said else None,
        )  # fmt: skip
        return Batch(
            project_id=self.project_id, spans=spans, patches=[patch], experiment_id=self.endpoint.experiment_id,
            bytes=sum(len(span.input or "") + len(span.output or "") for span in spans),
        )  # fmt: skip

    def expected(self, target: Target) -> Span:
        """The call of a target as it may come to be, for its cost: the prompt's size, and as long an answer as it allows."""
        settings = self.body.get("generationConfig")
        places = [self.body, settings if isinstance(settings, dict) else {}]
        limits = [place.get(name) for place in places for name in _LONGEST]
        most = next((n for n in limits if isinstance(n, int) and n > 0), EXPECTED_TOKENS)
        usage = {"input": len(_json(self.body)) // 4}
        if self.action.form != "embeddings":
            usage["output"] = most
        return Span(
            trace_id=self.trace_id, span_id="expected", kind="generation", start_ns=self.start_ns, model=target.model,
            provider=target.provider, usage=usage | {"total": sum(usage.values())}, usage_source="client",
        )  # fmt: skip

    def _attempt(self, tried: Tried, root_id: str) -> Span:
        reading, target = tried.reading, tried.target
        return Span(
            trace_id=self.trace_id, span_id=new_span_id(), parent_id=root_id, name=f"provider/{target.provider}/{target.model}",
            kind="embedding" if self.action.form == "embeddings" else "generation", start_ns=tried.start_ns,
            end_ns=tried.end_ns or self.end_ns, completion_start_ns=tried.first_ns,
            model=(reading and reading.model) or target.model, provider=target.provider,
            model_parameters={name: self.body[name] for name in _PARAMETERS if self.body.get(name) is not None},
            usage=dict(reading.usage) if reading else {}, usage_source="client" if reading and reading.usage else "none",
            input=_json(self.body), output=_json(reading.output) if reading and tried.error is None else None,
            attributes={"gen_ai.provider.name": target.provider, "gen_ai.request.model": target.model},
            **_status(tried.error, tried.end_ns),
        )  # fmt: skip


def _status(error: str | None, at_ns: int) -> dict[str, Any]:
    if error is None:
        return {"status": "ok"}
    event = SpanEvent(name="exception", time_ns=at_ns, attributes={"exception.message": error})
    return {"status": "error", "level": "ERROR", "status_message": error, "events": [event]}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
