"""Agent traces in OpenTelemetry's GenAI conventions, sent by the ordinary OTLP exporter. Times are made up, so that a day
of history takes a second to send."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

from twinlens.demo.conversations import AGENTS, USERS, Agent, Turn

MS = 1_000_000


@dataclass
class Sent:
    """What a trace was, for those who score it."""

    trace_id: str
    ok: bool
    session_id: str


@dataclass
class Conversation:
    """One session: a user and an agent going through a talk, turn by turn."""

    agent: Agent
    turns: tuple[Turn, ...]
    user: str
    session_id: str
    history: list[dict[str, Any]] = field(default_factory=list)
    position: int = 0

    @property
    def over(self) -> bool:
        """All turns are done."""
        return self.position >= len(self.turns)


class AgentTraffic:
    """Makes traces and sends them to ``{url}/v1/traces``."""

    def __init__(self, url: str, seed: int = 7) -> None:
        resource = Resource.create(
            {"service.name": "bike-shop", "deployment.environment.name": "production", "service.version": "2.4.0"}
        )
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{url}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
        self._tracer: Tracer = self._provider.get_tracer("bike-shop.agents", "2.4.0")  # type: ignore[assignment]
        self._random = random.Random(seed)  # noqa: S311 - sample data
        self._sessions = 0

    def conversation(self) -> Conversation:
        """Somebody starts to talk."""
        agent = self._random.choices(AGENTS, weights=(3, 1))[0]
        self._sessions += 1
        return Conversation(
            agent=agent,
            turns=self._random.choice(agent.talks),
            user=self._random.choice(USERS),
            session_id=f"chat-{int(time.time()) % 100_000}-{self._sessions}",
        )

    def turn(self, talk: Conversation, end_ns: int | None = None) -> Sent:
        """One turn is one trace: ask the model, call the tool it wants, ask again. Ends at ``end_ns`` (default now)."""
        rng, turn = self._random, talk.turns[talk.position]
        talk.position += 1
        provider, model = rng.choices(talk.agent.models, weights=(5, 3, 1))[0]
        first, tool, second = (int(rng.lognormvariate(mean, 0.35) * MS) for mean in (6.3, 4.6, 6.9))
        failed = rng.random() < 0.06
        total = first + tool + (0 if failed else second) + 12 * MS
        start = (time.time_ns() if end_ns is None else end_ns) - total
        root = self._tracer.start_span(
            talk.agent.name,
            start_time=start,
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": talk.agent.name,
                "gen_ai.conversation.id": talk.session_id,
                "session.id": talk.session_id,
                "user.id": talk.user,
                "tag.tags": [talk.agent.name.split("-")[0], "demo"],
            },
        )
        context = set_span_in_context(root)
        talk.history.append(_text("user", turn.question))
        root.set_attribute("gen_ai.input.messages", json.dumps([talk.history[-1]]))
        root.set_attribute(
            "gen_ai.system_instructions", json.dumps([{"type": "text", "content": talk.agent.instructions}])
        )
        call_id = f"call_{rng.randrange(16**8):08x}"
        wish = {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": call_id, "name": turn.tool, "arguments": json.loads(turn.arguments)}],
            "finish_reason": "tool_call",
        }
        now = start + 2 * MS
        self._chat(context, talk, provider, model, wish, now, now + first)
        talk.history.append(wish)
        now += first + 2 * MS
        self._tool(context, turn, call_id, now, now + tool, failed)
        now += tool + 2 * MS
        if failed:
            talk.history.append(_text("assistant", "Something went wrong on our side. Please try again in a moment."))
            root.set_status(Status(StatusCode.ERROR, f"{turn.tool} timed out"))
        else:
            talk.history.append(
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": call_id, "response": turn.result}]}
            )
            answer = _text("assistant", turn.answer)
            self._chat(context, talk, provider, model, answer | {"finish_reason": "stop"}, now, now + second)
            talk.history.append(answer)
            now += second
        root.set_attribute("gen_ai.output.messages", json.dumps([talk.history[-1]]))
        root.end(end_time=now + 4 * MS)
        return Sent(format(root.get_span_context().trace_id, "032x"), not failed, talk.session_id)

    def flush(self) -> None:
        """Wait until everything has been received."""
        self._provider.force_flush()

    def _chat(
        self, context: Any, talk: Conversation, provider: str, model: str, answer: dict[str, Any], start: int, end: int
    ) -> None:
        history = json.dumps(talk.history)
        span: Span = self._tracer.start_span(
            f"chat {model}",
            context=context,
            start_time=start,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": provider,
                "gen_ai.request.model": model,
                "gen_ai.response.model": model,
                "gen_ai.request.temperature": 0.2,
                "gen_ai.request.max_tokens": 800,
                "gen_ai.usage.input_tokens": 380 + len(history) // 4,
                "gen_ai.usage.cache_read.input_tokens": 256 if len(talk.history) > 3 else 0,
                "gen_ai.usage.output_tokens": 12 + len(json.dumps(answer)) // 4,
                "gen_ai.system_instructions": json.dumps([{"type": "text", "content": talk.agent.instructions}]),
                "gen_ai.input.messages": history,
                "gen_ai.output.messages": json.dumps([answer]),
                "gen_ai.response.finish_reasons": [str(answer.get("finish_reason", "stop"))],
            },
        )
        span.end(end_time=end)

    def _tool(self, context: Any, turn: Turn, call_id: str, start: int, end: int, failed: bool) -> None:
        span = self._tracer.start_span(
            f"execute_tool {turn.tool}",
            context=context,
            start_time=start,
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": turn.tool,
                "gen_ai.tool.call.id": call_id,
                "gen_ai.tool.call.arguments": turn.arguments,
            },
        )
        if failed:
            span.record_exception(TimeoutError(f"{turn.tool} did not answer within 5 s"), timestamp=end)
            span.set_status(Status(StatusCode.ERROR, "timeout"))
        else:
            span.set_attribute("gen_ai.tool.call.result", turn.result)
        span.end(end_time=end)


def _text(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": content}]}
