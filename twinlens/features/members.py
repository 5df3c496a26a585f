"""Users, and which role they have in an organization and in single projects."""

from __future__ import annotations

from typing import cast

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, InvalidState, NotFound, PermissionDenied
from twinlens.domain.ids import check_id, new_uuid
from twinlens.domain.project import ROLES, Member, Principal, Role, User
from twinlens.features.audit import Audit
from twinlens.features.projects import MAX_NAME, Projects
from twinlens.features.secrets import hash_password
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.users import UserStore

MIN_PASSWORD = 8


class Members:
    """Changes are in force at once and in the audit log. Nobody gives or takes away a role above the own one, and every
    organization keeps an owner."""

    def __init__(self, catalog: Catalog, projects: Projects) -> None:
        self._users = UserStore(catalog)
        self._audit = Audit(catalog)
        self._projects = projects

    # --- users -------------------------------------------------------------------------------------------------
    def user(self, user_id: str) -> User:
        """One user.

        Raises:
            NotFound: there is none.
        """
        found = self._users.get(user_id)
        if found is None:
            raise NotFound(f"there is no user {user_id!r}")
        return found

    def anybody_signs_in(self) -> bool:
        """Whether any user has a password."""
        return self._users.any()

    def named(self, email: str) -> User:
        """The user who signs in with this address or name.

        Raises:
            NotFound: there is none.
        """
        found = self._users.by_email(email)
        if found is None:
            raise NotFound(f"there is no user {email!r}")
        return found[0]

    def add_user(
        self, by: Principal, organization_id: str, email: str, *, name: str = "", password: str | None = None, role: str
    ) -> User:
        """A new user, as a member of the organization. Without a password nobody can sign in as this user yet.

        Who is known already, from another organization, joins as the user that it is: name and password stay.

        Args:
            email: the address, or any other name, that the user signs in with; case does not matter.

        Raises:
            AlreadyExists: the address is taken by a member.
            InvalidArgument: no address, a short password, or an unknown role.
            PermissionDenied: a role above the caller's own.
        """
        email = check_id(email.strip().lower(), "the user name")
        if len(email) > MAX_NAME or ":" in email:
            raise InvalidArgument(f"the user name must have at most {MAX_NAME} characters and no colon")
        self._allow(by, check_role(role))
        hashed = None if password is None else hash_password(check_password(password))
        user = User(id=new_uuid(), email=email, name=name[:MAX_NAME], created_ns=now_ns())
        with self._audit.together():
            if not self._users.add(user, hashed):
                user = self.named(email)
                if organization_id in self._users.roles(user.id):
                    raise AlreadyExists(f"the user {email!r} exists already")
            self._users.join(organization_id, user.id, role)
            self._audit.record("create", "user", user.id, organization_id=organization_id, email=email, role=role)
        self._projects.changed()
        return user

    def rename(self, by: Principal, organization_id: str, user_id: str, name: str) -> User:
        """Set the name that is shown.

        Raises:
            NotFound: the organization has no such member.
            PermissionDenied: see ``set_password``.
        """
        self._own(by, organization_id, user_id)
        with self._audit.together():
            self._users.change(user_id, name=name[:MAX_NAME])
            self._audit.record("update", "user", user_id, organization_id=organization_id, name=name)
        self._projects.changed()
        return self.user(user_id)

    def set_password(self, by: Principal, organization_id: str, user_id: str, password: str) -> None:
        """Set a password and end the user's browser sessions.

        Raises:
            NotFound: the organization has no such member.
            InvalidArgument: too short.
            PermissionDenied: somebody else, with a role above the caller's or a member of other organizations too.
        """
        self._own(by, organization_id, user_id)
        hashed = hash_password(check_password(password))
        with self._audit.together():
            self._users.change(user_id, password_hash=hashed)
            self._audit.record("update", "user", user_id, organization_id=organization_id, password="changed")  # noqa: S106
        self._projects.changed()

    def delete_user(self, by: Principal, organization_id: str, user_id: str) -> None:
        """Remove a user who belongs to no other organization, else only from this one.

        Raises:
            NotFound: the organization has no such member.
            InvalidState: the only owner.
        """
        with self._audit.together():
            member = self._leave(by, organization_id, user_id)
            if not self._users.roles(user_id):
                self._users.delete(user_id)
                self._audit.record("delete", "user", user_id, organization_id=organization_id, email=member.user.email)
        self._projects.changed()

    # --- organization ------------------------------------------------------------------------------------------
    def of_organization(self, organization_id: str) -> list[Member]:
        """Members, longest first."""
        return self._users.members(organization_id)

    def member(self, organization_id: str, user_id: str) -> Member:
        """One member.

        Raises:
            NotFound: there is no such member.
        """
        found = next((m for m in self._users.members(organization_id) if m.user.id == user_id), None)
        if found is None:
            raise NotFound(f"there is no user {user_id!r} in this organization")
        return found

    def put(self, by: Principal, organization_id: str, user_id: str, role: str) -> Member:
        """Make a user a member, or change the role.

        Raises:
            NotFound: there is no such user.
            InvalidArgument: unknown role.
            InvalidState: the only owner would lose this role.
            PermissionDenied: the old or the new role is above the caller's own.
        """
        user = self.user(user_id)
        old = self._users.roles(user_id).get(organization_id)
        self._allow(by, check_role(role), old)
        if role != "OWNER":
            self._keep_owner(organization_id, user_id)
        with self._audit.together():
            self._users.join(organization_id, user_id, role)
            self._audit.record(
                "create" if old is None else "update", "member", user_id,
                organization_id=organization_id, email=user.email, role=role, was=old,
            )  # fmt: skip
        self._projects.changed()
        return Member(user=user, role=cast("Role", role))

    def remove(self, by: Principal, organization_id: str, user_id: str) -> Member:
        """End a membership, with all roles in the organization's projects.

        Raises:
            NotFound: there is no such member.
            InvalidState: the only owner.
            PermissionDenied: a role above the caller's own.
        """
        with self._audit.together():
            member = self._leave(by, organization_id, user_id)
        self._projects.changed()
        return member

    def _leave(self, by: Principal, organization_id: str, user_id: str) -> Member:
        """``remove`` without telling anybody yet."""
        member = self.member(organization_id, user_id)
        self._allow(by, member.role)
        self._keep_owner(organization_id, user_id)
        self._users.leave(organization_id, user_id)
        self._audit.record("delete", "member", user_id, organization_id=organization_id, email=member.user.email)
        return member

    # --- project -----------------------------------------------------------------------------------------------
    def of_project(self, project_id: str) -> list[Member]:
        """Users with a role of their own in the project, longest first."""
        return self._users.project_members(project_id)

    def knows(self, project_id: str, name: str) -> bool:
        """Whether a member of the project's organization has this id, e-mail or name, whatever the case."""
        wanted = name.strip().lower()
        everybody = self.of_organization(self._projects.get(project_id).organization_id)
        return any(wanted in (m.user.id.lower(), m.user.email.lower(), m.user.name.lower()) for m in everybody)

    def put_in_project(self, by: Principal, project_id: str, user_id: str, role: str) -> Member:
        """Give a member of the organization a role of its own in one project, or change it.

        Raises:
            NotFound: no such project, or the user is no member of its organization.
            InvalidArgument: unknown role.
            PermissionDenied: the old or the new role is above the caller's own.
        """
        user = self.member(self._projects.get(project_id).organization_id, user_id).user
        old = next((m.role for m in self.of_project(project_id) if m.user.id == user_id), None)
        self._allow(by, check_role(role), old)
        with self._audit.together():
            self._users.join_project(project_id, user_id, role)
            self._audit.record(
                "create" if old is None else "update", "member", user_id,
                project_id=project_id, email=user.email, role=role, was=old,
            )  # fmt: skip
        self._projects.changed()
        return Member(user=user, role=cast("Role", role))

    def remove_from_project(self, by: Principal, project_id: str, user_id: str) -> Member:
        """Take the own role in a project away: the organization's counts again.

        Raises:
            NotFound: the user has no role of its own there.
            PermissionDenied: a role above the caller's own.
        """
        member = next((m for m in self.of_project(project_id) if m.user.id == user_id), None)
        if member is None:
            raise NotFound(f"the user {user_id!r} has no role of its own in this project")
        self._allow(by, member.role)
        with self._audit.together():
            self._users.leave_project(project_id, user_id)
            self._audit.record("delete", "member", user_id, project_id=project_id, email=member.user.email)
        self._projects.changed()
        return member

    def _own(self, by: Principal, organization_id: str, user_id: str) -> None:
        """Who may change what belongs to the person, not to the membership."""
        member = self.member(organization_id, user_id)
        if by.user_id == user_id or by.instance:
            return
        self._allow(by, member.role)
        if set(self._users.roles(user_id)) != {organization_id}:
            raise PermissionDenied("this user belongs to other organizations too: only the user may change this")

    def _keep_owner(self, organization_id: str, user_id: str) -> None:
        owners = [m.user.id for m in self._users.members(organization_id) if m.role == "OWNER"]
        if owners == [user_id]:
            raise InvalidState("this is the only owner of the organization: make somebody else an owner first")

    @staticmethod
    def _allow(by: Principal, *roles: str | None) -> None:
        for role in roles:
            if role is not None and not by.outranks(role):
                raise PermissionDenied(f"only somebody with the role {role} may give or take away this role")


def check_role(role: str) -> Role:
    """``role`` if it is one.

    Raises:
        InvalidArgument: it is not.
    """
    if role not in ROLES:
        raise InvalidArgument(f"unknown role {role!r}; known: {', '.join(ROLES)}")
    return role


def check_password(password: str) -> str:
    """``password`` if it is long enough.

    Raises:
        InvalidArgument: under 8 characters, or over 1,024.
    """
    if not MIN_PASSWORD <= len(password) <= 1_024:
        raise InvalidArgument(f"a password needs {MIN_PASSWORD} to 1024 characters")
    return password
