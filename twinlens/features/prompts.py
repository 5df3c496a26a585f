"""Prompts: create versions, move labels, resolve inclusions, delete. Serves Langfuse's prompts and MLflow's prompt registry.

Reads of one version are answered from memory: everything cached of a project is forgotten the moment anything about
its prompts changes, so a moved label is seen by the next read (SDK tests read back at once).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from twinlens.domain import prompt as rules
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, PermissionDenied
from twinlens.domain.ids import new_uuid
from twinlens.domain.live import Notice
from twinlens.domain.project import Principal
from twinlens.domain.prompt import LATEST, PRODUCTION, Dependency, Prompt, PromptType, PromptVersion, Template
from twinlens.features.audit import Audit
from twinlens.features.live import LiveBus
from twinlens.features.permissions import Permissions
from twinlens.features.prompt_composition import MAX_DEPTH, dependencies_of, resolve
from twinlens.features.webhooks import Webhooks
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.prompts import PromptFilter, PromptTable

_CACHE_PER_PROJECT = 10_000
WORD = "true"  #: value of a tag that is a plain word, where tags have values
_Key = tuple[str, int | None, str | None, bool]

__all__ = ["MAX_DEPTH", "PromptFilter", "Prompts"]


class Prompts:
    """See the module's text. All methods block; ``cached`` alone never does.

    ``who`` is the caller of a method that moves labels: protected ones are refused to those who may not move them
    (``Principal.moves_protected``). None is the server itself, which may.
    """

    def __init__(
        self,
        catalog: Catalog,
        live: LiveBus | None = None,
        clock: Clock = now_ns,
        webhooks: Webhooks | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        self._catalog = catalog
        self._audit = Audit(catalog)
        self._live = live
        self._clock = clock
        self._webhooks = webhooks
        self._permissions = permissions
        self._lock = threading.Lock()
        self._cache: dict[str, dict[_Key, PromptVersion]] = {}
        self._generation = 0

    # --- reading -----------------------------------------------------------------------------------------------
    def cached(
        self, project_id: str, name: str, *, version: int | None = None, label: str | None = None, resolve: bool = True
    ) -> PromptVersion | None:
        """What ``get`` would return, if memory knows it; None means: ask ``get``. Safe on the event loop."""
        if version is None and label is None:
            label = PRODUCTION
        return self._cache.get(project_id, {}).get((name, version, label, resolve))

    def get(
        self, project_id: str, name: str, *, version: int | None = None, label: str | None = None, resolve: bool = True
    ) -> PromptVersion:
        """One version by number or label; by label ``production`` when neither is given. Treat the result as read-only.

        Raises:
            InvalidArgument: both given, or an included prompt is missing.
            NotFound: no such prompt, version or label.
        """
        if version is not None and label is not None:
            raise InvalidArgument("Cannot specify both version and label")
        if (hit := self.cached(project_id, name, version=version, label=label, resolve=resolve)) is not None:
            return hit
        generation = self._generation
        wanted = PRODUCTION if version is None and label is None else label
        with self._catalog.read() as connection:
            table = PromptTable(connection, project_id)
            row = _find(table, name, version, wanted)
            if resolve:
                row = _resolved(table, row)
        with self._lock:
            if self._generation == generation:  # nothing changed while we read
                known = self._cache.setdefault(project_id, {})
                if len(known) >= _CACHE_PER_PROJECT:
                    known.clear()
                known[(name, version, wanted, resolve)] = row
        return row

    def get_by_id(self, project_id: str, version_id: str) -> PromptVersion:
        """One version by its id, unresolved.

        Raises:
            NotFound: no such version.
        """
        with self._catalog.read() as connection:
            found = PromptTable(connection, project_id).by_id(version_id)
        if found is None:
            raise NotFound(f"Prompt version '{version_id}' not found")
        return self.get(project_id, found[0], version=found[1], resolve=False)

    def version_ids(self, project_id: str, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """Ids of the versions that exist among (name, number)."""
        found: dict[tuple[str, int], str] = {}
        for name, version in set(wanted):
            with suppress(NotFound):
                found[name, version] = self.get(project_id, name, version=version, resolve=False).version_id
        return found

    def exists(self, project_id: str, name: str) -> bool:
        """Whether there is a prompt of that name, with versions or without."""
        with self._catalog.read() as connection:
            return PromptTable(connection, project_id).head(name) is not None

    def head(self, project_id: str, name: str) -> Prompt:
        """The prompt itself with all version numbers, labels, tags and properties.

        Raises:
            NotFound: no such prompt.
        """
        rows, _ = self.list(project_id, PromptFilter(name=name, include_empty=True), limit=1)
        if not rows:
            raise NotFound(f"Prompt '{name}' not found")
        return rows[0]

    def versions(self, project_id: str, name: str) -> list[PromptVersion]:
        """All versions, ascending, unresolved; empty when the prompt has none or does not exist."""
        with self._catalog.read() as connection:
            return PromptTable(connection, project_id).versions(name)

    def list(
        self, project_id: str, chosen: PromptFilter = PromptFilter(), *, limit: int = 50, offset: int = 0
    ) -> tuple[list[Prompt], int]:
        """A page of prompts by name, and the number of all that match."""
        with self._catalog.read() as connection:
            return PromptTable(connection, project_id).page(chosen, limit, offset)

    def search(
        self, project_id: str, matches: Callable[[PromptVersion], bool], *, limit: int = 50, offset: int = 0
    ) -> tuple[list[Prompt], int]:
        """A page of prompts by name with the versions for which ``matches`` holds, and the number of all that have some."""
        found: dict[str, Prompt] = {}
        with self._catalog.read() as connection:
            for row in filter(matches, PromptTable(connection, project_id).every_version()):
                prompt = found.setdefault(row.name, Prompt(name=row.name, type=row.type, versions=[], labels={}))
                prompt.type, prompt.tags, prompt.last_config = row.type, row.tags, row.config
                prompt.versions.append(row.version)
                prompt.labels |= dict.fromkeys(row.labels, row.version)
                prompt.updated_ns = max(prompt.updated_ns, row.updated_ns)
        return list(found.values())[offset : offset + limit], len(found)

    # --- writing -----------------------------------------------------------------------------------------------
    def create(
        self, project_id: str, name: str, *, description: str = "", properties: Mapping[str, str] | None = None,
        type: PromptType = "text",
    ) -> Prompt:  # fmt: skip
        """Create a prompt without a version (MLflow's first step).

        Raises:
            AlreadyExists: the name is taken.
            InvalidArgument: the name breaks a rule.
        """
        rules.check_name(name)
        now = self._clock()
        try:
            with self._catalog.write() as connection:
                table = PromptTable(connection, project_id)
                table.create(name, type, now)
                table.set_head(name, description=description, properties=dict(properties or {}))
                self._fire(
                    connection, project_id, "prompt.created", name=name, tags=dict(properties or {}),
                    description=description or None,
                )  # fmt: skip
        except IntegrityError as error:
            raise AlreadyExists(f"Prompt '{name}' already exists") from error
        self._changed(project_id, name)
        return self.head(project_id, name)

    def create_version(
        self, project_id: str, name: str, template: Template, *, type: PromptType | None = None, config: Any = None,
        labels: Sequence[str] = (), tags: Sequence[str] | None = None, commit_message: str | None = None,
        created_by: str = "API", response_format: Any = None, model_config: Any = None,
        version_tags: Mapping[str, str] | None = None, any_type: bool = False, who: Principal | None = None,
    ) -> PromptVersion:  # fmt: skip
        """Add a version, and the prompt if it is new. It takes ``latest`` and the given labels from whoever had them.

        ``type=None`` is told from the template. ``tags`` replace the prompt's tags when given. All versions are of one type
        unless ``any_type`` is set; then the prompt has the type of its newest version.

        Raises:
            InvalidArgument: a rule is broken: name, label, shape, type differs from earlier versions, inclusion.
            PermissionDenied: one of the labels is protected.
            Conflict: another version of the same new prompt was created at the same moment.
        """
        rules.check_name(name)
        kind: PromptType = type or ("text" if isinstance(template, str) else "chat")
        rules.check_template(kind, template)
        wanted = [rules.check_label(label) for label in dict.fromkeys(labels) if label != LATEST]
        if commit_message is not None and len(commit_message) > rules.MAX_COMMIT_MESSAGE:
            raise InvalidArgument(f"Commit message must be at most {rules.MAX_COMMIT_MESSAGE} characters")
        dependencies = dependencies_of(template)
        now = self._clock()
        try:
            with self._catalog.write() as connection:
                table = PromptTable(connection, project_id)
                _check_protected(table, wanted, who)
                head = table.head(name)
                if head is None:
                    table.create(name, kind, now)
                elif head["type"] != kind:
                    if head["last_version"] and not any_type:
                        raise InvalidArgument(
                            "Previous versions have different prompt type. Create a new prompt with a different name."
                        )
                    table.set_head(name, type=kind)
                row = PromptVersion(
                    version_id=new_uuid(), name=name, version=table.next_version(name, now), type=kind,
                    template=template, config={} if config is None else config, commit_message=commit_message,
                    created_by=created_by, created_ns=now, updated_ns=now, response_format=response_format,
                    model_config=model_config, version_tags=dict(version_tags or {}),
                )  # fmt: skip
                table.add_version(row, dependencies)
                for label in (*wanted, LATEST):
                    table.put_label(name, label, row.version)
                if tags is not None and head is None:
                    table.set_tags(name, tags)
                elif tags is not None:
                    self._set_tags(connection, table, project_id, name, tags)
                stored = table.version(name, row.version)
                assert stored is not None
                if head is None:
                    self._fire(
                        connection, project_id, "prompt.created", name=name, tags=dict.fromkeys(tags or (), WORD),
                        description=None,
                    )  # fmt: skip
                self._fire(
                    connection, project_id, "prompt_version.created", name=name, version=str(row.version),
                    template=template if isinstance(template, str) else msgspec.json.encode(template).decode(),
                    tags=row.version_tags, description=commit_message,
                )  # fmt: skip
                self._fire_aliases(connection, project_id, name, row.version, wanted)
                if dependencies:
                    _resolved(table, stored)  # refuses cycles, missing and chat inclusions; the transaction undoes all
                if labels:
                    self._audit.record(
                        "update", "prompt", name, project_id=project_id, version=row.version, labels=list(labels)
                    )
        except IntegrityError as error:
            raise Conflict(f"Prompt '{name}' is being created by someone else, try again") from error
        self._changed(project_id, name)
        return stored

    def add_labels(
        self, project_id: str, name: str, version: int, labels: Sequence[str], *, who: Principal | None = None
    ) -> PromptVersion:
        """Put labels on a version, taking them from other versions; its other labels stay.

        Raises:
            InvalidArgument: a label breaks a rule (``latest`` among them), or an inclusion would turn in a circle.
            PermissionDenied: one of the labels is protected.
            NotFound: no such version.
        """
        for label in labels:
            rules.check_label(label)
        return self._move(project_id, name, version, labels, who)

    def set_alias(
        self, project_id: str, name: str, alias: str, version: int, *, who: Principal | None = None
    ) -> PromptVersion:
        """``add_labels`` with MLflow's wider rule for names."""
        return self._move(project_id, name, version, [rules.check_alias(alias)], who)

    def _move(
        self, project_id: str, name: str, version: int, labels: Sequence[str], who: Principal | None
    ) -> PromptVersion:
        now = self._clock()
        with self._catalog.write() as connection:
            table = PromptTable(connection, project_id)
            _find(table, name, version, None)
            _check_protected(table, labels, who)
            for label in dict.fromkeys(labels):
                table.put_label(name, label, version)
            table.set_version(name, version, updated_ns=now)
            row = _find(table, name, version, None)
            _resolved(table, row)
            self._fire_aliases(connection, project_id, name, version, dict.fromkeys(labels))
            self._audit.record("update", "prompt", name, project_id=project_id, version=version, labels=list(labels))
        self._changed(project_id, name)
        return row

    def delete_label(self, project_id: str, name: str, label: str, *, who: Principal | None = None) -> bool:
        """Take a label (alias) off; False if it was not there.

        Raises:
            InvalidArgument: ``latest``, or another prompt includes this one by that label.
            PermissionDenied: the label is protected.
        """
        if label == LATEST:
            raise InvalidArgument("Label 'latest' is always assigned to the latest prompt version")
        with self._catalog.write() as connection:
            table = PromptTable(connection, project_id)
            if label in table.labels(name):
                _check_protected(table, [label], who)
            _check_free(name, table.dependents(name), set(), {label})
            dropped = table.drop_label(name, label) > 0
            if dropped:
                self._fire(connection, project_id, "prompt_alias.deleted", name=name, alias=label)
                self._audit.record("delete", "prompt", name, project_id=project_id, labels=[label])
        self._changed(project_id, name)
        return dropped

    def set_tags(self, project_id: str, name: str, tags: Sequence[str]) -> None:
        """Replace the prompt's tags.

        Raises:
            NotFound: no such prompt.
        """
        with self._catalog.write() as connection:
            table = PromptTable(connection, project_id)
            if table.head(name) is None:
                raise NotFound(f"Prompt '{name}' not found")
            self._set_tags(connection, table, project_id, name, tags)
        self._changed(project_id, name)

    def update(
        self, project_id: str, name: str, *, description: str | None = None,
        properties: Mapping[str, str | None] | None = None,
    ) -> Prompt:  # fmt: skip
        """Change the description, set properties (MLflow's prompt tags); None as a value removes a property.

        Raises:
            NotFound: no such prompt.
        """
        with self._catalog.write() as connection:
            table = PromptTable(connection, project_id)
            if (head := table.head(name)) is None:
                raise NotFound(f"Prompt '{name}' not found")
            values: dict[str, Any] = {"updated_ns": self._clock()}
            if description is not None:
                values["description"] = description
            if properties is not None:
                stored = msgspec.json.decode(head["properties"], type=dict[str, str])
                values["properties"] = _merged(stored, properties)
                self._fire_tags(connection, project_id, "prompt_tag", properties, stored, name=name)
            table.set_head(name, **values)
        self._changed(project_id, name)
        return self.head(project_id, name)

    def update_version(
        self, project_id: str, name: str, version: int, *, commit_message: str | None = None,
        version_tags: Mapping[str, str | None] | None = None, model_config: Any = None,
    ) -> PromptVersion:  # fmt: skip
        """Change what may change about a version (MLflow): description, tags (None removes), model configuration.

        Raises:
            NotFound: no such version.
        """
        with self._catalog.write() as connection:
            table = PromptTable(connection, project_id)
            row = _find(table, name, version, None)
            values: dict[str, Any] = {"updated_ns": self._clock()}
            if commit_message is not None:
                values["commit_message"] = commit_message
            if version_tags is not None:
                values["version_tags"] = _merged(row.version_tags, version_tags)
                self._fire_tags(
                    connection, project_id, "prompt_version_tag", version_tags, row.version_tags, name=name,
                    version=str(version),
                )  # fmt: skip
            if model_config is not None:
                values["model_config"] = model_config
            table.set_version(name, version, **values)
            row = _find(table, name, version, None)
        self._changed(project_id, name)
        return row

    def delete(
        self,
        project_id: str,
        name: str,
        *,
        version: int | None = None,
        label: str | None = None,
        keep_empty: bool = False,
        who: Principal | None = None,
    ) -> None:
        """Delete a prompt, or one version of it (by number or label).

        ``latest`` moves to the highest version that remains. A prompt without versions disappears unless ``keep_empty``.

        Raises:
            NotFound: nothing matches.
            InvalidArgument: another prompt includes what would be deleted.
            PermissionDenied: it carries a protected label.
        """
        with self._catalog.write() as connection:
            table = PromptTable(connection, project_id)
            numbers = table.numbers(name)
            if table.head(name) is None or (not numbers and (version is not None or label is not None)):
                raise NotFound(f"Prompt '{name}' not found")
            labels = table.labels(name)
            if version is None and label is None:
                doomed = set(numbers)
            else:
                at = labels.get(label) if label is not None else version
                if at is None or at not in numbers or (version is not None and at != version):
                    raise NotFound(f"Prompt '{name}' has no {'label ' + label if label else 'version ' + str(version)}")
                doomed = {at}
            falling = {x for x, at in labels.items() if at in doomed}
            _check_protected(table, falling, who)
            _check_free(name, table.dependents(name), doomed, falling)
            rest = [number for number in numbers if number not in doomed]
            if rest or (keep_empty and (version is not None or label is not None)):
                table.drop_versions(name, sorted(doomed))
                if rest and labels.get(LATEST) in doomed:
                    table.put_label(name, LATEST, rest[-1])
                table.set_head(name, updated_ns=self._clock())
            else:
                table.drop(name)
                if self._permissions is not None:
                    self._permissions.removed(connection, project_id, ("registered_model", "prompt"), name)
            self._audit.record("delete", "prompt", name, project_id=project_id, versions=sorted(doomed))
        self._changed(project_id, name)
        if self._permissions is not None:
            self._permissions.settled()

    # --- protected labels --------------------------------------------------------------------------------------
    def protected(self, project_id: str) -> list[str]:
        """Labels that only some may move or delete, sorted."""
        with self._catalog.read() as connection:
            return PromptTable(connection, project_id).protected()

    def protect(self, project_id: str, label: str) -> None:
        """Let only administrators and key pairs move a label, of all prompts of the project.

        Raises:
            InvalidArgument: not a label, or ``latest``, which nobody moves.
        """
        if label == LATEST:
            raise InvalidArgument("Label 'latest' cannot be protected: it always follows the newest version")
        rules.check_alias(label)
        with self._catalog.write() as connection:
            PromptTable(connection, project_id).protect(label)
            self._audit.record("create", "protected label", label, project_id=project_id)

    def unprotect(self, project_id: str, label: str) -> None:
        """Let everybody who may change prompts move a label again.

        Raises:
            NotFound: it is not protected.
        """
        with self._catalog.write() as connection:
            if not PromptTable(connection, project_id).unprotect(label):
                raise NotFound(f"Label '{label}' is not protected")
            self._audit.record("delete", "protected label", label, project_id=project_id)

    def forget(self, project_id: str) -> None:
        """The project has been removed; one of the same id may be created again."""
        with self._lock:
            self._generation += 1
            self._cache.pop(project_id, None)

    def _set_tags(
        self, connection: sa.Connection, table: PromptTable, project_id: str, name: str, tags: Sequence[str]
    ) -> None:
        before = dict.fromkeys(table.tags([name]).get(name, ()), WORD)
        table.set_tags(name, tags)
        changes: dict[str, str | None] = dict.fromkeys(before)
        changes |= dict.fromkeys(tags, WORD)
        changes = {tag: value for tag, value in changes.items() if before.get(tag) != value}
        self._fire_tags(connection, project_id, "prompt_tag", changes, before, name=name)

    # --- webhooks ----------------------------------------------------------------------------------------------
    def _fire(self, connection: sa.Connection, project_id: str, event: str, **data: Any) -> None:
        if self._webhooks is not None:
            self._webhooks.fire(connection, project_id, event, data)

    def _fire_tags(
        self, connection: sa.Connection, project_id: str, entity: str, changes: Mapping[str, str | None],
        before: Mapping[str, str], **data: Any,
    ) -> None:  # fmt: skip
        for key, value in changes.items():
            if value is not None:
                self._fire(connection, project_id, f"{entity}.set", **data, key=key, value=value)
            elif key in before:
                self._fire(connection, project_id, f"{entity}.deleted", **data, key=key)

    def _fire_aliases(
        self, connection: sa.Connection, project_id: str, name: str, version: int, labels: Iterable[str]
    ) -> None:
        for label in labels:
            self._fire(connection, project_id, "prompt_alias.created", name=name, alias=label, version=str(version))

    def _changed(self, project_id: str, name: str) -> None:
        with self._lock:
            self._generation += 1
            self._cache.pop(project_id, None)
        if self._webhooks is not None:
            self._webhooks.committed()
        if self._live is not None and self._live.watched:
            self._live.publish([Notice(kind="prompt", project_id=project_id, id=name)])


def _check_protected(table: PromptTable, labels: Iterable[str], who: Principal | None) -> None:
    if who is None or who.moves_protected:
        return
    if hit := sorted(set(labels).intersection(table.protected())):
        raise PermissionDenied(
            f"Protected label: {', '.join(hit)}. Only owners and administrators of the project may move or delete it; "
            "ask one of them."
        )


def _find(table: PromptTable, name: str, version: int | None, label: str | None) -> PromptVersion:
    number = version
    if number is None and label is not None:
        number = table.labels(name).get(label)
    row = None if number is None else table.version(name, number)
    if row is None:
        wanted = f"version {version}" if version is not None else f"label {label}"
        raise NotFound(f"Prompt not found: '{name}' with {wanted}")
    return row


def _resolved(table: PromptTable, row: PromptVersion) -> PromptVersion:
    def fetch(dependency: Dependency) -> PromptVersion:
        try:
            return _find(table, dependency.name, dependency.version, dependency.label)
        except NotFound:
            raise InvalidArgument(f"Prompt dependency not found: {dependency.pointer}") from None

    return resolve(row, fetch)


def _check_free(
    name: str, dependents: Sequence[tuple[str, int, int | None, str | None]], versions: set[int], labels: set[str]
) -> None:
    users = [f"{parent} v{at}" for parent, at, version, label in dependents if version in versions or label in labels]
    if users:
        raise InvalidArgument(
            f"Other prompts are depending on '{name}' that you are trying to delete: {', '.join(sorted(users))}"
        )


def _merged(stored: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in {**stored, **changes}.items() if value is not None}
