"""Model connections: accounts at providers, with their secrets sealed.

MLflow's client calls them secrets and finds them by id, Langfuse's calls them LLM connections and upserts them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.gateway import DESTINATION_KEYS, Credentials, ModelConnection, mask, not_found
from twinlens.domain.ids import new_hex
from twinlens.features.audit import Audit
from twinlens.features.evaluators import Evaluators
from twinlens.store.catalog.connections import ConnectionTable
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.gateway import GatewayTable
from twinlens.store.secrets import Sealer

T = TypeVar("T")
MAX_SECRET = 20_000  #: characters of all secret values together


class ModelConnections:
    """See the module's text. All methods block. Changes are in the audit log, without the secrets."""

    def __init__(self, catalog: Catalog, sealer: Sealer, evaluators: Evaluators, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._evaluators = evaluators
        self._sealer = sealer
        self._audit = Audit(catalog)
        self._clock = clock

    def create(
        self, project_id: str, draft: ModelConnection, secret: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> ModelConnection:  # fmt: skip
        """Store a new connection; id, times and what depends on the secrets are filled in.

        Args:
            secret: secret values by name, ``api_key`` where there is one.
            headers: extra headers sent with each request; their values are as secret as the key.

        Raises:
            InvalidArgument: name, address or secret cannot be used.
            AlreadyExists: the name is taken.
        """
        now = self._clock()
        made = msgspec.structs.replace(draft, connection_id="s-" + new_hex(), created_ns=now, updated_ns=now)
        made = self._sealed(made, Credentials(secret=dict(secret), headers=dict(headers or {})))
        made.check()

        def write(table: ConnectionTable) -> None:
            if table.find(name=made.name):
                raise AlreadyExists(f"Secret with name '{made.name}' already exists")
            table.add(made)

        with self._audit.together():
            self._write(project_id, write)
            self._audit.record("create", "model_connection", made.connection_id, project_id=project_id, name=made.name)
        return made

    def update(
        self, project_id: str, connection_id: str, *, secret: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None, **changes: Any,
    ) -> ModelConnection:  # fmt: skip
        """Change fields, replace secret values or headers; None leaves them.

        Raises:
            NotFound: no such connection.
            InvalidArgument: an address or secret cannot be used.
        """

        def write(table: ConnectionTable) -> ModelConnection:
            before = _one(table.find(connection_id=connection_id), secret_id=connection_id)
            after = msgspec.structs.replace(before, **changes, updated_ns=self._clock())
            if secret is not None or headers is not None:
                known = Credentials() if before.waits else self.open(before)
                after = self._sealed(
                    after,
                    Credentials(
                        secret=known.secret if secret is None else dict(secret),
                        headers=known.headers if headers is None else dict(headers),
                    ),
                )
            after.check()
            table.replace(after)
            return after

        with self._audit.together():
            changed = self._write(project_id, write)
            self._audit.record("update", "model_connection", connection_id, project_id=project_id, name=changed.name)
        return changed

    def get(self, project_id: str, connection_id: str) -> ModelConnection:
        """One connection.

        Raises:
            NotFound: no such connection.
        """
        return _one(self._read(project_id, lambda t: t.find(connection_id=connection_id)), secret_id=connection_id)

    def named(self, project_id: str, name: str) -> ModelConnection | None:
        """The connection of this name."""
        return next(iter(self._read(project_id, lambda table: table.find(name=name))), None)

    def list(self, project_id: str, provider: str | None = None) -> list[ModelConnection]:
        """All, or those to one kind of provider; oldest first."""
        wanted = {} if provider is None else {"provider": provider}
        return self._read(project_id, lambda table: table.find(**wanted))

    def delete(self, project_id: str, connection_id: str) -> ModelConnection:
        """Remove one; models that used it stay and need another before they can be called, evaluators that name it are paused.

        Raises:
            NotFound: no such connection.
        """
        with self._catalog.write() as connection:
            table = ConnectionTable(connection, project_id)
            found = _one(table.find(connection_id=connection_id), secret_id=connection_id)
            GatewayTable(connection, project_id).orphan_models(connection_id)
            table.delete(connection_id)
            self._audit.record("delete", "model_connection", connection_id, project_id=project_id, name=found.name)
        for each in self._evaluators.list(project_id):
            if each.definition.provider == found.name and each.paused_ns is None:
                said = f"the model connection {found.name!r} was deleted: choose another one, or add it again"
                self._evaluators.pause(project_id, each.evaluator_id, "LLM_CONNECTION_DELETED", said)
        return found

    def open(self, connection: ModelConnection) -> Credentials:
        """The secrets of a connection, for a call to its provider.

        Raises:
            InvalidState: sealed with another instance's key, or left behind by an import.
        """
        if not connection.sealed and not connection.waits:  # imported, and never had one
            return Credentials()
        text = self._sealer.open(connection.sealed, _place(connection))
        return msgspec.json.decode(text, type=Credentials)

    def _sealed(self, connection: ModelConnection, credentials: Credentials) -> ModelConnection:
        reserved = sorted(DESTINATION_KEYS & set(credentials.secret))
        if reserved:
            raise InvalidArgument(
                f"secret_value must not contain {', '.join(map(repr, reserved))}: these keys choose where the gateway sends "
                "requests. Set the upstream with 'api_base' in auth_config, where it is validated."
            )
        if sum(map(len, [*credentials.secret.values(), *credentials.headers.values()])) > MAX_SECRET:
            raise InvalidArgument(f"the secret values may have {MAX_SECRET} characters together")
        for name, value in [*credentials.secret.items(), *credentials.headers.items()]:
            # Keys travel in HTTP headers; a service account's JSON does not, and may have line breaks.
            in_header = name in credentials.headers or name.endswith("api_key")
            if in_header and not (value.isascii() and value.isprintable()):
                raise InvalidArgument(f"{name} must be ASCII text without line breaks")
        return msgspec.structs.replace(
            connection,
            sealed=self._sealer.seal(msgspec.json.encode(credentials).decode(), _place(connection)),
            masked={name: mask(value) for name, value in credentials.secret.items()},
            header_names=sorted(credentials.headers),
        )

    def _read(self, project_id: str, work: Callable[[ConnectionTable], T]) -> T:
        with self._catalog.read() as connection:
            return work(ConnectionTable(connection, project_id))

    def _write(self, project_id: str, work: Callable[[ConnectionTable], T]) -> T:
        with self._catalog.write() as connection:
            return work(ConnectionTable(connection, project_id))


def _place(connection: ModelConnection) -> str:
    return f"model-connection/{connection.connection_id}"


def _one(found: list[ModelConnection], **named: str) -> ModelConnection:
    if not found:
        raise NotFound(not_found("GatewaySecret", named))
    return found[0]
