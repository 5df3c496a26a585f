"""Model connections and the gateway's endpoints: where language models answer, and under which name programs reach them.

A connection is one provider account. MLflow calls it a secret, Langfuse an LLM connection; both see the same row. Its key is
stored sealed and never answered again. A model definition names a model behind a connection, an endpoint sends requests to
one or several of them: primaries share the traffic by weight, fallbacks are tried in order when the primary fails.
"""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from twinlens.domain.errors import InvalidArgument

Linkage = Literal["PRIMARY", "FALLBACK"]
MAX_NAME = 255
#: Keys that would choose where requests go past the checked base URL (MLflow 3.18 reserves them too).
DESTINATION_KEYS = frozenset({"api_base", "base_url", "model_list", "fallbacks", "custom_llm_provider"})
_ENDPOINT_NAME = re.compile(r"[a-zA-Z0-9_\-.]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class ModelConnection(msgspec.Struct, kw_only=True):
    """One account at a provider, without its secrets. Names are unique in a project."""

    connection_id: str
    name: str
    provider: str | None = None  #: kind of provider: ``openai``, ``anthropic``, …
    base_url: str | None = None  #: None: the provider's own address
    config: dict[str, Any] = {}  #: what else the provider needs and is no secret (region, API version)
    masked: dict[str, str] = {}  #: name of a secret value -> what may be shown of it
    models: list[str] = []  #: names of models that this connection offers besides the provider's usual ones
    with_default_models: bool = True
    header_names: list[str] = []  #: extra headers sent with each request; their values are secret
    sealed: str = ""  #: secret values and headers, see ``features.connections``
    created_by: str | None = None
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0

    @property
    def waits(self) -> bool:
        """Whether its secrets stayed behind when it was imported, and have to be entered again."""
        return not self.sealed and bool(self.masked or self.header_names)

    def check(self) -> None:
        """Raise ``InvalidArgument`` for a name or an address that cannot be used."""
        if not 1 <= len(self.name) <= MAX_NAME:
            raise InvalidArgument(f"name must be 1 to {MAX_NAME} characters")
        if self.base_url is not None:
            check_base_url(self.base_url)
        reserved = sorted((DESTINATION_KEYS - {"api_base"}) & set(self.config))
        if reserved:
            raise InvalidArgument(
                f"auth_config must not contain {', '.join(map(repr, reserved))}: these options choose where the gateway "
                "sends requests. Set the upstream with 'api_base', which is validated."
            )
        for name in self.header_names:
            if not _HEADER_NAME.fullmatch(name):
                raise InvalidArgument(f"{name!r} is no name of an HTTP header")


class Credentials(msgspec.Struct, kw_only=True, frozen=True):
    """The opened secrets of a connection. Never logged, never answered."""

    secret: dict[str, str] = {}
    headers: dict[str, str] = {}

    @property
    def api_key(self) -> str | None:
        """The key, where the account has just one."""
        return self.secret.get("api_key") or None

    def __repr__(self) -> str:
        return "Credentials(…)"


class ModelDefinition(msgspec.Struct, kw_only=True):
    """A model behind a connection. ``connection_id`` is None once the connection has been deleted."""

    model_definition_id: str
    name: str
    connection_id: str | None
    provider: str
    model_name: str
    connection_name: str | None = None  #: read with it
    created_by: str | None = None
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0


class ModelMapping(msgspec.Struct, kw_only=True):
    """A model definition's part in an endpoint."""

    model_definition_id: str
    linkage: Linkage = "PRIMARY"
    weight: float = 1.0
    fallback_order: int | None = None
    mapping_id: str = ""
    created_by: str | None = None
    created_ns: int = 0
    definition: ModelDefinition | None = None  #: read with it

    def check(self) -> None:
        """Raise ``InvalidArgument`` for a weight that cannot share traffic."""
        if not 0 <= self.weight < 1e9:  # NaN fails too
            raise InvalidArgument(f"weight must be a number from 0; got {self.weight}")


class Fallback(msgspec.Struct, kw_only=True):
    """How fallbacks are tried. ``max_attempts`` is how many of them, not counting the primary; None: all."""

    strategy: str | None = None
    max_attempts: int | None = None


class Endpoint(msgspec.Struct, kw_only=True):
    """A name that programs call."""

    endpoint_id: str
    name: str
    routing_strategy: str | None = None
    fallback: Fallback | None = None
    experiment_id: str | None = None  #: where the traces of its calls go
    usage_tracking: bool = True  #: whether its calls become traces
    mappings: list[ModelMapping] = []
    tags: dict[str, str] = {}
    created_by: str | None = None
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Raise ``InvalidArgument`` for a name that cannot stand in a URL."""
        if not _ENDPOINT_NAME.fullmatch(self.name):
            raise InvalidArgument(
                f"Invalid endpoint name '{self.name}'. "
                "Name can only contain letters, numbers, underscores, hyphens, and dots."
            )


class Binding(msgspec.Struct, kw_only=True):
    """Says that a resource (a scorer) uses an endpoint."""

    endpoint_id: str
    resource_type: str
    resource_id: str
    created_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0


class Guardrail(msgspec.Struct, kw_only=True):
    """A judge that looks at requests (``BEFORE``) or answers (``AFTER``) and refuses or rewrites what fails."""

    guardrail_id: str
    name: str
    scorer_id: str
    scorer_version: int
    stage: Literal["BEFORE", "AFTER"]
    action: Literal["VALIDATION", "SANITIZATION"]
    action_endpoint_id: str | None = None  #: the endpoint that rewrites
    created_by: str | None = None
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0


class GuardrailUse(msgspec.Struct, kw_only=True):
    """A guardrail at an endpoint. Those with an order run first, in that order."""

    endpoint_id: str
    guardrail_id: str
    execution_order: int | None = None
    created_by: str | None = None
    created_ns: int = 0


def check_base_url(url: str) -> None:
    """Raise ``InvalidArgument`` unless it is an HTTP address without credentials, query or fragment."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise InvalidArgument(f"Gateway secret api_base is not a URL: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise InvalidArgument(
            f"Invalid Gateway secret api_base scheme: {parts.scheme!r}. Allowed schemes are: 'http', 'https'."
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidArgument("Gateway secret api_base must not include embedded credentials")
    if not host:
        raise InvalidArgument(f"Gateway secret api_base must include a hostname: {url!r}")
    if parts.query or parts.fragment or any(sign in url for sign in " \t\r\n\\"):
        raise InvalidArgument(f"Gateway secret api_base must be a plain address without query or spaces: {url!r}")


def mask(value: str) -> str:
    """What may be shown of a secret (MLflow 3.18): its ends, or nothing when it is short."""
    return f"{value[:3]}...{value[-4:]}" if len(value) >= 8 else "***"


def not_found(kind: str, named: dict[str, str]) -> str:
    """The message when something of the gateway does not exist (wording of MLflow 3.18)."""
    return f"{kind} not found ({', '.join(f'{name}={value!r}' for name, value in named.items())})"
