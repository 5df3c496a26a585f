"""Chat between OpenAI's form and Anthropic's, and streams cut anywhere."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twinlens.domain.errors import InvalidArgument
from twinlens.features.gateway_dialects import AnthropicChunks, Events, Form, Reading, from_anthropic, to_anthropic

TOOL = {
    "type": "function",
    "function": {"name": "sky", "description": "d", "parameters": {"type": "object", "properties": {}}},
}
CALL = {"id": "c1", "type": "function", "function": {"name": "sky", "arguments": '{"at": "noon"}'}}


def test_a_talk_with_tools_and_pictures_reaches_anthropic() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    asked = {
        "model": "claude", "max_completion_tokens": 50, "stop": "END", "temperature": 0.5, "tools": [TOOL], "tool_choice": "required",
        "user": "u", "n": 1,
        "messages": [
            {"role": "system", "content": "Be brief."}, {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, picture]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "blue"}, {"role": "user", "content": "So?"},
        ],
    }  # fmt: skip
    assert to_anthropic(asked) == {
        "model": "claude", "max_tokens": 50, "stop_sequences": ["END"], "temperature": 0.5, "system": "Be brief.\nBe kind.",
        "tools": [{"name": "sky", "description": "d", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "any"},
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "sky", "input": {"at": "noon"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "blue"}, {"type": "text", "text": "So?"}]},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [], "n": 2}, {"messages": "x"}, {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "{"}}]}]},
        {"messages": [], "tools": [{"type": "retrieval"}]},
    ],
)  # fmt: skip
def test_what_anthropic_cannot_do_is_said(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        to_anthropic(body)


def test_an_answer_comes_back_in_openais_form() -> None:
    reply = {
        "id": "m", "model": "claude", "stop_reason": "tool_use",
        "content": [{"type": "text", "text": "Hm."}, {"type": "tool_use", "id": "c1", "name": "sky", "input": {"at": "noon"}}],
        "usage": {"input_tokens": 100, "cache_read_input_tokens": 23, "output_tokens": 45},
    }  # fmt: skip
    found = from_anthropic(reply, 7)
    [choice] = found["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", "Hm.")
    assert choice["message"]["tool_calls"] == [CALL]
    assert found["usage"] == {"prompt_tokens": 123, "completion_tokens": 45, "total_tokens": 168, "prompt_tokens_details": {"cached_tokens": 23}}  # fmt: skip
    reading = Reading("anthropic")
    reading.whole(reply)
    assert reading.usage == {"input": 100, "input_cached_tokens": 23, "output": 45, "total": 168}


EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 100, "cache_read_input_tokens": 23, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hé"}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "c1", "name": "sky", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"at": '}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '"noon"}'}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 45}},
    {"type": "message_stop"},
]  # fmt: skip
STREAM = b"".join(f"event: {e['type']}\r\ndata: {json.dumps(e, ensure_ascii=False)}\r\n\r\n".encode() for e in EVENTS)


@example(cuts=list(range(len(STREAM))))
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    events, reading, chunks = Events(), Reading("anthropic"), AnthropicChunks(7, with_usage=True)
    found: list[dict[str, Any]] = []
    pieces = [STREAM[a:b] for a, b in pairwise(edges)]
    for raw in [pair for piece in pieces for pair in events.feed(piece)] + events.rest():
        assert raw[1] is not None
        reading.event(raw[1])
        found += chunks.feed(raw[1])
    assert (reading.model, reading.usage) == (
        "claude",
        {"input": 100, "input_cached_tokens": 23, "output": 45, "total": 168},
    )
    assert reading.output["content"][0]["text"] == "Hé"
    again = Reading("chat")  # what the caller gets is a stream of OpenAI's
    for chunk in found:
        again.event(chunk)
    message = again.output["choices"][0]
    assert (message["message"]["content"], message["message"]["tool_calls"], message["finish_reason"]) == (
        "Hé",
        [CALL],
        "tool_calls",
    )
    assert again.usage == {"input": 100, "input_cached_tokens": 23, "output": 45, "total": 168}


@pytest.mark.parametrize(
    ("form", "event", "usage"),
    [
        ("gemini", {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "cachedContentTokenCount": 2}},
         {"input": 8, "input_cached_tokens": 2, "output": 4, "output_reasoning_tokens": 3, "total": 17}),
        ("responses", {"type": "response.completed", "response": {"usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}}},
         {"input": 10, "output": 5, "total": 15}),
        ("chat", {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}, {"input": 10, "output": 5, "total": 15}),
    ],
)  # fmt: skip
def test_usage_of_other_streams(form: Form, event: dict[str, Any], usage: dict[str, int]) -> None:
    reading = Reading(form)
    reading.event(event)
    assert reading.usage == usage
