"""What agents cost on disk: each turn repeats the whole conversation, and it is stored once."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import msgspec
import pytest

from tests.telemetry import model_call, running_writer
from twinlens.domain.trace import Span
from twinlens.ingest.batch import Batch
from twinlens.store.telemetry.interface import TelemetryStore

WORDS = (  # noqa: SIM905
    "agent tool result because please check order invoice customer refund shipping status search query database row "
    "table update function python error retry plan step finish answer question weather city flight hotel price"
).split()


def sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) + ("" if rng.random() < 0.9 else str(rng.randint(0, 9999))) for _ in range(words))


def conversation(trace: str, turns: int, style: str) -> list[Span]:
    """One agent: every turn is a model call with all messages so far."""
    rng = random.Random(trace)
    tools = [{"type": "function", "function": {"name": f"tool{i}", "description": sentence(rng, 40)}} for i in range(8)]
    messages: list[dict[str, str]] = [{"role": "system", "content": sentence(rng, 300)}]
    spans: list[Span] = []
    for turn in range(turns):
        messages.append({"role": "user" if turn % 2 == 0 else "tool", "content": sentence(rng, 80)})
        answer = {"role": "assistant", "content": sentence(rng, 60)}
        attributes: dict[str, object] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "turn": turn,
        }
        if style == "request":  # the body as it is sent to the provider
            asked = json.dumps({"model": "gpt-4o", "messages": messages, "tools": tools})
        elif style == "messages":  # OTel: the same text in the canonical field and in the raw attribute
            asked = json.dumps(
                [{"role": m["role"], "parts": [{"type": "text", "content": m["content"]}]} for m in messages]
            )
            attributes["gen_ai.input.messages"] = asked
        else:  # OpenInference: one attribute per message and field
            asked = json.dumps(messages, separators=(",", ":"))
            for i, m in enumerate(messages):
                attributes[f"llm.input_messages.{i}.message.role"] = m["role"]
                attributes[f"llm.input_messages.{i}.message.content"] = m["content"]
        spans.append(
            model_call(
                trace,
                f"turn{turn}",
                at=turn,
                input=asked,
                output=json.dumps([answer]),
                attributes=attributes,
                user_id="ann",
            )
        )
        messages.append(answer)
    return spans


@pytest.mark.parametrize("style", ["request", "messages", "indexed"])
def test_a_hundred_turns_are_twenty_times_smaller(telemetry_engine: Callable[[], TelemetryStore], style: str) -> None:
    """Bytes on disk against the raw JSON of all spans, which come turn by turn from agents that run side by side."""
    agents = [conversation(f"{style}{i}", 100, style) for i in range(4)]
    raw = sum(len(msgspec.json.encode(span)) for spans in agents for span in spans)
    store = telemetry_engine()
    with running_writer(store) as writer:
        for turn in range(100):
            writer.submit_sync(Batch(project_id="p", spans=[spans[turn] for spans in agents]))
    store.checkpoint()
    store.close()
    store = telemetry_engine()
    size = store.stats()["bytes"]
    for spans in agents:
        found = store.trace_spans("p", [spans[0].trace_id])[spans[0].trace_id]
        assert [(s.input, s.output, s.attributes) for s in found] == [(s.input, s.output, s.attributes) for s in spans]
    store.close()
    assert raw / size >= 20, f"{raw} bytes of JSON became {size}: {raw / size:.1f} times smaller"
