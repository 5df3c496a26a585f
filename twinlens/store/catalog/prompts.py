"""Tables and statements of prompts. Rules live in ``features.prompts``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.grant import Visible
from twinlens.domain.prompt import Dependency, Prompt, PromptVersion
from twinlens.store.catalog.engine import metadata, upsert

prompts = sa.Table(
    "prompts",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("properties", sa.Text, nullable=False),  # JSON object of text
    sa.Column("last_version", sa.Integer, nullable=False),  # never goes back, so that a number means one text for ever
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)

prompt_versions = sa.Table(
    "prompt_versions",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version_id", sa.Text, nullable=False),
    sa.Column("template", sa.Text, nullable=False),  # JSON
    sa.Column("config", sa.Text, nullable=False),  # JSON
    sa.Column("commit_message", sa.Text),
    sa.Column("response_format", sa.Text),  # JSON
    sa.Column("model_config", sa.Text),  # JSON
    sa.Column("version_tags", sa.Text, nullable=False),  # JSON object of text
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "version_id", unique=True),
    sa.Index(None, "project_id", "updated_ns"),
)

prompt_labels = sa.Table(
    "prompt_labels",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index(None, "project_id", "label"),
)

protected_labels = sa.Table(
    "protected_labels",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, primary_key=True),
)

prompt_tags = sa.Table(
    "prompt_tags",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Index(None, "project_id", "tag"),
)

prompt_dependencies = sa.Table(
    "prompt_dependencies",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("parent_name", sa.Text, primary_key=True),
    sa.Column("parent_version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("child_name", sa.Text, nullable=False),
    sa.Column("child_version", sa.Integer),
    sa.Column("child_label", sa.Text),
    sa.Index(None, "project_id", "child_name"),
)

_json = msgspec.json.Encoder()


def _encode(value: Any) -> str:
    return _json.encode(value).decode()


def _decode(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)


class PromptFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which prompts a list shows. Times are nanoseconds; ``name_like`` is a case-sensitive LIKE pattern."""

    name: str | None = None
    name_prefix: str | None = None
    name_like: str | None = None
    label: str | None = None
    tags: tuple[str, ...] = ()
    version: int | None = None
    type: str | None = None
    from_updated_ns: int | None = None
    to_updated_ns: int | None = None
    visible: Visible | None = None  #: only names that somebody may see; None: all
    include_empty: bool = False  #: also prompts that have no version yet (MLflow makes those first)


class PromptTable:
    """Statements over one connection. Every method's scope is one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    def _mine(self, table: sa.Table, name: str | None = None) -> sa.ColumnElement[bool]:
        own = table.c.project_id == self._project
        return own if name is None else own & (table.c.name == name)

    # --- prompts -----------------------------------------------------------------------------------------------
    def head(self, name: str) -> sa.RowMapping | None:
        """The prompt's own row."""
        return self._c.execute(sa.select(prompts).where(self._mine(prompts, name))).mappings().first()

    def create(self, name: str, type: str, now: int) -> None:
        """Insert an empty prompt.

        Raises:
            sqlalchemy.exc.IntegrityError: the name exists (two creators at once).
        """
        self._c.execute(
            prompts.insert().values(
                project_id=self._project, name=name, type=type, description="", properties="{}",
                last_version=0, created_ns=now, updated_ns=now,
            )
        )  # fmt: skip

    def next_version(self, name: str, now: int) -> int:
        """Take the next number. The row lock this needs makes two creators of one prompt wait for each other."""
        return self._c.execute(
            prompts.update()
            .where(self._mine(prompts, name))
            .values(last_version=prompts.c.last_version + 1, updated_ns=now)
            .returning(prompts.c.last_version)
        ).scalar_one()

    def set_head(self, name: str, **values: Any) -> None:
        """Change columns of the prompt's row; ``properties`` is given as a dict."""
        if "properties" in values:
            values["properties"] = _encode(values["properties"])
        self._c.execute(prompts.update().where(self._mine(prompts, name)).values(**values))

    def drop(self, name: str) -> None:
        """Remove the prompt with everything that hangs on it."""
        for table in (prompt_labels, prompt_tags, prompt_versions, prompts):
            self._c.execute(table.delete().where(self._mine(table, name)))
        self._c.execute(prompt_dependencies.delete().where(self._parent(name)))

    # --- versions ----------------------------------------------------------------------------------------------
    def add_version(self, row: PromptVersion, dependencies: Sequence[Dependency]) -> None:
        """Insert a version and what it depends on; labels and tags are set apart."""
        self._c.execute(
            prompt_versions.insert().values(
                project_id=self._project, name=row.name, version=row.version, version_id=row.version_id,
                template=_encode(row.template), config=_encode(row.config), commit_message=row.commit_message,
                response_format=None if row.response_format is None else _encode(row.response_format),
                model_config=None if row.model_config is None else _encode(row.model_config),
                version_tags=_encode(row.version_tags), created_by=row.created_by,
                created_ns=row.created_ns, updated_ns=row.updated_ns,
            )
        )  # fmt: skip
        for position, dependency in enumerate(dependencies):
            self._c.execute(
                prompt_dependencies.insert().values(
                    project_id=self._project, parent_name=row.name, parent_version=row.version, position=position,
                    child_name=dependency.name, child_version=dependency.version, child_label=dependency.label,
                )
            )  # fmt: skip

    def version(self, name: str, version: int) -> PromptVersion | None:
        """One whole version with labels and tags."""
        row = self._c.execute(
            sa.select(prompt_versions, prompts.c.type)
            .join_from(prompt_versions, prompts, self._same(prompt_versions, prompts))
            .where(self._mine(prompt_versions, name), prompt_versions.c.version == version)
        ).mappings().first()  # fmt: skip
        if row is None:
            return None
        labels = [label for label, at in self.labels(name).items() if at == version]
        return _version(row, labels, self.tags([name]).get(name, []))

    def by_id(self, version_id: str) -> tuple[str, int] | None:
        """Name and number of a version id."""
        row = self._c.execute(
            sa.select(prompt_versions.c.name, prompt_versions.c.version).where(
                self._mine(prompt_versions), prompt_versions.c.version_id == version_id
            )
        ).first()
        return None if row is None else (row[0], row[1])

    def every_version(self) -> list[PromptVersion]:
        """All versions of all prompts, by name, ascending."""
        names = self._c.execute(sa.select(prompts.c.name).where(self._mine(prompts)).order_by(prompts.c.name)).scalars()
        return [version for name in names.all() for version in self.versions(name)]

    def versions(self, name: str) -> list[PromptVersion]:
        """All versions, ascending."""
        rows = self._c.execute(
            sa.select(prompt_versions, prompts.c.type)
            .join_from(prompt_versions, prompts, self._same(prompt_versions, prompts))
            .where(self._mine(prompt_versions, name))
            .order_by(prompt_versions.c.version)
        ).mappings().all()  # fmt: skip
        labels, tags = self.labels(name), self.tags([name]).get(name, [])
        return [_version(row, [label for label, at in labels.items() if at == row["version"]], tags) for row in rows]

    def set_version(self, name: str, version: int, **values: Any) -> None:
        """Change columns of a version; ``version_tags`` and ``model_config`` are given as values, not as JSON."""
        for column in values.keys() & {"version_tags", "model_config"}:
            values[column] = _encode(values[column])
        self._c.execute(
            prompt_versions.update()
            .where(self._mine(prompt_versions, name), prompt_versions.c.version == version)
            .values(**values)
        )

    def drop_versions(self, name: str, versions: Sequence[int]) -> None:
        """Remove some versions with their labels."""
        for table in (prompt_labels, prompt_versions):
            self._c.execute(table.delete().where(self._mine(table, name), table.c.version.in_(versions)))
        self._c.execute(
            prompt_dependencies.delete().where(self._parent(name), prompt_dependencies.c.parent_version.in_(versions))
        )

    def numbers(self, name: str) -> list[int]:
        """Version numbers, ascending."""
        query = sa.select(prompt_versions.c.version).where(self._mine(prompt_versions, name))
        return list(self._c.execute(query.order_by(prompt_versions.c.version)).scalars())

    # --- labels, tags, dependencies ----------------------------------------------------------------------------
    def labels(self, name: str) -> dict[str, int]:
        """Label to version, by label."""
        query = sa.select(prompt_labels.c.label, prompt_labels.c.version).where(self._mine(prompt_labels, name))
        return {row[0]: row[1] for row in self._c.execute(query.order_by(prompt_labels.c.label))}

    def put_label(self, name: str, label: str, version: int) -> None:
        """Put or move a label."""
        insert = upsert(self._c, prompt_labels).values(
            project_id=self._project, name=name, label=label, version=version
        )
        keys = ["project_id", "name", "label"]
        self._c.execute(insert.on_conflict_do_update(index_elements=keys, set_={"version": version}))

    def drop_label(self, name: str, label: str) -> int:
        """Take a label off; 1 if it was there."""
        return self._c.execute(
            prompt_labels.delete().where(self._mine(prompt_labels, name), prompt_labels.c.label == label)
        ).rowcount

    def protected(self) -> list[str]:
        """Labels of the project that not everybody may move, sorted."""
        query = sa.select(protected_labels.c.label).where(self._mine(protected_labels))
        return list(self._c.execute(query.order_by(protected_labels.c.label)).scalars())

    def protect(self, label: str) -> None:
        """Protect a label; nothing happens when it is."""
        insert = upsert(self._c, protected_labels).values(project_id=self._project, label=label)
        self._c.execute(insert.on_conflict_do_nothing())

    def unprotect(self, label: str) -> int:
        """Take the protection away; 1 if there was one."""
        mine = self._mine(protected_labels) & (protected_labels.c.label == label)
        return self._c.execute(protected_labels.delete().where(mine)).rowcount

    def tags(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Tags by prompt name, sorted."""
        found: dict[str, list[str]] = {}
        query = sa.select(prompt_tags.c.name, prompt_tags.c.tag).where(
            self._mine(prompt_tags), prompt_tags.c.name.in_(names)
        )
        for name, tag in self._c.execute(query.order_by(prompt_tags.c.tag)):
            found.setdefault(name, []).append(tag)
        return found

    def set_tags(self, name: str, tags: Sequence[str]) -> None:
        """Replace the tags."""
        self._c.execute(prompt_tags.delete().where(self._mine(prompt_tags, name)))
        for tag in sorted(set(tags)):
            self._c.execute(prompt_tags.insert().values(project_id=self._project, name=name, tag=tag))

    def _parent(self, name: str) -> sa.ColumnElement[bool]:
        return (prompt_dependencies.c.project_id == self._project) & (prompt_dependencies.c.parent_name == name)

    def dependents(self, name: str) -> list[tuple[str, int, int | None, str | None]]:
        """Who includes this prompt: (parent name, parent version, wanted version, wanted label)."""
        d = prompt_dependencies.c
        query = sa.select(d.parent_name, d.parent_version, d.child_version, d.child_label).where(
            d.project_id == self._project, d.child_name == name, d.parent_name != name
        )
        return [(row[0], row[1], row[2], row[3]) for row in self._c.execute(query)]

    # --- lists -------------------------------------------------------------------------------------------------
    def page(self, chosen: PromptFilter, limit: int, offset: int) -> tuple[list[Prompt], int]:
        """Prompts by name, and how many there are in all. Versions shown are those the filter selects."""
        v, p = prompt_versions, prompts
        wanted = self._version_conditions(chosen)
        where = self._prompt_conditions(chosen)
        if wanted or not chosen.include_empty:
            where.append(sa.exists().where(self._same(v, p), *wanted))
        total = self._c.execute(sa.select(sa.func.count()).select_from(p).where(*where)).scalar_one()
        heads = self._c.execute(sa.select(p).where(*where).order_by(p.c.name).limit(limit).offset(offset)).mappings()
        rows = {
            row["name"]: Prompt(
                name=row["name"], type=row["type"], versions=[], labels={}, properties=_decode(row["properties"]),
                description=row["description"], created_ns=row["created_ns"], updated_ns=row["updated_ns"],
            )
            for row in heads
        }  # fmt: skip
        if not rows:
            return [], total
        names = list(rows)
        for name, tags in self.tags(names).items():
            rows[name].tags = tags
        newest: dict[str, int] = {}
        for name, version, updated in self._c.execute(
            sa.select(v.c.name, v.c.version, v.c.updated_ns)
            .where(self._mine(v), v.c.name.in_(names), *wanted)
            .order_by(v.c.name, v.c.version)
        ):
            newest[name] = max(updated, newest.get(name, 0))
            rows[name].versions.append(version)
        for name, updated in newest.items():
            rows[name].updated_ns = updated
        labels = prompt_labels.c
        for name, label, version in self._c.execute(
            sa.select(labels.name, labels.label, labels.version)
            .where(self._mine(prompt_labels), labels.name.in_(names))
            .order_by(labels.label)
        ):
            if version in rows[name].versions:
                rows[name].labels[label] = version
        for name, config in self._configs({r.name: r.versions[-1] for r in rows.values() if r.versions}).items():
            rows[name].last_config = config
        return list(rows.values()), total

    def _configs(self, wanted: dict[str, int]) -> dict[str, Any]:
        v = prompt_versions.c
        if not wanted:
            return {}
        pairs = sa.or_(*((v.name == name) & (v.version == version) for name, version in wanted.items()))
        query = sa.select(v.name, v.config).where(self._mine(prompt_versions), pairs)
        return {row[0]: _decode(row[1]) for row in self._c.execute(query)}

    def _prompt_conditions(self, chosen: PromptFilter) -> list[sa.ColumnElement[bool]]:
        p = prompts
        where: list[sa.ColumnElement[bool]] = [self._mine(p)]
        if chosen.name is not None:
            where.append(p.c.name == chosen.name)
        if chosen.name_prefix is not None:
            where.append(p.c.name.startswith(chosen.name_prefix, autoescape=True))
        if chosen.name_like is not None:
            where.append(p.c.name.like(chosen.name_like))
        if chosen.type is not None:
            where.append(p.c.type == chosen.type)
        if chosen.visible is not None:
            where.append(p.c.name.not_in(chosen.visible.without))
            if chosen.visible.only is not None:
                where.append(p.c.name.in_(chosen.visible.only))
        for tag in chosen.tags:
            where.append(sa.exists().where(self._same(prompt_tags, p), prompt_tags.c.tag == tag))
        return where

    def _version_conditions(self, chosen: PromptFilter) -> list[sa.ColumnElement[bool]]:
        v, labels = prompt_versions, prompt_labels
        where: list[sa.ColumnElement[bool]] = []
        if chosen.version is not None:
            where.append(v.c.version == chosen.version)
        if chosen.from_updated_ns is not None:
            where.append(v.c.updated_ns >= chosen.from_updated_ns)
        if chosen.to_updated_ns is not None:
            where.append(v.c.updated_ns < chosen.to_updated_ns)
        if chosen.label is not None:
            here = (labels.c.version == v.c.version) & (labels.c.label == chosen.label)
            where.append(sa.exists().where(self._same(labels, v), here))
        return where

    @staticmethod
    def _same(one: sa.Table, other: sa.Table) -> sa.ColumnElement[bool]:
        return (one.c.project_id == other.c.project_id) & (one.c.name == other.c.name)


def _version(row: sa.RowMapping, labels: list[str], tags: list[str]) -> PromptVersion:
    template = _decode(row["template"])
    return PromptVersion(
        version_id=row["version_id"], name=row["name"], version=row["version"],
        type="text" if isinstance(template, str) else "chat", template=template, config=_decode(row["config"]), labels=labels, tags=tags,
        commit_message=row["commit_message"], created_by=row["created_by"], created_ns=row["created_ns"],
        updated_ns=row["updated_ns"], response_format=_decode(row["response_format"]),
        model_config=_decode(row["model_config"]), version_tags=_decode(row["version_tags"]),
    )  # fmt: skip
