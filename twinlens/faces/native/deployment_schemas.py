"""Requests and answers about deployments. Conventions as in ``schemas``."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Kind = Literal["model", "prompt", "agent"]
Health = Literal["unknown", "healthy", "degraded", "down"]
Action = Literal["create", "update", "promote", "rollback", "retire"]


class ReleaseRow(Struct, kw_only=True):
    """One entry of a deployment's history."""

    number: int
    action: Action
    version: str
    model_uri: str | None
    run_id: str | None  #: the run that made the version
    url: str | None
    config: dict[str, Any]
    note: str
    by: str
    at_ms: float
    until_ms: float | None  #: None: serves now
    from_environment: str | None  #: for ``promote``
    restores: int | None  #: for ``rollback``: number of the release it brought back


class ObservedRow(Struct, kw_only=True):
    """What traces say one version did in one environment. Money is USD; latency is the mean."""

    environment: str
    kind: Kind
    subject: str
    version: str
    calls: int
    errors: int
    tokens: int
    cost: float
    latency_ms: float | None
    first_ms: float
    last_ms: float
    deployment_id: str | None  #: the deployment that it is about; None: nobody declared one
    declared: bool  #: it is the version that was declared


class ObservedList(Struct, kw_only=True):
    """``GET /projects/{project_id}/observed-versions``, the latest seen first."""

    observed: list[ObservedRow]


class ObservedPoint(Struct, kw_only=True):
    """One version in one hour."""

    hour_ms: float
    version: str
    calls: int
    errors: int
    cost: float
    latency_ms: float | None


class Timeline(Struct, kw_only=True):
    """``GET …/deployments/{deployment_id}/timeline``: calls per version and hour."""

    from_ms: float
    points: list[ObservedPoint]


class DriftRow(Struct, kw_only=True):
    """Another version than the declared one serves."""

    version: str
    since_ms: float
    both: bool  #: the declared version serves too


class DeploymentRow(Struct, kw_only=True):
    """What serves in one place."""

    deployment_id: str
    name: str
    environment: str
    kind: Kind
    subject: str  #: name of the model, prompt or agent
    release: ReleaseRow
    health: Health
    health_message: str
    health_ms: float | None
    retired: bool
    observed: ObservedRow | None  #: the declared version's calls
    drift: DriftRow | None
    created_ms: float
    updated_ms: float


class DeploymentPage(Struct, kw_only=True):
    """``GET /projects/{project_id}/deployments``."""

    deployments: list[DeploymentRow]
    next_cursor: str | None


class ReleasePage(Struct, kw_only=True):
    """``GET …/deployments/{deployment_id}/history``."""

    releases: list[ReleaseRow]
    next_cursor: str | None


class NewDeployment(Struct, kw_only=True):
    """``POST /projects/{project_id}/deployments``. ``version`` or ``model_uri`` is needed."""

    name: str
    environment: str = "production"
    kind: Kind | None = None  #: as the URI says, else ``agent``
    subject: str | None = None  #: as the URI says, else ``name``
    version: str | None = None  #: a number, ``latest`` or ``@alias`` for models and prompts; any text for agents
    model_uri: str | None = (
        None  #: ``models:/name/3``, ``models:/name@alias``, ``prompts:/name/2``, ``runs:/id/path`` …
    )
    run_id: str | None = None
    url: str | None = None
    config: dict[str, Any] = {}
    note: str = ""
    by: str = ""  #: who; a signed-in caller's own name goes before


class DeploymentEdit(Struct, kw_only=True):
    """``PATCH …/deployments/{deployment_id}``: another version, address or configuration."""

    version: str | None = None
    model_uri: str | None = None
    run_id: str | None = None
    url: str | None = None  #: empty takes it away
    config: dict[str, Any] | None = None
    note: str = ""
    by: str = ""
    expected_release: int | None = None  #: 409 if another release serves by now


class Promotion(Struct, kw_only=True):
    """``POST …/promote``."""

    environment: str = "production"
    name: str | None = None  #: under another name
    url: str | None = None
    config: dict[str, Any] | None = None
    note: str = ""
    by: str = ""
    expected_release: int | None = None


class Rollback(Struct, kw_only=True):
    """``POST …/rollback``. Without ``to`` to the newest release with another version."""

    to: int | None = None
    note: str = ""
    by: str = ""
    expected_release: int | None = None


class HealthReport(Struct, kw_only=True):
    """``PUT …/health``."""

    health: Health
    message: str = ""


class EnvironmentRow(Struct, kw_only=True):
    """One environment."""

    name: str
    config: dict[str, Any]
    created_ms: float
    updated_ms: float


class EnvironmentList(Struct, kw_only=True):
    """``GET /projects/{project_id}/environments``."""

    environments: list[EnvironmentRow]


class NewEnvironment(Struct, kw_only=True):
    """``POST /projects/{project_id}/environments``."""

    name: str
    config: dict[str, Any] = {}


class EnvironmentEdit(Struct, kw_only=True):
    """``PATCH …/environments/{name}``."""

    config: dict[str, Any]
