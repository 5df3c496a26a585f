"""Skills: add versions, move labels, read files, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from twinlens.domain import skill as rules
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import new_uuid
from twinlens.domain.prompt import LATEST, MAX_COMMIT_MESSAGE, PRODUCTION, check_label
from twinlens.domain.skill import SKILL_FILE, Skill, SkillFile, SkillVersion
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.skills import SkillTable


class SkillFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which skills a list shows; times are those of the newest version, nanoseconds."""

    name: str | None = None
    search: str | None = None
    tag: str | None = None
    from_updated_ns: int | None = None
    to_updated_ns: int | None = None

    def holds(self, row: SkillVersion) -> bool:
        """Whether the skill with this newest version is shown."""
        text = f"{row.name}\n{row.description}".lower()
        return (
            self.name in (None, row.name)
            and (self.search or "").lower() in text
            and (self.tag is None or self.tag in row.tags)
            and (self.from_updated_ns is None or row.updated_ns >= self.from_updated_ns)
            and (self.to_updated_ns is None or row.updated_ns < self.to_updated_ns)
        )


class Skills:
    """All methods block. A skill has few versions and a project few skills, so lists are made in memory."""

    def __init__(self, catalog: Catalog, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._clock = clock

    def create_version(
        self, project_id: str, files: Sequence[tuple[str, str | None, str | None]], commit_message: str | None = None
    ) -> SkillVersion:  # fmt: skip
        """Add a version of the skill that the ``SKILL.md`` among the files names, and the skill if it is new.

        Args:
            files: (path, text, or hash of a text that the project has already).

        Raises:
            InvalidArgument: no ``SKILL.md``, front matter, path, size or hash that is not as it must be.
        """
        if commit_message is not None and len(commit_message) > MAX_COMMIT_MESSAGE:
            raise InvalidArgument(f"Commit message must be at most {MAX_COMMIT_MESSAGE} characters")
        if len(files) > rules.MAX_FILES:
            raise InvalidArgument(f"a skill has at most {rules.MAX_FILES} files")
        paths = [rules.check_path(path) for path, _, _ in files]
        if len(set(paths)) != len(paths):
            raise InvalidArgument("the paths of a skill's files must differ")
        new = {rules.hash_of(text): text for _, text, _ in files if text is not None}
        now = self._clock()
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            known = {**table.texts([digest for _, _, digest in files if digest is not None]), **new}
            manifest: list[SkillFile] = []
            for path, text, wanted in files:
                digest = rules.hash_of(text) if text is not None else wanted or ""
                if digest not in known:
                    raise InvalidArgument(f"the file '{path}' refers to a content that this project does not have")
                length = len(known[digest].encode())
                if length > rules.MAX_FILE:
                    raise InvalidArgument(f"the file '{path}' is larger than {rules.MAX_FILE} bytes")
                kind = "text/markdown" if path.endswith(".md") else "text/plain"
                manifest.append(
                    SkillFile(file_id=new_uuid(), path=path, sha256=digest, length=length, content_type=kind)
                )
            own = next((file for file in manifest if file.path == SKILL_FILE), None)
            if own is None:
                raise InvalidArgument(f"a skill needs a file {SKILL_FILE}")
            front = _parsed(rules.front_matter(known[own.sha256]))
            name, description = rules.check_front_matter(front)
            row = SkillVersion(
                version_id=new_uuid(), name=name, version=table.next_version(name), description=description,
                frontmatter=front, files=manifest, commit_message=commit_message, created_ns=now, updated_ns=now,
            )  # fmt: skip
            table.keep(new)
            table.put(row)
            table.put_label(name, LATEST, row.version)
            return _pick(table, name, row.version, None)

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

    def versions(self, project_id: str, name: str) -> Sequence[SkillVersion]:
        """All versions of a skill, newest first.

        Raises:
            NotFound: no such skill.
        """
        with self._catalog.read() as connection:
            found = SkillTable(connection, project_id).versions(name)
        if not found:
            raise NotFound(f"Skill not found: '{name}'")
        return found[::-1]

    def list(self, project_id: str, chosen: SkillFilter = SkillFilter()) -> list[Skill]:
        """All skills that match, by name."""
        with self._catalog.read() as connection:
            rows = SkillTable(connection, project_id).versions()
        newest = {row.name: row for row in rows}  # ascending: the last one stays
        production = {row.name: row.version for row in rows if PRODUCTION in row.labels}
        return [Skill(latest=row, production=production.get(name)) for name, row in newest.items() if chosen.holds(row)]

    def set_tags(self, project_id: str, name: str, tags: Sequence[str]) -> SkillVersion:
        """Replace the tags of all versions; the newest version.

        Raises:
            NotFound: no such skill.
        """
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            newest = _pick(table, name, None, LATEST).version
            table.set_tags(name, tags)
            return _pick(table, name, newest, None)

    def set_labels(self, project_id: str, name: str, version: int, labels: Sequence[str]) -> SkillVersion:
        """These labels and no others on a version (``latest`` stays where it is), taken from other versions.

        Raises:
            InvalidArgument: a label breaks a rule.
            NotFound: no such version.
        """
        wanted = [check_label(label) for label in dict.fromkeys(labels) if label != LATEST]
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            row = _pick(table, name, version, None)
            table.drop_labels(name, version)
            for label in (*wanted, *([LATEST] if LATEST in row.labels else ())):
                table.put_label(name, label, version)
            table.put(msgspec.structs.replace(row, updated_ns=self._clock()))
            return _pick(table, name, version, None)

    def delete_version(self, project_id: str, name: str, version: int) -> None:
        """Remove a version, and the texts that nothing refers to any more; ``latest`` moves to the highest that remains.

        Raises:
            NotFound: no such version.
        """
        with self._catalog.write() as connection:
            table = SkillTable(connection, project_id)
            row = _pick(table, name, version, None)
            table.drop_version(name, version)
            if LATEST in row.labels and (rest := table.versions(name)):
                table.put_label(name, LATEST, rest[-1].version)
            table.sweep(row.files)

    def texts(self, project_id: str, digests: Sequence[str]) -> Mapping[str, str]:
        """Texts of files by hash, in the order asked for.

        Raises:
            NotFound: one is not there.
        """
        with self._catalog.read() as connection:
            found = SkillTable(connection, project_id).texts(digests)
        for digest in digests:
            if digest not in found:
                raise NotFound(f"no skill file has the hash '{digest}'")
        return {digest: found[digest] for digest in digests}


def _pick(table: SkillTable, name: str, version: int | None, label: str | None) -> SkillVersion:
    for row in table.versions(name):
        if row.version == version or (version is None and label in row.labels):
            return row
    wanted = f"version {version}" if version is not None else f"label {label}"
    raise NotFound(f"Skill not found: '{name}' with {wanted}")


def _parsed(text: str) -> dict[str, Any]:
    import yaml  # here: a start need not wait for it

    try:
        values: Any = yaml.safe_load(text)
        return msgspec.json.decode(msgspec.json.encode(values))  # dates as text, keys checked
    except (yaml.YAMLError, TypeError, RecursionError) as error:
        raise InvalidArgument(f"the front matter of {SKILL_FILE} is not valid YAML: {str(error)[:200]}") from None
