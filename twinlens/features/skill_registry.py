"""What MLflow's registry knows of skills besides their versions' files: organizations, states, tags with values, sources elsewhere.

The same skills as in ``skills``; ``domain.skill`` says how the two meet. A project has few skills, so searches decide in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, BinaryIO, TypeVar

import msgspec

from twinlens.domain import skill as rules
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.grant import Visible
from twinlens.domain.icon import clean_icons
from twinlens.domain.lifecycle import Status, check_first_status, check_step
from twinlens.domain.prompt import LATEST, check_alias
from twinlens.domain.skill import WORD, Skill, SkillHead, SkillVersion
from twinlens.domain.skill_source import SkillSource
from twinlens.features.audit import Audit
from twinlens.features.permissions import Permissions
from twinlens.features.skill_archive import read_archive
from twinlens.features.skills import add_version, drop_version, read_front
from twinlens.query import mlflow_filter_skills as language
from twinlens.query.evaluate import holds
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.skills import SkillTable
from twinlens.store.telemetry.query import Cmp, Expr

Row = TypeVar("Row", Skill, SkillVersion)

MAX_BULK = 500
_AT_ONCE = 2  #: uploads that are read at a time: each may hold ``domain.skill.MAX_BYTES`` a few times over


class SkillSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a search asks for.

    Attributes:
        filter: MLflow's grammar; see ``query.mlflow_filter_skills``.
        order: ``field [ASC|DESC]`` each.
        only: skills of these names; None for all.
        visible: what the caller may see; None for all.
    """

    filter: str | None = None
    order: Sequence[str] = ()
    limit: int = 100
    offset: int = 0
    only: Collection[str] | None = None
    visible: Visible | None = None


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version to register whose files are elsewhere, or (without source) not told of.

    Attributes:
        name: with organization where it has one.
        digest: the hash of its files, 64 hex digits; see ``domain.skill.tree_digest``.
    """

    name: str
    source: SkillSource | None = None
    digest: str | None = None
    status: Status = "active"


class SkillRegistry:
    """All methods block. ``user`` is the name of who changes something, None when nobody had to sign in."""

    def __init__(self, catalog: Catalog, permissions: Permissions, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._audit = Audit(catalog)
        self._permissions = permissions
        self._clock = clock
        self._reading = threading.BoundedSemaphore(_AT_ONCE)

    # --- skills -----------------------------------------------------------------------------------------------------
    def create(
        self, project_id: str, name: str, user: str | None = None, *, description: str | None = None,
        icons: list[dict[str, Any]] | None = None,
    ) -> Skill:  # fmt: skip
        """Add a skill without versions.

        Raises:
            InvalidArgument: an icon that breaks a rule.
            AlreadyExists: the name is taken.
        """
        now = self._clock()
        head = SkillHead(
            description=description, icons=clean_icons(icons), created_by=user, updated_by=user, created_ns=now,
            updated_ns=now,
        )  # fmt: skip
        with self._catalog.write() as connection:
            if not SkillTable(connection, project_id).add(name, head):
                raise AlreadyExists(f"Skill '{name}' already exists")
            self._audit.record("create", "skill", name, project_id=project_id)
        return Skill(name=name, head=head)

    def get(self, project_id: str, name: str) -> Skill:
        """One skill.

        Raises:
            NotFound: no such skill.
        """
        with self._catalog.read() as connection:
            return _skill(SkillTable(connection, project_id), name)

    def search(self, project_id: str, search: SkillSearch) -> tuple[list[Skill], int]:
        """A page of skills, and how many match.

        Raises:
            InvalidArgument: the filter or order cannot be read.
        """
        expr, order = language.skill_filter(search.filter), language.skill_order(search.order)
        with self._catalog.read() as connection:
            rows = SkillTable(connection, project_id).skills().values()
        rows = [row for row in rows if search.only is None or row.name in search.only]
        rows = [row for row in rows if search.visible is None or row.name in search.visible]
        found = _chosen(rows, expr, language.read_skill, order, language.skill_value)
        return found[search.offset : search.offset + search.limit], len(found)

    def update(self, project_id: str, name: str, user: str | None = None, **changes: Any) -> Skill:
        """Change ``description`` or ``icons``; None empties one.

        Raises:
            InvalidArgument: an icon that breaks a rule.
            NotFound: no such skill.
        """
        shown = dict(changes)
        if "icons" in changes:
            changes["icons"] = clean_icons(changes["icons"])
            shown["icons"] = len(changes["icons"] or ())
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            self._change_head(table, name, user, **changes)
            self._audit.record("update", "skill", name, project_id=project_id, **shown)
            return _skill(table, name)

    def delete(self, project_id: str, name: str) -> None:
        """Remove a skill with its versions and their files.

        Raises:
            NotFound: no such skill.
        """
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            _hold(table, name)
            files = [file for row in table.versions(name) for file in table.filled(row).files]
            table.drop(name)
            table.sweep(files)
            self._permissions.removed(connection, project_id, ("skill",), name)
            self._audit.record("delete", "skill", name, project_id=project_id)
        self._permissions.settled()

    def _change_head(self, table: SkillTable, name: str, user: str | None, **changes: Any) -> None:
        table.hold(name)
        head = _skill(table, name).head
        table.put_head(name, msgspec.structs.replace(head, **changes, updated_by=user, updated_ns=self._clock()))

    # --- versions ---------------------------------------------------------------------------------------------------
    def register(self, project_id: str, new: NewVersion, user: str | None = None) -> SkillVersion:
        """Add a version whose files are elsewhere, and its skill if it is new.

        Raises:
            InvalidArgument: a state that a version cannot begin with.
        """
        check_first_status(new.status, "skill version")
        with self._catalog.write() as connection:
            return self._add(SkillTable(connection, project_id), project_id, new, {}, user)

    def register_all(
        self, project_id: str, versions: Sequence[NewVersion], user: str | None = None
    ) -> list[SkillVersion]:
        """Add a version of each of several skills of one Git repository, all or none. Where a skill has a version of the same
        source and digest, that one is answered, in whatever state it is.

        Raises:
            InvalidArgument: not one repository, reference and state, or a skill that is named twice.
        """
        for new in versions:
            check_first_status(new.status, "skill version")
            if new.source is None or new.source.type != "git" or new.digest is None:
                raise InvalidArgument("Bulk registration requires a Git source and digest for every Skill.")
        if len({(new.source.location, new.source.ref) for new in versions if new.source}) > 1:
            raise InvalidArgument("Bulk registration requires the same Git repository and ref for every Skill.")
        if len({new.status for new in versions}) > 1:
            raise InvalidArgument("Bulk registration requires the same status for every Skill.")
        if len({new.name for new in versions}) < len(versions):
            raise InvalidArgument("Bulk registration takes every Skill once.")
        made: dict[str, SkillVersion] = {}
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            for new in sorted(versions, key=lambda each: each.name):  # the same order for all: nobody waits in a circle
                table.hold(new.name)
                known = [
                    row for row in table.versions(new.name) if row.source == new.source and row.digest == new.digest
                ]
                made[new.name] = known[-1] if known else self._add(table, project_id, new, {}, user)
        return [made[new.name] for new in versions]

    def upload(
        self, project_id: str, new: NewVersion, archive: BinaryIO, user: str | None = None
    ) -> SkillVersion:  # fmt: skip
        """Add a version with the files of an archive (see ``skill_archive``), and the skill if it is new.

        Raises:
            InvalidArgument: no archive, one that breaks a rule, or not of the digest that was told; nothing is stored.
        """
        check_first_status(new.status, "skill version")
        with self._reading:
            contents = read_archive(archive)
            digest = rules.tree_digest(contents)
            if new.digest is not None and new.digest != digest:
                raise InvalidArgument(
                    f"'digest' does not match the uploaded content: expected {digest}, got {new.digest}."
                )
            with self._catalog.write() as connection:
                return self._add(SkillTable(connection, project_id), project_id, new, contents, user)

    def _add(
        self, table: SkillTable, project_id: str, new: NewVersion, contents: dict[str, bytes], user: str | None
    ) -> SkillVersion:
        front, description = read_front(contents)
        row = SkillVersion(
            version_id="", name=new.name, version=0, description=description, frontmatter=front, created_by=user,
            updated_by=user, status=new.status, source=new.source, digest=new.digest,
        )  # fmt: skip
        made = add_version(table, row, contents, self._clock())
        detail = {"source": new.source.location if new.source else None, "status": new.status}
        self._audit.record("create", "skill_version", f"{new.name}/{made.version}", project_id=project_id, **detail)
        return made

    def version(self, project_id: str, name: str, version: int) -> SkillVersion:
        """One version, without files.

        Raises:
            NotFound: no such version.
        """
        with self._catalog.read() as connection:
            return _version(SkillTable(connection, project_id), name, version)

    def version_by_alias(self, project_id: str, name: str, alias: str) -> SkillVersion:
        """The version that an alias points to; ``latest`` (in any case) is found by ``domain.skill.latest``.

        Raises:
            NotFound: no such skill or alias, or no version to be the latest.
        """
        with self._catalog.read() as connection:
            table = SkillTable(connection, project_id)
            skill = _skill(table, name)
            if alias.lower() == LATEST:
                if skill.current is None:
                    raise NotFound(f"No resolved latest version found for skill '{name}'")
                return skill.current
            if alias not in skill.labels:
                raise NotFound(f"Alias '{alias}' not found for skill '{name}'")
            return _version(table, name, skill.labels[alias])

    def search_versions(self, project_id: str, name: str, search: SkillSearch) -> tuple[list[SkillVersion], int]:
        """A page of a skill's versions, and how many match; none when there is no such skill.

        Raises:
            InvalidArgument: the filter or order cannot be read.
        """
        expr, order = language.version_filter(search.filter), language.version_order(search.order)
        with self._catalog.read() as connection:
            rows = SkillTable(connection, project_id).versions(name)
        found = _chosen(rows, expr, language.read_version, order, language.version_value)
        return found[search.offset : search.offset + search.limit], len(found)

    def set_status(
        self, project_id: str, name: str, version: int, status: Status, user: str | None = None
    ) -> SkillVersion:
        """Move a version to another state. A deleted one is gone, with its aliases and files; its number is not given again.

        Raises:
            InvalidArgument: the state cannot follow the present one.
            NotFound: no such version.
        """
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            table.hold(name)
            row = _version(table, name, version)
            check_step(row.status, status)
            made = msgspec.structs.replace(row, status=status, updated_by=user, updated_ns=self._clock())
            if status == "deleted":
                drop_version(table, row)
                made.labels = []
            else:
                table.put_version(made)
            self._audit.record(
                "update", "skill_version", f"{name}/{version}", project_id=project_id, status=status
            )  # fmt: skip
        return made

    # --- tags and aliases -------------------------------------------------------------------------------------------
    def set_tag(self, project_id: str, name: str, key: str, value: str, version: int | None = None) -> None:
        """Put or change a tag of a skill, or of a version. On a skill, the value ``true`` makes it a word, as Langfuse's are.

        Raises:
            InvalidArgument: too long.
            NotFound: no such skill or version.
        """
        if not 1 <= len(key) <= 250 or len(value) > 100_000:
            raise InvalidArgument("A tag's key has 1 to 250 characters and its value at most 100000")
        self._tag(project_id, name, key, value, version)

    def delete_tag(self, project_id: str, name: str, key: str, version: int | None = None) -> None:
        """Remove a tag of a skill, or of a version.

        Raises:
            NotFound: no such skill, version or tag.
        """
        self._tag(project_id, name, key, None, version)

    def _tag(self, project_id: str, name: str, key: str, value: str | None, version: int | None) -> None:
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            _hold(table, name)
            skill = _skill(table, name)
            row = None if version is None else _version(table, name, version)
            place = f"Skill '{name}'" if row is None else f"Skill version '{name}' version '{version}'"
            if value is None and key not in (skill.tags if row is None else row.version_tags):
                raise NotFound(f"Tag '{key}' not found on {place}")
            if row is not None:
                tags = {other: kept for other, kept in row.version_tags.items() if other != key}
                row.version_tags = tags if value is None else tags | {key: value}
                table.put_version(row)
                return
            properties = {other: kept for other, kept in skill.head.properties.items() if other != key}
            words = [word for word in skill.words if word != key]
            if value == WORD:
                words.append(key)
            elif value is not None:
                properties[key] = value
            table.set_tags(name, words)
            table.put_head(name, msgspec.structs.replace(skill.head, properties=properties))
            self._audit.record("update", "skill", name, project_id=project_id, tag=key, value=value)

    def set_alias(self, project_id: str, name: str, alias: str, version: int) -> None:
        """Put or move an alias, which is a label.

        Raises:
            InvalidArgument: a name that no alias may have.
            NotFound: no such skill or version.
        """
        check_alias(alias)
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            table.hold(name)
            _version(table, name, version)
            table.put_label(name, alias, version)
            self._audit.record("update", "skill", name, project_id=project_id, alias=alias, version=version)

    def delete_alias(self, project_id: str, name: str, alias: str) -> None:
        """Remove an alias.

        Raises:
            InvalidArgument: ``latest``, which nobody sets.
            NotFound: no such skill or alias.
        """
        if alias.lower() == LATEST:
            raise InvalidArgument("The 'latest' alias is resolved automatically and cannot be deleted")
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            if not table.drop_label(name, alias):
                raise NotFound(f"Alias '{alias}' not found on skill '{name}'")
            self._audit.record("delete", "skill_alias", f"{name}/{alias}", project_id=project_id)


def _hold(table: SkillTable, name: str) -> None:
    if not table.hold(name):
        raise NotFound(f"Skill '{name}' not found")


def _skill(table: SkillTable, name: str) -> Skill:
    found = table.skills(name).get(name)
    if found is None:
        raise NotFound(f"Skill '{name}' not found")
    return found


def _version(table: SkillTable, name: str, version: int) -> SkillVersion:
    for row in table.versions(name):
        if row.version == version:
            return row
    raise NotFound(f"Skill version '{name}' version '{version}' not found")


def _chosen(
    rows: Sequence[Row], expr: Expr, read: Callable[[Row, Cmp], Any], order: language.Order, value: Callable[[Row, str], Any]
) -> list[Row]:  # fmt: skip
    """Those that match, in order; what has no value comes first."""
    found = [row for row in rows if holds(expr, lambda condition, row=row: read(row, condition))]
    for field, descending in reversed(order):
        found.sort(key=lambda row: ((known := value(row, field)) is not None, known), reverse=descending)
    return found
