"""Calls of the gateway: from an endpoint's name to a provider's answer, with fallback, budgets, guardrails and a trace.

A call goes to a primary model, drawn by weight where the endpoint splits traffic. When that answers 408, 429 or 5xx, cannot be
reached or takes too long, the fallbacks are tried in order; once the first byte of an answer is on its way, nothing is tried again.
Redirects are not followed; ``provider_addresses`` says which addresses are called.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound, TwinlensError
from twinlens.domain.gateway import Endpoint
from twinlens.features.budgets import Budgets
from twinlens.features.connections import ModelConnections
from twinlens.features.gateway import Gateway
from twinlens.features.gateway_checks import GatewayChecks
from twinlens.features.gateway_converse import ConverseEvents, from_converse, sign
from twinlens.features.gateway_dialects import AnthropicChunks, Events, Json, Reading, event_bytes, from_anthropic
from twinlens.features.gateway_providers import region_of
from twinlens.features.gateway_requests import CHAT, Action, Attempt, Target, attempt, target
from twinlens.features.gateway_trace import CallRecord, Tried
from twinlens.features.prices import Prices
from twinlens.ingest.writer import Ingest

if TYPE_CHECKING:
    import httpx

_log = logging.getLogger(__name__)
_CONNECT_S = 10.0
_EVENT_FRAMES = "application/vnd.amazon.eventstream"
_STREAMS = ("text/event-stream", "application/x-ndjson", _EVENT_FRAMES)
_AGAIN = frozenset({408, 429, *range(500, 600)})
_S = 1_000_000_000


class UpstreamFailed(TwinlensError):
    """A provider refused, or could not be reached. ``body`` is its answer, if it was JSON."""

    def __init__(self, message: str, status: int, body: Json | None = None, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.retry_after = retry_after


class Answer(msgspec.Struct, kw_only=True):
    """A provider's answer: ``body``, or ``chunks`` when it is streamed."""

    media_type: str = "application/json"
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    reply: Json | None = None  #: ``body`` decoded, where it is a JSON object


class GatewayCalls:
    """See the module's text.

    Args:
        timeout: seconds a provider may take between two pieces of an answer.
        anywhere: providers in private networks and on this machine may be called.
    """

    def __init__(
        self, gateway: Gateway, connections: ModelConnections, budgets: Budgets, checks: GatewayChecks, prices: Prices,
        ingest: Ingest, *, timeout: float = 300.0, anywhere: bool = True, clock: Clock = now_ns,
    ) -> None:  # fmt: skip
        self._gateway = gateway
        self._connections = connections
        self._budgets = budgets
        self._checks = checks
        self._prices = prices
        self._ingest = ingest
        self._timeout = timeout
        self._anywhere = anywhere
        self._clock = clock
        self._random = random.Random()  # noqa: S311 - shares traffic, guards nothing
        self._clients: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}

    async def call(
        self, project_id: str, name: str, action: Action, body: Json, *, user: str = "",
        headers: Mapping[str, str] | None = None, path: str = "", query: str = "", guarded: bool = True,
    ) -> Answer:  # fmt: skip
        """Ask an endpoint.

        Args:
            name: the endpoint's.
            body: the request in the form of ``action``.
            user: who calls, for budgets of one caller.
            headers: the caller's, lower case.
            guarded: whether the endpoint's guardrails judge (not when a guardrail itself calls).

        Raises:
            NotFound: no such endpoint.
            InvalidArgument: the request, or what is configured, cannot work.
            BudgetExceeded: a budget is used up.
            GuardrailViolation: a guardrail refuses.
            UpstreamFailed: the providers failed.
        """
        endpoint, targets = await asyncio.to_thread(self._targets, project_id, name)
        sent = headers or {}
        record = CallRecord(
            project_id=project_id, endpoint=endpoint, action=action, body=body, user=user, start_ns=self._clock(),
            parent=sent.get("traceparent", ""),
        )  # fmt: skip
        try:
            record.reservation = await asyncio.to_thread(
                self._budgets.reserve, project_id, endpoint.endpoint_id, user, lambda: self._estimate(record, targets)
            )
            if guarded:
                body = await self._checks.before(self, project_id, endpoint, body, user)
            answer = await self._first(record, targets, body, sent, path, query)
            if answer.chunks is None and guarded and answer.reply is not None:
                checked = await self._checks.after(self, project_id, endpoint, body, answer.reply, user)
                if checked is not answer.reply:
                    answer.body, answer.reply = msgspec.json.encode(checked), checked
        except TwinlensError as error:
            record.error = error.message
            await self._finish(record)
            raise
        if answer.chunks is None:
            await self._finish(record)
        return answer

    def _estimate(self, record: CallRecord, targets: list[Target]) -> float:
        """USD that a call may cost, at the most expensive of the models that may answer."""
        spans = [record.expected(each) for each in targets]
        self._prices.enrich(record.project_id, spans)
        return max(span.total_cost for span in spans)

    async def ask(self, project_id: str, found: Target, body: Json) -> Json:
        """Ask a model for a chat completion outside of any endpoint: no budget, no trace.

        Raises:
            UpstreamFailed: the provider failed.
            InvalidArgument: the request cannot be put into the provider's form.
        """
        request = attempt(found, CHAT, body, {})
        answer = await self._send(Tried(target=found, start_ns=self._clock()), CHAT, request, None)
        return answer.reply or {}

    def connected(self, project_id: str, connection_name: str, model: str) -> Target | None:
        """A model behind a connection that is known by its name; None if there is no such connection.

        Raises:
            InvalidArgument: the connection cannot be used.
        """
        found = self._connections.named(project_id, connection_name)
        if found is None:
            return None
        credentials = self._connections.open(found)
        return target(found.provider, model, found.base_url, found.config, credentials)

    def _targets(self, project_id: str, name: str) -> tuple[Endpoint, list[Target]]:
        """An endpoint and the models to try, in order."""
        endpoint = self._gateway.endpoint(project_id, name=name)
        primaries = [m for m in endpoint.mappings if m.linkage == "PRIMARY"]
        if not primaries:
            raise NotFound(f"Endpoint '{name}' has no PRIMARY models configured")
        chosen = primaries[0]
        if endpoint.routing_strategy is not None and sum(m.weight for m in primaries) > 0:
            [chosen] = self._random.choices(primaries, weights=[m.weight for m in primaries])
        fallbacks = [m for m in endpoint.mappings if m.linkage == "FALLBACK"]
        fallbacks.sort(key=lambda m: (m.fallback_order is None, m.fallback_order or 0))
        most = endpoint.fallback.max_attempts if endpoint.fallback else None
        targets: list[Target] = []
        for mapping in [chosen, *fallbacks[:most]]:
            model = mapping.definition
            if model is None or model.connection_id is None:
                raise InvalidArgument(
                    f"the model {model.name if model else mapping.model_definition_id!r} of endpoint '{name}' has no connection any "
                    "more: give it another secret"
                )
            connection = self._connections.get(project_id, model.connection_id)
            credentials = self._connections.open(connection)
            # A key goes only where its connection says, whatever provider a model definition names.
            kind = connection.provider or model.provider
            targets.append(target(kind, model.model_name, connection.base_url, connection.config, credentials))
        return endpoint, targets

    async def _first(
        self, record: CallRecord, targets: list[Target], body: Json, headers: Mapping[str, str], path: str, query: str
    ) -> Answer:
        """The answer of the first target that gives one."""
        for number, found in enumerate(targets, 1):
            request = attempt(found, record.action, body, headers, path, query)
            tried = Tried(target=found, start_ns=self._clock(), reading=Reading(request.form))
            record.tried.append(tried)
            try:
                return await self._send(tried, record.action, request, record)
            except UpstreamFailed as error:
                tried.error, tried.end_ns = error.message, self._clock()
                if error.status not in _AGAIN or number == len(targets):
                    if len(targets) > 1 and error.status in _AGAIN:
                        error.message = f"All {number} fallback attempts failed. Last error: {error.message}"
                    raise
        raise InvalidArgument("the endpoint has no models")

    async def _send(self, tried: Tried, action: Action, request: Attempt, record: CallRecord | None) -> Answer:
        import httpx

        client = self._client()
        try:
            content = msgspec.json.encode(request.body)
            headers = {"content-type": "application/json"} | request.headers
            if request.signs:
                found = tried.target
                now = datetime.fromtimestamp(self._clock() / _S, UTC)
                headers |= sign(request.url, content, found.credentials, region_of(found.config), now)
            sent = client.build_request("POST", request.url, content=content, headers=headers)
            response = await client.send(sent, stream=True)
        except httpx.TimeoutException:
            raise UpstreamFailed(f"the provider at {_host(request.url)} did not answer in time", 504) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UpstreamFailed(f"the provider at {_host(request.url)} cannot be reached: {error}", 502) from None
        media = response.headers.get("content-type", "application/json")
        translate = action is CHAT and request.form == "anthropic"
        if response.is_success and media.startswith(_STREAMS) and record is not None:
            media = _STREAMS[0] if request.converse else media
            return Answer(media_type=media, chunks=self._relay(response, tried, request, record, translate=translate))
        try:
            raw = await response.aread()
        except httpx.HTTPError as error:
            raise UpstreamFailed(f"the provider at {_host(request.url)} broke off: {error}", 502) from None
        finally:
            await response.aclose()
        reply = _object(raw)
        if not response.is_success:
            raise UpstreamFailed(
                _said(reply, raw) or f"the provider answered {response.status_code}",
                response.status_code if response.status_code >= 400 else 502, reply, response.headers.get("retry-after"),
            )  # fmt: skip
        tried.end_ns = self._clock()
        if reply is not None:
            if request.converse:
                reply = from_converse(reply, tried.target.model)
            if tried.reading is not None:
                tried.reading.whole(reply)
            if translate:
                reply = from_anthropic(reply, int(time.time()))
                raw = msgspec.json.encode(reply)
        return Answer(media_type=media, body=raw, reply=reply)

    async def _relay(
        self, response: httpx.Response, tried: Tried, request: Attempt, record: CallRecord, *, translate: bool
    ) -> AsyncIterator[bytes]:
        """A stream, read for the trace as it passes, and translated where the caller speaks another protocol."""
        import httpx

        reading = cast("Reading", tried.reading)
        options = record.body.get("stream_options") or {}
        chunks = AnthropicChunks(int(time.time()), with_usage=bool(options.get("include_usage"))) if translate else None
        events = ConverseEvents(tried.target.model) if request.converse else Events()
        is_events = request.converse or response.headers.get("content-type", "").startswith(_STREAMS[0])

        def passed(found: list[tuple[bytes, Json | None]]) -> list[bytes]:
            out: list[bytes] = []
            for raw, data in found:
                if data is not None:
                    reading.event(data)
                if chunks is not None:
                    out += [event_bytes(chunk) for chunk in (chunks.feed(data) if data is not None else [])]
                elif not (request.hide_usage and data is not None and data.get("usage") and not data.get("choices")):
                    out.append(raw)
            return out

        record.error = "the caller went away before the answer was complete"
        try:
            async for piece in response.aiter_bytes():
                tried.first_ns = tried.first_ns or self._clock()
                if not is_events:  # lines of JSON pass unread: their pieces need not end where a line does
                    yield piece
                    continue
                for out in passed(events.feed(piece)):
                    yield out
            for out in passed(events.rest()):
                yield out
            if chunks is not None:
                yield event_bytes("[DONE]")
            record.error = reading.error
        except httpx.HTTPError as error:
            record.error = f"the provider broke off: {error or type(error).__name__}"
            yield event_bytes({"error": {"message": record.error, "type": "upstream_error"}})
        finally:
            tried.error, tried.end_ns = record.error, self._clock()
            # A caller that goes away cancels this task; what was used is counted all the same.
            await asyncio.shield(asyncio.ensure_future(self._closed(response, record)))

    async def _closed(self, response: httpx.Response, record: CallRecord) -> None:
        await response.aclose()
        await self._finish(record)

    async def _finish(self, record: CallRecord) -> None:
        """Store the trace and count what was used. Never fails the call, whose answer is there already."""
        record.end_ns = self._clock()
        try:
            batch = record.batch()
            await asyncio.to_thread(self._prices.enrich, record.project_id, batch.spans, batch.patches)
            cost = sum(span.total_cost for span in batch.spans)
            used = sum(span.usage.get("total", 0) for span in batch.spans)
            await asyncio.to_thread(
                self._budgets.count, record.project_id, record.endpoint.endpoint_id, record.user, cost=cost, tokens=used,
                failed=record.error is not None, reservation=record.reservation,
            )  # fmt: skip
            if record.endpoint.usage_tracking:
                await self._ingest.submit(batch)
        except Exception:
            _log.exception("a call of endpoint %s could not be recorded", record.endpoint.name)

    async def release(self) -> None:
        """Close the connections of the running event loop, before it ends."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _client(self) -> httpx.AsyncClient:
        """The client of the running event loop: connections belong to the loop that opened them."""
        import httpx

        loop = asyncio.get_running_loop()
        known = self._clients.get(loop)
        if known is None:
            limits = httpx.Limits(max_connections=500, max_keepalive_connections=50)
            timeout = httpx.Timeout(self._timeout, connect=_CONNECT_S)
            from twinlens.features import provider_addresses

            known = self._clients[loop] = provider_addresses.client(timeout, limits, anywhere=self._anywhere)
        return known


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _object(raw: bytes) -> Json | None:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def _said(reply: Json | None, raw: bytes) -> str:
    """The message inside a provider's error."""
    if reply is None:
        return raw[:500].decode(errors="replace").strip()
    error = reply.get("error")
    if isinstance(error, dict):
        error = cast("Json", error).get("message")
    return str(error or reply.get("message") or reply.get("detail") or reply)[:2_000]
