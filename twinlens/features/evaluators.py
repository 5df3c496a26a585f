"""Evaluators and the rules that apply them to new traces. Running them is ``features.evaluation_worker``'s business.

Rules (Langfuse's public API of August 2026; MLflow 3.18's scorers): names need not be unique for Langfuse, an experiment has one
scorer of a name for MLflow; a change of content makes a new version; a rule always uses the newest version; an evaluator that cannot
run is paused, with a reason and a message that says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.evaluator import Assignment, Definition, Evaluation, Evaluator, Mapping, Rule
from twinlens.domain.ids import new_uuid
from twinlens.query import langfuse_filter
from twinlens.query.mlflow_trace_filter import trace_filter
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.evaluators import EvaluatorTable

T = TypeVar("T")
MAX_NAME = 255
MAX_PROMPT = 100_000
SOURCES = ("input", "output", "metadata", "tool_calls", "expected_output", "experiment_item_metadata")
NOT_RUN, NOT_RUN_TEXT = (
    "CODE_NOT_EXECUTED",
    "Twinlens stores code evaluators but does not execute code on the server. Run it in your program and send its result as a score.",
)
_JSON_PATH = re.compile(r"\$(\.[\w-]+|\[\d+\]|\['[^']*'\]|\[\"[^\"]*\"\]|\[\*\]|\.\*)*\Z")


class Evaluators:
    """See the module's text. All methods block."""

    def __init__(self, catalog: Catalog, changed: Callable[[], object] = lambda: None, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._changed = changed
        self._clock = clock

    # --- evaluators --------------------------------------------------------------------------------------------
    def create(self, project_id: str, draft: Evaluator) -> Evaluator:
        """Store a new evaluator; ids, times and version of ``draft`` are filled in.

        Raises:
            InvalidArgument: a rule is broken; the message says which.
        """
        now = self._clock()
        made = msgspec.structs.replace(
            draft, evaluator_id=new_uuid(), version_id=new_uuid(), version=1, created_ns=now, updated_ns=now,
            version_created_ns=now, version_created_by=draft.created_by,
        )  # fmt: skip
        made = _checked(made, now)
        self._write(project_id, lambda table: table.put(made, new_version=True))
        return made

    def change(
        self, project_id: str, evaluator_id: str, *, definition: Definition | None = None, user: str | None = None,
        **fields: Any,
    ) -> Evaluator:  # fmt: skip
        """Change name or description, or give an evaluator a new version; a paused one gets another try.

        Raises:
            NotFound: no such evaluator.
            InvalidArgument: a rule is broken.
        """
        now = self._clock()

        def write(table: EvaluatorTable) -> Evaluator:
            before = _one(table.find(evaluator_id=evaluator_id), evaluator_id)
            after = msgspec.structs.replace(before, **fields, updated_ns=now)
            if definition is not None:
                after = msgspec.structs.replace(
                    after, definition=definition, version=before.version + 1, version_id=new_uuid(),
                    version_created_ns=now, version_created_by=user, paused_ns=None, paused_reason=None,
                    paused_message=None,
                )  # fmt: skip
            after = _checked(after, now)
            table.put(after, new_version=definition is not None)
            if before.paused_ns is not None and after.paused_ns is None:
                table.wake(evaluator_id, now)
            return after

        return self._write(project_id, write)

    def pause(self, project_id: str, evaluator_id: str, reason: str, message: str) -> None:
        """Stop running an evaluator until it is changed or resumed."""

        def write(table: EvaluatorTable) -> None:
            for found in table.find(evaluator_id=evaluator_id):
                paused = msgspec.structs.replace(
                    found, paused_ns=self._clock(), paused_reason=reason, paused_message=message
                )
                table.put(paused, new_version=False)

        self._write(project_id, write)

    def resume(self, project_id: str, evaluator_id: str) -> Evaluator:
        """Let a paused evaluator run again; what had failed is tried again.

        Raises:
            NotFound: no such evaluator.
        """

        def write(table: EvaluatorTable) -> Evaluator:
            found = _one(table.find(evaluator_id=evaluator_id), evaluator_id)
            after = msgspec.structs.replace(found, paused_ns=None, paused_reason=None, paused_message=None)
            after = _checked(after, self._clock())
            table.put(after, new_version=False)
            table.wake(evaluator_id, self._clock())
            return after

        return self._write(project_id, write)

    def get(self, project_id: str, evaluator_id: str) -> Evaluator:
        """One evaluator in its newest version.

        Raises:
            NotFound: no such evaluator.
        """
        return self._read(project_id, lambda t: _one(t.find(evaluator_id=evaluator_id), evaluator_id))

    def list(self, project_id: str) -> list[Evaluator]:
        """All, newest first."""
        return self._read(project_id, lambda table: table.find())

    def versions(self, project_id: str, evaluator_id: str) -> list[Evaluator]:
        """All versions, newest first.

        Raises:
            NotFound: no such evaluator.
        """
        found = self._read(project_id, lambda t: t.find(evaluator_id=evaluator_id, every_version=True))
        _one(found, evaluator_id)
        return found

    def delete(self, project_id: str, evaluator_id: str) -> None:
        """Remove an evaluator from everywhere; scores it gave stay.

        Raises:
            NotFound: no such evaluator.
        """

        def write(table: EvaluatorTable) -> None:
            _one(table.find(evaluator_id=evaluator_id), evaluator_id)
            for rule in table.rules():
                left = [each for each in rule.assignments if each.evaluator_id != evaluator_id]
                if len(left) < len(rule.assignments):
                    table.put_rule(msgspec.structs.replace(rule, assignments=left, enabled=rule.enabled and bool(left)))
            table.delete(evaluator_id)

        self._write(project_id, write)

    # --- by experiment and name, as MLflow knows them ----------------------------------------------------------
    def register(
        self, project_id: str, experiment_id: str, name: str, definition: Definition, user: str | None = None
    ) -> Evaluator:
        """Add a version to the experiment's evaluator of that name, or make it.

        Raises:
            InvalidArgument: a rule is broken.
        """
        kind = "llm_as_judge" if definition.messages else "scorer"
        found = self._read(project_id, lambda t: t.find(name=name, experiment_ids=[experiment_id]))
        if found:
            return self.change(project_id, found[0].evaluator_id, definition=definition, user=user, kind=kind)
        draft = Evaluator(
            evaluator_id="", name=name, kind=kind, experiment_id=experiment_id, definition=definition, created_by=user
        )
        return self.create(project_id, draft)

    def named(
        self, project_id: str, experiment_id: str, name: str, version: int | None = None, *, every_version: bool = False
    ) -> list[Evaluator]:
        """The experiment's evaluator of that name: newest, all versions (newest first), or one.

        Raises:
            NotFound: there is none.
        """
        found = self._read(
            project_id,
            lambda t: t.find(name=name, experiment_ids=[experiment_id], version=version, every_version=every_version),
        )
        if not found:
            which = f" and version {version}" if version is not None else ""
            raise NotFound(f"Scorer with name '{name}'{which} not found for experiment {experiment_id}.")
        return found

    def of_experiments(self, project_id: str, experiment_ids: Sequence[str] | None) -> list[Evaluator]:
        """Newest versions in some experiments, or in all."""
        found = self._read(project_id, lambda t: t.find(experiment_ids=experiment_ids))
        return sorted(found, key=lambda e: (e.experiment_id or "", e.name))

    def delete_version(self, project_id: str, evaluator_id: str, version: int) -> None:
        """Remove one version, and the evaluator with its last one.

        Raises:
            NotFound: no such evaluator.
        """
        if [each.version for each in self.versions(project_id, evaluator_id)] == [version]:
            self.delete(project_id, evaluator_id)
        else:
            self._write(project_id, lambda table: table.delete(evaluator_id, version))

    # --- rules -------------------------------------------------------------------------------------------------
    def put_rule(self, project_id: str, rule: Rule, **fields: Any) -> Rule:
        """Store a rule (new when it has no id) with some fields changed. It applies to traces from now on.

        Raises:
            InvalidArgument: filter, sampling or an assignment is wrong.
        """
        now = self._clock()
        after = msgspec.structs.replace(rule, **fields, updated_ns=now)
        if not after.rule_id:
            after = msgspec.structs.replace(after, rule_id=new_uuid(), created_ns=now, seen_ns=now)
        if after.enabled and not rule.enabled:
            after = msgspec.structs.replace(after, seen_ns=now)
        if not after.name or len(after.name) > MAX_NAME:
            raise InvalidArgument(f"name must be 1 to {MAX_NAME} characters")
        if not 0 <= after.sampling <= 1:
            raise InvalidArgument("sampling must be between 0 and 1")
        if after.target == "trace":
            trace_filter(after.filter_text)
        else:
            langfuse_filter.build(items_of(after.filter), langfuse_filter.OBSERVATIONS)

        def write(table: EvaluatorTable) -> Rule:
            for each in after.assignments:
                found = table.find(evaluator_id=each.evaluator_id)
                if not found:
                    raise InvalidArgument(f"evaluatorAssignments: evaluator '{each.evaluator_id}' does not exist")
                if each.mapping is not None:
                    _check_mapping(each.mapping, found[0].definition.variables)
            if after.enabled and not after.assignments:
                raise InvalidArgument("evaluatorAssignments: an enabled rule needs at least one evaluator")
            table.put_rule(after)
            return after

        return self._write(project_id, write)

    def rules(self, project_id: str) -> list[Rule]:
        """All rules, newest first."""
        return self._read(project_id, lambda table: table.rules())

    def rule(self, project_id: str, rule_id: str) -> Rule:
        """One rule.

        Raises:
            NotFound: no such rule.
        """
        found = self._read(project_id, lambda table: table.rules(rule_id))
        if not found:
            raise NotFound(f"Evaluation rule '{rule_id}' not found")
        return found[0]

    def delete_rule(self, project_id: str, rule_id: str) -> None:
        """Remove a rule and what still waits for it.

        Raises:
            NotFound: no such rule.
        """
        if not self._write(project_id, lambda table: table.delete_rule(rule_id)):
            raise NotFound(f"Evaluation rule '{rule_id}' not found")

    # --- evaluations -------------------------------------------------------------------------------------------
    def evaluations(
        self, project_id: str, evaluator_id: str, *, status: str | None = None, limit: int = 100
    ) -> list[Evaluation]:
        """What an evaluator has judged, failed to judge, or has yet to judge; newest first.

        Raises:
            NotFound: no such evaluator.
        """
        self.get(project_id, evaluator_id)
        return self._read(project_id, lambda t: t.evaluations(evaluator_id, status=status, limit=limit))

    def counts(self, project_id: str) -> dict[str, dict[str, int]]:
        """Number of evaluations by evaluator id and status."""
        return self._read(project_id, lambda table: table.counts())

    def _read(self, project_id: str, work: Callable[[EvaluatorTable], T]) -> T:
        with self._catalog.read() as connection:
            return work(EvaluatorTable(connection, project_id))

    def _write(self, project_id: str, work: Callable[[EvaluatorTable], T]) -> T:
        with self._catalog.write() as connection:
            found = work(EvaluatorTable(connection, project_id))
        self._changed()
        return found


def items_of(filters: Sequence[dict[str, Any]]) -> list[langfuse_filter.Item]:
    """A rule's filter as conditions. Raises ``InvalidArgument``."""
    try:
        return msgspec.convert(filters, list[langfuse_filter.Item])
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"filter: {error}") from None


def _one(found: Sequence[Evaluator], evaluator_id: str) -> Evaluator:
    if not found:
        raise NotFound(f"Evaluator '{evaluator_id}' not found")
    return found[0]


def _checked(evaluator: Evaluator, now: int) -> Evaluator:
    """The evaluator if it keeps the rules; paused if it cannot run here."""
    if not evaluator.name or len(evaluator.name) > MAX_NAME:
        raise InvalidArgument(f"name must be 1 to {MAX_NAME} characters")
    definition = evaluator.definition
    if evaluator.kind == "code" and not definition.source_code:
        raise InvalidArgument("sourceCode must not be empty")
    if evaluator.kind == "llm_as_judge":
        if not any(message.content.strip() for message in definition.messages):
            raise InvalidArgument("prompt must not be empty")
        if sum(len(message.content) for message in definition.messages) > MAX_PROMPT:
            raise InvalidArgument(f"prompt must be at most {MAX_PROMPT} characters")
        output = definition.output
        if output.data_type == "CATEGORICAL" and not output.labels():
            raise InvalidArgument("outputDefinition: categories are needed for CATEGORICAL")
        if output.min_value is not None and output.max_value is not None and output.min_value > output.max_value:
            raise InvalidArgument("outputDefinition: minValue must not exceed maxValue")
        if definition.mapping is not None:
            _check_mapping(definition.mapping, definition.variables)
        return evaluator
    return msgspec.structs.replace(
        evaluator, paused_ns=evaluator.paused_ns or now, paused_reason=NOT_RUN, paused_message=NOT_RUN_TEXT
    )


def _check_mapping(mapping: Sequence[Mapping], variables: Sequence[str]) -> None:
    names = [each.variable for each in mapping]
    if sorted(names) != sorted(variables):
        raise InvalidArgument(
            f"variableMapping must name each variable of the prompt once; the prompt has {[*variables]}, got {names}"
        )
    for each in mapping:
        if each.source is not None and each.source not in SOURCES:
            raise InvalidArgument(f"variableMapping: source '{each.source}' is not one of {', '.join(SOURCES)}")
        if each.json_path and not _JSON_PATH.match(each.json_path):
            raise InvalidArgument(
                f"variableMapping: jsonPath '{each.json_path}' cannot be read; use $, .name, ['name'], [0] and [*]"
            )


__all__ = ["Assignment", "Evaluators"]
