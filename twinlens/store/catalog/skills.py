"""Tables and statements of skills. Texts of files are kept once per project, by their hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.skill import SkillFile, SkillVersion
from twinlens.store.catalog.engine import metadata, upsert

skills = sa.Table(
    "skills",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("tags", sa.Text, nullable=False),  # JSON list
    sa.Column("last_version", sa.Integer, nullable=False),  # a number means one text as long as the skill lives
)

skill_versions = sa.Table(
    "skill_versions",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.Text, nullable=False),  # JSON of the version without labels and tags
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
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


class SkillTable:
    """Statements over one connection. Every method's scope is one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    def _mine(self, table: sa.Table, name: str | None = None) -> sa.ColumnElement[bool]:
        own = table.c.project_id == self._project
        return own if name is None else own & (table.c.name == name)

    def next_version(self, name: str) -> int:
        """Take the next number of a skill, which is made if it is new."""
        insert = upsert(self._c, skills).values(project_id=self._project, name=name, tags="[]", last_version=1)
        return self._c.execute(
            insert.on_conflict_do_update(
                index_elements=["project_id", "name"], set_={"last_version": skills.c.last_version + 1}
            ).returning(skills.c.last_version)
        ).scalar_one()

    def put(self, row: SkillVersion) -> None:
        """Insert a version, or overwrite it."""
        body = msgspec.json.encode(msgspec.structs.replace(row, labels=[], tags=[])).decode()
        values: dict[str, Any] = {"body": body, "updated_ns": row.updated_ns}
        insert = upsert(self._c, skill_versions).values(
            project_id=self._project, name=row.name, version=row.version, **values
        )
        self._c.execute(insert.on_conflict_do_update(index_elements=["project_id", "name", "version"], set_=values))

    def versions(self, name: str | None = None) -> list[SkillVersion]:
        """All versions, by name and number, with labels and tags."""
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
            found.append(row)
        return found

    def set_tags(self, name: str, tags: Sequence[str]) -> None:
        """Replace the tags of a skill."""
        body = msgspec.json.encode(sorted(set(tags))).decode()
        self._c.execute(skills.update().where(self._mine(skills, name)).values(tags=body))

    def put_label(self, name: str, label: str, version: int) -> None:
        """Put or move a label."""
        insert = upsert(self._c, skill_labels).values(project_id=self._project, name=name, label=label, version=version)
        keys = ["project_id", "name", "label"]
        self._c.execute(insert.on_conflict_do_update(index_elements=keys, set_={"version": version}))

    def drop_labels(self, name: str, version: int) -> None:
        """Take all labels off a version."""
        mine = self._mine(skill_labels, name) & (skill_labels.c.version == version)
        self._c.execute(skill_labels.delete().where(mine))

    def drop_version(self, name: str, version: int) -> None:
        """Remove a version with its labels, and the skill with its last one."""
        self.drop_labels(name, version)
        self._c.execute(
            skill_versions.delete().where(self._mine(skill_versions, name), skill_versions.c.version == version)
        )
        left = sa.select(skill_versions.c.version).where(self._mine(skill_versions, name)).limit(1)
        if self._c.execute(left).first() is None:
            self._c.execute(skills.delete().where(self._mine(skills, name)))

    def keep(self, texts: Mapping[str, str]) -> None:
        """Store texts by hash; those that are there stay."""
        for digest, content in texts.items():
            insert = upsert(self._c, skill_files).values(project_id=self._project, sha256=digest, content=content)
            self._c.execute(insert.on_conflict_do_nothing())

    def texts(self, digests: Sequence[str]) -> dict[str, str]:
        """Those of these texts that are there, by hash."""
        f = skill_files.c
        query = sa.select(f.sha256, f.content).where(f.project_id == self._project, f.sha256.in_(digests))
        return {row[0]: row[1] for row in self._c.execute(query)}

    def sweep(self, files: Sequence[SkillFile]) -> None:
        """Remove those of these files' texts that no version refers to any more."""
        used = {file.sha256 for row in self.versions() for file in row.files}
        gone = {file.sha256 for file in files} - used
        f = skill_files.c
        self._c.execute(skill_files.delete().where(f.project_id == self._project, f.sha256.in_(sorted(gone))))
