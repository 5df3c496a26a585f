"""Runs guardrails: judges that look at a request before it goes out, or at an answer before it goes back.

What a judge does not pass is refused, or rewritten by the model of another endpoint. A judge that cannot be asked refuses too: an
endpoint never serves traffic past a guardrail it is told to use. Streamed answers are not judged, as in MLflow 3.18: they are
on their way before they are complete.
"""

from __future__ import annotations

import asyncio
import json
from typing import Protocol

import msgspec

from twinlens.domain.errors import InvalidArgument, TwinlensError
from twinlens.domain.gateway import Endpoint, Guardrail
from twinlens.features.gateway_dialects import Json
from twinlens.features.gateway_requests import CHAT, Action
from twinlens.features.guardrails import Guardrails
from twinlens.features.judge import Connections, Verdict, ask

MAX_REASON = 1_000
_REWRITE = (
    "You rewrite JSON so that it no longer shows a problem. Keep its structure, its keys and what it means; add nothing. Put "
    "[REDACTED] where something must not be said at all, and rephrase what can be said better. Answer with the JSON object "
    "alone.\n\nThe problem: {reason}\n\nThe JSON:\n{payload}"
)


class GuardrailViolation(InvalidArgument):
    """A guardrail refuses a request or an answer (wording of MLflow 3.18)."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Guardrail '{name}' blocked: {reason[:MAX_REASON]}")


class _Answer(Protocol):
    reply: Json | None


class Caller(Protocol):
    """Calls endpoints (``features.gateway_calls.GatewayCalls``)."""

    async def call(
        self, project_id: str, name: str, action: Action, body: Json, *, user: str = "", guarded: bool = True
    ) -> _Answer:
        """See ``GatewayCalls.call``."""
        ...


class GatewayChecks:
    """See the module's text.

    Args:
        judges: where judges get their answers.
    """

    def __init__(self, guardrails: Guardrails, judges: Connections) -> None:
        self._guardrails = guardrails
        self._judges = judges

    async def before(self, caller: Caller, project_id: str, endpoint: Endpoint, body: Json, user: str) -> Json:
        """The request as it may go out.

        Raises:
            GuardrailViolation: it may not.
        """
        for guardrail in await self._of(project_id, endpoint, "BEFORE"):
            body = await self._enforce(caller, project_id, guardrail, body, {"inputs": body}, user)
        return body

    async def after(
        self, caller: Caller, project_id: str, endpoint: Endpoint, body: Json, reply: Json, user: str
    ) -> Json:  # fmt: skip
        """The answer as it may go back; the same object when nothing was changed.

        Raises:
            GuardrailViolation: it may not.
        """
        for guardrail in await self._of(project_id, endpoint, "AFTER"):
            reply = await self._enforce(caller, project_id, guardrail, reply, {"inputs": body, "outputs": reply}, user)
        return reply

    async def _of(self, project_id: str, endpoint: Endpoint, stage: str) -> list[Guardrail]:
        used = await asyncio.to_thread(self._guardrails.of_endpoint, project_id, endpoint.endpoint_id)
        return [guardrail for _, guardrail in used if guardrail.stage == stage]

    async def _enforce(
        self, caller: Caller, project_id: str, guardrail: Guardrail, payload: Json, seen: dict[str, Json], user: str
    ) -> Json:
        try:
            verdict = await asyncio.to_thread(self._verdict, project_id, guardrail, seen)
        except TwinlensError as error:
            raise GuardrailViolation(guardrail.name, f"its judge could not be asked: {error.message}") from None
        if all(value is True or str(value).strip().lower() == "yes" for value in verdict.values):
            return payload
        reason = verdict.reasoning or ", ".join(str(value) for value in verdict.values)
        if guardrail.action == "VALIDATION":
            raise GuardrailViolation(guardrail.name, reason)
        return await self._rewritten(caller, project_id, guardrail, payload, reason, user)

    def _verdict(self, project_id: str, guardrail: Guardrail, seen: dict[str, Json]) -> Verdict:
        definition = self._guardrails.scorer(project_id, guardrail).definition
        values = {name: msgspec.json.encode(value).decode() for name, value in seen.items()}
        values |= {"input": values.get("inputs", ""), "output": values.get("outputs", "")}
        connection = self._judges(project_id, definition.provider, definition.model)
        return ask(connection, definition, values)

    async def _rewritten(
        self, caller: Caller, project_id: str, guardrail: Guardrail, payload: Json, reason: str, user: str
    ) -> Json:
        known = await asyncio.to_thread(self._guardrails.rewriter, project_id, guardrail)
        text = _REWRITE.format(reason=reason, payload=json.dumps(payload, indent=2))
        asked = {"messages": [{"role": "user", "content": text}], "response_format": {"type": "json_object"}}
        try:
            answer = await caller.call(project_id, known, CHAT, asked, user=user, guarded=False)
            content = (answer.reply or {})["choices"][0]["message"]["content"]
            found = json.loads(content)
        except TwinlensError as error:
            raise GuardrailViolation(guardrail.name, f"Sanitization request failed: {error.message}") from None
        except (KeyError, IndexError, TypeError, ValueError):
            raise GuardrailViolation(guardrail.name, "Sanitization LLM returned invalid JSON.") from None
        if not isinstance(found, dict):
            raise GuardrailViolation(guardrail.name, "Sanitization LLM returned invalid JSON.")
        return found
