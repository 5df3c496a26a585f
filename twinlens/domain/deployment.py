"""Deployments: which version of a model, prompt or agent serves in which environment, since when, by whom.

A deployment is a named place in an environment (``support-agent`` in ``production``). Every change of what serves there is
a *release*: numbered from 1, never changed afterwards. The current release is what is declared; what traces show is
``ObservedVersion``. Times are nanoseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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


class ObservedHour(msgspec.Struct, kw_only=True):
    """What one version did in one hour. ``latency_ns`` is the sum over the ``ended`` calls; ``cost`` is USD."""

    hour_ns: int
    kind: Kind
    environment: str
    subject: str
    version: str
    calls: int = 0
    errors: int = 0
    tokens: int = 0
    cost: float = 0.0
    latency_ns: float = 0.0
    ended: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def add(
        self, *, calls: int, errors: int, tokens: int, cost: float, mean_latency_ns: float | None, first_ns: int,
        last_ns: int,
    ) -> None:  # fmt: skip
        """Count more calls in."""
        self.calls += calls
        self.errors += errors
        self.tokens += tokens
        self.cost += cost
        if mean_latency_ns is not None:
            self.latency_ns += mean_latency_ns * calls
            self.ended += calls
        self.first_ns = min(self.first_ns, first_ns)
        self.last_ns = max(self.last_ns, last_ns)


class Drift(msgspec.Struct, kw_only=True, frozen=True):
    """Something else is live than was declared. ``both``: the declared version serves too (a rollout under way)."""

    version: str
    since_ns: int
    both: bool


#: How long calls of another version may go on beside the declared one before that says nothing any more.
OVERLAP_NS = 5 * 60_000_000_000


def drift(deployment: Deployment, observed: Iterable[ObservedVersion]) -> Drift | None:
    """The other version that serves in place of the declared one, if one does.

    ``observed`` may hold anything; what is about another environment or subject is left out. A version that was last seen
    before the release, or more than five minutes before the declared one was last seen, serves no more.
    """
    if deployment.retired:
        return None
    release = deployment.release
    here = [o for o in observed if concerns(deployment, o)]
    declared = max((o.last_ns for o in here if same_version(o.version, release.version)), default=None)
    others = [o for o in here if not same_version(o.version, release.version) and o.last_ns > release.at_ns]
    if declared is not None:
        others = [o for o in others if o.last_ns > declared - OVERLAP_NS]
    if not others:
        return None
    latest = max(others, key=lambda o: o.last_ns)
    both = declared is not None and declared > max(release.at_ns, latest.last_ns - OVERLAP_NS)
    return Drift(version=latest.version, since_ns=max(latest.first_ns, release.at_ns), both=both)


def concerns(deployment: Deployment, observed: ObservedVersion) -> bool:
    """Whether an observation is about this deployment. Agents are known by the name of their service or deployment."""
    return (
        observed.environment == deployment.environment
        and observed.kind == deployment.kind
        and observed.subject in (deployment.subject, deployment.name)
    )


def same_version(one: str, other: str) -> bool:
    """``v1.2`` is ``1.2``."""
    return one == other or one.lower().removeprefix("v") == other.lower().removeprefix("v")
