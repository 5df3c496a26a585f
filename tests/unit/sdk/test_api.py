"""Decorator, context managers, scores: what they write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry import trace

import twinlens
from tests.unit.sdk.conftest import Memory, install_memory
from twinlens.sdk.block import Block

INPUT, OUTPUT = "langfuse.observation.input", "langfuse.observation.output"


def test_a_function_with_nested_spans(memory: Memory) -> None:
    @twinlens.observe(name="agent", as_type="agent")
    def work(goal: str, *, steps: int = 2) -> str:
        with twinlens.tool("search", input={"q": goal}) as found:
            found.update(output=["a"])
        with twinlens.generation(
            "answer", model="gpt-4o", usage={"prompt_tokens": 3, "completion_tokens": 4}, cost=0.5
        ):
            twinlens.update(output="because", metadata={"k": 1})
        return "because"

    assert work("why") == "because"
    twinlens.flush()
    spans = memory.spans()
    root, tool, answer = spans["agent"], spans["search"], spans["answer"]
    assert root["parent_span_id"] is None
    assert tool["parent_span_id"] == answer["parent_span_id"] == root["span_id"]
    assert json.loads(root["attributes"][INPUT]) == {"goal": "why"}
    assert root["attributes"][OUTPUT] == "because"
    assert root["attributes"]["gen_ai.operation.name"] == "invoke_agent"
    assert tool["attributes"]["gen_ai.tool.name"] == "search"
    assert answer["attributes"]["gen_ai.usage.input_tokens"] == 3
    assert json.loads(answer["attributes"]["langfuse.observation.usage_details"]) == {"input": 3, "output": 4}
    assert json.loads(answer["attributes"]["langfuse.observation.cost_details"]) == {"total": 0.5}
    assert answer["attributes"]["langfuse.observation.metadata.k"] == 1
    [run] = [run for batch in memory.batches for run in batch.runs]
    assert (run.params["agent"], run.params["model"]) == ("agent", "gpt-4o")
    assert (run.metrics["total_tokens"], run.metrics["cost"], run.metrics["tool_calls"]) == (7, 0.5, 1)


def test_exceptions_are_recorded_and_passed_on(memory: Memory) -> None:
    @twinlens.observe
    def broken() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        broken()
    twinlens.flush()
    span = memory.spans()["broken"]
    assert (span["status"], span["status_message"]) == ("ERROR", "ValueError: no")
    assert span["attributes"]["langfuse.observation.level"] == "ERROR"


def test_generators_are_current_inside_and_not_in_the_consumer(memory: Memory) -> None:
    @twinlens.observe
    def stream() -> Iterator[str]:
        with twinlens.span("inner"):
            yield "a"
            with twinlens.span("innermost"):
                yield "b"

    seen: list[str] = []
    for item in stream():
        seen.append(item)
        assert not trace.get_current_span().get_span_context().is_valid
    twinlens.flush()
    spans = memory.spans()
    assert seen == ["a", "b"]
    assert spans["stream"]["attributes"][OUTPUT] == "ab"
    assert spans["inner"]["parent_span_id"] == spans["stream"]["span_id"]
    assert spans["innermost"]["parent_span_id"] == spans["inner"]["span_id"]


def test_a_generator_keeps_send_throw_close_and_return(memory: Memory) -> None:
    @twinlens.observe
    def echo() -> Any:
        got = yield 1
        try:
            yield got
        except KeyError:
            yield "caught"
        return "end"

    generator = echo()
    assert (next(generator), generator.send("x"), generator.throw(KeyError())) == (1, "x", "caught")
    with pytest.raises(StopIteration) as ended:
        next(generator)
    assert ended.value.value == "end"
    left = echo()
    next(left)
    left.close()
    twinlens.flush()
    assert (
        len([s for b in memory.batches for r in b.request.resource_spans for c in r.scope_spans for s in c.spans]) == 2
    )
    assert memory.spans()["echo"]["status"] == "UNSET"


async def test_coroutines_and_async_generators(memory: Memory) -> None:
    @twinlens.observe
    async def part(name: str) -> str:
        await asyncio.sleep(0)
        return name

    @twinlens.observe
    async def stream() -> AsyncIterator[int]:
        await part("x")
        yield 1
        yield 2

    @twinlens.observe(name="all")
    async def everything() -> list[int]:
        await asyncio.gather(part("a"), part("b"))
        return [n async for n in stream()]

    assert await everything() == [1, 2]
    await asyncio.to_thread(twinlens.flush)
    spans = memory.spans()
    assert json.loads(spans["stream"]["attributes"][OUTPUT]) == [1, 2]
    assert spans["stream"]["parent_span_id"] == spans["all"]["span_id"]
    assert spans["part"]["trace_id"] == spans["all"]["trace_id"]


def test_context_crosses_executors_when_it_is_carried(memory: Memory) -> None:
    @twinlens.observe
    def child() -> None: ...

    with twinlens.span("parent"), ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, child).result()
    twinlens.flush()
    spans = memory.spans()
    assert spans["child"]["parent_span_id"] == spans["parent"]["span_id"]


def test_propagated_values_reach_spans_of_other_libraries(memory: Memory) -> None:
    with (
        twinlens.propagate(user_id="ada", session_id="s", tags=["t"], metadata={"m": 1}),
        twinlens.propagate(user_id="bob"),
    ):
        trace.get_tracer("library").start_span("foreign").end()
    trace.get_tracer("library").start_span("outside").end()
    twinlens.flush()
    found = memory.spans()["foreign"]["attributes"]
    assert (found["user.id"], found["session.id"], found["langfuse.trace.tags"]) == ("bob", "s", ["t"])
    assert found["langfuse.trace.metadata.m"] == 1
    assert "user.id" not in memory.spans()["outside"]["attributes"]


def test_scores(memory: Memory) -> None:
    twinlens.score("nowhere", 1)
    with twinlens.span("s") as span:
        twinlens.score("good", True, comment="yes")
        twinlens.score("kind", "polite", whole_trace=True)
    twinlens.flush()
    good, kind = memory.scores()
    assert (good.data_type, good.span_id, good.comment) == ("BOOLEAN", span.id, "yes")
    assert (kind.data_type, kind.span_id, kind.trace_id) == ("CATEGORICAL", None, span.trace_id)


def test_values_that_are_no_json_do_no_harm(memory: Memory) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    circular: list[Any] = []
    circular.append(circular)
    with twinlens.span("odd", input=Odd(), output=circular, metadata={"o": {1, 2}}):
        pass
    twinlens.flush()
    assert memory.spans()["odd"]["attributes"][INPUT] == "<Odd>"


def test_content_can_be_left_out_and_masked() -> None:
    memory = install_memory(Block(capture_content=False, mask=["email", "key", "secret-\\d+"]))
    tracer = trace.get_tracer("library")
    with twinlens.span("own", input="text", metadata={"to": "a@example.org", "n": "secret-1 sk-abcdefghijkl"}):
        tracer.start_span("foreign", attributes={"gen_ai.input.messages": "[]", "input.value": "x", "kept": "y"}).end()
    twinlens.flush()
    spans = memory.spans()
    assert INPUT not in spans["own"]["attributes"]
    assert spans["own"]["attributes"]["langfuse.observation.metadata.to"] == "***"
    assert spans["own"]["attributes"]["langfuse.observation.metadata.n"] == "*** ***"
    assert set(spans["foreign"]["attributes"]) == {"kept"}


def test_sampling_drops_whole_traces() -> None:
    memory = install_memory(Block(sample_rate=0.0))
    with twinlens.span("gone"):
        twinlens.score("gone", 1)
    twinlens.flush()
    assert memory.batches == []


def test_the_programs_own_mask_comes_last_and_fails_closed(memory: Memory) -> None:
    def mask(text: str) -> str:
        if "boom" in text:
            raise ValueError
        return text.replace("secret", "[hidden]")

    twinlens.set_mask(mask)
    with twinlens.span("masked", input="a secret", output="boom secret"):
        pass
    twinlens.flush()
    attributes = memory.spans()["masked"]["attributes"]
    assert attributes["langfuse.observation.input"] == "a [hidden]"
    assert attributes["langfuse.observation.output"] == "***"


def test_a_wrapper_around_a_counted_call_does_not_count_again(memory: Memory) -> None:
    usage = {"input": 10, "output": 5}
    with twinlens.agent("a"), twinlens.generation("outer", model="m", usage=usage):
        with twinlens.generation("inner", model="m", usage=usage):
            pass
        with twinlens.generation("retry", model="m", usage=usage):
            pass
    twinlens.flush()
    [run] = [run for batch in memory.batches for run in batch.runs]
    assert (run.metrics["total_tokens"], run.metrics["llm_calls"]) == (30, 2)


def test_usage_is_counted_once(memory: Memory) -> None:
    usage = {"input": 10, "output": 5}
    with twinlens.agent("outer", usage=usage), twinlens.generation("model", model="m", usage=usage):
        pass
    with twinlens.agent("alone", usage=usage):
        pass
    twinlens.flush()
    runs = [run for batch in memory.batches for run in batch.runs]
    assert [(run.name, run.metrics["total_tokens"]) for run in runs] == [("outer", 15), ("alone", 15)]


def test_plain_traces_make_no_run(memory: Memory) -> None:
    trace.get_tracer("web").start_span("GET /").end()
    twinlens.flush()
    assert [run for batch in memory.batches for run in batch.runs] == []


def test_what_is_logged_about_a_trace_that_is_over(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    with twinlens.agent("run") as run:
        pass
    with twinlens.span("no run", as_type="span") as plain:
        plain.span.set_attributes({"langfuse.observation.type": ""})
    twinlens.flush()
    twinlens.log_metric("late", 1, trace_id=f"tr-{run.trace_id}")
    for key in ("first", "second"):
        twinlens.log_param(key, "x", trace_id=plain.trace_id)
        twinlens.log_param(key, "x", trace_id="tr-1")
        twinlens.log_param(key, "x")
    twinlens.flush()
    assert [note.key for batch in memory.batches for note in batch.late_notes] == ["late"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert all("'first'" in line and "dropped" in line and "said once" in line for line in said)
