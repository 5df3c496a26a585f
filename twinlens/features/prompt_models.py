"""Prompts as MLflow's registry shows them: registered models with reserved tags (reference: ``mlflow.md`` 2.9).

There is one store of prompts, ``features.prompts``; this class has the methods of ``features.registry.Registry`` over it.
A label is an alias, a commit message a description, MLflow's tags of a prompt are its properties, and the template,
its type, response format and model configuration travel in reserved tags of the version. Tags and configuration that
other protocols gave a prompt are shown as tags as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from twinlens.domain import registry as rules
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.grant import Visible
from twinlens.domain.project import Principal
from twinlens.domain.prompt import LATEST, Prompt, PromptType, PromptVersion, Template
from twinlens.domain.registry import ModelVersion, ModelVersionPage, RegisteredModel, RegisteredModelPage
from twinlens.features.prompts import WORD, PromptFilter, Prompts
from twinlens.features.registry import Registry
from twinlens.query.evaluate import holds
from twinlens.query.mlflow_filter_registry import IS_PROMPT, model_filter, model_order, version_filter, version_order
from twinlens.query.visible import within
from twinlens.store.catalog.keyset import decode_cursor, encode_cursor
from twinlens.store.telemetry.query import And, Cmp, Expr

TEXT, TYPE = "mlflow.prompt.text", "_mlflow_prompt_type"
RESPONSE_FORMAT, MODEL_CONFIG = "_mlflow_prompt_response_format", "_mlflow_prompt_model_config"
#: Configuration that Langfuse clients keep with a version.
CONFIG = "langfuse.config"
SOURCE = "dummy-source"  #: what MLflow's client sends; a prompt has no files
_SOURCES = frozenset({SOURCE, "prompt-template"})
_RESERVED = frozenset({IS_PROMPT, TEXT, TYPE, RESPONSE_FORMAT, MODEL_CONFIG, CONFIG})
_PAGE = 200
_MS = 1_000_000


class PromptModels:
    """See the module's text. All methods block; errors are those of ``Registry``, and ``PermissionDenied`` for labels that
    ``who`` may not move (see ``Prompts``)."""

    def __init__(self, prompts: Prompts, registry: Registry, who: Principal | None = None) -> None:
        self._prompts = prompts
        self._registry = registry
        self._who = who

    def of(self, who: Principal) -> PromptModels:
        """The same prompts for one caller."""
        return PromptModels(self._prompts, self._registry, who)

    def exists(self, project_id: str, name: str) -> bool:
        """Whether the name belongs to a prompt."""
        return self._prompts.exists(project_id, name)

    # --- the prompt --------------------------------------------------------------------------------------------------
    def create(
        self, project_id: str, name: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Create a prompt without versions.

        Raises:
            AlreadyExists: a prompt or model has the name.
        """
        _check_tags(tags)
        if self._registry.exists(project_id, name):
            raise AlreadyExists(
                f"Tried to create a prompt with name '{name}', but the name is already taken by a registered model. "
                "MLflow does not allow creating a model and a prompt with the same name."
            )
        properties = {key: value for key, value in (tags or {}).items() if key != IS_PROMPT}
        return self._model(
            project_id, self._prompts.create(project_id, name, description=description, properties=properties)
        )

    def get(self, project_id: str, name: str) -> RegisteredModel:
        """One prompt with its newest version."""
        return self._model(project_id, self._prompts.head(project_id, name))

    def update(self, project_id: str, name: str, description: str) -> RegisteredModel:
        """Set the description."""
        return self._model(project_id, self._prompts.update(project_id, name, description=description))

    def rename(self, project_id: str, name: str, new_name: str) -> RegisteredModel:
        """Refused: other prompts and clients refer to a prompt by its name.

        Raises:
            InvalidArgument: always.
        """
        raise InvalidArgument(f"Renaming a prompt is not supported: '{name}' to '{new_name}'.")

    def delete(self, project_id: str, name: str) -> None:
        """Remove a prompt with all versions."""
        self._prompts.delete(project_id, name, who=self._who)

    def set_tag(self, project_id: str, name: str, key: str, value: str) -> None:
        """Set a tag of a prompt."""
        rules.check_tag(key, value)
        if key != IS_PROMPT:
            self._prompts.update(project_id, name, properties={key: value})

    def delete_tag(self, project_id: str, name: str, key: str) -> None:
        """Remove a tag of a prompt, also one that is a plain word."""
        head = self._prompts.head(project_id, name)
        if key == IS_PROMPT:
            raise InvalidArgument(f"Tag '{IS_PROMPT}' cannot be deleted.")
        if key in head.tags and key not in head.properties:
            self._prompts.set_tags(project_id, name, [tag for tag in head.tags if tag != key])
        else:
            self._prompts.update(project_id, name, properties={key: None})

    def set_alias(self, project_id: str, name: str, alias: str, version: int) -> None:
        """Put or move an alias, which is a label."""
        self._prompts.set_alias(project_id, name, alias, version, who=self._who)

    def delete_alias(self, project_id: str, name: str, alias: str) -> None:
        """Take an alias off; nothing happens when it is not there."""
        self._prompts.head(project_id, name)
        self._prompts.delete_label(project_id, name, alias, who=self._who)

    def by_alias(self, project_id: str, name: str, alias: str) -> ModelVersion:
        """The version an alias points to.

        Raises:
            InvalidArgument: no such alias (MLflow's choice of error).
        """
        label = LATEST if alias.lower() == LATEST else alias
        try:
            return _version(self._prompts.get(project_id, name, label=label))
        except NotFound:
            self._prompts.head(project_id, name)
            raise InvalidArgument(f"Registered model alias {alias} not found.") from None

    # --- versions ----------------------------------------------------------------------------------------------------
    def create_version(
        self, project_id: str, name: str, source: str, *, run_id: str | None = None, run_link: str | None = None,
        model_id: str | None = None, description: str = "", tags: Mapping[str, str] | None = None, user_id: str = "",
    ) -> ModelVersion:  # fmt: skip
        """Add a version from the reserved tags.

        Raises:
            NotFound: no such prompt.
            InvalidArgument: no template among the tags, or a real source.
        """
        del run_id, run_link, model_id
        if source not in _SOURCES:
            raise InvalidArgument(f"Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder.")
        _check_tags(tags)
        values = dict(tags or {})
        self._prompts.head(project_id, name)
        if TEXT not in values:
            raise InvalidArgument(f"Tag '{TEXT}' with the template is required for a prompt version.")
        kind, template = _template(values)
        made = self._prompts.create_version(
            project_id, name, template, type=kind, commit_message=description or None, created_by=user_id or "API",
            response_format=_json(values, RESPONSE_FORMAT), model_config=_json(values, MODEL_CONFIG),
            config=_json(values, CONFIG), labels=(), any_type=True,
            version_tags={key: value for key, value in values.items() if key not in _RESERVED},
        )  # fmt: skip
        return _version(made)

    def version(self, project_id: str, name: str, version: int) -> ModelVersion:
        """One version, with inclusions of other prompts resolved."""
        return _version(self._get(project_id, name, version))

    def download_uri(self, project_id: str, name: str, version: int) -> str:
        """The placeholder: a prompt has no files."""
        self._get(project_id, name, version)
        return SOURCE

    def update_version(self, project_id: str, name: str, version: int, description: str) -> ModelVersion:
        """Set the commit message."""
        return _version(self._prompts.update_version(project_id, name, version, commit_message=description))

    def transition(
        self, project_id: str, name: str, version: int, stage: str, *, archive_existing: bool = False
    ) -> ModelVersion:
        """Refused: prompts have no stages.

        Raises:
            InvalidArgument: always.
        """
        del archive_existing
        raise InvalidArgument(
            f"Prompts have no stages: '{name}' version {version} cannot move to '{stage}'. Use an alias."
        )

    def delete_version(self, project_id: str, name: str, version: int) -> None:
        """Remove a version; the prompt stays, also without versions."""
        self._prompts.delete(project_id, name, version=version, keep_empty=True, who=self._who)

    def set_version_tag(self, project_id: str, name: str, version: int, key: str, value: str) -> None:
        """Set a tag of a version. The template is immutable.

        Raises:
            InvalidArgument: a reserved tag that cannot change.
        """
        rules.check_tag(key, value)
        if key == MODEL_CONFIG:
            self._prompts.update_version(project_id, name, version, model_config=_json({key: value}, key))
        elif key in _RESERVED:
            if _version(self._get(project_id, name, version)).tags.get(key) != value:
                raise InvalidArgument(f"Tag '{key}' of a prompt version cannot change: create a new version.")
        else:
            self._prompts.update_version(project_id, name, version, version_tags={key: value})

    def delete_version_tag(self, project_id: str, name: str, version: int, key: str) -> None:
        """Remove a tag of a version."""
        if key in _RESERVED:
            raise InvalidArgument(f"Tag '{key}' of a prompt version cannot be deleted.")
        self._prompts.update_version(project_id, name, version, version_tags={key: None})

    def latest_versions(self, project_id: str, name: str, stages: Sequence[str] = ()) -> list[ModelVersion]:
        """The newest version; prompts have no stages but ``None``."""
        wanted = {rules.canonical_stage(stage) for stage in stages} or set(rules.STAGES)
        return self.get(project_id, name).latest_versions if "None" in wanted else []

    # --- searches ----------------------------------------------------------------------------------------------------
    def search(
        self, project_id: str, *, filter: str | None = None, order_by: Sequence[str] = (), limit: int = 100,
        cursor: str | None = None, visible: Visible | None = None,
    ) -> RegisteredModelPage:  # fmt: skip
        """A page of prompts. Without ``order_by`` by name; with it all prompts that match are sorted in memory. ``visible``: as in
        the registry."""
        where = _both(model_filter(filter)[1], within(visible, "name"))
        orders = model_order(list(order_by))
        signature = [where, orders]
        start = int(decode_cursor(cursor, signature, 1)[0]) if cursor else 0
        if orders:
            rows, _ = self._matching(project_id, where, 0, None)
            for field, descending in reversed(orders):
                rows.sort(key=lambda row: row.name if field == "name" else row.updated_ns, reverse=descending)
            part, position = rows[start : start + limit], start + limit
            more = position < len(rows)
        else:
            part, position = self._matching(project_id, where, start, limit)
            more = position >= 0
        after = encode_cursor([position], signature) if more else None
        return RegisteredModelPage(models=[self._model(project_id, row) for row in part], next_cursor=after)

    def search_versions(
        self, project_id: str, *, filter: str | None = None, order_by: Sequence[str] = (), limit: int = 10_000,
        cursor: str | None = None, visible: Visible | None = None,
    ) -> ModelVersionPage:  # fmt: skip
        """A page of prompt versions, by name, newest first. ``visible``: as in the registry."""
        where = _both(version_filter(filter)[1], within(visible, "name"))
        orders = version_order(list(order_by))
        signature = [where, orders]
        start = int(decode_cursor(cursor, signature, 1)[0]) if cursor else 0
        name = _named(where)
        names = [name] if name is not None else [row.name for row in self._matching(project_id, And(), 0, None)[0]]
        found = [
            version
            for each in names
            for version in map(_version, reversed(self._prompts.versions(project_id, each)))
            if holds(where, lambda c, v=version: _version_value(v, c))
        ]
        for field, descending in reversed(orders):
            found.sort(key=lambda v: getattr(v, field), reverse=descending)
        after = encode_cursor([start + limit], signature) if start + limit < len(found) else None
        return ModelVersionPage(versions=found[start : start + limit], next_cursor=after)

    def _matching(self, project_id: str, where: Expr, start: int, limit: int | None) -> tuple[list[Prompt], int]:
        """Prompts by name that match, from a position on; the position behind the last one, -1 at the end."""
        chosen = PromptFilter(include_empty=True, name=_named(where))
        found: list[Prompt] = []
        position = start
        while True:
            rows, total = self._prompts.list(project_id, chosen, limit=_PAGE, offset=position)
            for row in rows:
                position += 1
                if holds(where, lambda c, row=row: _prompt_value(row, c)):
                    found.append(row)
                    if limit is not None and len(found) == limit:
                        return found, position if position < total else -1
            if not rows or position >= total:
                return found, -1

    def _get(self, project_id: str, name: str, version: int) -> PromptVersion:
        try:
            return self._prompts.get(project_id, name, version=version)
        except NotFound:
            raise NotFound(f"Model Version (name={name}, version={version}) not found") from None

    def _model(self, project_id: str, prompt: Prompt) -> RegisteredModel:
        newest: list[ModelVersion] = []
        if prompt.versions:
            newest = [_version(self._prompts.get(project_id, prompt.name, version=prompt.versions[-1]))]
        return RegisteredModel(
            name=prompt.name, description=prompt.description, created_ms=prompt.created_ns // _MS,
            updated_ms=prompt.updated_ns // _MS, tags=_prompt_tags(prompt), latest_versions=newest,
            aliases={label: version for label, version in prompt.labels.items() if label != LATEST},
        )  # fmt: skip


def _prompt_tags(prompt: Prompt) -> dict[str, str]:
    return {**dict.fromkeys(prompt.tags, WORD), **prompt.properties, IS_PROMPT: "true"}


def _version(row: PromptVersion) -> ModelVersion:
    chat = row.type == "chat"
    tags = {
        **row.version_tags, IS_PROMPT: "true", TYPE: row.type,
        TEXT: json.dumps(row.template) if chat else str(row.template),
    }  # fmt: skip
    for key, value in ((RESPONSE_FORMAT, row.response_format), (MODEL_CONFIG, row.model_config), (CONFIG, row.config)):
        if value is not None and value != {}:
            tags[key] = json.dumps(value)  # as MLflow's client writes it
    return ModelVersion(
        name=row.name, version=row.version, source=SOURCE, storage_location=SOURCE,
        description=row.commit_message or "", user_id="" if row.created_by == "API" else row.created_by,
        created_ms=row.created_ns // _MS, updated_ms=row.updated_ns // _MS, tags=tags,
        aliases=[label for label in row.labels if label != LATEST],
    )  # fmt: skip


def _template(tags: Mapping[str, str]) -> tuple[PromptType, Template]:
    if tags.get(TYPE) != "chat":
        return "text", tags[TEXT]
    messages = _json(tags, TEXT)
    if not isinstance(messages, list):
        raise InvalidArgument(f"Tag '{TEXT}' of a chat prompt must be a JSON list of messages.")
    return "chat", messages  # pyright: ignore[reportUnknownVariableType]


def _json(tags: Mapping[str, str], key: str) -> Any:
    if key not in tags:
        return None
    try:
        return msgspec.json.decode(tags[key])
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"Tag '{key}' must be JSON: {error}") from None


def _prompt_value(prompt: Prompt, condition: Cmp) -> Any:
    return _prompt_tags(prompt).get(condition.key or "") if condition.field == "tag" else prompt.name


def _version_value(version: ModelVersion, condition: Cmp) -> Any:
    return version.tags.get(condition.key or "") if condition.field == "tag" else getattr(version, condition.field)


def _both(where: Expr, other: Expr) -> Expr:
    """One conjunction, in which ``_named`` finds the name."""
    return And((*(where.items if isinstance(where, And) else (where,)), other))


def _named(where: Expr) -> str | None:
    """The one name that a conjunction asks for, so that only its rows are read."""
    for item in where.items if isinstance(where, And) else (where,):
        if isinstance(item, Cmp) and item.field == "name" and item.op == "=":
            return str(item.value)
    return None


def _check_tags(tags: Mapping[str, str] | None) -> None:
    for key, value in (tags or {}).items():
        rules.check_tag(key, value)
