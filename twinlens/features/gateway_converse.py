"""Amazon Bedrock's Converse API: chat from Anthropic's form into its own and back, streams included, and how its requests are signed.

Source: Amazon Bedrock API reference (Converse, ConverseStream), "AWS Signature Version 4", "Event stream encoding". A Bedrock API key
goes as a bearer token; an access key pair signs.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote, urlsplit

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.gateway import Credentials

Json = dict[str, Any]
_CHOICES = {"auto": "auto", "any": "any"}
_INFERENCE = {"temperature": "temperature", "top_p": "topP", "stop_sequences": "stopSequences"}
_MAX_FRAME = 16 * 1024 * 1024  #: what AWS allows
_HEADER_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  #: of header values by type; 6 and 7 say their own


# --- requests ------------------------------------------------------------------------------------------------------
def to_converse(body: Json, *, limited: bool) -> Json:
    """A request in Anthropic's form as Converse wants it; the model is part of the address.

    Args:
        limited: whether the caller named a limit for the answer.

    Raises:
        InvalidArgument: a picture that is only an address.
    """
    inference = {theirs: body[ours] for ours, theirs in _INFERENCE.items() if ours in body}
    if limited:
        inference["maxTokens"] = body["max_tokens"]
    messages = [{"role": m["role"], "content": [_block(b) for b in m["content"]]} for m in body["messages"]]
    found: Json = {"messages": messages, "inferenceConfig": inference}
    if body.get("system"):
        found["system"] = [{"text": body["system"]}]
    choice = body.get("tool_choice") or {}
    if body.get("tools") and choice.get("type") != "none":
        config: Json = {"tools": [{"toolSpec": _spec(tool)} for tool in body["tools"]]}
        if choice.get("type") == "tool":
            config["toolChoice"] = {"tool": {"name": choice["name"]}}
        elif choice.get("type") in _CHOICES:
            config["toolChoice"] = {choice["type"]: {}}
        found["toolConfig"] = config
    if body.get("top_k") is not None:
        found["additionalModelRequestFields"] = {"top_k": body["top_k"]}
    return found


def _block(block: Json) -> Json:
    match block["type"]:
        case "image":
            source = block["source"]
            if source["type"] != "base64":
                raise InvalidArgument("Bedrock takes pictures as data only (data:image/png;base64,…), not by address")
            return {"image": {"format": source["media_type"].partition("/")[2], "source": {"bytes": source["data"]}}}
        case "tool_use":
            return {"toolUse": {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}}
        case "tool_result":
            return {"toolResult": {"toolUseId": block["tool_use_id"], "content": [{"text": block["content"]}]}}
        case _:
            return {"text": block["text"]}


def _spec(tool: Json) -> Json:
    said = {"description": tool["description"]} if tool.get("description") else {}
    return {"name": tool["name"], **said, "inputSchema": {"json": tool["input_schema"]}}


def sign(
    url: str, body: bytes, credentials: Credentials, region: str, at: datetime, *, service: str = "bedrock",
    method: str = "POST",
) -> dict[str, str]:  # fmt: skip
    """Headers that prove a request comes from an access key pair (Signature Version 4).

    Args:
        at: now, UTC.
    """
    access, secret, token = key_pair(credentials) or ("", "", None)
    parts, stamp, day = urlsplit(url), f"{at:%Y%m%dT%H%M%SZ}", f"{at:%Y%m%d}"
    headers = {"host": parts.netloc, "x-amz-date": stamp} | ({"x-amz-security-token": token} if token else {})
    names = ";".join(sorted(headers))
    said = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    path = quote(parts.path or "/", safe="/~")  # encoded once more, as all services but S3 want it
    request = f"{method}\n{path}\n{parts.query}\n{said}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = ("AWS4" + secret).encode()
    for step in (day, region, service, "aws4_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    del headers["host"]
    return headers | {
        "authorization": f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}"
    }


def key_pair(credentials: Credentials) -> tuple[str, str, str | None] | None:
    """Access key, secret key and session token; None where there is a bearer token or nothing.

    MLflow keeps them as three secrets, Langfuse as JSON in one.
    """
    secret: Mapping[str, str] = credentials.secret
    if secret.get("aws_access_key_id") and secret.get("aws_secret_access_key"):
        return secret["aws_access_key_id"], secret["aws_secret_access_key"], secret.get("aws_session_token") or None
    text = credentials.api_key or ""
    if text.startswith("{"):
        try:
            found: Any = json.loads(text)
        except ValueError:
            return None
        if found.get("accessKeyId") and found.get("secretAccessKey"):
            return str(found["accessKeyId"]), str(found["secretAccessKey"]), found.get("sessionToken")
    return None


# --- answers -------------------------------------------------------------------------------------------------------
def from_converse(reply: Json, model: str) -> Json:
    """An answer of Converse in Anthropic's form, which everything behind knows."""
    blocks: list[Json] = []
    for block in cast("list[Json]", ((reply.get("output") or {}).get("message") or {}).get("content") or []):
        if "text" in block:
            blocks.append({"type": "text", "text": block["text"]})
        elif "toolUse" in block:
            use = block["toolUse"]
            blocks.append(
                {"type": "tool_use", "id": use.get("toolUseId"), "name": use.get("name"), "input": use.get("input")}
            )
    return {
        "id": None, "role": "assistant", "model": model, "content": blocks,
        "stop_reason": _stop(reply.get("stopReason")), "usage": _usage(reply.get("usage")),
    }  # fmt: skip


def _stop(reason: Any) -> Any:
    return "refusal" if reason in ("guardrail_intervened", "content_filtered") else reason


def _usage(said: Any) -> Json:
    usage = cast("Json", said or {})
    names = {
        "inputTokens": "input_tokens", "outputTokens": "output_tokens",
        "cacheReadInputTokens": "cache_read_input_tokens", "cacheWriteInputTokens": "cache_creation_input_tokens",
    }  # fmt: skip
    return {ours: usage[theirs] for theirs, ours in names.items() if usage.get(theirs) is not None}


class ConverseEvents:
    """Cuts a stream of ConverseStream into the events of an Anthropic stream; the same calls as ``gateway_dialects.Events``."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._rest = b""
        self._stop: Any = None
        self._ended = False

    def feed(self, piece: bytes) -> list[tuple[bytes, Json | None]]:
        """The events that are complete now."""
        self._rest += piece
        found: list[tuple[bytes, Json | None]] = []
        while len(self._rest) >= 12:
            size, header_size = struct.unpack_from(">II", self._rest)
            if not 16 + header_size <= size <= _MAX_FRAME:
                self._rest = b""
                return [
                    *found,
                    (b"", {"type": "error", "error": {"message": "the provider sent a broken event stream"}}),
                ]
            if len(self._rest) < size:
                break
            frame, self._rest = self._rest[:size], self._rest[size:]
            headers = _headers(frame[12 : 12 + header_size])
            data = json.loads(frame[12 + header_size : -4] or b"{}")
            found += [(b"", event) for event in self._events(headers, data)]
        return found

    def rest(self) -> list[tuple[bytes, Json | None]]:
        """The end, where no usage was told."""
        return [] if self._ended else [(b"", event) for event in self._end({})]

    def _events(self, headers: Mapping[str, str], data: Json) -> list[Json]:
        if headers.get(":message-type") in ("exception", "error"):
            kind = headers.get(":exception-type") or headers.get(":error-code") or "error"
            self._ended = True
            return [{"type": "error", "error": {"type": kind, "message": data.get("message") or kind}}]
        index = data.get("contentBlockIndex") or 0
        match headers.get(":event-type"):
            case "messageStart":
                return [{"type": "message_start", "message": {"model": self._model, "usage": {}}}]
            case "contentBlockStart" if "toolUse" in (data.get("start") or {}):
                use = data["start"]["toolUse"]
                block = {"type": "tool_use", "id": use.get("toolUseId"), "name": use.get("name"), "input": {}}
                return [{"type": "content_block_start", "index": index, "content_block": block}]
            case "contentBlockDelta":
                delta = data.get("delta") or {}
                if "text" in delta:
                    said = {"type": "text_delta", "text": delta["text"]}
                elif "toolUse" in delta:
                    said = {"type": "input_json_delta", "partial_json": delta["toolUse"].get("input") or ""}
                else:
                    return []
                return [{"type": "content_block_delta", "index": index, "delta": said}]
            case "messageStop":
                self._stop = _stop(data.get("stopReason"))
                return []
            case "metadata":
                return self._end(_usage(data.get("usage")))
            case _:
                return []

    def _end(self, usage: Json) -> list[Json]:
        self._ended = True
        delta = {"type": "message_delta", "delta": {"stop_reason": self._stop}, "usage": usage}
        return [delta, {"type": "message_stop"}]


def _headers(raw: bytes) -> dict[str, str]:
    """The text headers of a frame."""
    found: dict[str, str] = {}
    at = 0
    while at < len(raw):
        length = raw[at]
        name, kind = raw[at + 1 : at + 1 + length].decode(), raw[at + 1 + length]
        at += 2 + length
        if kind in (6, 7):
            (size,) = struct.unpack_from(">H", raw, at)
            if kind == 7:
                found[name] = raw[at + 2 : at + 2 + size].decode()
            at += 2 + size
        else:
            at += _HEADER_SIZES[kind]
    return found
