"""What the benchmarks send: agent traces as OTLP, long conversations, and runs with metrics. Seeded, hence repeatable.

A trace is one turn of a support agent, as an instrumented LangGraph or OpenAI-Agents program reports it with the
OpenTelemetry GenAI conventions: ten spans (agent, chain, retriever, guardrail, three tools, three model calls), messages
of a few hundred bytes, token usage, a user, a session. Every user message, tool result and completion is different;
the system prompt and the tool definitions repeat from trace to trace, as they do in life.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

SPANS_PER_TRACE = 10
TRACES_PER_REQUEST = 10
MODELS = (
    ("openai", "gpt-4o-mini"), ("openai", "gpt-4o"), ("openai", "gpt-4.1"), ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"), ("google", "gemini-2.5-flash"),
)  # fmt: skip
AGENTS = ("support-agent", "billing-agent", "travel-agent", "research-agent", "coding-agent")
TOOLS = ("search_orders", "get_invoice", "refund_order", "lookup_customer", "send_email", "web_search", "run_sql")
_WORDS = [
    "the",
    "order",
    "was",
    "shipped",
    "on",
    "monday",
    "and",
    "arrives",
    "within",
    "three",
    "days",
    "please",
    "check",
    "whether",
    "invoice",
    "contains",
    "correct",
    "address",
    "for",
    "customer",
    "account",
    "because",
    "payment",
    "failed",
    "twice",
    "last",
    "week",
    "while",
    "refund",
    "request",
    "is",
    "still",
    "open",
    "under",
    "ticket",
    "number",
    "with",
    "priority",
    "high",
    "our",
    "policy",
    "allows",
    "returns",
    "up",
    "to",
    "thirty",
    "days",
    "after",
    "delivery",
    "if",
    "package",
    "unopened",
    "agent",
    "should",
    "verify",
    "identity",
    "before",
    "changing",
    "any",
    "subscription",
    "plan",
    "then",
    "confirm",
    "by",
    "email",
    "summary",
    "of",
    "what",
    "changed",
    "database",
    "query",
    "returned",
    "rows",
    "region",
    "quarter",
    "revenue",
    "forecast",
    "model",
    "latency",
    "budget",
    "token",
    "usage",
    "trace",
    "span",
    "error",
    "retry",
    "timeout",
    "schedule",
    "meeting",
    "flight",
    "hotel",
    "booking",
    "reservation",
    "seat",
    "upgrade",
    "voucher",
    "discount",
    "code",
    "applied",
    "total",
]
SYSTEM = (
    "You are a careful support agent of an online shop. Answer in the language of the customer. Never invent order "
    "numbers. Use the tools to look facts up, ask for confirmation before you change anything, and close with a short "
    "summary of what was done. Escalate to a person when the customer asks for it or when two attempts have failed."
)
TOOL_DEFINITIONS = json.dumps([
    {
        "type": "function", "name": name, "description": f"Calls {name.replace('_', ' ')} of the shop's back office.",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}, "reason": {"type": "string"}}},
    }
    for name in TOOLS
])  # fmt: skip


def _value(value: Any) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    raise TypeError(type(value))


def _attributes(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


@dataclass
class TraceWriter:
    """Makes traces from a seed.

    Args:
        seed: same seed and start, same bytes.
        start_ns: start of the first trace; each next one begins ``step_ns`` later.
    """

    seed: int = 7
    start_ns: int = 1_795_000_000_000_000_000
    step_ns: int = 5_000_000
    users: int = 1000

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._clock = self.start_ns

    def text(self, size: int) -> str:
        """About ``size`` characters of words with numbers among them."""
        words = self._random.choices(_WORDS, k=max(4, size // 7))
        words[len(words) // 2] = str(self._random.randrange(10**6))
        words[0] = words[0].capitalize()
        return " ".join(words)

    def trace(self) -> list[Span]:
        """The spans of one trace, root first."""
        rng = self._random
        trace_id = rng.randbytes(16)
        self._clock += self.step_ns
        start = self._clock
        agent = rng.choice(AGENTS)
        provider, model = rng.choice(MODELS)
        user = f"user-{rng.randrange(self.users)}"
        common = {"session.id": f"session-{user}-{rng.randrange(20)}", "user.id": user, "gen_ai.agent.name": agent}
        spans: list[Span] = []

        def span(name: str, parent: Span | None, offset_ms: int, length_ms: int, values: dict[str, Any]) -> Span:
            made = Span(
                trace_id=trace_id, span_id=rng.randbytes(8), name=name, kind=Span.SPAN_KIND_INTERNAL,
                parent_span_id=parent.span_id if parent else b"",
                start_time_unix_nano=start + offset_ms * 1_000_000,
                end_time_unix_nano=start + (offset_ms + length_ms) * 1_000_000,
                attributes=_attributes({**common, **values}),
            )  # fmt: skip
            spans.append(made)
            return made

        question = self.text(220)
        messages = [_message("system", SYSTEM), _message("user", question)]
        root = span(
            f"invoke_agent {agent}", None, 0, 2600 + rng.randrange(1500),
            {
                "gen_ai.operation.name": "invoke_agent", "gen_ai.conversation.id": common["session.id"],
                "gen_ai.input.messages": json.dumps([_message("user", question)]),
            },
        )  # fmt: skip
        chain = span("plan", root, 5, 2500, {"gen_ai.operation.name": "chain", "langgraph.node": "plan"})
        span(
            "guardrail input", chain, 10, 15,
            {"gen_ai.operation.name": "guardrail", "guardrail.name": "pii", "guardrail.passed": True},
        )  # fmt: skip
        span(
            "retrieve knowledge_base", chain, 30, 80,
            {
                "gen_ai.operation.name": "retrieve", "gen_ai.data_source.id": "knowledge_base",
                "retrieval.query": question[:80], "retrieval.documents": json.dumps([self.text(200), self.text(200)]),
            },
        )  # fmt: skip
        answer = ""
        for turn in range(3):
            offset = 120 + turn * 800
            answer = self.text(260)
            usage_in, usage_out = 300 + 180 * turn + rng.randrange(60), 60 + rng.randrange(120)
            values: dict[str, Any] = {
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": model,
                "gen_ai.response.model": model, "gen_ai.request.temperature": 0.2, "gen_ai.request.max_tokens": 1024,
                "gen_ai.response.id": f"resp_{rng.getrandbits(96):024x}",
                "gen_ai.usage.input_tokens": usage_in, "gen_ai.usage.output_tokens": usage_out,
                "gen_ai.input.messages": json.dumps(messages),
                "gen_ai.output.messages": json.dumps([{**_message("assistant", answer), "finish_reason": "stop"}]),
            }  # fmt: skip
            if turn == 0:
                values["gen_ai.tool.definitions"] = TOOL_DEFINITIONS
            span(f"chat {model}", chain, offset, 500 + rng.randrange(200), values)
            tool = rng.choice(TOOLS)
            result = self.text(180)
            made = span(
                f"execute_tool {tool}", chain, offset + 720, 20 + rng.randrange(50),
                {
                    "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool,
                    "gen_ai.tool.call.id": f"call_{rng.getrandbits(64):016x}",
                    "gen_ai.tool.call.arguments": json.dumps({"id": str(rng.randrange(10**6)), "reason": self.text(60)}),
                    "gen_ai.tool.call.result": json.dumps({"ok": True, "text": result}),
                },
            )  # fmt: skip
            if rng.random() < 0.02:
                made.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="upstream timed out"))
            messages = [*messages, _message("assistant", answer), _message("tool", result)]
        root.attributes.extend(_attributes({"gen_ai.output.messages": json.dumps([_message("assistant", answer)])}))
        return spans

    def request(self, traces: int = TRACES_PER_REQUEST) -> ExportTraceServiceRequest:
        """One OTLP request of ``traces`` × 10 spans, from one service."""
        return wrap([span for _ in range(traces) for span in self.trace()])

    def requests(self, count: int) -> Iterator[bytes]:
        """``count`` serialised requests of 100 spans."""
        for _ in range(count):
            yield self.request().SerializeToString()

    def conversation(self, turns: int) -> list[Span]:
        """An agent of ``turns`` turns in one trace: each model call repeats the whole conversation before it."""
        rng = self._random
        trace_id = rng.randbytes(16)
        self._clock += self.step_ns
        start = self._clock
        provider, model = MODELS[3]
        user = f"user-{rng.randrange(self.users)}"
        common = {"session.id": f"session-{user}", "user.id": user}
        spans = [
            Span(
                trace_id=trace_id, span_id=rng.randbytes(8), name="invoke_agent coding-agent",
                start_time_unix_nano=start, end_time_unix_nano=start + turns * 1_000_000_000,
                attributes=_attributes({**common, "gen_ai.operation.name": "invoke_agent"}),
            )
        ]  # fmt: skip
        messages = [_message("system", SYSTEM), _message("user", self.text(400))]
        for turn in range(turns):
            answer, result = self.text(300), self.text(500)
            begun = start + turn * 1_000_000_000
            values = {
                **common, "gen_ai.operation.name": "chat", "gen_ai.provider.name": provider,
                "gen_ai.request.model": model, "gen_ai.response.model": model,
                "gen_ai.usage.input_tokens": 120 + sum(len(m["parts"][0]["content"]) for m in messages) // 4,
                "gen_ai.usage.output_tokens": len(answer) // 4,
                "gen_ai.tool.definitions": TOOL_DEFINITIONS,
                "gen_ai.input.messages": json.dumps(messages),
                "gen_ai.output.messages": json.dumps([_message("assistant", answer)]),
            }  # fmt: skip
            tool = rng.choice(TOOLS)
            for name, offset, length, attributes in (
                (f"chat {model}", 0, 700_000_000, values),
                (
                    f"execute_tool {tool}", 710_000_000, 200_000_000,
                    {
                        **common, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool,
                        "gen_ai.tool.call.result": json.dumps({"text": result}),
                    },
                ),
            ):  # fmt: skip
                spans.append(
                    Span(
                        trace_id=trace_id, span_id=rng.randbytes(8), parent_span_id=spans[0].span_id, name=name,
                        start_time_unix_nano=begun + offset, end_time_unix_nano=begun + offset + length,
                        attributes=_attributes(attributes),
                    )
                )  # fmt: skip
            messages += [_message("assistant", answer), _message("tool", result)]
        return spans


def wrap(spans: list[Span]) -> ExportTraceServiceRequest:
    """Spans in one resource and one scope."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(
        _attributes(
            {"service.name": "shop-assistant", "service.version": "1.4.2", "deployment.environment.name": "production"}
        )
    )
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "opentelemetry.instrumentation.langchain", "0.52.1"
    scope.spans.extend(spans)
    return request


def raw_json(spans: list[Span]) -> bytes:
    """The spans as a program would write them to a JSON Lines file: flat, messages as JSON and not as quoted text.

    Smaller than OTLP/JSON (no ``{"key":…,"value":{"stringValue":…}}``), so ratios against it are conservative.
    """
    lines: list[str] = []
    for span in spans:
        attributes: dict[str, Any] = {}
        for item in span.attributes:
            value = getattr(item.value, item.value.WhichOneof("value") or "string_value")
            if isinstance(value, str) and value[:1] in "[{":
                value = json.loads(value)
            attributes[item.key] = value
        lines.append(
            json.dumps(
                {
                    "trace_id": span.trace_id.hex(), "span_id": span.span_id.hex(), "parent_id": span.parent_span_id.hex(),
                    "name": span.name, "start": span.start_time_unix_nano, "end": span.end_time_unix_nano,
                    "attributes": attributes,
                },
                separators=(",", ":"),
            )
        )  # fmt: skip
    return "\n".join(lines).encode()


@dataclass(frozen=True)
class RunData:
    """One run of a corpus: 20 metrics and 10 parameters, as a sweep over hyperparameters writes them."""

    name: str
    start_ms: int
    params: dict[str, str]
    metrics: dict[str, float]


METRIC_NAMES = (
    "accuracy", "loss", "val_accuracy", "val_loss", "f1", "precision", "recall", "auc", "rmse", "mae", "r2", "lr",
    "grad_norm", "throughput", "epoch_seconds", "gpu_memory", "perplexity", "bleu", "rouge_l", "ece",
)  # fmt: skip


def runs(count: int, seed: int = 11, start_ms: int = 1_795_000_000_000) -> Iterator[RunData]:
    """``count`` runs; the same first runs whatever the count."""
    rng = random.Random(seed)
    for index in range(count):
        params = {
            "model": rng.choice(("resnet", "vit", "bert", "lgbm", "mlp")), "optimizer": rng.choice(("adam", "sgd", "lion")),
            "batch_size": str(rng.choice((16, 32, 64, 128))), "lr": f"{10 ** rng.uniform(-5, -1):.6f}",
            "dropout": f"{rng.random() / 2:.2f}", "layers": str(rng.randrange(2, 48)), "seed": str(rng.randrange(10**6)),
            "weight_decay": f"{rng.random() / 10:.4f}", "warmup": str(rng.randrange(0, 2000, 100)), "dataset": f"v{rng.randrange(5)}",
        }  # fmt: skip
        yield RunData(
            name=f"sweep-{index}", start_ms=start_ms + index * 1000, params=params,
            metrics={name: rng.random() for name in METRIC_NAMES},
        )  # fmt: skip
