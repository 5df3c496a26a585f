"""Providers that the gateway can call: where they answer, how they take the key, which models they are known for.

Most providers speak OpenAI's protocol, so a provider is a row here. One that is not in the table works too if its connection has
a base URL: it is taken to speak OpenAI's protocol. Those that sign requests in ways of their own are refused with a clear word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

import msgspec

from twinlens.domain.errors import InvalidArgument

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
Style = Literal["openai", "anthropic", "gemini", "converse"]


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of provider."""

    base_url: str | None = None  #: None: the connection has to say
    style: Style = "openai"
    key_header: str = "authorization"  #: with ``Bearer`` in front of the key
    catalog: str | None = None  #: the provider's name in genai-prices
    needs_key: bool = True


PROVIDERS: dict[str, Provider] = {
    "openai": Provider(base_url="https://api.openai.com/v1", catalog="openai"),
    "anthropic": Provider(
        base_url="https://api.anthropic.com/v1", style="anthropic", key_header="x-api-key", catalog="anthropic"
    ),
    "azure": Provider(key_header="api-key", catalog="azure"),
    "gemini": Provider(
        base_url="https://generativelanguage.googleapis.com/v1beta", style="gemini", key_header="x-goog-api-key",
        catalog="google",
    ),
    "bedrock": Provider(style="converse", catalog="aws"),
    "mistral": Provider(base_url="https://api.mistral.ai/v1", catalog="mistral"),
    "groq": Provider(base_url="https://api.groq.com/openai/v1", catalog="groq"),
    "deepseek": Provider(base_url="https://api.deepseek.com/v1", catalog="deepseek"),
    "xai": Provider(base_url="https://api.x.ai/v1", catalog="x-ai"),
    "openrouter": Provider(base_url="https://openrouter.ai/api/v1", catalog="openrouter"),
    "together_ai": Provider(base_url="https://api.together.xyz/v1", catalog="together"),
    "fireworks_ai": Provider(base_url="https://api.fireworks.ai/inference/v1", catalog="fireworks"),
    "perplexity": Provider(base_url="https://api.perplexity.ai", catalog="perplexity"),
    "cohere": Provider(base_url="https://api.cohere.ai/compatibility/v1", catalog="cohere"),
    "cerebras": Provider(base_url="https://api.cerebras.ai/v1", catalog="cerebras"),
    "moonshot": Provider(base_url="https://api.moonshot.ai/v1", catalog="moonshotai"),
    "databricks": Provider(catalog="databricks"),
    "typesafe": Provider(base_url="https://api.typesafe.ai/v1", catalog="typesafe"),
    "ollama": Provider(base_url="http://localhost:11434/v1", needs_key=False),
    "vllm": Provider(needs_key=False),
    "openai_compatible": Provider(needs_key=False),
}  # fmt: skip
#: Providers that want requests signed with a cloud account.
REFUSED = frozenset({"sagemaker", "vertex_ai", "google-vertex-ai"})
_KEY_PAIR = {
    "aws_access_key_id": "AWS Access Key ID", "aws_secret_access_key": "AWS Secret Access Key",
    "aws_session_token": "AWS Session Token (temporary credentials only)",
}  # fmt: skip
_ALIASES = {
    "bedrock_converse": "bedrock", "google": "gemini", "google-ai-studio": "gemini", "togetherai": "together_ai", "together": "together_ai",
    "fireworks": "fireworks_ai", "azure_openai": "azure", "azureopenai": "azure", "x-ai": "xai", "mistralai": "mistral",
}  # fmt: skip


def provider_of(name: str | None) -> Provider:
    """The provider of this name; an unknown one speaks OpenAI's protocol at the connection's base URL.

    Raises:
        InvalidArgument: it cannot be called from here.
    """
    name = canonical(name)
    if name in REFUSED:
        raise InvalidArgument(
            f"the gateway does not call {name!r}: it needs requests signed with a cloud account. Use a server in between that "
            "speaks OpenAI's protocol, and its address as base URL."
        )
    return PROVIDERS.get(name, Provider(needs_key=False))


def canonical(name: str | None) -> str:
    """The name under which the table knows a provider."""
    lowered = (name or "openai").lower()
    return _ALIASES.get(lowered, lowered)


def base_url_of(name: str | None, own: str | None, config: dict[str, Any]) -> str:
    """Where a provider answers, without trailing slash.

    Args:
        own: the connection's base URL, if it has one.
        config: the connection's configuration.

    Raises:
        InvalidArgument: nobody said where.
    """
    base, kind = (own or provider_of(name).base_url or "").rstrip("/"), canonical(name)
    if not base and kind == "bedrock" and _REGION.fullmatch(region_of(config)):
        base = f"https://bedrock-runtime.{region_of(config)}.amazonaws.com"
    if not base:
        also = " or a region" if kind == "bedrock" else ""
        raise InvalidArgument(f"the connection to {kind!r} needs a base URL{also}")
    if kind == "azure" and "/openai" not in base:
        base += "/openai" if config.get("api_version") else "/openai/v1"
    if kind == "databricks" and "/serving-endpoints" not in base:
        base += "/serving-endpoints"
    return base


def region_of(config: dict[str, Any]) -> str:
    """The region of a Bedrock account, as MLflow or Langfuse names it; empty when nobody said."""
    return str(config.get("aws_region_name") or config.get("region") or "")


def config_of(name: str) -> dict[str, Any]:
    """The fields that a connection to a provider takes, as MLflow's page asks for them (MLflow 3.18, ``provider-config``)."""
    kind = canonical(name)
    provider = PROVIDERS.get(kind, Provider(needs_key=False))
    title = kind.replace("_", " ").title()
    where = f"{title} API Base URL" + (f" (defaults to {provider.base_url})" if provider.base_url else "")
    fields = [_field("api_base", where, required=provider.base_url is None)]
    if kind == "azure":
        fields.append(_field("api_version", "API version (leave empty for the v1 API)", required=False))
    if kind == "bedrock":
        fields = [_field("aws_region_name", "Region, for example us-east-1", required=True), *fields]
        fields[1]["required"] = False
    mode = {
        "mode": "api_key", "display_name": "API Key", "description": f"Use {title} API Key",
        "secret_fields": [_field("api_key", f"{title} API Key", required=True)], "config_fields": fields,
    }  # fmt: skip
    modes = [mode]
    if kind == "bedrock":
        pair = [_field(name, title, required=name != "aws_session_token") for name, title in _KEY_PAIR.items()]
        said = {"mode": "access_keys", "display_name": "Access Keys", "description": "Sign with an AWS access key pair"}
        modes.append({**said, "secret_fields": pair, "config_fields": fields})
    return {"auth_modes": modes, "default_mode": "api_key"}


def _field(name: str, description: str, *, required: bool) -> dict[str, Any]:
    return {"name": name, "type": "string", "description": description, "required": required}


def models_of(name: str | None = None) -> list[dict[str, Any]]:
    """Known models of a provider, or of all, with their prices per token (USD), from the bundled price list. Loads it: 0.5 s once."""
    names = [canonical(name)] if name else sorted(PROVIDERS)
    return [row for each in names for row in _models(each)]


@cache
def _models(name: str) -> list[dict[str, Any]]:
    provider = PROVIDERS.get(name)
    return [] if provider is None or provider.catalog is None else list(_rows(name, provider.catalog))


def _rows(name: str, catalog: str) -> Iterator[dict[str, Any]]:
    from genai_prices.data_snapshot import get_snapshot

    for found in get_snapshot().providers:
        if found.id != catalog:
            continue
        for model in found.models:
            price = model.prices[-1].prices if isinstance(model.prices, list) else model.prices
            if model.deprecated or model.id.endswith("-") or model.id.startswith("ft:"):
                continue
            yield {
                "model": model.id, "provider": name, "mode": "embedding" if "embed" in model.id else "chat",
                "supports_function_calling": None, "supports_vision": None, "supports_reasoning": None,
                "supports_prompt_caching": None, "supports_response_schema": None,
                "max_input_tokens": model.context_window, "max_output_tokens": None,
                "input_cost_per_token": _per_token(price.input_mtok), "output_cost_per_token": _per_token(price.output_mtok),
                "deprecation_date": None,
            }  # fmt: skip


def _per_token(price: Any) -> float | None:
    base = getattr(price, "base", price)  # tiered prices start with a base
    return None if base is None else float(base) / 1_000_000
