"""Azure OpenAI, Gemini and Bedrock: what the gateway sends them and reads from them, against a server that answers as their references say."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.gateway import Credentials, Endpoint
from twinlens.domain.trace import Span
from twinlens.features.gateway_calls import Answer, GatewayCalls
from twinlens.features.gateway_converse import ConverseEvents, sign
from twinlens.features.gateway_requests import CHAT, GEMINI, GEMINI_STREAM, Action, Target, target

Json = dict[str, Any]
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
GEMINI_REPLY = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Because."}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 3, "totalTokenCount": 15}, "modelVersion": "gemini-2.5-flash",
}  # fmt: skip
CONVERSE_REPLY = {
    "output": {"message": {"role": "assistant", "content": [
        {"text": "Because."}, {"toolUse": {"toolUseId": "tu1", "name": "sky", "input": {"at": "noon"}}}]}},
    "stopReason": "tool_use", "usage": {"inputTokens": 12, "outputTokens": 3, "totalTokens": 15, "cacheReadInputTokens": 4},
    "metrics": {"latencyMs": 5},
}  # fmt: skip
CONVERSE_STREAM = [
    ("messageStart", {"role": "assistant"}), ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Be"}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "cause."}}), ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "tu1", "name": "sky"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"at": "noon"}'}}}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": {"inputTokens": 12, "outputTokens": 3, "totalTokens": 15}, "metrics": {"latencyMs": 5}}),
]  # fmt: skip


def frame(kind: str, data: Json, message: str = "event") -> bytes:
    """A message of AWS's event stream encoding: lengths, checksums, headers, payload."""
    said = {
        ":event-type" if message == "event" else ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": message,
    }
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in said.items()
    )
    payload = json.dumps(data).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        cast("Any", self.server).asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        path = self.path.partition("?")[0]
        if path.endswith("/converse-stream"):
            return self._send(b"".join(frame(*each) for each in CONVERSE_STREAM), "application/vnd.amazon.eventstream")
        if path.endswith("/converse"):
            return self._send(json.dumps(CONVERSE_REPLY).encode())
        if path.endswith(":generateContent"):
            return self._send(json.dumps(GEMINI_REPLY).encode())
        if path.endswith(":streamGenerateContent"):
            return self._send(b"data: " + json.dumps(GEMINI_REPLY).encode() + b"\r\n\r\n", "text/event-stream")
        choice = {"index": 0, "message": {"role": "assistant", "content": "Because."}, "finish_reason": "stop"}
        reply = {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": USAGE,
        }
        return self._send(json.dumps(reply).encode())

    def _send(self, body: bytes, media: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("content-type", media)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def provider() -> Iterator[tuple[str, list[tuple[str, dict[str, str], Json]]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    cast("Any", server).asked = []
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", cast("Any", server).asked
    finally:
        server.shutdown()
        server.server_close()


class _Calls(GatewayCalls):
    """Calls of one target, without stores: the trace is kept here."""

    def __init__(self, found: Target) -> None:
        super().__init__(*cast("Any", [None] * 6))
        self._found = found
        self.spans: list[Span] = []
        budgets = type("Budgets", (), {"reserve": lambda *_: None})
        self._budgets = cast("Any", budgets())

    def _targets(self, project_id: str, name: str) -> tuple[Endpoint, list[Target]]:
        return Endpoint(endpoint_id="e", name=name), [self._found]

    async def _finish(self, record: Any) -> None:
        record.end_ns = self._clock()
        self.spans = record.batch().spans


async def _ask(found: Target, action: Action, body: Json) -> tuple[Any, Span]:
    calls = _Calls(found)
    try:
        answer: Answer = await calls.call("p", "e", action, body, guarded=False)
        if answer.chunks is None:
            return json.loads(answer.body or b"null"), calls.spans[-1]
        text = b"".join([piece async for piece in answer.chunks]).decode()
        assert answer.media_type.startswith("text/event-stream")
        events = [line[6:] for line in text.replace("\r\n", "\n").split("\n\n") if line.startswith("data: ")]
        return [json.loads(each) for each in events if each != "[DONE]"], calls.spans[-1]
    finally:
        await calls.release()


def ask(kind: str, base: str, action: Action, body: Json, key: str = "sk-1", **config: Any) -> tuple[Any, Span]:
    """Call a model ``m:1`` of a provider: its answer (or a stream's events), and the span of the attempt."""
    found = target(kind, "m:1", base, config, Credentials(secret={"api_key": key}))
    return asyncio.run(_ask(found, action, body))


HELLO: Json = {"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 50}


def test_azure_openai() -> None:
    with provider() as (url, asked):
        for config, path in (
            ({}, "/openai/v1/chat/completions"),
            ({"api_version": "2024-10-21"}, "/openai/deployments/m%3A1/chat/completions?api-version=2024-10-21"),
        ):
            reply, span = ask("azure", url, CHAT, HELLO, **config)
            assert reply["choices"][0]["message"]["content"] == "Because."
            assert (span.usage["input"], span.usage["output"], span.provider) == (12, 3, "azure")
            sent, headers, body = asked[-1]
            assert (sent, headers["api-key"], body["model"]) == (path, "sk-1", "m:1")
            assert "authorization" not in headers


def test_gemini() -> None:
    contents: Json = {
        "contents": [{"role": "user", "parts": [{"text": "Why?"}]}],
        "generationConfig": {"maxOutputTokens": 9},
    }
    with provider() as (url, asked):
        base = url + "/v1beta"
        reply, span = ask("gemini", base, GEMINI, contents)
        assert (reply, span.usage["input"], span.model) == (GEMINI_REPLY, 12, "gemini-2.5-flash")
        assert asked[-1][0] == "/v1beta/models/m%3A1:generateContent"
        assert (asked[-1][1]["x-goog-api-key"], asked[-1][2]) == ("sk-1", contents)
        events, span = ask("gemini", base, GEMINI_STREAM, contents)
        assert (events, span.usage["output"]) == ([GEMINI_REPLY], 3)
        assert asked[-1][0] == "/v1beta/models/m%3A1:streamGenerateContent?alt=sse"
        reply, span = ask("gemini", base, CHAT, HELLO)  # OpenAI's form goes to its compatible side
        assert (asked[-1][0], asked[-1][1]["authorization"]) == ("/v1beta/openai/chat/completions", "Bearer sk-1")
        assert (reply["usage"], span.usage["total"]) == (USAGE, 15)


TOOLS: Json = {
    "tools": [{"type": "function", "function": {"name": "sky", "description": "d", "parameters": {"type": "object"}}}],
    "tool_choice": "required",
}


def test_bedrock() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    body: Json = {
        **TOOLS, "temperature": 0.5, "stop": "END",
        "messages": [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Why?"}, picture]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "sky", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "blue"},
        ],
    }  # fmt: skip
    with provider() as (url, asked):
        reply, span = ask("bedrock", url, CHAT, body, region="eu-west-1")
        path, headers, sent = asked[-1]
        assert (path, headers["authorization"]) == ("/model/m%3A1/converse", "Bearer sk-1")
        assert sent == {
            "system": [{"text": "Be brief."}], "inferenceConfig": {"temperature": 0.5, "stopSequences": ["END"]},
            "toolConfig": {"tools": [{"toolSpec": {"name": "sky", "description": "d", "inputSchema": {"json": {"type": "object"}}}}], "toolChoice": {"any": {}}},
            "messages": [
                {"role": "user", "content": [{"text": "Why?"}, {"image": {"format": "png", "source": {"bytes": "AAAA"}}}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "sky", "input": {}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "blue"}]}}]},
            ],
        }  # fmt: skip
        [choice] = reply["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("Because.", "tool_calls")
        assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"at": "noon"}
        assert {k: span.usage[k] for k in ("input", "input_cached_tokens", "output")} == {
            "input": 12, "input_cached_tokens": 4, "output": 3,
        }  # fmt: skip
        chunks, span = ask("bedrock", url, CHAT, HELLO | {"stream": True, "stream_options": {"include_usage": True}})
        assert (asked[-1][0], asked[-1][2]["inferenceConfig"]) == ("/model/m%3A1/converse-stream", {"maxTokens": 50})
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
        assert "".join(delta.get("content") or "" for delta in deltas) == "Because."
        parts = [delta["tool_calls"][0]["function"] for delta in deltas if "tool_calls" in delta]
        assert (parts[0]["name"], "".join(part["arguments"] for part in parts)) == ("sky", '{"at": "noon"}')
        assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
        assert (chunks[-1]["usage"]["total_tokens"], span.usage["output"], span.model) == (15, 3, "m:1")
        pair = json.dumps({"accessKeyId": "AKID", "secretAccessKey": "secret"})  # as Langfuse keeps it
        ask("bedrock", url, CHAT, HELLO, key=pair, region="eu-west-1")
        said = asked[-1][1]["authorization"]
        assert said.startswith("AWS4-HMAC-SHA256 Credential=AKID/") and "/eu-west-1/bedrock/aws4_request" in said
    found = target("bedrock", "m", None, {"region": "eu-west-1"}, Credentials(secret={"api_key": "k"}))
    assert found.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    for bad in ({}, {"region": "evil.example/x"}):
        with pytest.raises(InvalidArgument, match="base URL or a region"):
            target("bedrock", "m", None, bad, Credentials(secret={"api_key": "k"}))


def test_streams_of_bedrock_cut_anywhere_and_failing() -> None:
    raw = b"".join(frame(*each) for each in CONVERSE_STREAM)
    whole = [event for _, event in ConverseEvents("m").feed(raw)]
    for size in (1, 7, 100):
        events = ConverseEvents("m")
        cut = [e for at in range(0, len(raw), size) for _, e in events.feed(raw[at : at + size])]
        assert (cut, events.rest()) == (whole, [])
    failed = ConverseEvents("m").feed(frame("throttlingException", {"message": "slow down"}, "exception"))
    assert [event and event["error"]["message"] for _, event in failed] == ["slow down"]
    assert ConverseEvents("m").feed(b"\xff" * 20)[0][1] is not None  # no frame: said, not waited for
    unfinished = ConverseEvents("m")
    unfinished.feed(frame("messageStop", {"stopReason": "end_turn"}))
    assert [event and event["type"] for _, event in unfinished.rest()] == ["message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)
def test_signatures_are_those_of_the_published_suite(method: str, signature: str) -> None:
    """AWS's test suite for Signature Version 4: get-vanilla and post-vanilla."""
    pair = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
    at = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    made = sign("https://example.amazonaws.com/", b"", Credentials(secret=pair), "us-east-1", at, service="service", method=method)  # fmt: skip
    assert made["authorization"].endswith(f"SignedHeaders=host;x-amz-date, Signature={signature}")
