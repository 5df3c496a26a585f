"""Organizations and projects, their keys, and what is created at the first start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, InvalidState, NotFound
from twinlens.domain.ids import check_id, new_uuid
from twinlens.domain.project import (
    DEFAULT_ORGANIZATION,
    DEFAULT_PROJECT,
    KEY_SCOPES,
    ApiKey,
    Member,
    Organization,
    Project,
    User,
)
from twinlens.features.audit import Audit
from twinlens.features.secrets import Hasher, hash_password, hint, new_key_pair, password_fits
from twinlens.settings import Settings
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.keys import KeyStore
from twinlens.store.catalog.organizations import OrganizationStore
from twinlens.store.catalog.projects import ProjectStore
from twinlens.store.catalog.users import UserStore

MAX_NAME = 255
MAX_RETENTION = 36_500
#: An argument that was not given, where None is a value.
KEEP: Any = object()


class Projects:
    """Organizations, projects and keys. Every change is in the audit log."""

    def __init__(self, catalog: Catalog, hasher: Hasher) -> None:
        self._organizations = OrganizationStore(catalog)
        self._projects = ProjectStore(catalog)
        self._keys = KeyStore(catalog)
        self._users = UserStore(catalog)
        self._audit = Audit(catalog)
        self._hasher = hasher
        self._listeners: list[Callable[[], None]] = []
        self.default_id = DEFAULT_PROJECT  #: where data without a known key goes in open mode

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after keys, users or projects have changed."""
        self._listeners.append(listener)

    def seed(self, settings: Settings) -> None:
        """Create the default project and what the ``init_*`` settings name. Doing it again changes nothing.

        With ``init_project_id`` that project is the default one, so that a program without a key meets the data of
        the programs that have one.
        """
        self.default_id = settings.init_project_id or DEFAULT_PROJECT
        organization_id = settings.init_org_id or DEFAULT_ORGANIZATION
        if self._organizations.get(organization_id) is None:
            self._organizations.put(organization_id, settings.init_org_name or organization_id.capitalize())
        if self._projects.get(self.default_id) is None:
            self._projects.put(
                check_id(self.default_id, "init_project_id"),
                organization_id,
                settings.init_project_name or self.default_id.capitalize(),
                retention_days=settings.init_project_retention,
            )
        public, secret = settings.init_project_public_key, settings.init_project_secret_key
        if public and secret and self._keys.by_secret(self._hasher.hash(secret)) is None:
            self.create_key(self.default_id, public_key=public, secret_key=secret, note="from LANGFUSE_INIT_*")
        if settings.init_user_email and settings.init_user_password:
            found = self._users.by_email(settings.init_user_email)
            if not found or not found[1] or not password_fits(found[1], settings.init_user_password):
                self.add_user(
                    settings.init_user_email,
                    settings.init_user_password,
                    name=settings.init_user_name or "",
                    organization_id=organization_id,
                )

    def list(self, organization_id: str | None = None) -> list[Project]:
        """All projects (of one organization), oldest first."""
        return self._projects.list(organization_id)

    def get(self, project_id: str) -> Project:
        """One project.

        Raises:
            NotFound: there is none.
        """
        found = self._projects.get(project_id)
        if found is None:
            raise NotFound(f"there is no project {project_id!r}")
        return found

    def organization(self, organization_id: str) -> Organization:
        """One organization.

        Raises:
            NotFound: there is none.
        """
        found = self._organizations.get(organization_id)
        if found is None:
            raise NotFound(f"there is no organization {organization_id!r}")
        return found

    def create(
        self,
        name: str,
        *,
        organization_id: str = DEFAULT_ORGANIZATION,
        project_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        retention_days: int | None = None,
    ) -> Project:
        """A new project.

        Raises:
            AlreadyExists: the id is taken.
            InvalidArgument: no name, or a bad id.
        """
        if project_id is not None:
            if self._projects.get(check_id(project_id, "project id")) is not None:
                raise AlreadyExists(f"project {project_id!r} exists already")
            if project_id in self._projects.deleted():
                raise AlreadyExists(f"project {project_id!r} is being deleted; try again in a moment")
        self.organization(organization_id)
        with self._audit.together():
            made = self._projects.put(
                project_id or new_uuid(),
                organization_id,
                check_name(name),
                metadata=metadata,
                retention_days=check_retention(retention_days),
            )
            self._audit.record(
                "create", "project", made.id, project_id=made.id, name=name, retention_days=retention_days
            )
        self.changed()
        return made

    def update(
        self, project_id: str, *, name: str | None = None, metadata: Any = KEEP, retention_days: Any = KEEP
    ) -> Project:
        """Change what is given.

        Args:
            metadata: a dict, or None for none.
            retention_days: whole days, or None to keep everything.

        Raises:
            NotFound: there is no such project.
            InvalidArgument: an empty name, or less than a day.
        """
        old = self.get(project_id)
        with self._audit.together():
            made = self._projects.put(
                project_id,
                old.organization_id,
                old.name if name is None else check_name(name),
                metadata=old.metadata if metadata is KEEP else metadata,
                retention_days=old.retention_days if retention_days is KEEP else check_retention(retention_days),
            )
            changed = {
                f: getattr(made, f)
                for f in ("name", "metadata", "retention_days")
                if getattr(made, f) != getattr(old, f)
            }
            if changed:
                self._audit.record("update", "project", project_id, project_id=project_id, **changed)
        if changed:
            self.changed()
        return made

    def mark_deleted(self, project_id: str) -> None:
        """Take a project and its keys away from everybody. ``ProjectRemoval`` does the rest.

        Raises:
            NotFound: there is no such project.
            InvalidState: the default project, which data without a key goes to.
        """
        project = self.get(project_id)
        if project_id == self.default_id:
            raise InvalidState("the default project cannot be deleted, as data without a key goes there")
        with self._audit.together():
            marked = self._projects.mark_deleted(project_id)
            if marked:
                self._audit.record(
                    "delete", "project", project_id,
                    project_id=project_id, organization_id=project.organization_id, name=project.name,
                )  # fmt: skip
        if marked:
            self.changed()

    # --- organizations -----------------------------------------------------------------------------------------
    def organizations(self) -> list[Organization]:
        """All, oldest first."""
        return self._organizations.list()

    def put_organization(self, name: str, organization_id: str | None = None) -> Organization:
        """Create an organization, or rename the one of this id.

        Raises:
            InvalidArgument: no name.
        """
        action = "create" if organization_id is None else "update"
        with self._audit.together():
            made = self._organizations.put(organization_id or new_uuid(), check_name(name, "an organization"))
            self._audit.record(action, "organization", made.id, organization_id=made.id, name=name)
        self.changed()
        return made

    def delete_organization(self, organization_id: str) -> None:
        """Remove an organization without projects.

        Raises:
            NotFound: there is none.
            InvalidState: it has projects.
        """
        with self._audit.together():
            if not self._organizations.delete(organization_id):
                raise NotFound(f"there is no organization {organization_id!r}")
            self._audit.record("delete", "organization", organization_id, organization_id=organization_id)
        self.changed()

    # --- keys --------------------------------------------------------------------------------------------------
    def keys(self, project_id: str) -> list[ApiKey]:
        """Keys of a project, without their secrets."""
        return self._keys.list(project_id)

    def people(self, project_id: str) -> list[User]:
        """Members of the organization that owns a project, by name.

        Raises:
            NotFound: there is no such project.
        """
        found = [member.user for member in self._users.members(self.get(project_id).organization_id)]
        return sorted(found, key=lambda user: (user.name, user.email))

    def any_credentials(self) -> bool:
        """Whether anyone could get in to a secured server."""
        return self._users.any() or self._keys.any()

    def organization_keys(self, organization_id: str) -> list[ApiKey]:
        """Keys of an organization itself, without their secrets."""
        return self._keys.of_organization(organization_id)

    def create_key(
        self,
        project_id: str | None,
        *,
        organization_id: str | None = None,
        public_key: str | None = None,
        secret_key: str | None = None,
        kind: str = "project",
        note: str = "",
        expires_ns: int | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which is shown this once.

        Args:
            project_id: None for a key of the organization (then kind ``organization``).

        Raises:
            AlreadyExists: one of the two is in use.
            InvalidArgument: unknown kind, or a bad key.
        """
        if kind not in KEY_SCOPES:
            raise InvalidArgument(f"unknown kind of key {kind!r}; known: {', '.join(KEY_SCOPES)}")
        if (kind == "organization") != (project_id is None):
            raise InvalidArgument("a key of kind 'organization' belongs to no single project, every other kind to one")
        if project_id is None:
            owner = self.organization(organization_id or "").id
        else:
            owner = self.get(project_id).organization_id
        made_public, made_secret = new_key_pair()
        secret = check_id(secret_key or made_secret, "secret key")
        key = ApiKey(
            id=new_uuid(),
            public_key=check_id(public_key or made_public, "public key"),
            hint=hint(secret),
            kind=kind,
            organization_id=owner,
            project_id=project_id,
            note=note,
            created_ns=now_ns(),
            expires_ns=expires_ns,
        )
        with self._audit.together():
            self._keys.add(key, self._hasher.hash(secret))
            self._audit.record(
                "create", "key", key.id, project_id=project_id, organization_id=owner, public_key=key.public_key, kind=kind,
                note=note or None,
            )  # fmt: skip
        self.changed()
        return key, secret

    def delete_key(self, project_id: str, key_id: str) -> None:
        """Revoke a key at once.

        Raises:
            NotFound: the project has no such key.
        """
        with self._audit.together():
            if not self._keys.delete(project_id, key_id):
                raise NotFound(f"there is no key {key_id!r}")
            self._audit.record("delete", "key", key_id, project_id=project_id)
        self.changed()

    def delete_organization_key(self, organization_id: str, key_id: str) -> None:
        """Revoke a key of the organization at once.

        Raises:
            NotFound: the organization has no such key.
        """
        with self._audit.together():
            if not self._keys.delete_of_organization(organization_id, key_id):
                raise NotFound(f"there is no key {key_id!r}")
            self._audit.record("delete", "key", key_id, organization_id=organization_id)
        self.changed()

    def add_user(
        self, email: str, password: str, *, name: str = "", organization_id: str | None = None, role: str = "OWNER"
    ) -> User:
        """Create a user, or set name and password of the one with this address, and make it a member.

        Raises:
            InvalidArgument: not an e-mail address, or a password under 8 characters.
        """
        if "@" not in email:
            raise InvalidArgument(f"{email!r} is not an e-mail address")
        if len(password) < 8:
            raise InvalidArgument("a password needs at least 8 characters")
        hashed = hash_password(password)
        with self._audit.together():
            user = self._users.put(User(id=new_uuid(), email=email, name=name), hashed)
            organization_id = organization_id or self.get(self.default_id).organization_id
            self._users.join(organization_id, user.id, role)
            self._audit.record("update", "user", user.id, organization_id=organization_id, email=user.email, role=role)
        self.changed()
        return user

    def members(self, organization_id: str | None = None) -> list[tuple[Organization, Member]]:
        """Users with their roles, by organization, longest first."""
        found = [o for o in self._organizations.list() if organization_id in (None, o.id)]
        return [(o, member) for o in found for member in self._users.members(o.id)]

    def remove_user(self, email: str) -> User:
        """Delete a user with all memberships and sessions. Also an organization's only owner: this is for who holds the
        data folder, and can make another.

        Raises:
            NotFound: nobody has this address.
        """
        found = self._users.by_email(email)
        if found is None:
            raise NotFound(f"there is no user {email!r}")
        user = found[0]
        roles = self._users.roles(user.id)
        with self._audit.together():
            self._users.delete(user.id)
            for organization_id in roles or [""]:
                self._audit.record("delete", "user", user.id, organization_id=organization_id, email=user.email)
        self.changed()
        return user

    def changed(self) -> None:
        """Tell the listeners."""
        for listener in self._listeners:
            listener()


def check_name(name: str, what: str = "a project") -> str:
    """``name`` without spaces around it.

    Raises:
        InvalidArgument: nothing is left, or it is longer than 255 characters.
    """
    name = name.strip()
    if not name or len(name) > MAX_NAME:
        raise InvalidArgument(f"{what} needs a name of 1 to {MAX_NAME} characters")
    return name


def check_retention(days: int | None) -> int | None:
    """``days``; 0 means None, everything is kept.

    Raises:
        InvalidArgument: negative, or longer than a century.
    """
    if days is not None and not 0 <= days <= MAX_RETENTION:
        raise InvalidArgument(f"retention must be 0 (keep everything) to {MAX_RETENTION} days")
    return days or None
