"""Projects, their keys, and what is created at the first start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.ids import check_id, new_uuid
from twinlens.domain.project import (
    DEFAULT_ORGANIZATION,
    DEFAULT_PROJECT,
    KEY_SCOPES,
    ApiKey,
    Organization,
    Project,
    User,
)
from twinlens.features.secrets import Hasher, hash_password, hint, new_key_pair, password_fits
from twinlens.settings import Settings
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.keys import KeyStore
from twinlens.store.catalog.organizations import OrganizationStore
from twinlens.store.catalog.projects import ProjectStore
from twinlens.store.catalog.users import UserStore


class Projects:
    """Organizations, projects, keys and users."""

    def __init__(self, catalog: Catalog, hasher: Hasher) -> None:
        self._organizations = OrganizationStore(catalog)
        self._projects = ProjectStore(catalog)
        self._keys = KeyStore(catalog)
        self._users = UserStore(catalog)
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
        if not name.strip():
            raise InvalidArgument("a project needs a name")
        if project_id is not None and self._projects.get(check_id(project_id, "project id")) is not None:
            raise AlreadyExists(f"project {project_id!r} exists already")
        self.organization(organization_id)
        made = self._projects.put(
            project_id or new_uuid(), organization_id, name, metadata=metadata, retention_days=retention_days
        )
        self._changed()
        return made

    def keys(self, project_id: str) -> list[ApiKey]:
        """Keys of a project, without their secrets."""
        return self._keys.list(project_id)

    def people(self, project_id: str) -> list[User]:
        """Members of the organization that owns a project, by name.

        Raises:
            NotFound: there is no such project.
        """
        return self._users.members(self.get(project_id).organization_id)

    def any_credentials(self) -> bool:
        """Whether anyone could get in to a secured server."""
        return self._users.any() or self._keys.any()

    def create_key(
        self,
        project_id: str,
        *,
        public_key: str | None = None,
        secret_key: str | None = None,
        kind: str = "project",
        note: str = "",
        expires_ns: int | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which is shown this once.

        Raises:
            AlreadyExists: one of the two is in use.
            InvalidArgument: unknown kind, or a bad key.
        """
        if kind not in KEY_SCOPES:
            raise InvalidArgument(f"unknown kind of key {kind!r}; known: {', '.join(KEY_SCOPES)}")
        made_public, made_secret = new_key_pair()
        secret = check_id(secret_key or made_secret, "secret key")
        key = ApiKey(
            id=new_uuid(),
            public_key=check_id(public_key or made_public, "public key"),
            hint=hint(secret),
            kind=kind,
            organization_id=self.get(project_id).organization_id,
            project_id=project_id,
            note=note,
            created_ns=now_ns(),
            expires_ns=expires_ns,
        )
        self._keys.add(key, self._hasher.hash(secret))
        self._changed()
        return key, secret

    def delete_key(self, project_id: str, key_id: str) -> None:
        """Revoke a key at once.

        Raises:
            NotFound: the project has no such key.
        """
        if not self._keys.delete(project_id, key_id):
            raise NotFound(f"there is no key {key_id!r}")
        self._changed()

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
        user = self._users.put(User(id=new_uuid(), email=email, name=name), hash_password(password))
        self._users.join(organization_id or self.get(self.default_id).organization_id, user.id, role)
        self._changed()
        return user

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()
