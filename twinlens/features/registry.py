"""The model registry: registered models, versions, aliases and stages.

What a version points to is checked here, because a version is a promise that its files can be fetched: a source below a
run or logged model must name that run or model and lie inside its artifacts, and nothing may climb out of anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa

from twinlens.domain import artifact as uris
from twinlens.domain import registry as rules
from twinlens.domain.clock import now_ms
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.grant import Visible
from twinlens.domain.live import Notice
from twinlens.domain.registry import ModelVersion, ModelVersionPage, RegisteredModel, RegisteredModelPage
from twinlens.domain.run import Run
from twinlens.features.live import LiveBus
from twinlens.features.logged_models import LoggedModels
from twinlens.features.permissions import Permissions
from twinlens.features.webhooks import Webhooks
from twinlens.query.mlflow_filter_registry import model_filter, model_order, version_filter, version_order
from twinlens.query.visible import within
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.registry import RegistryTable
from twinlens.store.telemetry.query import all_of

T = TypeVar("T")

MAX_MODELS = 1_000
MAX_VERSIONS = 200_000
_MAX_SOURCE = 4_096
_GRANTED_AS = ("registered_model", "prompt")  #: grants may call a name either
#: The computer's own files, and what connects to a host of the caller's choice (MLflow's ``store.artifact.host_policy``).
_CHECKED_SCHEMES = frozenset({"file", "ftp", "sftp", "hdfs", "viewfs", "http", "https", "r2", "b2", "abfss"})
_LOGGED_ID = re.compile(r"m-[0-9a-f]{32}\Z")


class RunSource(Protocol):
    """What this feature needs of runs."""

    def get(self, project_id: str, run_id: str) -> Run:
        """One run, deleted ones included. NotFound when there is none."""
        ...


class NameTaken(Protocol):
    """Whether a name is used by something else that shares the namespace (prompts)."""

    def __call__(self, project_id: str, name: str) -> bool:
        """True when it is."""
        ...


class Registry:
    """See the module's text. All methods block.

    Args:
        is_prompt: tells whether a name belongs to a prompt; MLflow keeps both in one namespace.
    """

    def __init__(
        self, catalog: Catalog, runs: RunSource, logged_models: LoggedModels, live: LiveBus | None = None,
        is_prompt: NameTaken | None = None, clock: Callable[[], int] = now_ms, webhooks: Webhooks | None = None,
        permissions: Permissions | None = None,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._runs = runs
        self._logged = logged_models
        self._live = live
        self._is_prompt = is_prompt
        self._clock = clock
        self._webhooks = webhooks
        self._permissions = permissions

    # --- registered models -------------------------------------------------------------------------------------------
    def create(
        self, project_id: str, name: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Create a model without versions.

        Raises:
            AlreadyExists: a model or prompt has the name.
            InvalidArgument: name or tag breaks a rule.
        """
        rules.check_model_name(name)
        _check_tags(tags)
        if self._is_prompt is not None and self._is_prompt(project_id, name):
            raise AlreadyExists(
                f"Tried to create a registered model with name '{name}', but the name is already taken by a prompt. "
                "MLflow does not allow creating a model and a prompt with the same name."
            )
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            if not table.add_model(name, _text(description), dict(tags or {}), self._clock()):
                raise AlreadyExists(f"Registered Model (name={name}) already exists.")
            model = _model(table.model(name), name)
            self._fire(
                connection, project_id, "registered_model.created", name=name, tags=dict(tags or {}),
                description=description or None,
            )  # fmt: skip
        self._changed(project_id, name)
        return model

    def get(self, project_id: str, name: str) -> RegisteredModel:
        """One model with tags, aliases and the newest version of each stage.

        Raises:
            NotFound: no such model.
        """
        with self._catalog.read() as connection:
            return _model(RegistryTable(connection, project_id).model(rules.check_model_name(name)), name)

    def exists(self, project_id: str, name: str) -> bool:
        """Whether there is such a model."""
        with self._catalog.read() as connection:
            return RegistryTable(connection, project_id).has_model(name)

    def update(self, project_id: str, name: str, description: str) -> RegisteredModel:
        """Set the description."""
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            if not table.set_model(name, description=_text(description), updated_ms=self._clock()):
                raise _no_model(name)
            model = _model(table.model(name), name)
        self._changed(project_id, name)
        return model

    def rename(self, project_id: str, name: str, new_name: str) -> RegisteredModel:
        """Rename a model with all its versions.

        Raises:
            AlreadyExists: the new name is taken.
            NotFound: no such model.
        """
        rules.check_model_name(new_name)
        now = self._clock()
        if self._is_prompt is not None and self._is_prompt(project_id, new_name):
            raise AlreadyExists(f"Registered Model (name={new_name}) already exists.")
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            if new_name != name and table.has_model(new_name):
                raise AlreadyExists(f"Registered Model (name={new_name}) already exists.")
            if not table.set_model(name, name=new_name, updated_ms=now):
                raise _no_model(name)
            model = _model(table.model(new_name), new_name)
            if self._permissions is not None:
                self._permissions.renamed(connection, project_id, _GRANTED_AS, name, new_name)
        self._changed(project_id, new_name)
        if self._permissions is not None:
            self._permissions.settled()
        return model

    def delete(self, project_id: str, name: str) -> None:
        """Remove a model with all versions. Raises NotFound."""
        with self._catalog.write() as connection:
            if not RegistryTable(connection, project_id).drop_model(name):
                raise _no_model(name)
            if self._permissions is not None:
                self._permissions.removed(connection, project_id, _GRANTED_AS, name)
        self._changed(project_id, name)
        if self._permissions is not None:
            self._permissions.settled()

    def search(
        self, project_id: str, *, filter: str | None = None, order_by: Sequence[str] = (), limit: int = 100,
        cursor: str | None = None, visible: Visible | None = None,
    ) -> RegisteredModelPage:  # fmt: skip
        """A page of models (never prompts); ``filter`` and ``order_by`` are MLflow's grammar. ``visible``: only these names."""
        where = all_of(model_filter(filter)[1], within(visible, "name"))
        with self._catalog.read() as connection:
            return RegistryTable(connection, project_id).search_models(
                where, model_order(list(order_by)), limit, cursor
            )

    def set_tag(self, project_id: str, name: str, key: str, value: str) -> None:
        """Set a tag of a model. Raises NotFound or InvalidArgument."""
        rules.check_tag(key, value)
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            self._require(table, name)
            table.put_model_tag(name, key, value)
        self._changed(project_id, name)

    def delete_tag(self, project_id: str, name: str, key: str) -> None:
        """Remove a tag of a model; nothing happens when it is not there. Raises NotFound."""
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            self._require(table, name)
            table.drop_model_tag(name, key)
        self._changed(project_id, name)

    def set_alias(self, project_id: str, name: str, alias: str, version: int) -> None:
        """Put or move an alias.

        Raises:
            NotFound: no such version.
            InvalidArgument: the alias breaks a rule.
        """
        rules.check_alias(alias)
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            _version(table.version(name, version), name, version)
            table.put_alias(name, alias, version)
            self._fire(
                connection, project_id, "model_version_alias.created", name=name, alias=alias, version=str(version)
            )
        self._changed(project_id, name)

    def delete_alias(self, project_id: str, name: str, alias: str) -> None:
        """Take an alias off; nothing happens when it is not there. Raises NotFound."""
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            self._require(table, name)
            if table.drop_alias(name, alias):
                self._fire(connection, project_id, "model_version_alias.deleted", name=name, alias=alias)
        self._changed(project_id, name)

    def by_alias(self, project_id: str, name: str, alias: str) -> ModelVersion:
        """The version an alias points to; ``latest`` is the highest one.

        Raises:
            NotFound: no such model.
            InvalidArgument: no such alias (MLflow's choice of error).
        """
        with self._catalog.read() as connection:
            table = RegistryTable(connection, project_id)
            self._require(table, name)
            number = (
                table.newest_version(name) if alias.lower() == rules.LATEST else table.aliases([name])[name].get(alias)
            )
            found = None if number is None else table.version(name, number)
        if found is None:
            raise InvalidArgument(f"Registered model alias {alias} not found.")
        return found

    # --- versions ----------------------------------------------------------------------------------------------------
    def create_version(
        self, project_id: str, name: str, source: str, *, run_id: str | None = None, run_link: str | None = None,
        model_id: str | None = None, description: str = "", tags: Mapping[str, str] | None = None, user_id: str = "",
    ) -> ModelVersion:  # fmt: skip
        """Add the next version.

        Raises:
            NotFound: no such model.
            InvalidArgument: the source does not belong to the named run or logged model, or climbs.
        """
        _check_tags(tags)
        rules.check_model_name(name)
        source, location, run_id, model_id = self._resolve(project_id, source, run_id or None, model_id or None)
        now = self._clock()
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            number = table.next_version(name, now)
            if number is None:
                raise _no_model(name)
            table.add_version(
                ModelVersion(
                    name=name, version=number, source=source, storage_location=location, run_id=run_id,
                    run_link=run_link or None, model_id=model_id, description=_text(description), user_id=user_id,
                    created_ms=now, updated_ms=now, tags=dict(tags or {}),
                )
            )  # fmt: skip
            created = _version(table.version(name, number), name, number)
            self._fire(
                connection, project_id, "model_version.created", name=name, version=str(number), source=source,
                run_id=run_id, tags=dict(tags or {}), description=description or None,
            )  # fmt: skip
        if model_id:
            self._logged.add_version(project_id, model_id, name, number)
        self._changed(project_id, name)
        return created

    def version(self, project_id: str, name: str, version: int) -> ModelVersion:
        """One version. Raises NotFound."""
        rules.check_model_name(name)
        with self._catalog.read() as connection:
            return _version(RegistryTable(connection, project_id).version(name, version), name, version)

    def download_uri(self, project_id: str, name: str, version: int) -> str:
        """Where the version's files are. Raises NotFound."""
        found = self.version(project_id, name, version)
        return found.storage_location or found.source

    def update_version(self, project_id: str, name: str, version: int, description: str) -> ModelVersion:
        """Set the description of a version."""
        return self._set_version(project_id, name, version, description=_text(description))

    def transition(
        self, project_id: str, name: str, version: int, stage: str, *, archive_existing: bool = False
    ) -> ModelVersion:
        """Move a version to a stage; ``archive_existing`` archives the others there (Staging and Production only)."""
        stage = rules.canonical_stage(stage)
        if archive_existing and stage not in rules.ACTIVE_STAGES:
            raise InvalidArgument(
                f"Model version transition cannot archive existing model versions because '{stage}' is not an Active "
                f"stage. Valid stages are {', '.join(rules.ACTIVE_STAGES)}"
            )
        now = self._clock()
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            if not table.set_version(name, version, stage=stage, updated_ms=now):
                raise _no_version(name, version)
            if archive_existing:
                table.move_stage(name, stage, "Archived", but=version, now=now)
            table.set_model(name, updated_ms=now)
            found = _version(table.version(name, version), name, version)
        self._changed(project_id, name)
        return found

    def delete_version(self, project_id: str, name: str, version: int) -> None:
        """Remove a version; its number is never given out again. Raises NotFound."""
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            if not table.drop_version(name, version):
                raise _no_version(name, version)
            table.set_model(name, updated_ms=self._clock())
        self._changed(project_id, name)

    def set_version_tag(self, project_id: str, name: str, version: int, key: str, value: str) -> None:
        """Set a tag of a version. Raises NotFound or InvalidArgument."""
        rules.check_tag(key, value)
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            _version(table.version(name, version), name, version)
            table.put_version_tag(name, version, key, value)
            self._fire(
                connection, project_id, "model_version_tag.set", name=name, version=str(version), key=key, value=value
            )
        self._changed(project_id, name)

    def delete_version_tag(self, project_id: str, name: str, version: int, key: str) -> None:
        """Remove a tag of a version; nothing happens when it is not there. Raises NotFound."""
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            _version(table.version(name, version), name, version)
            if table.drop_version_tag(name, version, key):
                self._fire(
                    connection, project_id, "model_version_tag.deleted", name=name, version=str(version), key=key
                )
        self._changed(project_id, name)

    def latest_versions(self, project_id: str, name: str, stages: Sequence[str] = ()) -> list[ModelVersion]:
        """The newest version of each stage (of all stages when none is named)."""
        wanted = {rules.canonical_stage(stage) for stage in stages} or set(rules.STAGES)
        return [version for version in self.get(project_id, name).latest_versions if version.stage in wanted]

    def search_versions(
        self, project_id: str, *, filter: str | None = None, order_by: Sequence[str] = (), limit: int = 10_000,
        cursor: str | None = None, visible: Visible | None = None,
    ) -> ModelVersionPage:  # fmt: skip
        """A page of versions (never of prompts); ``filter`` and ``order_by`` are MLflow's grammar. ``visible``: only of these names."""
        where = all_of(version_filter(filter)[1], within(visible, "name"))
        with self._catalog.read() as connection:
            return RegistryTable(connection, project_id).search_versions(
                where, version_order(list(order_by)), limit, cursor
            )

    # --- sources -----------------------------------------------------------------------------------------------------
    def _resolve(
        self, project_id: str, source: str, run_id: str | None, model_id: str | None
    ) -> tuple[str, str, str | None, str | None]:
        """Check a source (MLflow 3.18's rules, reference 2.8): source, storage location, run id, logged model id."""
        if not source or len(source) > _MAX_SOURCE or uris.is_traversal(source):
            raise InvalidArgument(
                f"Invalid model version source: '{source[:200]}'. If supplying a source as an http, https, local file path, ftp, "
                "objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references "
                "present. Please provide an absolute path."
            )
        parts = urlsplit(source)
        if parts.scheme in ("models", "runs") and parts.netloc:
            raise InvalidArgument(
                f"Invalid model version source: '{source}'. Registered model sources must use the active model registry."
            )
        if parts.scheme == "models":
            return self._resolve_model(project_id, source, parts.path.strip("/"), run_id, model_id)
        if model_id:
            model = self._found(lambda: self._logged.get(project_id, model_id), source, "model_id")
            if parts.scheme == "runs":
                raise _wrong_source(source, "model_id")
            if _is_checked(source) and not _within(source, model.artifact_uri):
                raise _wrong_source(source, "model_id")
            return source, source, run_id or model.source_run_id, model_id
        if parts.scheme == "runs":
            source_run, _, path = parts.path.strip("/").partition("/")
            if not run_id or source_run != run_id:
                raise _wrong_source(source, "run_id")
            run = self._found(lambda: self._runs.get(project_id, source_run), source, "run_id")
            return source, f"{run.artifact_uri.rstrip('/')}/{path}", run_id, None
        if _is_checked(source):
            run = self._found(lambda: self._runs.get(project_id, run_id), source, "run_id") if run_id else None
            if run is None or not _within(source, run.artifact_uri):
                raise _wrong_source(source, "run_id")
        return source, source, run_id, None

    def _resolve_model(
        self, project_id: str, source: str, path: str, run_id: str | None, model_id: str | None
    ) -> tuple[str, str, str | None, str | None]:
        """``models:/m-…`` is a logged model, ``models:/name/version`` and ``models:/name@alias`` a copy of a version."""
        if _LOGGED_ID.match(path):
            if path != model_id:
                raise _wrong_source(source, "model_id")
            model = self._found(lambda: self._logged.get(project_id, path), source, "model_id")
            return source, model.artifact_uri, run_id or model.source_run_id, path
        name, slash, reference = path.rpartition("/")
        if not slash:
            name, _, reference = path.rpartition("@")
        if not name or not reference:
            raise _wrong_source(source, "model_id")
        if self._is_prompt is not None and self._is_prompt(project_id, name):
            raise InvalidArgument(
                f"Invalid model version source: '{source}'. Prompt versions cannot be used as model version sources."
            )
        if not slash or reference.lower() == rules.LATEST:
            origin = self.by_alias(project_id, name, reference)
        elif reference.isdigit():
            origin = self.version(project_id, name, rules.parse_version(reference))
        else:
            newest = self.latest_versions(project_id, name, [reference])
            if not newest:
                raise NotFound(f"No versions of model with name '{name}' and stage '{reference}' found")
            origin = newest[0]
        if (run_id and run_id != origin.run_id) or (model_id and model_id != origin.model_id):
            raise InvalidArgument(
                f"Invalid model version source: '{source}'. The run_id and model_id request parameters must match the "
                "referenced model version."
            )
        location = origin.storage_location or origin.source
        return f"models:/{name}/{origin.version}", location, origin.run_id, origin.model_id

    @staticmethod
    def _found(read: Callable[[], T], source: str, what: str) -> T:
        try:
            return read()
        except NotFound:
            raise _wrong_source(source, what) from None

    def _require(self, table: RegistryTable, name: str) -> None:
        rules.check_model_name(name)
        if not table.has_model(name):
            raise _no_model(name)

    def _set_version(self, project_id: str, name: str, version: int, **values: str) -> ModelVersion:
        with self._catalog.write() as connection:
            table = RegistryTable(connection, project_id)
            if not table.set_version(name, version, updated_ms=self._clock(), **values):
                raise _no_version(name, version)
            found = _version(table.version(name, version), name, version)
        self._changed(project_id, name)
        return found

    def _fire(self, connection: sa.Connection, project_id: str, event: str, **data: Any) -> None:
        if self._webhooks is not None:
            self._webhooks.fire(connection, project_id, event, data)

    def _changed(self, project_id: str, name: str) -> None:
        if self._webhooks is not None:
            self._webhooks.committed()
        if self._live is not None and self._live.watched:
            self._live.publish([Notice(kind="model", project_id=project_id, id=name)])


def _is_checked(source: str) -> bool:
    """Whether a source must lie inside the artifacts of its run or model: proxied and local ones, and those whose scheme
    leads to any host that the address names, not buckets."""
    return uris.proxy_path(source) is not None or uris.split_direct(source)[0] in _CHECKED_SCHEMES


def _within(source: str, root: str) -> bool:
    """Whether ``source`` is ``root`` or lies below it; both forms of a proxied URI are one."""
    inner, outer = uris.proxy_path(source), uris.proxy_path(root)
    if inner is not None or outer is not None:
        if inner is None or outer is None:
            return False
        return bool(outer) and (inner == outer or inner.startswith(outer + "/"))
    return uris.inside(source, root) is not None


def _wrong_source(source: str, what: str) -> InvalidArgument:
    return InvalidArgument(
        f"Invalid model version source: '{source}'. The {what} request parameter must identify the resource that "
        "contains the source."
    )


def _model(found: RegisteredModel | None, name: str) -> RegisteredModel:
    if found is None:
        raise _no_model(name)
    return found


def _version(found: ModelVersion | None, name: str, version: int) -> ModelVersion:
    if found is None:
        raise _no_version(name, version)
    return found


def _no_model(name: str) -> NotFound:
    return NotFound(f"Registered Model with name={name} not found")


def _no_version(name: str, version: int) -> NotFound:
    return NotFound(f"Model Version (name={name}, version={version}) not found")


def _check_tags(tags: Mapping[str, str] | None) -> None:
    for key, value in (tags or {}).items():
        rules.check_tag(key, value)


def _text(value: str) -> str:
    if "\x00" in value:
        raise InvalidArgument("the description contains a NUL character")
    return value
