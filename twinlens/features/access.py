"""Who a request is: API keys, users, browser sessions, and open mode.

Rules (Langfuse server source v4.16, MLflow 3.18 client):

* ``Basic public:secret`` and ``Bearer secret``: the key is found by the secret's hash alone.
* ``Bearer public``: may send scores only (browser feedback).
* ``Basic e-mail:password``: a user (MLflow's ``MLFLOW_TRACKING_USERNAME``/``_PASSWORD``).
* Open mode: no or an unknown key is admitted to the default project. A known key always selects its own project, and a
  known public key with a wrong secret is refused, so that a typing error does not file data in another project.
* ``X-Twinlens-Project`` or ``X-MLFLOW-WORKSPACE`` chooses among the projects that the caller may use. MLflow's reserved
  workspace ``default`` is the default project, whatever its id.
* ``Bearer <admin_api_key>`` manages the whole instance; ``x-langfuse-project-id`` chooses its project.
"""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import cast

import msgspec

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import NotFound, StoreUnavailable, Unauthenticated
from twinlens.domain.project import (
    DEFAULT_PROJECT,
    EVERY_SCOPE,
    KEY_SCOPES,
    ROLES,
    ApiKey,
    Principal,
    Project,
    Role,
    User,
    scopes_of,
)
from twinlens.features.projects import Projects
from twinlens.features.secrets import Hasher, password_fits
from twinlens.settings import Settings
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.grants import GrantStore
from twinlens.store.catalog.keys import KeyStore
from twinlens.store.catalog.users import UserStore

log = logging.getLogger(__name__)

COOKIE = "twinlens_session"
SESSION_SECONDS = 30 * 86_400
_CACHE_SECONDS = 5.0  # how long a revocation by another process may take
_CACHE_SIZE = 4_096
_USE_NS = 600 * 1_000_000_000  # how exact the time of a key's last use is
#: Where clients of Anthropic, Google and Azure OpenAI put their key when they call the gateway.
_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")
_PROJECT_HEADERS = ("x-twinlens-project", "x-mlflow-workspace", "x-langfuse-project-id")
_REFUSED = (
    "Invalid credentials. Check that the public key, the secret key and the host belong together; "
    "`twinlens key add` on the server makes a new pair."
)


class Access:
    """Turns request headers into a ``Principal``. Thread-safe."""

    def __init__(self, settings: Settings, catalog: Catalog, projects: Projects, hasher: Hasher) -> None:
        self._projects = projects
        self._keys = KeyStore(catalog)
        self._users = UserStore(catalog)
        self._grants = GrantStore(catalog)
        self._hasher = hasher
        self._admin_key = settings.admin_api_key
        self._cache: dict[tuple[str, ...], tuple[float, Principal]] = {}
        self._lock = threading.Lock()
        self.secured = settings.mode == "secured" or (
            settings.mode == "auto" and (not settings.loopback_only or self._users.any())
        )
        projects.on_change(self.forget)

    def forget(self) -> None:
        """Drop what has been remembered about credentials."""
        with self._lock:
            self._cache.clear()

    def remembered(self, headers: Mapping[str, str]) -> Principal | None:
        """The answer ``authenticate`` gave a few seconds ago, without touching the catalog."""
        found = self._cache.get(_cache_key(headers))
        return found[1] if found and found[0] > time.monotonic() else None

    def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """Who the request is. Header names are lower case. May take a database read.

        Raises:
            Unauthenticated: no credentials in secured mode, or credentials nobody knows.
            NotFound: the named project does not exist for this caller.
        """
        who = self.remembered(headers)
        if who is None:
            who = self._choose(self._identify(headers), self._wanted(headers))
            with self._lock:
                if len(self._cache) >= _CACHE_SIZE:
                    self._cache.clear()
                self._cache[_cache_key(headers)] = (time.monotonic() + _CACHE_SECONDS, who)
        return who

    def for_project(self, principal: Principal, project_id: str) -> Principal:
        """The same caller working in the project that a path names.

        Raises:
            NotFound: the project does not exist, or not for this caller.
        """
        return principal if principal.project_id == project_id else self._choose(principal, project_id)

    def visible(self, principal: Principal) -> list[str]:
        """Ids of the projects this caller may use, oldest first."""
        if principal.key_id and "organization" not in principal.scopes:
            return [principal.project_id]
        if principal.user_id:
            return [p.id for p, _ in self._of_user_projects(principal.user_id)]
        return [p.id for p in self._projects.list(None if principal.instance else principal.organization_id)]

    def knows(self, email: str, password: str) -> bool:
        """Whether this is the user's password."""
        return self._user(email, password) is not None

    def sign_in(self, email: str, password: str) -> str:
        """Open a browser session; the token for the cookie.

        Raises:
            Unauthenticated: unknown address or wrong password.
        """
        user = self._user(email, password)
        if user is None:
            raise Unauthenticated("unknown e-mail address or wrong password")
        token = secrets.token_urlsafe(32)
        self._users.open_session(self._hasher.hash(token), user.id, now_ns() + SESSION_SECONDS * 1_000_000_000)
        return token

    def sign_out(self, token: str) -> None:
        """Close a browser session."""
        self._users.close_session(self._hasher.hash(token))
        self.forget()

    def _wanted(self, headers: Mapping[str, str]) -> str | None:
        """The project that a header names."""
        name = next((name for name in _PROJECT_HEADERS if headers.get(name)), None)
        if name is None:
            return None
        wanted = headers[name].strip()
        if name == "x-mlflow-workspace" and wanted == DEFAULT_PROJECT:
            return self._projects.default_id
        return wanted

    def _identify(self, headers: Mapping[str, str]) -> Principal:
        scheme, _, credentials = headers.get("authorization", "").strip().partition(" ")
        scheme, credentials = scheme.lower(), credentials.strip()
        if scheme == "basic" and credentials:
            found = self._basic(credentials)
        elif scheme == "bearer" and credentials:
            found = self._bearer(credentials)
        elif credentials := next((headers[name] for name in _KEY_HEADERS if headers.get(name)), ""):
            scheme, found = "key", self._bearer(credentials.strip())
        else:
            token = _cookie(headers.get("cookie", ""))
            user = self._users.session_user(self._hasher.hash(token)) if token else None
            found = self._of_user(user) if user else None
        if found is not None:
            return found
        if self.secured:
            if scheme:
                raise Unauthenticated(_REFUSED)
            raise Unauthenticated(
                "This server needs credentials: a project's key pair (Basic public:secret), a secret key (Bearer), "
                "or e-mail address and password (Basic)."
            )
        project = self._projects.get(self._projects.default_id)
        return Principal(
            project_id=project.id, organization_id=project.organization_id, scopes=EVERY_SCOPE, open=True, instance=True
        )

    def _basic(self, credentials: str) -> Principal | None:
        try:
            name, separator, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Unauthenticated("the Basic credentials are not base64 of name:password") from error
        if not separator:
            raise Unauthenticated("the Basic credentials are not base64 of name:password")
        key = self._live(self._keys.by_secret(self._hasher.hash(password)))
        if key is not None:
            if key.public_key != name:
                log.info("secret key %s was sent with public key %s, not its own", key.hint, name[:64])
            return self._of_key(key)
        if self._keys.by_public(name) is not None:
            raise Unauthenticated(_REFUSED)
        user = self._user(name, password)
        return self._of_user(user) if user else None

    def _bearer(self, token: str) -> Principal | None:
        if self._admin_key and secrets.compare_digest(token.encode(), self._admin_key.encode()):
            project = self._projects.get(self._projects.default_id)
            return Principal(
                project_id=project.id, organization_id=project.organization_id, scopes=EVERY_SCOPE,
                key_id="admin", instance=True,
            )  # fmt: skip
        key = self._live(self._keys.by_secret(self._hasher.hash(token)))
        if key is not None:
            return self._of_key(key)
        key = self._live(self._keys.by_public(token))
        return self._of_key(key, frozenset({"score"})) if key else None

    @staticmethod
    def _live(key: ApiKey | None) -> ApiKey | None:
        if key is not None and key.expires_ns is not None and key.expires_ns <= now_ns():
            raise Unauthenticated(f"the key {key.public_key} has expired")
        return key

    def _user(self, email: str, password: str) -> User | None:
        found = self._users.by_email(email)
        return found[0] if found and found[1] and password_fits(found[1], password) else None

    def _of_key(self, key: ApiKey, scopes: frozenset[str] | None = None) -> Principal:
        self._note_use(key)
        project_id = key.project_id
        if project_id is None:
            owned = self._projects.list(key.organization_id)
            project_id = owned[0].id if owned else ""
        return Principal(
            project_id=project_id,
            organization_id=key.organization_id,
            scopes=KEY_SCOPES[key.kind] if scopes is None else scopes,
            key_id=key.id,
            public_key=key.public_key,
        )

    def _note_use(self, key: ApiKey) -> None:
        """Keep the time at which a key was used: once in a while, as nobody needs it to the second, and never at the cost
        of the request."""
        now = now_ns()
        if key.last_used_ns is None or now - key.last_used_ns > _USE_NS:
            with suppress(StoreUnavailable):
                self._keys.touch(key.id, now)

    def _of_user(self, user: User) -> Principal:
        """The user in the default project if it may be used, else in the oldest one that may; without a right in any
        project the user is known and may do nothing."""
        owned = self._of_user_projects(user.id)
        chosen = next(
            (found for found in owned if found[0].id == self._projects.default_id), owned[0] if owned else None
        )
        roles = self._users.roles(user.id)
        organization_id = chosen[0].organization_id if chosen else next(iter(roles), "")
        who = Principal(
            project_id="",
            organization_id=organization_id,
            scopes=scopes_of(roles.get(organization_id)),
            user_id=user.id,
            user_name=user.name or user.email,
            role=roles.get(organization_id),
        )
        return who if chosen is None else self._as_member(who, *chosen)

    def _of_user_projects(self, user_id: str) -> list[tuple[Project, frozenset[str]]]:
        """Projects in which a user has any right, also on single resources only, oldest first, with the rights."""
        roles, own = self._users.roles(user_id), self._users.project_roles(user_id)
        found = [(p, scopes_of(roles.get(p.organization_id), own.get(p.id))) for p in self._projects.list()]
        granted = {role.project_id for role in self._grants.roles_of(user_id) if role.grants}
        return [(project, scopes) for project, scopes in found if scopes or project.id in granted]

    def _as_member(self, who: Principal, project: Project, scopes: frozenset[str]) -> Principal:
        assert who.user_id is not None
        roles = (
            self._users.roles(who.user_id).get(project.organization_id, "NONE"),
            self._users.project_roles(who.user_id).get(project.id, "NONE"),
        )
        return msgspec.structs.replace(
            who,
            project_id=project.id,
            organization_id=project.organization_id,
            scopes=scopes,
            grants=tuple(g for role in self._grants.roles_of(who.user_id, project.id) for g in role.grants),
            role=min(roles, key=lambda role: ROLES.index(cast("Role", role))),
        )

    def _choose(self, who: Principal, project_id: str | None) -> Principal:
        if project_id is None or project_id == who.project_id:
            return who
        unknown = f"there is no project {project_id!r}"  # the same words for one that is not the caller's
        if who.user_id:
            for project, scopes in self._of_user_projects(who.user_id):
                if project.id == project_id:
                    return self._as_member(who, project, scopes)
            raise NotFound(unknown)
        project = self._projects.get(project_id)
        one_project_only = who.key_id is not None and "organization" not in who.scopes
        foreign = not who.instance and project.organization_id != who.organization_id
        if one_project_only or foreign:
            raise NotFound(unknown)
        return msgspec.structs.replace(who, project_id=project.id, organization_id=project.organization_id)


def _cache_key(headers: Mapping[str, str]) -> tuple[str, ...]:
    get = headers.get
    names = ("authorization", "cookie", *_KEY_HEADERS, *_PROJECT_HEADERS)
    return tuple(get(name, "") for name in names)


def _cookie(header: str) -> str | None:
    if COOKIE not in header:
        return None
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None
