"""What the gateway sends to a provider: address, headers and body of one attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.gateway import Credentials
from twinlens.features.gateway_converse import key_pair, to_converse
from twinlens.features.gateway_dialects import Form, to_anthropic
from twinlens.features.gateway_providers import Style, base_url_of, canonical, provider_of

ANTHROPIC_VERSION = "2023-06-01"
#: Headers of the caller that go on to the provider; everything else stays here, credentials above all.
_FORWARDED = ("anthropic-version", "anthropic-beta", "openai-beta")


class Action(msgspec.Struct, kw_only=True, frozen=True):
    """What a caller asks. ``kind`` is MLflow's name of the request type (3.18)."""

    kind: str
    form: Form
    path: str = ""  #: below the provider's base URL
    style: Style | None = None  #: the protocol it is bound to; None: any, the gateway translates


CHAT = Action(kind="unified/chat", form="chat", path="/chat/completions")
EMBEDDINGS = Action(kind="unified/embeddings", form="embeddings", path="/embeddings")
PROXY = Action(kind="proxy/raw", form="other")
_PASSED = "passthrough/model/"
OPENAI_CHAT = Action(kind=_PASSED + "openai-chat", form="chat", path="/chat/completions", style="openai")
OPENAI_EMBEDDINGS = Action(kind=_PASSED + "openai-embeddings", form="embeddings", path="/embeddings", style="openai")
OPENAI_RESPONSES = Action(kind=_PASSED + "openai-responses", form="responses", path="/responses", style="openai")
OPENAI_COMPACT = Action(kind=_PASSED + "openai-responses", form="responses", path="/responses/compact", style="openai")
ANTHROPIC = Action(kind=_PASSED + "anthropic-messages", form="anthropic", path="/messages", style="anthropic")
GEMINI = Action(kind=_PASSED + "gemini-generateContent", form="gemini", path="generateContent", style="gemini")
GEMINI_STREAM = Action(
    kind=_PASSED + "gemini-generateContent", form="gemini", path="streamGenerateContent", style="gemini"
)
TYPESAFE = Action(kind=_PASSED + "typesafe-systemone", form="other", path="/systemone", style="openai")


class Target(msgspec.Struct, kw_only=True, frozen=True):
    """A model that an attempt goes to, with everything that is needed to call it."""

    provider: str
    model: str
    base_url: str
    credentials: Credentials
    config: dict[str, Any] = {}

    @property
    def style(self) -> Style:
        """The protocol it speaks."""
        return provider_of(self.provider).style


def target(
    provider: str | None, model: str, own: str | None, config: dict[str, Any], credentials: Credentials
) -> Target:
    """A model behind a connection, checked.

    Raises:
        InvalidArgument: the provider cannot be called, nobody said where it answers, or its key is missing.
    """
    kind = canonical(provider)
    known = provider_of(kind)
    base = base_url_of(kind, own, config)
    if known.style == "anthropic" and not base.endswith("/v1"):
        base += "/v1"
    if known.needs_key and not credentials.api_key and not (kind == "bedrock" and key_pair(credentials)):
        raise InvalidArgument(f"the connection to {kind!r} has no api_key")
    return Target(provider=kind, model=model, base_url=base, credentials=credentials, config=config)


class Attempt(msgspec.Struct, kw_only=True):
    """One request to a provider."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any]
    form: Form  #: of the answer
    converse: bool = False  #: the answer is Converse's, to be put into ``form``
    signs: bool = False  #: with an access key pair, over the body's bytes
    hide_usage: bool = False  #: the stream's last chunk with token counts was asked for by us, not by the caller


def attempt(
    target: Target, action: Action, body: dict[str, Any], forwarded: Mapping[str, str], path: str = "", query: str = ""
) -> Attempt:  # fmt: skip
    """The request for one target.

    Args:
        forwarded: the caller's headers; only a few harmless ones go on.
        path: below the base URL, and ``query``: for the raw proxy.

    Raises:
        InvalidArgument: the provider does not speak the protocol that the caller uses.
    """
    headers = {name: forwarded[name] for name in _FORWARDED if forwarded.get(name)}
    style, base, sent, form, hide = target.style, target.base_url, dict(body), action.form, False
    if action is PROXY:
        url = base + _below(path) + (f"?{query}" if query else "")
    elif action.style == "gemini" or style == action.style == "anthropic":
        _require(target, action, style)
        sent.pop("model", None)
        url = base + action.path
        if action.style == "gemini":
            url = f"{base}/models/{quote(target.model, safe='')}:{action.path}"
            url += "?alt=sse" if action is GEMINI_STREAM else ""
        else:
            sent["model"] = target.model
    elif style == "converse":
        if action is not CHAT:
            raise _unsupported(target, action)
        limited = any(body.get(name) for name in ("max_tokens", "max_completion_tokens"))
        sent, form = to_converse(to_anthropic(body), limited=limited), "anthropic"
        url = f"{base}/model/{quote(target.model, safe='')}/converse{'-stream' if body.get('stream') else ''}"
    elif style == "anthropic":
        if action is not CHAT:
            raise _unsupported(target, action)
        sent, url, form = to_anthropic(body | {"model": target.model}), base + ANTHROPIC.path, "anthropic"
    else:
        _require(target, action, "openai")
        sent["model"] = target.model
        if action.form == "chat" and sent.get("stream"):
            options: dict[str, Any] = sent.get("stream_options") or {}
            hide = not options.get("include_usage")
            sent["stream_options"] = options | {"include_usage": True}
        url = base + ("/openai" if style == "gemini" else "") + action.path
        if version := target.config.get("api_version") if target.provider == "azure" else None:
            url = f"{base}/deployments/{quote(target.model, safe='')}{action.path}?api-version={quote(str(version))}"
    converse = style == "converse" and action is CHAT
    return Attempt(
        url=url, headers=_signed(target, action, headers), body=sent, form=form, hide_usage=hide, converse=converse,
        signs=target.provider == "bedrock" and key_pair(target.credentials) is not None,
    )  # fmt: skip


def _signed(target: Target, action: Action, headers: dict[str, str]) -> dict[str, str]:
    known, key = provider_of(target.provider), target.credentials.api_key
    name = known.key_header
    if target.style == "gemini" and action.style != "gemini" and action is not PROXY:
        name = "authorization"  # Gemini's OpenAI-compatible side
    if target.style == "anthropic":
        headers.setdefault("anthropic-version", ANTHROPIC_VERSION)
    if key and not (target.provider == "bedrock" and key_pair(target.credentials)):
        headers[name] = f"Bearer {key}" if name == "authorization" else key
    if organization := target.config.get("organization"):
        headers["openai-organization"] = str(organization)
    return headers | target.credentials.headers


def _require(target: Target, action: Action, style: Style) -> None:
    bound = action.style
    if bound is not None and bound != style and not (bound == "openai" and style == "gemini"):
        raise _unsupported(target, action)
    if bound == "gemini" and target.style != "gemini":
        raise _unsupported(target, action)
    if action is TYPESAFE and target.provider != "typesafe":
        raise _unsupported(target, action)


def _unsupported(target: Target, action: Action) -> InvalidArgument:
    return InvalidArgument(
        f"Unsupported passthrough endpoint '{action.kind}' for {target.provider} provider: its model {target.model!r} does "
        "not speak this protocol. Use /gateway/mlflow/v1/chat/completions, which translates."
    )


def _below(path: str) -> str:
    """A caller's path, so that it cannot leave the base URL.

    Raises:
        InvalidArgument: it tries to.
    """
    segments = path.split("/")
    if any(segment in ("", ".", "..") or "\\" in segment or "%" in segment for segment in segments):
        raise InvalidArgument(f"the path {path!r} may not have empty, '.' or '..' segments")
    return "/" + "/".join(quote(segment, safe=":@!$&'()*+,;=~") for segment in segments)
