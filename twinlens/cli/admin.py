"""``twinlens user``, ``twinlens key`` and ``twinlens project``: who may come in, and where to. They open the data folder,
so the server must be stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from twinlens.cli.options import Config, Data, settings
from twinlens.settings import Settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from twinlens.features.projects import Projects

user = App(name="user", help="Manage the people who may sign in.")
key = App(name="key", help="Manage API keys.")
project = App(name="project", help="Manage projects. While the server runs, use Settings in the browser instead.")
Project = Annotated[str | None, Parameter(help="Project id. [default: the default project]")]
OrganizationId = Annotated[
    str | None,
    Parameter(name="--organization", help="Id of an organization: its own keys, which open all its projects."),
]


@user.command(name="add")
def add_user(
    email: str,
    *,
    password: Annotated[
        str | None, Parameter(help="Asked for when not given.", env_var="TWINLENS_SDK_PASSWORD")
    ] = None,
    name: str = "",
    data: Data = None,
    config: Config = None,
) -> None:
    """Create a user, or set a new password. From then on the server is secured."""
    if password is None:
        from getpass import getpass

        password = getpass(f"Password for {email}: ")
    with _projects(settings(config, data=data)) as projects:
        made = projects.add_user(email, password, name=name)
    print(f"{made.email} may sign in now.")


@user.command(name="list")
def list_users(*, data: Data = None, config: Config = None) -> None:
    """List users: id, organization, role, address, name."""
    with _projects(settings(config, data=data)) as projects:
        for organization, one in projects.members():
            print(f"{one.user.id}  {organization.id}  {one.role}  {one.user.email}  {one.user.name}".rstrip())


@user.command(name="remove")
def remove_user(
    email: str,
    *,
    yes: Annotated[bool, Parameter(help="Do not ask.", negative=())] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Delete a user with all roles and sessions. Their keys stay: they belong to projects."""
    with _projects(settings(config, data=data)) as projects:
        if not yes and input(f"Delete {email}? Type the address again to confirm: ") != email:
            raise SystemExit("nobody was deleted")
        projects.remove_user(email)
        left = projects.members()
    print(f"{email} is deleted." if left else f"{email} is deleted. Nobody is left: the server is no longer secured.")


@key.command(name="add")
def add_key(
    *,
    project: Project = None,
    note: str = "",
    kind: Annotated[str, Parameter(help="project, read-only or ingest-only.")] = "project",
    organization: OrganizationId = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Create a key pair for a project, or for a whole organization. The secret is shown this once."""
    with _projects(settings(config, data=data)) as projects:
        if organization is not None:
            made, secret = projects.create_key(None, organization_id=organization, note=note, kind="organization")
        else:
            made, secret = projects.create_key(project or projects.default_id, note=note, kind=kind)
    print(f"LANGFUSE_PUBLIC_KEY={made.public_key}\nLANGFUSE_SECRET_KEY={secret}")


@key.command(name="list")
def list_keys(
    *, project: Project = None, organization: OrganizationId = None, data: Data = None, config: Config = None
) -> None:
    """List the keys of a project or an organization: id, public key, end of the secret, kind, last use, note."""
    from twinlens.domain.clock import iso_ms

    with _projects(settings(config, data=data)) as projects:
        found = (
            projects.keys(project or projects.default_id)
            if organization is None
            else projects.organization_keys(projects.organization(organization).id)
        )
        for one in found:
            used = "never" if one.last_used_ns is None else iso_ms(one.last_used_ns)[:16]
            print(f"{one.id}  {one.public_key}  {one.hint}  {one.kind}  {used}  {one.note}".rstrip())


@key.command(name="delete")
def delete_key(
    key_id: str, *, project: Project = None, organization: OrganizationId = None, data: Data = None,
    config: Config = None,
) -> None:  # fmt: skip
    """Revoke a key."""
    with _projects(settings(config, data=data)) as projects:
        if organization is not None:
            projects.delete_organization_key(organization, key_id)
        else:
            projects.delete_key(project or projects.default_id, key_id)


@project.command(name="list")
def list_projects(*, data: Data = None, config: Config = None) -> None:
    """List all projects: id, organization, name."""
    with _projects(settings(config, data=data)) as projects:
        for one in projects.list():
            print(f"{one.id}  {one.organization_id}  {one.name}")


@project.command(name="add")
def add_project(
    name: str,
    *,
    project_id: Annotated[str | None, Parameter(name="--id", help="Its id. [default: a random one]")] = None,
    retention: Annotated[int | None, Parameter(help="Days to keep data. [default: everything]")] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Create a project. Its id is printed; ``twinlens key add --project ID`` makes a key for it."""
    with _projects(settings(config, data=data)) as projects:
        default = projects.get(projects.default_id)
        made = projects.create(
            name, organization_id=default.organization_id, project_id=project_id, retention_days=retention
        )
    print(made.id)


@project.command(name="remove")
def remove_project(
    project_id: str,
    *,
    yes: Annotated[bool, Parameter(help="Do not ask.", negative=())] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Delete a project with everything in it. The next start of the server removes the data itself."""
    with _projects(settings(config, data=data)) as projects:
        found = projects.get(project_id)
        if not yes and input(f"Delete {found.name} for good? Type its id to confirm: ") != project_id:
            raise SystemExit("nothing was deleted")
        projects.mark_deleted(project_id)
    print(f"{project_id} is deleted; its data goes at the next start.")


def _projects(chosen: Settings) -> AbstractContextManager[Projects]:
    from twinlens.offline import open_projects

    return open_projects(chosen)
