"""The instance: session, projects, keys, sign-in, statistics."""

from __future__ import annotations

import shutil
import time

from litestar import Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath, JSONBody

from twinlens import __version__
from twinlens.domain.errors import Unauthenticated
from twinlens.domain.project import ApiKey, Project
from twinlens.faces.http import AnyRequest, in_thread, principal, services
from twinlens.faces.native import schemas as s
from twinlens.faces.native.administration import managing
from twinlens.faces.native.reply import reading, whole_id
from twinlens.faces.native.rows import ms
from twinlens.features.access import COOKIE, SESSION_SECONDS

_STARTED = time.monotonic()


@get("/session", summary="What the UI needs first", opt={"access": "public"})
async def session(request: AnyRequest) -> s.Session:
    """Answers without credentials too: then ``signed_in`` is false."""
    graph = services(request)
    secured = graph.access.secured
    try:
        who = await principal(request)
    except Unauthenticated:
        who = None
    project_id = who.project_id if who else graph.projects.default_id
    shown = s.SnippetKeys(public_key="pk-lf-local", secret_key="sk-lf-local", needed=False)  # noqa: S106 - not a secret
    if secured:
        keys = await in_thread(graph.projects.keys, project_id) if who else []
        shown = s.SnippetKeys(public_key=keys[0].public_key if keys else "pk-lf-…", secret_key="sk-lf-…", needed=True)  # noqa: S106
    elif project_id == graph.projects.default_id and graph.settings.init_project_public_key:
        shown.public_key = graph.settings.init_project_public_key
        shown.secret_key = graph.settings.init_project_secret_key or shown.secret_key
    return s.Session(
        version=__version__,
        mode="secured" if secured else "open",
        signed_in=who is not None,
        user=who.user_name if who else None,
        default_project_id=project_id,
        base_url=graph.settings.base_url or str(request.base_url).rstrip("/"),
        grpc_port=graph.settings.grpc_port,
        keys=shown,
    )


@post("/sign-in", status_code=204, opt={"access": "public"}, summary="Open a browser session")
async def sign_in(request: AnyRequest, data: JSONBody[s.SignIn]) -> Response[None]:
    """Sets an HttpOnly cookie."""
    token = await in_thread(services(request).access.sign_in, data.email, data.password)
    secure = request.url.scheme == "https" or (services(request).settings.base_url or "").startswith("https:")
    cookie = Cookie(key=COOKIE, value=token, max_age=SESSION_SECONDS, httponly=True, samesite="lax", secure=secure)
    return Response(None, status_code=204, cookies=[cookie])


@post("/sign-out", status_code=204, opt={"access": "public"}, summary="Close the browser session")
async def sign_out(request: AnyRequest) -> Response[None]:
    """Harmless when there is none."""
    token = request.cookies.get(COOKIE)
    if token:
        await in_thread(services(request).access.sign_out, token)
    return Response(None, status_code=204, cookies=[Cookie(key=COOKIE, value="", max_age=0, httponly=True)])


@get("/projects", summary="Projects the caller may use", opt={"access": "known"})
async def list_projects(request: AnyRequest) -> s.ProjectList:
    """Oldest first."""
    graph = services(request)
    who = await principal(request)

    def read() -> list[Project]:
        visible = set(graph.access.visible(who))
        return [p for p in graph.projects.list() if p.id in visible]

    return s.ProjectList(projects=[_project(p) for p in await in_thread(read)])


@post("/projects", summary="Create a project")
async def create_project(request: AnyRequest, data: JSONBody[s.NewProject]) -> s.ProjectInfo:
    """In the caller's organization."""
    who = await principal(request)
    who.require("organization")
    made = await in_thread(
        services(request).projects.create,
        data.name,
        organization_id=who.organization_id,
        project_id=data.id,
        retention_days=data.retention_days,
    )
    return _project(made)


@get("/projects/{project_id:str}", summary="One project")
async def get_project(request: AnyRequest, project_id: FromPath[str]) -> s.ProjectInfo:
    """404 when it does not exist for this caller."""
    return _project(await in_thread(services(request).projects.get, await reading(request, whole_id(project_id))))


@get("/projects/{project_id:str}/keys", summary="API keys")
async def list_keys(request: AnyRequest, project_id: FromPath[str]) -> s.KeyList:
    """Of the project, and for who manages the organization its own too. Without secrets."""
    who = await managing(request, project_id)
    projects = services(request).projects

    def read() -> s.KeyList:
        own = projects.organization_keys(who.organization_id) if "organization" in who.scopes else []
        return s.KeyList(keys=[_key(key) for key in (*projects.keys(who.project_id), *own)])

    return await in_thread(read)


@post("/projects/{project_id:str}/keys", summary="Create an API key")
async def create_key(request: AnyRequest, project_id: FromPath[str], data: JSONBody[s.NewKey]) -> s.KeyInfo:
    """The answer holds the secret, this once. A key of kind `organization` opens all projects and manages them."""
    who = await managing(request, project_id)
    whole = data.kind == "organization"
    if whole:
        who.require("organization")
    key, secret = await in_thread(
        services(request).projects.create_key, None if whole else who.project_id,
        organization_id=who.organization_id if whole else None, note=data.note, kind=data.kind,
    )  # fmt: skip
    return _key(key, secret)


@delete("/projects/{project_id:str}/keys/{key_id:str}", summary="Revoke an API key")
async def delete_key(request: AnyRequest, project_id: FromPath[str], key_id: FromPath[str]) -> None:
    """In force at once; also of the organization, for who manages it."""
    who = await managing(request, project_id)
    projects = services(request).projects

    def revoke() -> None:
        own = "organization" in who.scopes and any(
            key.id == key_id for key in projects.organization_keys(who.organization_id)
        )
        if own:
            projects.delete_organization_key(who.organization_id, key_id)
        else:
            projects.delete_key(who.project_id, key_id)

    await in_thread(revoke)


@get("/stats", summary="Rows and bytes of the instance")
async def stats(request: AnyRequest) -> s.InstanceStats:
    """For ``twinlens doctor`` and the settings page."""
    graph = services(request)
    (await principal(request)).require("organization")

    def read() -> s.InstanceStats:
        folder = graph.settings.data
        return s.InstanceStats(
            version=__version__,
            uptime_s=round(time.monotonic() - _STARTED, 1),
            telemetry=graph.telemetry.stats(),
            data_bytes=sum(file.stat().st_size for file in folder.glob("*") if file.is_file()),
            free_bytes=shutil.disk_usage(folder).free,
        )

    return await in_thread(read)


@post("/reclaim", status_code=200, summary="Give back the disk space of deleted data")
async def reclaim(request: AnyRequest) -> s.Reclaimed:
    """Drops payloads that nothing refers to any more. Writes wait meanwhile."""
    (await principal(request)).require("organization")
    report = await services(request).ingest.run(lambda store: store.reclaim())
    return s.Reclaimed(
        payloads_kept=report.payloads_kept,
        payloads_dropped=report.payloads_dropped,
        bytes_dropped=report.bytes_dropped,
    )


def _project(project: Project) -> s.ProjectInfo:
    return s.ProjectInfo(
        id=project.id,
        name=project.name,
        organization_id=project.organization_id,
        created_ms=ms(project.created_ns),
        retention_days=project.retention_days,
    )


def _key(key: ApiKey, secret: str | None = None) -> s.KeyInfo:
    return s.KeyInfo(
        id=key.id,
        public_key=key.public_key,
        hint=key.hint,
        kind=key.kind,
        note=key.note,
        created_ms=ms(key.created_ns),
        last_used_ms=None if key.last_used_ns is None else ms(key.last_used_ns),
        secret_key=secret,
    )


HANDLERS = [
    session, sign_in, sign_out, list_projects, create_project, get_project, list_keys, create_key, delete_key, stats,
    reclaim,
]  # fmt: skip
