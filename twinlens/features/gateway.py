"""The gateway's models and endpoints: what is configured. Calling them is ``features.gateway_calls``' business.

Rules and wording follow MLflow 3.18's store, so that its client and page find what they know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, InvalidState, NotFound
from twinlens.domain.gateway import (
    MAX_NAME,
    Binding,
    Endpoint,
    Fallback,
    ModelDefinition,
    ModelMapping,
    not_found,
)
from twinlens.domain.ids import new_hex
from twinlens.features.experiments import Experiments
from twinlens.store.catalog.connections import ConnectionTable
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.gateway import GatewayTable
from twinlens.store.catalog.guardrails import GuardrailTable

T = TypeVar("T")
RESOURCES = ("scorer",)
MAX_KEY, MAX_VALUE = 250, 5_000


class Gateway:
    """See the module's text. All methods block."""

    def __init__(self, catalog: Catalog, experiments: Experiments, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._experiments = experiments
        self._clock = clock

    # --- model definitions -------------------------------------------------------------------------------------
    def create_model(self, project_id: str, draft: ModelDefinition) -> ModelDefinition:
        """Store a new model definition; id and times are filled in.

        Raises:
            NotFound: its connection does not exist.
            AlreadyExists: the name is taken.
        """
        now = self._clock()
        made = msgspec.structs.replace(draft, model_definition_id="d-" + new_hex(), created_ns=now, updated_ns=now)

        def write(table: GatewayTable) -> ModelDefinition:
            _check_model(table, made)
            table.add_model(made)
            return table.models(model_definition_id=made.model_definition_id)[0]

        return self._write(project_id, write, connection_id=made.connection_id)

    def define(self, project_id: str, connection_id: str, model_name: str, user: str | None = None) -> ModelDefinition:
        """The definition of a model behind a connection, made when there is none yet.

        Raises:
            NotFound: no such connection.
            InvalidArgument: the model has no name.
        """
        for known in self.models(project_id, connection_id=connection_id):
            if known.model_name == model_name:
                return known
        with self._catalog.read() as c:
            found = ConnectionTable(c, project_id).find(connection_id=connection_id)
        connection = _first(found, "GatewaySecret", {"secret_id": connection_id})
        name = f"{connection.name}/{model_name}"
        if self._read(project_id, lambda table: table.models(name=name)):
            name += f" ({connection_id})"
        draft = ModelDefinition(
            model_definition_id="", name=name, connection_id=connection_id, provider=connection.provider or "openai",
            model_name=model_name, created_by=user, updated_by=user,
        )  # fmt: skip
        return self.create_model(project_id, draft)

    def model(
        self, project_id: str, model_definition_id: str | None = None, name: str | None = None
    ) -> ModelDefinition:  # fmt: skip
        """One model definition by id or name.

        Raises:
            NotFound: there is none.
            InvalidArgument: not exactly one of both was given.
        """
        wanted = _one_of(model_definition_id=model_definition_id, name=name)
        return _first(self._read(project_id, lambda t: t.models(**wanted)), "GatewayModelDefinition", wanted)

    def models(
        self, project_id: str, provider: str | None = None, connection_id: str | None = None
    ) -> list[ModelDefinition]:  # fmt: skip
        """All, or those of one provider or connection; oldest first."""
        wanted = _given(provider=provider, connection_id=connection_id)
        return self._read(project_id, lambda table: table.models(**wanted))

    def update_model(self, project_id: str, model_definition_id: str, **changes: Any) -> ModelDefinition:
        """Change fields; those that are None stay.

        Raises:
            NotFound: the model or its new connection does not exist.
            AlreadyExists: the new name is taken.
        """
        said = {name: value for name, value in changes.items() if value is not None}

        def write(table: GatewayTable) -> ModelDefinition:
            wanted = {"model_definition_id": model_definition_id}
            before = _first(table.models(**wanted), "GatewayModelDefinition", wanted)
            after = msgspec.structs.replace(before, **said, updated_ns=self._clock())
            _check_model(table, after)
            table.replace_model(after)
            return table.models(**wanted)[0]

        return self._write(project_id, write, connection_id=said.get("connection_id"))

    def delete_model(self, project_id: str, model_definition_id: str) -> None:
        """Remove a model definition that no endpoint uses.

        Raises:
            NotFound: there is none.
            InvalidState: an endpoint uses it.
        """

        def write(table: GatewayTable) -> None:
            wanted = {"model_definition_id": model_definition_id}
            _first(table.models(**wanted), "GatewayModelDefinition", wanted)
            if table.in_use(model_definition_id):
                raise InvalidState(
                    "Cannot delete model definition that is currently in use by endpoints. "
                    "Detach it from all endpoints first."
                )
            table.delete_model(model_definition_id)

        self._write(project_id, write)

    # --- endpoints ---------------------------------------------------------------------------------------------
    def create_endpoint(self, project_id: str, draft: Endpoint) -> Endpoint:
        """Store a new endpoint; with usage tracking and no experiment it gets one named ``gateway/<name>``.

        Raises:
            InvalidArgument: no model, or a name that cannot stand in a URL.
            NotFound: a model or the experiment does not exist.
            AlreadyExists: the name is taken.
        """
        if not draft.mappings:
            raise InvalidArgument("Endpoint must have at least one model configuration")
        now = self._clock()
        made = msgspec.structs.replace(draft, endpoint_id="e-" + new_hex(), created_ns=now, updated_ns=now)
        made.mappings = self._new_mappings(draft.mappings, draft.created_by)
        made.check()
        self._check_endpoint(project_id, made)
        self._read(project_id, lambda table: _check_free(table, made))
        if made.fallback is None and any(mapping.linkage == "FALLBACK" for mapping in made.mappings):
            made.fallback = Fallback()
        made.experiment_id = self._experiment(project_id, made)

        def write(table: GatewayTable) -> Endpoint:
            _check_free(table, made)
            table.add_endpoint(made)
            return table.endpoints(endpoint_id=made.endpoint_id)[0]

        return self._write(project_id, write)

    def endpoint(self, project_id: str, endpoint_id: str | None = None, name: str | None = None) -> Endpoint:
        """One endpoint by id or name.

        Raises:
            NotFound: there is none.
            InvalidArgument: not exactly one of both was given.
        """
        wanted = _one_of(endpoint_id=endpoint_id, name=name)
        return _first(self._read(project_id, lambda t: t.endpoints(**wanted)), "GatewayEndpoint", wanted)

    def endpoints(
        self, project_id: str, provider: str | None = None, connection_id: str | None = None
    ) -> list[Endpoint]:  # fmt: skip
        """All, or those with a model of one provider or connection; oldest first."""
        found = self._read(project_id, lambda table: table.endpoints())

        def fits(endpoint: Endpoint) -> bool:
            models = [mapping.definition for mapping in endpoint.mappings if mapping.definition is not None]
            return any(
                provider in (None, model.provider) and connection_id in (None, model.connection_id) for model in models
            )

        return found if provider is None and connection_id is None else [each for each in found if fits(each)]

    def update_endpoint(
        self, project_id: str, endpoint_id: str, *, mappings: Sequence[ModelMapping] | None = None,
        fallback: Fallback | None = None, updated_by: str | None = None, **changes: Any,
    ) -> Endpoint:  # fmt: skip
        """Change fields; those that are None stay. ``mappings`` replace all models.

        Raises:
            NotFound: the endpoint, a model or the experiment does not exist.
            InvalidArgument: a value cannot be used.
            AlreadyExists: the new name is taken.
        """
        before = self.endpoint(project_id, endpoint_id)
        said = {name: value for name, value in changes.items() if value is not None}
        after = msgspec.structs.replace(before, **said, updated_ns=self._clock())
        after.updated_by = updated_by or before.updated_by
        after.check()
        if mappings is not None:
            after.mappings = self._new_mappings(mappings, updated_by)
            after.fallback = fallback or Fallback()
        elif fallback is not None:
            after.fallback = fallback
        self._check_endpoint(project_id, after)
        after.experiment_id = self._experiment(project_id, after)

        def write(table: GatewayTable) -> Endpoint:
            _check_free(table, after)
            table.replace_endpoint(after)
            if mappings is not None:
                table.delete_mappings(endpoint_id)
                table.add_mappings(endpoint_id, after.mappings)
            return table.endpoints(endpoint_id=endpoint_id)[0]

        return self._write(project_id, write)

    def delete_endpoint(self, project_id: str, endpoint_id: str) -> None:
        """Remove an endpoint with its models' links, tags and bindings. Traces and usage stay.

        Raises:
            NotFound: there is none.
        """
        with self._catalog.write() as connection:
            table = GatewayTable(connection, project_id)
            _endpoint(table, endpoint_id)
            GuardrailTable(connection, project_id).delete_use(endpoint_id)
            table.delete_endpoint(endpoint_id)

    def attach(self, project_id: str, endpoint_id: str, mapping: ModelMapping, user: str | None = None) -> ModelMapping:
        """Add a model to an endpoint.

        Raises:
            NotFound: the endpoint or the model does not exist.
            AlreadyExists: it is attached already.
        """
        [made] = self._new_mappings([mapping], user)
        model_id = made.model_definition_id

        def write(table: GatewayTable) -> ModelMapping:
            endpoint = _endpoint(table, endpoint_id)
            wanted = {"model_definition_id": model_id}
            made.definition = _first(table.models(**wanted), "GatewayModelDefinition", wanted)
            if any(m.model_definition_id == model_id and m.linkage == made.linkage for m in endpoint.mappings):
                raise AlreadyExists(f"Model definition '{model_id}' is already attached to endpoint '{endpoint_id}'")
            endpoint.updated_ns, endpoint.updated_by = self._clock(), user or endpoint.updated_by
            table.replace_endpoint(endpoint)
            table.add_mappings(endpoint_id, [made])
            return made

        return self._write(project_id, write)

    def detach(self, project_id: str, endpoint_id: str, model_definition_id: str) -> None:
        """Take a model from an endpoint.

        Raises:
            NotFound: the endpoint does not exist, or does not use the model.
        """

        def write(table: GatewayTable) -> None:
            for mapping in _endpoint(table, endpoint_id).mappings:
                if mapping.model_definition_id == model_definition_id:
                    return table.delete_mappings(endpoint_id, mapping.mapping_id)
            raise NotFound(f"Model definition '{model_definition_id}' is not attached to endpoint '{endpoint_id}'")

        self._write(project_id, write)

    # --- tags and bindings -------------------------------------------------------------------------------------
    def set_tag(self, project_id: str, endpoint_id: str, key: str, value: str) -> None:
        """Write a tag of an endpoint.

        Raises:
            NotFound: no such endpoint.
            InvalidArgument: key or value is too long.
        """
        if len(key) > MAX_KEY or len(value) > MAX_VALUE:
            raise InvalidArgument(f"a tag's key may have {MAX_KEY} characters, its value {MAX_VALUE}")

        def write(table: GatewayTable) -> None:
            _endpoint(table, endpoint_id)
            table.set_tag(endpoint_id, key, value)

        self._write(project_id, write)

    def delete_tag(self, project_id: str, endpoint_id: str, key: str) -> None:
        """Remove a tag if it is there.

        Raises:
            NotFound: no such endpoint.
        """

        def write(table: GatewayTable) -> None:
            _endpoint(table, endpoint_id)
            table.delete_tag(endpoint_id, key)

        self._write(project_id, write)

    def bind(
        self, project_id: str, endpoint_id: str, resource_type: str, resource_id: str, user: str | None = None
    ) -> Binding:
        """Note that a resource uses an endpoint; noting it again changes nothing.

        Raises:
            NotFound: no such endpoint.
            InvalidArgument: an unknown kind of resource.
        """
        if resource_type not in RESOURCES:
            raise InvalidArgument(f"resource_type must be one of {', '.join(RESOURCES)}; got {resource_type!r}")
        now = self._clock()
        made = Binding(
            endpoint_id=endpoint_id, resource_type=resource_type, resource_id=resource_id, created_by=user, created_ns=now,
            updated_ns=now,
        )  # fmt: skip

        def write(table: GatewayTable) -> Binding:
            _endpoint(table, endpoint_id)
            known = table.bindings(endpoint_id=endpoint_id, resource_type=resource_type, resource_id=resource_id)
            if known:
                return known[0]
            table.add_binding(made)
            return made

        return self._write(project_id, write)

    def unbind(self, project_id: str, endpoint_id: str, resource_type: str, resource_id: str) -> None:
        """Remove a binding.

        Raises:
            NotFound: there is none.
        """
        if not self._write(project_id, lambda t: t.delete_binding(endpoint_id, resource_type, resource_id)):
            named = {"endpoint_id": endpoint_id, "resource_type": resource_type, "resource_id": resource_id}
            raise NotFound(not_found("GatewayEndpointBinding", named))

    def bindings(
        self, project_id: str, endpoint_id: str | None = None, resource_type: str | None = None, resource_id: str | None = None
    ) -> list[Binding]:  # fmt: skip
        """All that fit, oldest first."""
        wanted = _given(endpoint_id=endpoint_id, resource_type=resource_type, resource_id=resource_id)
        return self._read(project_id, lambda table: table.bindings(**wanted))

    # --- helpers -----------------------------------------------------------------------------------------------
    def _new_mappings(self, mappings: Sequence[ModelMapping], user: str | None) -> list[ModelMapping]:
        now = self._clock()
        found: set[tuple[str, str]] = set()
        for mapping in mappings:
            mapping.check()
            key = (mapping.model_definition_id, mapping.linkage)
            if key in found:
                raise InvalidArgument(f"Model definition '{key[0]}' is named twice as {key[1]}")
            found.add(key)
        return [
            msgspec.structs.replace(each, mapping_id="m-" + new_hex(), created_by=user, created_ns=now)
            for each in mappings
        ]

    def _check_endpoint(self, project_id: str, endpoint: Endpoint) -> None:
        if len(endpoint.name) > MAX_NAME:
            raise InvalidArgument(f"name must be 1 to {MAX_NAME} characters")
        if endpoint.fallback is not None and (endpoint.fallback.max_attempts or 1) < 1:
            raise InvalidArgument("fallback_config.max_attempts must be at least 1")
        wanted = {mapping.model_definition_id for mapping in endpoint.mappings}
        missing = wanted - {model.model_definition_id for model in self.models(project_id)}
        if missing:
            raise NotFound(f"Model definitions not found: {', '.join(sorted(missing))}")

    def _experiment(self, project_id: str, endpoint: Endpoint) -> str | None:
        """Where the endpoint's traces go; made when they are wanted and have no place yet."""
        if endpoint.experiment_id is not None:
            return self._experiments.get(project_id, endpoint.experiment_id).experiment_id
        if not endpoint.usage_tracking:
            return None
        name = f"gateway/{endpoint.name}"
        tags = [
            ("mlflow.experiment.sourceType", "GATEWAY"), ("mlflow.experiment.sourceId", endpoint.endpoint_id),
            ("mlflow.experiment.isGateway", "true"),
        ]  # fmt: skip
        try:
            return self._experiments.create(project_id, name, tags=tags)
        except AlreadyExists:
            return self._experiments.get_by_name(project_id, name).experiment_id

    def _read(self, project_id: str, work: Callable[[GatewayTable], T]) -> T:
        with self._catalog.read() as connection:
            return work(GatewayTable(connection, project_id))

    def _write(self, project_id: str, work: Callable[[GatewayTable], T], *, connection_id: str | None = None) -> T:
        """Run ``work`` in a transaction, after a look whether a connection it names exists."""
        with self._catalog.write() as connection:
            if connection_id is not None and not ConnectionTable(connection, project_id).find(
                connection_id=connection_id
            ):
                raise NotFound(not_found("GatewaySecret", {"secret_id": connection_id}))
            return work(GatewayTable(connection, project_id))


def _endpoint(table: GatewayTable, endpoint_id: str) -> Endpoint:
    wanted = {"endpoint_id": endpoint_id}
    return _first(table.endpoints(**wanted), "GatewayEndpoint", wanted)


def _check_model(table: GatewayTable, model: ModelDefinition) -> None:
    for name, value in (("name", model.name), ("provider", model.provider), ("model_name", model.model_name)):
        if not 1 <= len(value) <= MAX_NAME:
            raise InvalidArgument(f"{name} must be 1 to {MAX_NAME} characters")
    if any(each.model_definition_id != model.model_definition_id for each in table.models(name=model.name)):
        raise AlreadyExists(f"Model definition with name '{model.name}' already exists")


def _check_free(table: GatewayTable, endpoint: Endpoint) -> None:
    if any(each.endpoint_id != endpoint.endpoint_id for each in table.endpoints(name=endpoint.name)):
        raise AlreadyExists(f"Endpoint with name '{endpoint.name}' already exists")


def _first(found: Sequence[T], kind: str, wanted: dict[str, str]) -> T:
    if not found:
        raise NotFound(not_found(kind, wanted))
    return found[0]


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _one_of(**values: str | None) -> dict[str, str]:
    given = _given(**values)
    if len(given) != 1:
        raise InvalidArgument(f"Exactly one of {' or '.join(values)} must be provided")
    return given
