"""Deployments: which version of a model, prompt or agent serves in which environment, since when, by whom.

A deployment is a named place in an environment (``support-agent`` in ``production``). Every change of what serves there is
a *release*: numbered from 1, never changed afterwards. The current release is what is declared; what traces show is
``ObservedVersion``. Times are nanoseconds.
"""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

import msgspec

from twinlens.domain.errors import InvalidArgument

Kind = Literal["model", "prompt", "agent"]
Health = Literal["unknown", "healthy", "degraded", "down"]
Action = Literal["create", "update", "promote", "rollback", "retire"]

KINDS: tuple[str, ...] = get_args(Kind)
HEALTHS: tuple[str, ...] = get_args(Health)
PRODUCTION = "production"
MAX_NAME = 255
MAX_NOTE = 2_000
MAX_CONFIG = 64 << 10  #: bytes of JSON
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,62}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Release(msgspec.Struct, kw_only=True):
    """One entry of a deployment's history. ``until_ns`` is None for the one that serves now."""

    number: int
    action: Action
    version: str
    model_uri: str | None = None  #: as the client gave it
    run_id: str | None = None  #: the run that made the version
    url: str | None = None  #: where it answers
    config: dict[str, Any] = {}
    note: str = ""
    by: str = ""
    at_ns: int = 0
    until_ns: int | None = None
    from_environment: str | None = None  #: for ``promote``
    restores: int | None = None  #: for ``rollback``: number of the release it brings back


class Deployment(msgspec.Struct, kw_only=True):
    """A place in an environment with its current release. A retired one serves nothing; its history stays."""

    deployment_id: str
    name: str
    environment: str
    kind: Kind
    subject: str  #: name of the model, prompt or agent
    release: Release
    health: Health = "unknown"
    health_message: str = ""
    health_ns: int | None = None  #: when the health was last reported
    retired: bool = False
    created_ns: int = 0
    updated_ns: int = 0


class Environment(msgspec.Struct, kw_only=True):
    """A named environment; exists once it is created or something is deployed into it."""

    name: str
    config: dict[str, Any] = {}
    created_ns: int = 0
    updated_ns: int = 0


class ObservedVersion(msgspec.Struct, kw_only=True):
    """What traces say served: one version of one subject in one environment, summed over the time asked for.

    ``cost`` is USD, ``latency_ns`` the mean per trace (per call for prompts).
    """

    environment: str
    kind: Kind
    subject: str
    version: str
    calls: int = 0
    errors: int = 0
    cost: float = 0.0
    tokens: int = 0
    latency_ns: int | None = None
    first_ns: int = 0
    last_ns: int = 0


class DeploymentPage(msgspec.Struct, kw_only=True):
    """Deployments in order, and the cursor of the next page or None on the last one."""

    deployments: list[Deployment]
    next_cursor: str | None = None


class ReleasePage(msgspec.Struct, kw_only=True):
    """Releases, newest first, and the cursor of the next page or None on the last one."""

    releases: list[Release]
    next_cursor: str | None = None


def check_name(text: str, what: str = "name") -> str:
    """Return ``text`` if a deployment, its subject or its version may be called so.

    Raises:
        InvalidArgument: blank, longer than 255 characters, or with control characters.
    """
    if not text.strip() or len(text) > MAX_NAME or _CONTROL.search(text):
        raise InvalidArgument(f"{what} must be 1 to {MAX_NAME} characters without line breaks or control characters")
    return text


def check_environment(text: str) -> str:
    """Return ``text`` if an environment may be called so.

    Raises:
        InvalidArgument: other than 1 to 63 letters, digits, ``_``, ``.`` and ``-``.
    """
    if not _ENVIRONMENT.match(text):
        raise InvalidArgument(
            f"environment {text[:70]!r}: 1 to 63 letters, digits, underscores, dots and dashes, like 'production'"
        )
    return text


def check_url(url: str | None) -> str | None:
    """Return ``url`` if it may be the address of a deployment; an empty one is none.

    Raises:
        InvalidArgument: not an http or https address without password.
    """
    if not url:
        return None
    if not re.match(r"https?://[^\s/@]+(/|\Z|\?)", url) or len(url) > 2_000 or _CONTROL.search(url):
        raise InvalidArgument("url must be an http(s) address without user name and password")
    return url


def rollback_target(history: list[Release]) -> Release | None:
    """The release that a rollback without a number brings back. ``history`` is newest first.

    It is the newest one with another version before the one that serves now, and a second rollback goes on from there
    instead of forward again.
    """
    if not history:
        return None
    base = history[0]
    by_number = {release.number: release for release in history}
    while base.restores is not None and base.restores in by_number:
        base = by_number[base.restores]
    return next(
        (r for r in history if r.number < base.number and r.version != base.version and r.action != "retire"), None
    )
