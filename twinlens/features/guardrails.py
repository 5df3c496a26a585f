"""Guardrails of the gateway: which judges stand before and behind which endpoint. Running them is ``features.gateway_checks``'."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.evaluator import Evaluator
from twinlens.domain.gateway import Guardrail, GuardrailUse, not_found
from twinlens.domain.ids import new_hex
from twinlens.features.evaluators import Evaluators
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.gateway import GatewayTable
from twinlens.store.catalog.guardrails import GuardrailTable

T = TypeVar("T")


class Guardrails:
    """See the module's text. All methods block."""

    def __init__(self, catalog: Catalog, evaluators: Evaluators, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._evaluators = evaluators
        self._clock = clock

    def create(self, project_id: str, draft: Guardrail) -> Guardrail:
        """Store a new guardrail; id and times are filled in.

        Raises:
            NotFound: the judge, or the endpoint that rewrites, does not exist.
            InvalidArgument: it rewrites, but no endpoint is named to do it.
        """
        definition = self.scorer(project_id, draft).definition
        if not definition.messages or definition.output.data_type == "NUMERIC":
            raise InvalidArgument(
                "a guardrail needs a judge that answers yes or no: one made by make_judge with feedback_value_type bool or str. "
                "Built-in scorers of MLflow's library run in that library only."
            )
        now = self._clock()
        made = msgspec.structs.replace(draft, guardrail_id="gr-" + new_hex(), created_ns=now, updated_ns=now)
        if made.action_endpoint_id is not None:
            self._check_endpoint(project_id, made.action_endpoint_id, "GatewayEndpoint")
        elif made.action == "SANITIZATION":
            raise InvalidArgument(
                "a guardrail that sanitizes needs action_endpoint_id: the endpoint whose model rewrites"
            )
        self._write(project_id, lambda table: table.add(made))
        return made

    def get(self, project_id: str, guardrail_id: str) -> Guardrail:
        """One guardrail.

        Raises:
            NotFound: there is none.
        """
        found = self._read(project_id, lambda table: table.find(guardrail_id))
        if not found:
            raise NotFound(not_found("Guardrail", {"guardrail_id": guardrail_id}))
        return found[0]

    def list(self, project_id: str) -> list[Guardrail]:
        """All, by id."""
        return self._read(project_id, lambda table: table.find())

    def delete(self, project_id: str, guardrail_id: str) -> None:
        """Remove one, from endpoints too.

        Raises:
            NotFound: there is none.
        """
        self.get(project_id, guardrail_id)
        self._write(project_id, lambda table: table.delete(guardrail_id))

    def add(
        self, project_id: str, endpoint_id: str, guardrail_id: str, order: int | None = None, user: str | None = None
    ) -> tuple[GuardrailUse, Guardrail]:
        """Let an endpoint use a guardrail.

        Raises:
            NotFound: one of both does not exist.
            AlreadyExists: it does so already.
        """
        self._check_endpoint(project_id, endpoint_id)
        guardrail = self.get(project_id, guardrail_id)
        use = GuardrailUse(
            endpoint_id=endpoint_id, guardrail_id=guardrail_id, execution_order=order, created_by=user,
            created_ns=self._clock(),
        )  # fmt: skip

        def write(table: GuardrailTable) -> None:
            if table.uses(endpoint_id, guardrail_id):
                raise AlreadyExists(f"Guardrail '{guardrail_id}' is already added to endpoint '{endpoint_id}'")
            table.add_use(use)

        self._write(project_id, write)
        return use, guardrail

    def set_order(
        self, project_id: str, endpoint_id: str, guardrail_id: str, order: int | None
    ) -> tuple[GuardrailUse, Guardrail]:  # fmt: skip
        """Change when a guardrail runs.

        Raises:
            NotFound: the endpoint does not use it.
        """

        def write(table: GuardrailTable) -> GuardrailUse:
            table.set_order(endpoint_id, guardrail_id, order)
            return _used(table.uses(endpoint_id, guardrail_id), endpoint_id, guardrail_id)

        return self._write(project_id, write), self.get(project_id, guardrail_id)

    def remove(self, project_id: str, endpoint_id: str, guardrail_id: str) -> None:
        """Take a guardrail from an endpoint.

        Raises:
            NotFound: the endpoint does not use it.
        """

        def write(table: GuardrailTable) -> None:
            _used(table.uses(endpoint_id, guardrail_id), endpoint_id, guardrail_id)
            table.delete_use(endpoint_id, guardrail_id)

        self._write(project_id, write)

    def of_endpoint(self, project_id: str, endpoint_id: str) -> list[tuple[GuardrailUse, Guardrail]]:
        """What an endpoint uses, in the order of execution.

        Raises:
            NotFound: no such endpoint.
        """
        self._check_endpoint(project_id, endpoint_id)

        def read(table: GuardrailTable) -> list[tuple[GuardrailUse, Guardrail]]:
            known = {each.guardrail_id: each for each in table.find()}
            return [(use, known[use.guardrail_id]) for use in table.uses(endpoint_id) if use.guardrail_id in known]

        return self._read(project_id, read)

    def scorer(self, project_id: str, guardrail: Guardrail) -> Evaluator:
        """The judge of a guardrail, in its version.

        Raises:
            NotFound: there is none.
        """
        id, version = guardrail.scorer_id, guardrail.scorer_version
        try:
            found = self._evaluators.versions(project_id, id)
        except NotFound:
            raise NotFound(f"Scorer with ID '{id}' not found.") from None
        for each in found:
            if each.version == version:
                return each
        raise NotFound(f"Scorer with ID '{id}' and version {version} not found.")

    def rewriter(self, project_id: str, guardrail: Guardrail) -> str:
        """Name of the endpoint whose model rewrites what the guardrail does not pass.

        Raises:
            InvalidArgument: it is not there any more.
        """
        with self._catalog.read() as connection:
            found = GatewayTable(connection, project_id).endpoints(endpoint_id=guardrail.action_endpoint_id or "")
        if not found:
            raise InvalidArgument(
                f"guardrail '{guardrail.name}' rewrites through an endpoint that is not there any more"
            )
        return found[0].name

    def _check_endpoint(self, project_id: str, endpoint_id: str, kind: str = "Endpoint") -> None:
        with self._catalog.read() as connection:
            if not GatewayTable(connection, project_id).endpoints(endpoint_id=endpoint_id):
                raise NotFound(not_found(kind, {"endpoint_id": endpoint_id}))

    def _read(self, project_id: str, work: Callable[[GuardrailTable], T]) -> T:
        with self._catalog.read() as connection:
            return work(GuardrailTable(connection, project_id))

    def _write(self, project_id: str, work: Callable[[GuardrailTable], T]) -> T:
        with self._catalog.write() as connection:
            return work(GuardrailTable(connection, project_id))


def _used(found: list[GuardrailUse], endpoint_id: str, guardrail_id: str) -> GuardrailUse:
    if not found:
        raise NotFound(not_found("GuardrailConfig", {"endpoint_id": endpoint_id, "guardrail_id": guardrail_id}))
    return found[0]
