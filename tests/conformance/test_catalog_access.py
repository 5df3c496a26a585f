"""Projects, keys, users and sessions, on each catalog engine."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

import pytest

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from twinlens.domain.project import Principal
from twinlens.features.access import COOKIE, Access
from twinlens.features.audit import Audit
from twinlens.features.members import Members
from twinlens.features.permissions import Permissions
from twinlens.features.projects import Projects
from twinlens.features.prompts import Prompts
from twinlens.features.secrets import Hasher
from twinlens.settings import Settings
from twinlens.store.catalog.audit import AuditStore
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.users import UserStore

SETTINGS = Settings(
    mode="secured",
    init_org_id="acme",
    init_project_id="shop",
    init_project_public_key="pk",
    init_project_secret_key="sk",
)
WITH_USER = replace(SETTINGS, init_user_email="ann@x.example", init_user_password="long enough")


def _basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def projects(catalog: Catalog) -> Projects:
    found = Projects(catalog, Hasher("pepper"))
    found.seed(SETTINGS)
    found.seed(SETTINGS)  # again changes nothing
    return found


@pytest.fixture
def user(projects: Projects) -> dict[str, str]:
    """Credentials of a seeded user. Costs some password hashes."""
    projects.seed(WITH_USER)
    return _basic("ann@x.example", "long enough")


@pytest.fixture
def access(catalog: Catalog, projects: Projects) -> Access:
    return Access(SETTINGS, catalog, projects, Hasher("pepper"))


def test_seeding(projects: Projects, access: Access) -> None:
    assert [p.id for p in projects.list()] == ["shop"]
    assert projects.get("shop").organization_id == "acme"
    assert [(k.public_key, k.kind) for k in projects.keys("shop")] == [("pk", "project")]
    who = access.authenticate(_basic("pk", "sk"))
    assert (who.project_id, who.organization_id, who.public_key) == ("shop", "acme", "pk")
    assert access.authenticate(_basic("other", "sk")).project_id == "shop"  # the secret decides


def test_seeded_user(projects: Projects, user: dict[str, str], access: Access) -> None:
    assert access.authenticate(_basic("Ann@X.example", "long enough")).user_name == "ann@x.example"


def test_projects(projects: Projects) -> None:
    made = projects.create("Blog", organization_id="acme", project_id="blog", metadata={"a": [1]}, retention_days=30)
    assert projects.get("blog") == made
    assert (made.metadata, made.retention_days) == ({"a": [1]}, 30)
    with pytest.raises(AlreadyExists):
        projects.create("Blog", organization_id="acme", project_id="blog")
    with pytest.raises(InvalidArgument):
        projects.create(" ", organization_id="acme")
    with pytest.raises(NotFound):
        projects.create("x", organization_id="nobody")
    with pytest.raises(NotFound):
        projects.get("absent")


def test_keys_of_each_kind(projects: Projects, access: Access) -> None:
    for kind, scopes in (("read-only", {"read"}), ("ingest-only", {"ingest", "score"})):
        _, secret = projects.create_key("shop", kind=kind)
        who = access.authenticate({"authorization": f"Bearer {secret}"})
        assert who.scopes == scopes
        with pytest.raises(PermissionDenied):
            who.require("write")
    with pytest.raises(InvalidArgument):
        projects.create_key("shop", kind="almighty")
    with pytest.raises(AlreadyExists):
        projects.create_key("shop", public_key="pk")
    with pytest.raises(AlreadyExists):
        projects.create_key("shop", secret_key="sk")
    assert access.authenticate({"authorization": "Bearer pk"}).scopes == {"score"}


def test_expired_and_revoked_keys_are_refused_at_once(projects: Projects, access: Access) -> None:
    _, expired = projects.create_key("shop", expires_ns=now_ns() - 1)
    with pytest.raises(Unauthenticated):
        access.authenticate({"authorization": f"Bearer {expired}"})
    key, secret = projects.create_key("shop")
    headers = {"authorization": f"Bearer {secret}"}
    assert access.authenticate(headers).key_id == key.id
    assert access.remembered(headers) is not None
    with pytest.raises(NotFound):
        projects.delete_key("elsewhere", key.id)
    projects.delete_key("shop", key.id)
    assert access.remembered(headers) is None
    with pytest.raises(Unauthenticated):
        access.authenticate(headers)


def test_project_headers_choose_among_what_the_caller_may_use(
    projects: Projects, access: Access, user: dict[str, str]
) -> None:
    projects.create("Blog", organization_id="acme", project_id="blog")
    assert access.authenticate(user | {"x-twinlens-project": "blog"}).project_id == "blog"
    assert access.authenticate(user | {"x-mlflow-workspace": "blog"}).project_id == "blog"
    with pytest.raises(NotFound):
        access.authenticate(user | {"x-twinlens-project": "absent"})
    with pytest.raises(NotFound):
        access.authenticate(_basic("pk", "sk") | {"x-twinlens-project": "blog"})
    assert access.visible(access.authenticate(user)) == ["shop", "blog"]
    assert access.visible(access.authenticate(_basic("pk", "sk"))) == ["shop"]


def test_members_of_several_organizations(
    catalog: Catalog, projects: Projects, access: Access, user: dict[str, str]
) -> None:
    from twinlens.store.catalog.organizations import OrganizationStore

    OrganizationStore(catalog).put("other", "Other")
    projects.create("Theirs", organization_id="other", project_id="theirs")
    with pytest.raises(NotFound):
        access.authenticate(user | {"x-twinlens-project": "theirs"})
    users = UserStore(catalog)
    found = users.by_email("ann@x.example")
    assert found is not None
    users.join("other", found[0].id, "VIEWER")
    who = access.authenticate(user | {"x-twinlens-project": "theirs"})
    assert (who.project_id, who.scopes) == ("theirs", {"read"})
    assert access.visible(who) == ["shop", "theirs"]


def test_sessions(catalog: Catalog, access: Access, user: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        access.sign_in("ann@x.example", "wrong")
    token = access.sign_in("ann@x.example", "long enough")
    cookie = {"cookie": f"a=b; {COOKIE}={token}"}
    assert access.authenticate(cookie).project_id == "shop"
    access.sign_out(token)
    with pytest.raises(Unauthenticated):
        access.authenticate(cookie)
    users = UserStore(catalog)
    found = users.by_email("ann@x.example")
    assert found is not None
    users.open_session("expired", found[0].id, now_ns() - 1)
    assert users.session_user("expired") is None
    users.open_session("fresh", found[0].id, now_ns() + 10**12)
    assert users.session_user("fresh") == found[0]


@pytest.mark.parametrize("value", ["", "Basic", "Basic !", "Basic " + "x" * 5, "Bearer", "Digest a=b", "Basic Og=="])
def test_strange_headers(access: Access, value: str) -> None:
    with pytest.raises(Unauthenticated):
        access.authenticate({"authorization": value})


def test_open_mode(catalog: Catalog, projects: Projects) -> None:
    access = Access(Settings(mode="open"), catalog, projects, Hasher("pepper"))
    assert access.secured is False
    for headers in ({}, {"authorization": "Bearer any"}, _basic("any", "thing")):
        who = access.authenticate(headers)
        assert (who.project_id, who.open) == ("shop", True)
    assert access.authenticate(_basic("pk", "sk")).open is False
    with pytest.raises(Unauthenticated):
        access.authenticate(_basic("pk", "mistyped"))


def test_mode_follows_users_and_address(catalog: Catalog, projects: Projects, user: dict[str, str]) -> None:
    hasher = Hasher("pepper")
    assert Access(Settings(), catalog, projects, hasher).secured is True  # a user exists
    assert Access(Settings(mode="open"), catalog, projects, hasher).secured is False


def test_another_pepper_knows_no_key(catalog: Catalog, projects: Projects) -> None:
    access = Access(SETTINGS, catalog, projects, Hasher("other pepper"))
    with pytest.raises(Unauthenticated):
        access.authenticate(_basic("pk", "sk"))


def test_a_change_and_its_audit_entry_are_one(
    projects: Projects, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    members, permissions, prompts = Members(catalog, projects), Permissions(catalog, projects), Prompts(catalog)
    prompts.create_version("shop", "p", "x", labels=["a"])
    role = permissions.create_role("shop", "r").id
    told = [(e.object_type, e.object_id) for e in Audit(catalog).list("acme")[0]]
    assert {("prompt", "p"), ("role", str(role)), ("key", projects.keys("shop")[0].id)} <= set(told)

    def state() -> list[object]:
        return [
            projects.list(), projects.keys("shop"), projects.organizations(), projects.members(), permissions.roles("shop"),
            prompts.versions("shop", "p"), prompts.protected("shop"),
        ]  # fmt: skip

    def full(*_: object) -> None:
        raise OSError("no room for the audit log")

    before = state()
    monkeypatch.setattr(AuditStore, "add", full)
    owner = Principal(project_id="shop", organization_id="acme", scopes=frozenset({"manage"}), instance=True)
    changes: list[Callable[[], object]] = [
        lambda: projects.create("new", organization_id="acme"),
        lambda: projects.update("shop", name="renamed"),
        lambda: projects.put_organization("other"),
        lambda: projects.create_key("shop"),
        lambda: projects.delete_key("shop", projects.keys("shop")[0].id),
        lambda: members.add_user(owner, "acme", "bob@x.example", role="MEMBER"),
        lambda: permissions.change_role("shop", role, "s", None),
        lambda: permissions.delete_role("shop", role),
        lambda: prompts.create_version("shop", "p", "y", labels=["a"]),
        lambda: prompts.delete_label("shop", "p", "a"),
        lambda: prompts.delete("shop", "p"),
        lambda: prompts.protect("shop", "a"),
    ]
    for change in changes:
        with pytest.raises(OSError, match="no room"):
            change()
        assert state() == before
    with pytest.raises(RuntimeError, match="not in the transaction"):
        Audit(catalog).record("create", "key", "k", project_id="shop")


def test_blocks_inside_a_write_belong_to_it(projects: Projects, catalog: Catalog) -> None:
    with catalog.write():
        projects.create("inner", organization_id="acme", project_id="inner")
        assert projects.get("inner").name == "inner"  # sees what is not committed yet
        with pytest.raises(AlreadyExists):
            projects.create_key("shop", public_key="pk", secret_key="another")  # undone alone
        projects.update("inner", name="kept")
    assert not catalog.writing
    assert projects.get("inner").name == "kept"

    def fail() -> None:
        with catalog.write():
            projects.update("inner", name="lost")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert projects.get("inner").name == "kept"
