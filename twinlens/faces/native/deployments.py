"""Deployments: what serves where, and its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from litestar import delete, get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from twinlens.domain.deployment import (
    Deployment,
    Environment,
    ObservedHour,
    ObservedVersion,
    Release,
    concerns,
    drift,
    same_version,
)
from twinlens.domain.project import Principal
from twinlens.faces.http import AnyRequest, in_thread, project_principal, services
from twinlens.faces.native import deployment_schemas as s
from twinlens.faces.native.reply import Cursor, FromMs, Limit, reading, time_range, whole_id
from twinlens.features.deployments import Change

KindOnly = Annotated[s.Kind | None, QueryParameter(description="Only of this kind.")]
Text = Annotated[str | None, QueryParameter(description="Only with exactly this value.")]


@get("/projects/{project_id:str}/deployments", summary="List deployments")
async def list_deployments(
    request: AnyRequest, project_id: FromPath[str], environment: Text = None, kind: KindOnly = None,
    subject: Text = None, version: Text = None, run_id: Text = None, name: Text = None,
    retired: Annotated[bool, QueryParameter(description="Also those that serve no more.")] = False,
    limit: Limit = 100, cursor: Cursor = None,
) -> s.DeploymentPage:  # fmt: skip
    """By environment and name."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)
    page = await in_thread(
        graph.deployments.list, allowed, environment=environment, kind=kind, subject=subject,
        version=version, run_id=run_id, name=name, retired=retired, limit=limit, cursor=cursor,
    )  # fmt: skip
    seen = await in_thread(graph.observed.list, allowed, environment=environment, kind=kind)
    rows = [deployment_row(d, seen) for d in page.deployments]
    return s.DeploymentPage(deployments=rows, next_cursor=page.next_cursor)


@post("/projects/{project_id:str}/deployments", summary="Deploy something new")
async def create_deployment(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[s.NewDeployment]
) -> s.DeploymentRow:
    """A version of a model, prompt or agent, under a name that is free in the environment."""
    who = await _writer(request, project_id)
    change = Change(
        version=data.version, model_uri=data.model_uri, run_id=data.run_id, url=data.url, config=data.config,
        note=data.note, by=_by(who, data.by),
    )  # fmt: skip
    made = await in_thread(
        services(request).deployments.create, who.project_id, data.name, data.environment, change, kind=data.kind,
        subject=data.subject,
    )  # fmt: skip
    return deployment_row(made)


@get("/projects/{project_id:str}/deployments/{deployment_id:str}", summary="One deployment")
async def get_deployment(
    request: AnyRequest, project_id: FromPath[str], deployment_id: FromPath[str]
) -> s.DeploymentRow:
    """By its id, or as `name@environment`."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)
    found = await in_thread(graph.deployments.get, allowed, whole_id(deployment_id))
    seen = await in_thread(graph.observed.list, allowed, environment=found.environment, kind=found.kind)
    return deployment_row(found, seen)


@get("/projects/{project_id:str}/deployments/{deployment_id:str}/timeline", summary="Versions over time")
async def deployment_timeline(
    request: AnyRequest, project_id: FromPath[str], deployment_id: FromPath[str], from_ms: FromMs = None
) -> s.Timeline:
    """What traces show of this deployment, by version and hour; of the last seven days."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)
    since, _ = time_range(from_ms, None, default_hours=7 * 24)
    found = await in_thread(graph.deployments.get, allowed, whole_id(deployment_id))
    points = await in_thread(graph.observed.timeline, allowed, found, since)
    return s.Timeline(from_ms=since / 1e6, points=[_point(point) for point in points])


@get("/projects/{project_id:str}/observed-versions", summary="What traces show is live")
async def list_observed(
    request: AnyRequest, project_id: FromPath[str], environment: Text = None, kind: KindOnly = None,
    subject: Text = None, from_ms: FromMs = None,
) -> s.ObservedList:  # fmt: skip
    """Versions that traces carried, in the last 30 days."""
    allowed = await reading(request, whole_id(project_id))
    graph = services(request)
    since, _ = time_range(from_ms, None, default_hours=30 * 24)

    def read() -> s.ObservedList:
        seen = graph.observed.list(allowed, environment=environment, kind=kind, subject=subject, since_ns=since)
        places = graph.deployments.list(allowed, environment=environment, kind=kind, limit=1_000).deployments
        return s.ObservedList(observed=[observed_row(o, _place_of(o, places)) for o in seen])

    return await in_thread(read)


@patch("/projects/{project_id:str}/deployments/{deployment_id:str}", summary="Deploy another version")
async def update_deployment(
    request: AnyRequest, project_id: FromPath[str], deployment_id: FromPath[str], data: JSONBody[s.DeploymentEdit]
) -> s.DeploymentRow:
    """Or change address or configuration. Each is a new release."""
    who = await _writer(request, project_id)
    change = Change(
        version=data.version, model_uri=data.model_uri, run_id=data.run_id, url=data.url, config=data.config,
        note=data.note, by=_by(who, data.by), expected_release=data.expected_release,
    )  # fmt: skip
    update = services(request).deployments.update
    return deployment_row(await in_thread(update, who.project_id, whole_id(deployment_id), change))


@delete("/projects/{project_id:str}/deployments/{deployment_id:str}", summary="Retire a deployment")
async def retire_deployment(request: AnyRequest, project_id: FromPath[str], deployment_id: FromPath[str]) -> None:
    """It serves no more; its history stays and its name may be used again."""
    who = await _writer(request, project_id)
    retire = services(request).deployments.retire
    await in_thread(retire, who.project_id, whole_id(deployment_id), by=_by(who, ""))


@get("/projects/{project_id:str}/deployments/{deployment_id:str}/history", summary="History of a deployment")
async def deployment_history(
    request: AnyRequest, project_id: FromPath[str], deployment_id: FromPath[str], limit: Limit = 100,
    cursor: Cursor = None,
) -> s.ReleasePage:  # fmt: skip
    """Every release, newest first."""
    allowed = await reading(request, whole_id(project_id))
    history = services(request).deployments.history
    page = await in_thread(history, allowed, whole_id(deployment_id), limit=limit, cursor=cursor)
    return s.ReleasePage(releases=[release_row(r) for r in page.releases], next_cursor=page.next_cursor)


@post("/projects/{project_id:str}/deployments/{deployment_id:str}/promote", summary="Promote a deployment")
async def promote_deployment(
    request: AnyRequest, project_id: FromPath[str], deployment_id: FromPath[str], data: JSONBody[s.Promotion]
) -> s.DeploymentRow:
    """Let the same version serve in another environment too; answers the deployment there."""
    who = await _writer(request, project_id)
    change = Change(
        url=data.url, config=data.config, note=data.note, by=_by(who, data.by),
        expected_release=data.expected_release,
    )  # fmt: skip
    promote = services(request).deployments.promote
    return deployment_row(
        await in_thread(promote, who.project_id, whole_id(deployment_id), data.environment, change, data.name)
    )


@post("/projects/{project_id:str}/deployments/{deployment_id:str}/rollback", summary="Roll a deployment back")
async def rollback_deployment(
    request: AnyRequest, project_id: FromPath[str], deployment_id: FromPath[str], data: JSONBody[s.Rollback]
) -> s.DeploymentRow:
    """To an earlier release; again, and it goes further back."""
    who = await _writer(request, project_id)
    change = Change(note=data.note, by=_by(who, data.by), expected_release=data.expected_release)
    rollback = services(request).deployments.rollback
    return deployment_row(await in_thread(rollback, who.project_id, whole_id(deployment_id), change, data.to))


@put("/projects/{project_id:str}/deployments/{deployment_id:str}/health", summary="Report health")
async def report_health(
    request: AnyRequest, project_id: FromPath[str], deployment_id: FromPath[str], data: JSONBody[s.HealthReport]
) -> s.DeploymentRow:
    """Of the version that serves now; another version starts as `unknown`."""
    who = await _writer(request, project_id)
    report = services(request).deployments.report_health
    return deployment_row(
        await in_thread(report, who.project_id, whole_id(deployment_id), data.health, data.message)
    )  # fmt: skip


# --- environments ------------------------------------------------------------------------------------------------------
@get("/projects/{project_id:str}/environments", summary="List environments")
async def list_environments(request: AnyRequest, project_id: FromPath[str]) -> s.EnvironmentList:
    """Those that were created or deployed into, by name."""
    allowed = await reading(request, whole_id(project_id))
    found = await in_thread(services(request).deployments.environments, allowed)
    return s.EnvironmentList(environments=[_environment_row(e) for e in found])


@post("/projects/{project_id:str}/environments", summary="Create an environment")
async def create_environment(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[s.NewEnvironment]
) -> s.EnvironmentRow:
    """Also made by the first deployment into it."""
    who = await _writer(request, project_id)
    create = services(request).deployments.create_environment
    return _environment_row(await in_thread(create, who.project_id, data.name, data.config))


@get("/projects/{project_id:str}/environments/{name:str}", summary="One environment")
async def get_environment(request: AnyRequest, project_id: FromPath[str], name: FromPath[str]) -> s.EnvironmentRow:
    """With its configuration."""
    allowed = await reading(request, whole_id(project_id))
    return _environment_row(await in_thread(services(request).deployments.environment, allowed, whole_id(name)))


@patch("/projects/{project_id:str}/environments/{name:str}", summary="Change an environment")
async def update_environment(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], data: JSONBody[s.EnvironmentEdit]
) -> s.EnvironmentRow:
    """Replaces its configuration."""
    who = await _writer(request, project_id)
    update = services(request).deployments.update_environment
    return _environment_row(await in_thread(update, who.project_id, whole_id(name), data.config))


@delete("/projects/{project_id:str}/environments/{name:str}", summary="Delete an environment")
async def delete_environment(request: AnyRequest, project_id: FromPath[str], name: FromPath[str]) -> None:
    """Refused while something serves there."""
    who = await _writer(request, project_id)
    await in_thread(services(request).deployments.delete_environment, who.project_id, whole_id(name))


# --- shapes ------------------------------------------------------------------------------------------------------------
def deployment_row(deployment: Deployment, seen: Sequence[ObservedVersion] = ()) -> s.DeploymentRow:
    """One deployment with its current release, and what of ``seen`` is about it."""
    version = deployment.release.version
    mine = next((o for o in seen if concerns(deployment, o) and same_version(o.version, version)), None)
    other = drift(deployment, seen)
    return s.DeploymentRow(
        deployment_id=deployment.deployment_id,
        name=deployment.name,
        environment=deployment.environment,
        kind=deployment.kind,
        subject=deployment.subject,
        release=release_row(deployment.release),
        health=deployment.health,
        health_message=deployment.health_message,
        health_ms=None if deployment.health_ns is None else deployment.health_ns / 1e6,
        retired=deployment.retired,
        observed=None if mine is None else observed_row(mine, deployment),
        drift=None
        if other is None
        else s.DriftRow(version=other.version, since_ms=other.since_ns / 1e6, both=other.both),
        created_ms=deployment.created_ns / 1e6,
        updated_ms=deployment.updated_ns / 1e6,
    )


def release_row(release: Release) -> s.ReleaseRow:
    """One release."""
    return s.ReleaseRow(
        number=release.number,
        action=release.action,
        version=release.version,
        model_uri=release.model_uri,
        run_id=release.run_id,
        url=release.url,
        config=release.config,
        note=release.note,
        by=release.by,
        at_ms=release.at_ns / 1e6,
        until_ms=None if release.until_ns is None else release.until_ns / 1e6,
        from_environment=release.from_environment,
        restores=release.restores,
    )


def observed_row(seen: ObservedVersion, deployment: Deployment | None) -> s.ObservedRow:
    """What traces show of one version, and the deployment it is about."""
    return s.ObservedRow(
        environment=seen.environment,
        kind=seen.kind,
        subject=seen.subject,
        version=seen.version,
        calls=seen.calls,
        errors=seen.errors,
        tokens=seen.tokens,
        cost=seen.cost,
        latency_ms=None if seen.latency_ns is None else seen.latency_ns / 1e6,
        first_ms=seen.first_ns / 1e6,
        last_ms=seen.last_ns / 1e6,
        deployment_id=None if deployment is None else deployment.deployment_id,
        declared=deployment is not None and same_version(seen.version, deployment.release.version),
    )


def _point(hour: ObservedHour) -> s.ObservedPoint:
    return s.ObservedPoint(
        hour_ms=hour.hour_ns / 1e6,
        version=hour.version,
        calls=hour.calls,
        errors=hour.errors,
        cost=hour.cost,
        latency_ms=hour.latency_ns / hour.ended / 1e6 if hour.ended else None,
    )


def _place_of(seen: ObservedVersion, places: Sequence[Deployment]) -> Deployment | None:
    return next((place for place in places if concerns(place, seen)), None)


def _environment_row(environment: Environment) -> s.EnvironmentRow:
    return s.EnvironmentRow(
        name=environment.name,
        config=environment.config,
        created_ms=environment.created_ns / 1e6,
        updated_ms=environment.updated_ns / 1e6,
    )


async def _writer(request: AnyRequest, project_id: str) -> Principal:
    who = await project_principal(request, whole_id(project_id))
    who.require("write")
    return who


def _by(who: Principal, said: str) -> str:
    """A signed-in caller cannot speak for somebody else; behind a key, many may."""
    return who.user_name or said or who.public_key or ""


HANDLERS = [
    list_deployments, create_deployment, get_deployment, deployment_timeline, list_observed, update_deployment, retire_deployment, deployment_history,
    promote_deployment, rollback_deployment, report_health, list_environments, create_environment, get_environment,
    update_environment, delete_environment,
]  # fmt: skip
