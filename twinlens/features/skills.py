"""Skills: add versions, move labels, read files, delete.

What MLflow's registry adds to that is in ``skill_registry``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from twinlens.domain import skill as rules
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import new_uuid
from twinlens.domain.prompt import LATEST, MAX_COMMIT_MESSAGE, PRODUCTION, check_label
from twinlens.domain.skill import SKILL_FILE, Skill, SkillFile, SkillHead, SkillVersion
from twinlens.features.artifacts import media_type
from twinlens.features.audit import Audit
from twinlens.features.permissions import Permissions
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.skills import SkillTable


class SkillFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which skills a list shows; times are those of the newest version, nanoseconds."""

    name: str | None = None
    search: str | None = None
    tag: str | None = None
    from_updated_ns: int | None = None
    to_updated_ns: int | None = None

    def holds(self, skill: Skill) -> bool:
        """Whether the skill is shown; one without versions is when no time is asked for."""
        text = f"{skill.name}\n{skill.description or ''}".lower()
        updated = skill.newest.updated_ns if skill.newest else 0
        return (
            self.name in (None, skill.name)
            and (self.search or "").lower() in text
            and (self.tag is None or self.tag in skill.words)
            and (self.from_updated_ns is None or updated >= self.from_updated_ns)
            and (self.to_updated_ns is None or 0 < updated < self.to_updated_ns)
        )


class Skills:
    """All methods block. A skill has few versions and a project few skills, so lists are made in memory."""

    def __init__(self, catalog: Catalog, permissions: Permissions, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._permissions = permissions
        self._audit = Audit(catalog)
        self._clock = clock

    def create_version(
        self, project_id: str, files: Sequence[tuple[str, str | None, str | None]], commit_message: str | None = None,
        *, name: str | None = None,
    ) -> SkillVersion:  # fmt: skip
        """Add a version of the skill that the ``SKILL.md`` among the files names, and the skill if it is new.

        Args:
            files: (path, text, or hash of a content that the project has already).
            name: another name, with organization where it has one.

        Raises:
            InvalidArgument: no ``SKILL.md``, front matter, path, size or hash that is not as it must be.
        """
        if commit_message is not None and len(commit_message) > MAX_COMMIT_MESSAGE:
            raise InvalidArgument(f"Commit message must be at most {MAX_COMMIT_MESSAGE} characters")
        if len(files) > rules.MAX_FILES:
            raise InvalidArgument(f"a skill has at most {rules.MAX_FILES} files")
        paths = [rules.check_path(path) for path, _, _ in files]
        rules.check_tree(paths)
        new = {path: text.encode() for path, (_, text, _) in zip(paths, files, strict=True) if text is not None}
        old = {path: digest or "" for path, (_, text, digest) in zip(paths, files, strict=True) if text is None}
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            contents = new | _known(table, old)
            own = contents.get(SKILL_FILE)
            if own is None:
                raise InvalidArgument(f"a skill needs a file {SKILL_FILE}")
            front = _parsed(rules.front_matter(rules.text_of(own) or ""))
            called, description = rules.check_front_matter(front)
            row = SkillVersion(
                version_id="", name=rules.check_identity(name or called), version=0, description=description,
                frontmatter=front, commit_message=commit_message,
            )  # fmt: skip
            row = add_version(table, row, contents, self._clock())
            self._audit.record("create", "skill_version", f"{row.name}/{row.version}", project_id=project_id)
            return _pick(table, row.name, row.version, None)

    def get(
        self, project_id: str, name: str, *, version: int | None = None, label: str | None = None
    ) -> SkillVersion:  # fmt: skip
        """One version by number or label; by label ``production`` when neither is given.

        Raises:
            InvalidArgument: both given.
            NotFound: no such skill, version or label.
        """
        if version is not None and label is not None:
            raise InvalidArgument("Cannot specify both version and label")
        with self._catalog.read() as connection:
            table = SkillTable(connection, project_id)
            return _pick(table, name, version, label or (PRODUCTION if version is None else None))

    def versions(self, project_id: str, name: str) -> tuple[Skill, Sequence[SkillVersion]]:
        """A skill and all its versions with their files, newest first.

        Raises:
            NotFound: no such skill.
        """
        with self._catalog.read() as connection:
            table = SkillTable(connection, project_id)
            skill = table.skills(name).get(name)
            if skill is None:
                raise NotFound(f"Skill not found: '{name}'")
            return skill, [table.filled(row) for row in reversed(table.versions(name))]

    def list(self, project_id: str, chosen: SkillFilter = SkillFilter()) -> list[Skill]:
        """All skills that match, by name, also those without versions."""
        with self._catalog.read() as connection:
            found = SkillTable(connection, project_id).skills()
        return [skill for skill in found.values() if chosen.holds(skill)]

    def set_tags(self, project_id: str, name: str, tags: Sequence[str]) -> SkillVersion:
        """Replace the words that tag a skill; its newest version. Tags with values stay, unless they are called like a word.

        Raises:
            NotFound: no such skill.
        """
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            newest = _pick(table, name, None, LATEST).version
            head = table.skills(name)[name].head
            head.properties = {key: value for key, value in head.properties.items() if key not in tags}
            table.put_head(name, head)
            table.set_tags(name, tags)
            self._audit.record("update", "skill", name, project_id=project_id, tags=sorted(set(tags)))
            return _pick(table, name, newest, None)

    def set_labels(self, project_id: str, name: str, version: int, labels: Sequence[str]) -> SkillVersion:
        """These labels and no others on a version (``latest`` stays where it is), taken from other versions.

        Raises:
            InvalidArgument: a label breaks a rule.
            NotFound: no such version.
        """
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            row = _pick(table, name, version, None)
            # a label that MLflow's client gave may break Langfuse's rule; it may stay
            wanted = [
                label if label in row.labels else check_label(label)
                for label in dict.fromkeys(labels)
                if label != LATEST
            ]
            table.drop_labels(name, version)
            for label in (*wanted, *([LATEST] if LATEST in row.labels else ())):
                table.put_label(name, label, version)
            table.put_version(msgspec.structs.replace(row, updated_ns=self._clock()))
            self._audit.record("update", "skill_version", f"{name}/{version}", project_id=project_id, labels=wanted)
            return _pick(table, name, version, None)

    def delete_version(self, project_id: str, name: str, version: int) -> None:
        """Remove a version, with the last one the skill, and the contents that nothing refers to any more; ``latest`` moves
        to the highest that remains.

        Raises:
            NotFound: no such version.
        """
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            drop_version(table, _pick(table, name, version, None))
            gone = not table.versions(name)
            if gone:
                table.drop(name)
                self._permissions.removed(connection, project_id, ("skill",), name)
            self._audit.record("delete", "skill_version", f"{name}/{version}", project_id=project_id)
        if gone:
            self._permissions.settled()

    def texts(self, project_id: str, digests: Sequence[str]) -> Mapping[str, str]:
        """Texts of files by hash, in the order asked for.

        Raises:
            NotFound: one is not there, or no text.
        """
        with self._catalog.read() as connection:
            found = SkillTable(connection, project_id).texts(digests)
        for digest in digests:
            if digest not in found:
                raise NotFound(f"no text file of a skill has the hash '{digest}'")
        return {digest: found[digest] for digest in digests}

    def by_token(self, project_id: str, name: str, token: str) -> SkillVersion | None:
        """The version of a skill whose files are read under this token."""
        with self._catalog.read() as connection:
            table = SkillTable(connection, project_id)
            return next((table.filled(row) for row in table.versions(name) if row.token == token), None)

    def piece(self, project_id: str, digest: str, number: int) -> bytes | None:
        """One piece (``store.catalog.skills.PIECE``) of a file that is no text; None behind the last."""
        with self._catalog.read() as connection:
            return SkillTable(connection, project_id).piece(digest, number)


def add_version(table: SkillTable, row: SkillVersion, contents: Mapping[str, bytes], now: int) -> SkillVersion:
    """Store a version under the next number of its skill, which is made if it is new, with the contents of its files."""
    texts: dict[str, str] = {}
    others: dict[str, bytes] = {}
    for path, content in contents.items():
        text = rules.text_of(content)
        digest = rules.hash_of(content)
        if text is None:
            others[digest] = content
        else:
            texts[digest] = text
        row.files.append(
            SkillFile(
                file_id=new_uuid(), path=path, sha256=digest, length=len(content), content_type=_type(path, text is not None),
                text=text is not None,
            )
        )  # fmt: skip
    table.keep(texts, others)
    if contents:
        row.digest = rules.tree_digest(contents)
    head = SkillHead(created_by=row.created_by, updated_by=row.created_by, created_ns=now, updated_ns=now)
    row.version_id, row.created_ns, row.updated_ns = new_uuid(), now, now
    row.version = table.next_version(row.name, head)
    table.add_version(row)
    table.put_label(row.name, LATEST, row.version)
    return row


def drop_version(table: SkillTable, row: SkillVersion) -> None:
    """Remove a version and the contents that nothing refers to any more; ``latest`` moves to the highest that remains."""
    files = table.filled(row).files
    table.drop_version(row.name, row.version)
    if LATEST in row.labels and (rest := table.versions(row.name)):
        table.put_label(row.name, LATEST, rest[-1].version)
    table.sweep(files)


def read_front(contents: Mapping[str, bytes]) -> tuple[dict[str, Any], str]:
    """Front matter and description of a ``SKILL.md`` that need not be there, nor hold to any rule."""
    try:
        front = _parsed(rules.front_matter(rules.text_of(contents.get(SKILL_FILE, b"")) or ""))
    except InvalidArgument:
        return {}, ""
    description = front.get("description") if isinstance(front, dict) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    return front, description[: rules.MAX_DESCRIPTION] if isinstance(description, str) else ""


def _known(table: SkillTable, digests: Mapping[str, str]) -> dict[str, bytes]:
    """Contents by path of files that are referred to by hash."""
    texts = table.texts(list(dict.fromkeys(digests.values())))
    found: dict[str, bytes] = {}
    for path, digest in digests.items():
        if digest in texts:
            found[path] = texts[digest].encode()
            continue
        pieces: list[bytes] = []
        while (piece := table.piece(digest, len(pieces))) is not None:
            pieces.append(piece)
        if not pieces:
            raise InvalidArgument(f"the file '{path}' refers to a content that this project does not have")
        found[path] = b"".join(pieces)
    return found


def _pick(table: SkillTable, name: str, version: int | None, label: str | None) -> SkillVersion:
    for row in table.versions(name):
        if row.version == version or (version is None and label in row.labels):
            return table.filled(row)
    wanted = f"version {version}" if version is not None else f"label {label}"
    raise NotFound(f"Skill not found: '{name}' with {wanted}")


def _type(path: str, text: bool) -> str:
    if text:
        return "text/markdown" if path.endswith(".md") else "text/plain"
    return media_type(path.rsplit("/", 1)[-1])


def _parsed(text: str) -> dict[str, Any]:
    import yaml  # here: a start need not wait for it

    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise InvalidArgument(
                f"the front matter of {SKILL_FILE} must not use YAML aliases"
            )  # they can grow without bound
        values: Any = yaml.safe_load(text)
        return msgspec.json.decode(msgspec.json.encode(values))  # dates as text, keys checked
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"the front matter of {SKILL_FILE} is not valid YAML: {str(error)[:200]}") from None
