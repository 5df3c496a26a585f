"""A model provider that answers on loopback as OpenAI and Anthropic do: chat and messages (also streamed), responses, embeddings.

Always 123 and 45 tokens. A model named ``fail-503`` answers that status, one named ``slow`` nothing for a second.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 123, "completion_tokens": 45, "total_tokens": 168}
_KINDS = {"boolean": True, "number": 1.0, "integer": 1}
_FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._json({"object": "list", "data": [{"id": "gpt-4o-mini", "object": "model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        base = {"id": "stub-1", "created": 1, "model": asked.get("model", "gpt-4o-mini")}
        self.server.asked.append((self.path, dict(self.headers), asked))  # type: ignore[attr-defined]
        if str(base["model"]).startswith("fail-"):
            return self._json({"error": {"message": "the stub fails", "type": "stub"}}, int(base["model"][5:]))
        if base["model"] == "slow":
            time.sleep(1)
        if self.path.endswith("/messages"):
            return self._messages(base["model"], bool(asked.get("stream")))
        if self.path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
            return self._json(
                {**base, "object": "list", "data": data, "usage": {"prompt_tokens": 123, "total_tokens": 123}}
            )
        tool = _tool(asked)
        if self.path.endswith("/responses"):
            text = {"type": "output_text", "text": "Because.", "annotations": []}
            message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
            usage = {"input_tokens": 123, "output_tokens": 45, "total_tokens": 168, "input_tokens_details": {"cached_tokens": 0},
                     "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
            call = {"type": "function_call", "id": "fc", "call_id": "call-1", "status": "completed", **(tool or {})}
            return self._json({**base, "object": "response", "created_at": 1, "status": "completed", "output": [call if tool else message],
                               "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []})  # fmt: skip
        if asked.get("stream"):
            return self._stream(base, bool((asked.get("stream_options") or {}).get("include_usage")))
        said: dict[str, Any] = {"role": "assistant", "content": _answer(asked)}
        if tool:
            said |= {"content": None, "tool_calls": [{"id": "call-1", "type": "function", "function": tool}]}
        choice = {"index": 0, "message": said, "finish_reason": "tool_calls" if tool else "stop"}
        self._json({**base, "object": "chat.completion", "choices": [choice], "usage": USAGE})

    def _stream(self, base: dict[str, Any], counted: bool) -> None:
        base = {**base, "object": "chat.completion.chunk"}
        rows: list[dict[str, Any]] = [
            {**base, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
            for text in ("Be", "cause.")
        ]
        rows.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if counted:
            rows.append({**base, "choices": [], "usage": USAGE})
        body = b"".join(b"data: " + json.dumps(row).encode() + b"\n\n" for row in rows) + b"data: [DONE]\n\n"
        self._send(body, "text/event-stream")

    def _messages(self, model: str, streamed: bool) -> None:
        usage = {"input_tokens": 123, "output_tokens": 45}
        message: dict[str, Any] = {
            "id": "msg-1", "type": "message", "role": "assistant", "model": model, "stop_reason": "end_turn", "stop_sequence": None,
            "content": [{"type": "text", "text": "Because."}], "usage": usage,
        }  # fmt: skip
        if not streamed:
            return self._json(message)
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        start = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        pieces = [
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
            for text in ("Be", "cause.")
        ]
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": start}, block, *pieces, {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 45}}, {"type": "message_stop"},
        ]  # fmt: skip
        body = b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)
        self._send(body, "text/event-stream")

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), "application/json", status)

    def _send(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _tool(asked: dict[str, Any]) -> dict[str, str] | None:
    """The call of the first tool on offer, when the user says "use a tool" and none was used yet; every argument is "the sky"."""
    talk = json.dumps(asked.get("messages") or asked.get("input") or "").lower()
    if not asked.get("tools") or "use a tool" not in talk or "call-1" in talk:
        return None
    offered = asked["tools"][0].get("function") or asked["tools"][0]
    arguments = dict.fromkeys(offered["parameters"].get("properties") or {}, "the sky")
    return {"name": offered["name"], "arguments": json.dumps(arguments)}


def _answer(asked: dict[str, Any]) -> str:
    """DSPy asks for fields between markers; the last message names those to answer. Who asks for JSON of a shape gets it, and everybody
    else a word."""
    shape = (asked.get("response_format") or {}).get("json_schema", {}).get("schema", {}).get("properties")
    if shape:  # a judge
        return json.dumps({name: _KINDS.get(said.get("type"), "Because.") for name, said in shape.items()})
    last = json.dumps(asked.get("messages", [])[-1:])
    _, _, wanted = last.partition("Respond with")
    fields = [name for name in _FIELD.findall(wanted) if name != "completed"]
    if not fields:
        return "Because."
    return "\n\n".join([*(f"[[ ## {name} ## ]]\nBecause." for name in fields), "[[ ## completed ## ]]"])


Asked = list[tuple[str, dict[str, str], dict[str, Any]]]


@contextmanager
def listening_llm() -> Iterator[tuple[str, Asked]]:
    """Its base URL, ``/v1`` included, and what it was asked: path, headers, body."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    asked: Asked = []
    server.asked = asked  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def stub_llm() -> Iterator[str]:
    """Its base URL, ``/v1`` included."""
    with listening_llm() as (url, _):
        yield url
