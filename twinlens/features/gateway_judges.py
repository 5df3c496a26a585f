"""Where judges get their answers: an endpoint of the gateway, one of the project's model connections, else what the settings say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from twinlens.domain.errors import InvalidState, NotFound, TwinlensError
from twinlens.features.budgets import BudgetExceeded
from twinlens.features.connections import ModelConnections
from twinlens.features.gateway import Gateway
from twinlens.features.gateway_calls import GatewayCalls, UpstreamFailed
from twinlens.features.gateway_dialects import Json
from twinlens.features.gateway_providers import canonical
from twinlens.features.gateway_requests import CHAT
from twinlens.features.judge import Connection, Connections, JudgeFailed, JudgeRefused

ENDPOINT = "gateway"  #: MLflow's judges name an endpoint as ``gateway:/name``
_FINAL = frozenset({400, 401, 403, 404, 422})


class GatewayJudges:
    """A ``features.judge.Connections``. Evaluators name a provider as Langfuse does, by the connection's name, or as MLflow does, by its kind.

    Args:
        fallback: asked where the project has no such connection.
    """

    def __init__(
        self, calls: GatewayCalls, gateway: Gateway, connections: ModelConnections, fallback: Connections
    ) -> None:
        self._calls = calls
        self._gateway = gateway
        self._connections = connections
        self._fallback = fallback

    def __call__(self, project_id: str, provider: str | None, model: str | None) -> Connection:
        """The connection for a judge.

        Raises:
            InvalidState: with what to set.
        """
        if provider == ENDPOINT:
            return self._endpoint(project_id, model or "")
        name = self._name(project_id, provider) if provider else None
        if name is None:
            return self._fallback(project_id, provider, model)
        connection = self._connections.named(project_id, name)
        wanted = model or next(iter(connection.models if connection else []), None)
        if wanted is None:
            raise InvalidState(f"the evaluator names no model for the connection {name!r}: give it a modelConfig")
        try:
            target = self._calls.connected(project_id, name, wanted)
        except TwinlensError as error:
            raise InvalidState(error.message) from None
        if target is None:
            return self._fallback(project_id, provider, model)
        found = target
        return Connection(
            base_url=found.base_url, model=wanted,
            chat=_blocking(self._calls, lambda body: self._calls.ask(project_id, found, body)),
        )  # fmt: skip

    def _name(self, project_id: str, provider: str) -> str | None:
        """The connection that an evaluator's provider means: by name, else the oldest of its kind."""
        known = self._connections.list(project_id)
        if any(each.name == provider for each in known):
            return provider
        return next((e.name for e in known if e.provider and canonical(e.provider) == canonical(provider)), None)

    def _endpoint(self, project_id: str, named: str) -> Connection:
        known = self._gateway.endpoints(project_id)
        found = next((each for each in known if named in (each.name, each.endpoint_id)), None)
        if found is None:
            raise InvalidState(
                f"the judge's model gateway:/{named} names no endpoint of the gateway: make one of this name"
            )
        name = found.name

        async def ask(body: Json) -> Json:
            sent = {key: value for key, value in body.items() if key != "model"}
            answer = await self._calls.call(project_id, name, CHAT, sent, guarded=False)
            return answer.reply or {}

        return Connection(base_url=f"gateway:/{name}", model=name, chat=_blocking(self._calls, ask))


def _blocking(
    calls: GatewayCalls, ask: Callable[[Json], Coroutine[Any, Any, Json]]
) -> Callable[[dict[str, Any], float], Any]:
    """``ask`` for the threads in which judges run."""

    async def once(body: Json, seconds: float) -> Json:
        try:
            async with asyncio.timeout(seconds):
                return await ask(body)
        finally:
            await calls.release()

    def chat(body: Json, timeout: float) -> Json:
        try:
            return asyncio.run(once(body, timeout))
        except UpstreamFailed as error:
            said = f"the model server answered {error.status}: {error.message}"
            raise (JudgeRefused if error.status in _FINAL else JudgeFailed)(said) from None
        except (BudgetExceeded, TimeoutError) as error:
            raise JudgeFailed(str(error) or "the model did not answer in time") from None
        except (NotFound, TwinlensError) as error:
            raise JudgeRefused(error.message) from None

    return chat
