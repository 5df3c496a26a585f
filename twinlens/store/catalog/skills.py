"""Tables and statements of skills.

Contents of files are kept once per project, by their hash: short texts as text, anything else in pieces. They are rows rather than
blobs because a version is small (``domain.skill.MAX_BYTES``) and appears and goes with its files, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.skill import Skill, SkillFile, SkillHead, SkillVersion, latest
from twinlens.store.catalog.engine import metadata, upsert

skills = sa.Table(
    "skills",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("tags", sa.Text, nullable=False),  # JSON list
    sa.Column("last_version", sa.Integer, nullable=False),  # a number means one text as long as the skill lives
    sa.Column("head", sa.Text),  # JSON of SkillHead
)

skill_versions = sa.Table(
    "skill_versions",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.Text, nullable=False),  # JSON of the version without files, labels and tags
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Column("files", sa.Text),  # JSON list; before there was this column, files were in the body
)

skill_labels = sa.Table(
    "skill_labels",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)

skill_files = sa.Table(
    "skill_files",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("content", sa.Text, nullable=False),
)

skill_pieces = sa.Table(
    "skill_pieces",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("piece", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
PIECE = 256 * 1024  #: bytes of all pieces of a file but the last
_CHUNK = 500


class SkillTable:
    """Statements over one connection. Every method's scope is one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    def _mine(self, table: sa.Table, name: str | None = None) -> sa.ColumnElement[bool]:
        own = table.c.project_id == self._project
        return own if name is None else own & (table.c.name == name)

    # --- skills -----------------------------------------------------------------------------------------------------
    def add(self, name: str, head: SkillHead) -> bool:
        """Insert a skill without versions; False when the name is taken."""
        insert = upsert(self._c, skills).values(self._new(name, head, 0))
        return self._c.execute(insert.on_conflict_do_nothing().returning(skills.c.name)).first() is not None

    def hold(self, name: str) -> bool:
        """Whether a skill is there; until the transaction ends nobody else changes it or what belongs to it."""
        query = sa.select(skills.c.name).where(self._mine(skills, name)).with_for_update()
        return self._c.execute(query).first() is not None

    def put_head(self, name: str, head: SkillHead) -> None:
        """Overwrite what a skill itself has."""
        self._c.execute(skills.update().where(self._mine(skills, name)).values(head=_json(head)))

    def set_tags(self, name: str, tags: Sequence[str]) -> None:
        """Replace the words that tag a skill."""
        self._c.execute(skills.update().where(self._mine(skills, name)).values(tags=_json(sorted(set(tags)))))

    def skills(self, name: str | None = None) -> dict[str, Skill]:
        """All by name, or the one of this name, with their versions' newest and latest ones; these without files."""
        query = sa.select(skills.c.name, skills.c.tags, skills.c.head).where(self._mine(skills, name))
        found: dict[str, Skill] = {}
        for owner, words, head in self._c.execute(query.order_by(skills.c.name)):
            known = SkillHead() if head is None else msgspec.json.decode(head, type=SkillHead)
            found[owner] = Skill(name=owner, words=msgspec.json.decode(words), head=known)
        versions: dict[str, list[SkillVersion]] = {}
        for row in self.versions(name):
            versions.setdefault(row.name, []).append(row)
        for owner, rows in versions.items():
            skill = found[owner]
            skill.newest, skill.current = rows[-1], latest(rows)
            skill.labels = {label: row.version for row in rows for label in row.labels}
            if not skill.head.created_ns:  # kept before skills had a head
                skill.head.created_ns = rows[0].created_ns
                skill.head.updated_ns = max(row.updated_ns for row in rows)
        return found

    def drop(self, name: str) -> None:
        """Remove a skill with its versions and labels."""
        for table in (skill_labels, skill_versions, skills):
            self._c.execute(table.delete().where(self._mine(table, name)))

    def _new(self, name: str, head: SkillHead, version: int) -> dict[str, Any]:
        return {
            "project_id": self._project, "name": name, "tags": "[]", "last_version": version, "head": _json(head),
        }  # fmt: skip

    # --- versions ---------------------------------------------------------------------------------------------------
    def next_version(self, name: str, head: SkillHead) -> int:
        """Take the next number of a skill, which is made with this head if it is new."""
        insert = upsert(self._c, skills).values(self._new(name, head, 1))
        return self._c.execute(
            insert.on_conflict_do_update(
                index_elements=["project_id", "name"], set_={"last_version": skills.c.last_version + 1}
            ).returning(skills.c.last_version)
        ).scalar_one()

    def add_version(self, row: SkillVersion) -> None:
        """Insert a version with its files."""
        row.file_count = len(row.files)
        values = {"project_id": self._project, "name": row.name, "version": row.version, "files": _json(row.files)}
        self._c.execute(skill_versions.insert().values(**values, **_version_columns(row)))

    def put_version(self, row: SkillVersion) -> None:
        """Overwrite what may change about a version; its files stay."""
        where = self._mine(skill_versions, row.name) & (skill_versions.c.version == row.version)
        files = _json(self.filled(row).files)  # they may be in the body until now
        self._c.execute(skill_versions.update().where(where).values(files=files, **_version_columns(row)))

    def versions(self, name: str | None = None) -> list[SkillVersion]:
        """All versions, by name and number, with labels and tags but without files."""
        v = skill_versions
        query = sa.select(skills.c.name, skills.c.tags).where(self._mine(skills, name))
        tags: dict[str, str] = {row[0]: row[1] for row in self._c.execute(query)}
        labels: dict[tuple[str, int], list[str]] = {}
        held = sa.select(skill_labels.c.name, skill_labels.c.version, skill_labels.c.label)
        for owner, version, label in self._c.execute(
            held.where(self._mine(skill_labels, name)).order_by(skill_labels.c.label)
        ):
            labels.setdefault((owner, version), []).append(label)
        found: list[SkillVersion] = []
        query = sa.select(v.c.body).where(self._mine(v, name)).order_by(v.c.name, v.c.version)
        for body in self._c.execute(query).scalars():
            row = msgspec.json.decode(body, type=SkillVersion)
            row.tags = msgspec.json.decode(tags[row.name])
            row.labels = labels.get((row.name, row.version), [])
            row.file_count = row.file_count or len(row.files)
            found.append(row)
        return found

    def filled(self, row: SkillVersion) -> SkillVersion:
        """The version with its files."""
        v = skill_versions.c
        where = self._mine(skill_versions, row.name) & (v.version == row.version)
        files = self._c.execute(sa.select(v.files).where(where)).scalar()
        if files is not None:
            row.files = msgspec.json.decode(files, type=list[SkillFile])
        return row

    def put_label(self, name: str, label: str, version: int) -> None:
        """Put or move a label."""
        insert = upsert(self._c, skill_labels).values(project_id=self._project, name=name, label=label, version=version)
        keys = ["project_id", "name", "label"]
        self._c.execute(insert.on_conflict_do_update(index_elements=keys, set_={"version": version}))

    def drop_label(self, name: str, label: str) -> bool:
        """Remove a label; False when there is none."""
        where = self._mine(skill_labels, name) & (skill_labels.c.label == label)
        return self._c.execute(skill_labels.delete().where(where)).rowcount > 0

    def drop_labels(self, name: str, version: int) -> None:
        """Take all labels off a version."""
        mine = self._mine(skill_labels, name) & (skill_labels.c.version == version)
        self._c.execute(skill_labels.delete().where(mine))

    def drop_version(self, name: str, version: int) -> None:
        """Remove a version with its labels."""
        self.drop_labels(name, version)
        self._c.execute(
            skill_versions.delete().where(self._mine(skill_versions, name), skill_versions.c.version == version)
        )

    # --- contents ---------------------------------------------------------------------------------------------------
    def keep(self, texts: Mapping[str, str], others: Mapping[str, bytes]) -> None:
        """Store contents by hash: texts, and in pieces what is no text. Those that are there stay, also for a ``sweep`` that runs now."""
        insert = self._keeping(skill_files)
        rows = [
            {"project_id": self._project, "sha256": digest, "content": text} for digest, text in sorted(texts.items())
        ]
        for at in range(0, len(rows), _CHUNK):
            self._c.execute(insert, rows[at : at + _CHUNK])
        insert = self._keeping(skill_pieces)
        for digest, content in sorted(others.items()):  # in ``sweep``'s order
            keys = {"project_id": self._project, "sha256": digest}
            for at in range(0, len(content), PIECE):  # one at a time: a copy of the whole would double what is held
                self._c.execute(insert, keys | {"piece": at // PIECE, "data": content[at : at + PIECE]})

    def _keeping(self, table: sa.Table) -> sa.Insert:
        """An insert that, of a row that is there, changes nothing but locks it."""
        insert = upsert(self._c, table)
        return insert.on_conflict_do_update(
            index_elements=list(table.primary_key), set_={"sha256": insert.excluded.sha256}
        )

    def texts(self, digests: Sequence[str]) -> dict[str, str]:
        """Those of these texts that are there, by hash."""
        f = skill_files.c
        found: dict[str, str] = {}
        for some in _some(digests):
            query = sa.select(f.sha256, f.content).where(f.project_id == self._project, f.sha256.in_(some))
            found |= {row[0]: row[1] for row in self._c.execute(query)}
        return found

    def piece(self, digest: str, number: int) -> bytes | None:
        """One piece of what is no text; None behind the last."""
        p = skill_pieces.c
        where = sa.and_(p.project_id == self._project, p.sha256 == digest, p.piece == number)
        return self._c.execute(sa.select(p.data).where(where)).scalar()

    def sweep(self, files: Sequence[SkillFile]) -> None:
        """Remove those of these files' contents that no version refers to any more.

        Their rows are locked first: who keeps one of them at this moment ends before versions are looked at, or begins after.
        """
        gone = {file.sha256 for file in files}
        for table in (skill_files, skill_pieces):
            for some in _some(sorted(gone)):
                query = sa.select(table.c.sha256).where(self._mine(table), table.c.sha256.in_(some))
                self._c.execute(query.order_by(*table.primary_key).with_for_update()).all()
        v = skill_versions.c
        if gone:
            query = sa.select(v.body, v.files).where(self._mine(skill_versions))
            for body, listed in self._c.execute(query):
                gone -= {file.sha256 for file in _files(body, listed)}
        for table in (skill_files, skill_pieces):
            for some in _some(sorted(gone)):
                self._c.execute(table.delete().where(self._mine(table), table.c.sha256.in_(some)))


class _OnlyFiles(msgspec.Struct):
    files: list[SkillFile] = []


def _files(body: str, listed: str | None) -> list[SkillFile]:
    if listed is None:
        return msgspec.json.decode(body, type=_OnlyFiles).files
    return msgspec.json.decode(listed, type=list[SkillFile])


def _some(items: Sequence[str]) -> Iterator[Sequence[str]]:
    return (items[at : at + _CHUNK] for at in range(0, len(items), _CHUNK))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _version_columns(row: SkillVersion) -> dict[str, Any]:
    body = _json(msgspec.structs.replace(row, labels=[], tags=[], files=[]))
    return {"body": body, "updated_ns": row.updated_ns}
