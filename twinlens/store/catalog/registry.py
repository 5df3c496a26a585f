"""Tables and statements of the model registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.registry import ModelVersion, ModelVersionPage, RegisteredModel, RegisteredModelPage
from twinlens.store.catalog.comparison import compare, compile_expr, told
from twinlens.store.catalog.engine import metadata, upsert
from twinlens.store.catalog.keyset import Sort, behind, decode_cursor, encode_cursor, order_by
from twinlens.store.telemetry.query import Cmp, Expr

registered_models = sa.Table(
    "registered_models",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("last_version", sa.Integer, nullable=False),  # highest number ever given out
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "updated_ms"),
)


def _of_model() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["project_id", "name"],
        ["registered_models.project_id", "registered_models.name"],
        ondelete="CASCADE",
        onupdate="CASCADE",
    )


registered_model_tags = sa.Table(
    "registered_model_tags",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    _of_model(),
    sa.Index(None, "project_id", "key"),
)

registered_model_aliases = sa.Table(
    "registered_model_aliases",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    _of_model(),
)

model_versions = sa.Table(
    "model_versions",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("storage_location", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Column("run_link", sa.Text),
    sa.Column("model_id", sa.Text),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_message", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    _of_model(),
    sa.Index(None, "project_id", "run_id"),
    sa.Index(None, "project_id", "model_id"),
)

model_version_tags = sa.Table(
    "model_version_tags",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(
        ["project_id", "name", "version"],
        ["model_versions.project_id", "model_versions.name", "model_versions.version"],
        ondelete="CASCADE",
        onupdate="CASCADE",
    ),
    sa.Index(None, "project_id", "key"),
)

#: Fields of a search -> columns.
MODEL_FIELDS = {"name": "name", "created_ms": "created_ms", "updated_ms": "updated_ms"}
VERSION_FIELDS = {
    name: name
    for name in ("name", "version", "run_id", "source", "model_id", "stage", "created_ms", "updated_ms")
}  # fmt: skip


class RegistryTable:
    """Statements over one connection, within one project. Nothing here checks names or limits; ``features`` does."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    def _mine(self, table: sa.Table, name: str | None = None, version: int | None = None) -> sa.ColumnElement[bool]:
        conditions = [table.c.project_id == self._project]
        if name is not None:
            conditions.append(table.c.name == name)
        if version is not None:
            conditions.append(table.c.version == version)
        return sa.and_(*conditions)

    # --- registered models -------------------------------------------------------------------------------------------
    def add_model(self, name: str, description: str, tags: dict[str, str], now: int) -> bool:
        """Insert a model; False when the name is taken."""
        insert = upsert(self._c, registered_models).values(
            project_id=self._project, name=name, description=description, last_version=0, created_ms=now, updated_ms=now
        )
        added = insert.on_conflict_do_nothing().returning(registered_models.c.name)
        if self._c.execute(added).first() is None:
            return False
        for key, value in tags.items():
            self.put_model_tag(name, key, value)
        return True

    def model(self, name: str) -> RegisteredModel | None:
        """One model with tags, aliases and latest versions."""
        found = self._models([name])
        return found[0] if found else None

    def has_model(self, name: str) -> bool:
        """Whether the name is taken."""
        query = sa.select(sa.literal(1)).where(self._mine(registered_models, name))
        return self._c.execute(query).first() is not None

    def set_model(self, name: str, /, **values: Any) -> bool:
        """Change columns of a model (renaming takes everything along); False when it is not there."""
        return (
            self._c.execute(
                registered_models.update().where(self._mine(registered_models, name)).values(**values)
            ).rowcount
            > 0
        )

    def drop_model(self, name: str) -> bool:
        """Remove a model with all that hangs on it; False when it was not there."""
        return self._c.execute(registered_models.delete().where(self._mine(registered_models, name))).rowcount > 0

    def put_model_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag."""
        insert = upsert(self._c, registered_model_tags).values(
            project_id=self._project, name=name, key=key, value=value
        )
        keys = ["project_id", "name", "key"]
        self._c.execute(insert.on_conflict_do_update(index_elements=keys, set_={"value": value}))

    def drop_model_tag(self, name: str, key: str) -> None:
        """Remove a tag; nothing happens when it is not there."""
        table = registered_model_tags
        self._c.execute(table.delete().where(self._mine(table, name), table.c.key == key))

    def put_alias(self, name: str, alias: str, version: int) -> None:
        """Put or move an alias."""
        insert = upsert(self._c, registered_model_aliases).values(
            project_id=self._project, name=name, alias=alias, version=version
        )
        keys = ["project_id", "name", "alias"]
        self._c.execute(insert.on_conflict_do_update(index_elements=keys, set_={"version": version}))

    def drop_alias(self, name: str, alias: str) -> bool:
        """Take an alias off; False when it was not there."""
        table = registered_model_aliases
        return self._c.execute(table.delete().where(self._mine(table, name), table.c.alias == alias)).rowcount > 0

    def search_models(
        self, where: Expr, orders: Sequence[tuple[str, bool]], limit: int, cursor: str | None
    ) -> RegisteredModelPage:
        """A page of models. ``where`` compares ``MODEL_FIELDS`` or ``tag`` with a key; ``orders`` are (field, descending)."""
        t = registered_models
        sorts: list[Sort] = [(t.c[MODEL_FIELDS[field]], descending) for field, descending in orders]
        sorts.append((t.c.name, False))
        query = sa.select(t.c.name, *(expression for expression, _ in sorts)).where(self._mine(t))
        tags = registered_model_tags
        query = query.where(
            compile_expr(where, lambda c: self._holds(c, t, MODEL_FIELDS, tags, tags.c.name == t.c.name))
        )
        rows, after = self._page(query, sorts, limit, cursor, [where, list(orders)])
        return RegisteredModelPage(models=self._models([row[0] for row in rows]), next_cursor=after)

    def _models(self, names: Sequence[str]) -> list[RegisteredModel]:
        """Whole models in the order of ``names``; four statements whatever their number."""
        if not names:
            return []
        found: dict[str, RegisteredModel] = {}
        query = sa.select(registered_models).where(self._mine(registered_models), registered_models.c.name.in_(names))
        for row in self._c.execute(query).mappings():
            found[row["name"]] = RegisteredModel(
                name=row["name"], description=row["description"], created_ms=row["created_ms"],
                updated_ms=row["updated_ms"], tags={}, aliases={}, latest_versions=[],
            )  # fmt: skip
        if not found:
            return []
        tags = registered_model_tags
        for row in self._c.execute(
            sa.select(tags.c.name, tags.c.key, tags.c.value)
            .where(self._mine(tags), tags.c.name.in_(found))
            .order_by(tags.c.name, tags.c.key)
        ):
            found[row[0]].tags[row[1]] = row[2]
        for name, aliases in self.aliases(list(found)).items():
            found[name].aliases = aliases
        v = model_versions
        newest = (
            sa.select(v.c.name, v.c.stage, sa.func.max(v.c.version).label("version"))
            .where(self._mine(v), v.c.name.in_(found))
            .group_by(v.c.name, v.c.stage)
            .subquery()
        )
        query = (
            sa.select(v)
            .join(newest, (v.c.name == newest.c.name) & (v.c.version == newest.c.version))
            .where(self._mine(v))
            .order_by(v.c.name, v.c.version)
        )
        for version in self._versions(query, {name: model.aliases for name, model in found.items()}):
            found[version.name].latest_versions.append(version)
        return [found[name] for name in names if name in found]

    def aliases(self, names: Sequence[str]) -> dict[str, dict[str, int]]:
        """Alias to version, by model."""
        table = registered_model_aliases
        found: dict[str, dict[str, int]] = {name: {} for name in names}
        query = sa.select(table.c.name, table.c.alias, table.c.version).where(
            self._mine(table), table.c.name.in_(names)
        )
        for name, alias, version in self._c.execute(query.order_by(table.c.alias)):
            found[name][alias] = version
        return found

    # --- versions ----------------------------------------------------------------------------------------------------
    def next_version(self, name: str, now: int) -> int | None:
        """Take the next number (two creators wait for each other on the row); None when there is no such model."""
        t = registered_models
        update = t.update().where(self._mine(t, name)).values(last_version=t.c.last_version + 1, updated_ms=now)
        return self._c.execute(update.returning(t.c.last_version)).scalar()

    def add_version(self, version: ModelVersion) -> None:
        """Insert a version with its tags."""
        self._c.execute(
            model_versions.insert().values(
                project_id=self._project, name=version.name, version=version.version, source=version.source,
                storage_location=version.storage_location, run_id=version.run_id, run_link=version.run_link,
                model_id=version.model_id, description=version.description, stage=version.stage, status=version.status,
                status_message=version.status_message, user_id=version.user_id, created_ms=version.created_ms,
                updated_ms=version.updated_ms,
            )
        )  # fmt: skip
        for key, value in version.tags.items():
            self.put_version_tag(version.name, version.version, key, value)

    def version(self, name: str, version: int) -> ModelVersion | None:
        """One version with tags and aliases."""
        query = sa.select(model_versions).where(self._mine(model_versions, name, version))
        found = self._versions(query, None)
        return found[0] if found else None

    def newest_version(self, name: str) -> int | None:
        """The highest version number that is still there."""
        query = sa.select(sa.func.max(model_versions.c.version)).where(self._mine(model_versions, name))
        return self._c.execute(query).scalar()

    def set_version(self, name: str, version: int, /, **values: Any) -> bool:
        """Change columns of a version; False when it is not there."""
        update = model_versions.update().where(self._mine(model_versions, name, version)).values(**values)
        return self._c.execute(update).rowcount > 0

    def move_stage(self, name: str, stage: str, to: str, *, but: int, now: int) -> None:
        """Move all versions of a stage but one to another stage."""
        v = model_versions
        self._c.execute(
            v.update()
            .where(self._mine(v, name), v.c.stage == stage, v.c.version != but)
            .values(stage=to, updated_ms=now)
        )

    def drop_version(self, name: str, version: int) -> bool:
        """Remove a version with its tags and aliases; False when it was not there."""
        aliases = registered_model_aliases
        self._c.execute(aliases.delete().where(self._mine(aliases, name, version)))
        return self._c.execute(model_versions.delete().where(self._mine(model_versions, name, version))).rowcount > 0

    def put_version_tag(self, name: str, version: int, key: str, value: str) -> None:
        """Set a tag."""
        insert = upsert(self._c, model_version_tags).values(
            project_id=self._project, name=name, version=version, key=key, value=value
        )
        keys = ["project_id", "name", "version", "key"]
        self._c.execute(insert.on_conflict_do_update(index_elements=keys, set_={"value": value}))

    def drop_version_tag(self, name: str, version: int, key: str) -> bool:
        """Remove a tag; False when it was not there."""
        table = model_version_tags
        return self._c.execute(table.delete().where(self._mine(table, name, version), table.c.key == key)).rowcount > 0

    def search_versions(
        self, where: Expr, orders: Sequence[tuple[str, bool]], limit: int, cursor: str | None
    ) -> ModelVersionPage:
        """A page of versions. ``where`` compares ``VERSION_FIELDS`` or ``tag`` with a key; ties by name, newest first."""
        t = model_versions
        sorts: list[Sort] = [(t.c[VERSION_FIELDS[field]], descending) for field, descending in orders]
        sorts += [(t.c.name, False), (t.c.version, True)]
        query = sa.select(
            t.c.name, t.c.version, *(expression.label(f"s{i}") for i, (expression, _) in enumerate(sorts))
        )
        query = query.where(self._mine(t))
        tags = model_version_tags
        same = (tags.c.name == t.c.name) & (tags.c.version == t.c.version)
        query = query.where(compile_expr(where, lambda c: self._holds(c, t, VERSION_FIELDS, tags, same)))
        rows, after = self._page(query, sorts, limit, cursor, [where, list(orders)], skip=2)
        if not rows:
            return ModelVersionPage(versions=[], next_cursor=None)
        # The page's names bound the read, the pairs pick from it: numbers repeat across models.
        pairs = {(row[0], row[1]): place for place, row in enumerate(rows)}
        whole = sa.select(t).where(
            self._mine(t), t.c.name.in_({name for name, _ in pairs}), t.c.version.in_({number for _, number in pairs})
        )
        found = [v for v in self._versions(whole, None) if (v.name, v.version) in pairs]
        found.sort(key=lambda v: pairs[(v.name, v.version)])
        return ModelVersionPage(versions=found, next_cursor=after)

    def _versions(self, query: sa.Select[Any], aliases: dict[str, dict[str, int]] | None) -> list[ModelVersion]:
        found: list[ModelVersion] = []
        by_key: dict[tuple[str, int], ModelVersion] = {}
        for row in self._c.execute(query).mappings():
            version = ModelVersion(
                name=row["name"], version=row["version"], source=row["source"],
                storage_location=row["storage_location"], run_id=row["run_id"], run_link=row["run_link"],
                model_id=row["model_id"], description=row["description"], stage=row["stage"], status=row["status"],
                status_message=row["status_message"], user_id=row["user_id"], created_ms=row["created_ms"],
                updated_ms=row["updated_ms"], tags={}, aliases=[],
            )  # fmt: skip
            found.append(version)
            by_key[(version.name, version.version)] = version
        if not found:
            return found
        names = sorted({version.name for version in found})
        for name, pointers in (self.aliases(names) if aliases is None else aliases).items():
            for alias, number in pointers.items():
                if (name, number) in by_key:
                    by_key[(name, number)].aliases.append(alias)
        tags = model_version_tags
        numbers = sorted({version.version for version in found})
        for name, number, key, value in self._c.execute(
            sa.select(tags.c.name, tags.c.version, tags.c.key, tags.c.value)
            .where(self._mine(tags), tags.c.name.in_(names), tags.c.version.in_(numbers))
            .order_by(tags.c.name, tags.c.version, tags.c.key)
        ):
            if (name, number) in by_key:
                by_key[(name, number)].tags[key] = value
        return found

    # --- shared by both searches -------------------------------------------------------------------------------------
    def _holds(
        self, condition: Cmp, table: sa.Table, fields: dict[str, str], tags: sa.Table, same: sa.ColumnElement[bool]
    ) -> sa.ColumnElement[bool]:
        if condition.field != "tag":
            return compare(told(table.c[fields[condition.field]], condition), condition)
        own = sa.and_(tags.c.project_id == self._project, same, tags.c.key == condition.key)
        if condition.op == "is null":
            return ~sa.exists().where(own)
        if condition.op == "is not null":
            return sa.exists().where(own)
        return sa.exists().where(own, compare(tags.c.value, condition))

    def _page(
        self, query: sa.Select[Any], sorts: list[Sort], limit: int, cursor: str | None, signature: Any, skip: int = 1
    ) -> tuple[list[Any], str | None]:
        if limit < 1:
            raise InvalidArgument(f"the page size must be at least 1, not {limit}")
        if cursor:
            values = decode_cursor(cursor, signature, len(sorts))
            query = query.where(behind(sorts, values))
        rows = self._c.execute(query.order_by(*order_by(sorts)).limit(limit + 1)).all()
        more = len(rows) > limit
        after = encode_cursor(rows[limit - 1][skip:], signature) if more else None
        return list(rows[:limit]), after
