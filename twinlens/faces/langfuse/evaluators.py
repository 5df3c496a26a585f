"""``/v2/evaluators``: how to judge. MLflow's scorers are the same rows."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from twinlens.domain.evaluator import Assignment, Definition, Evaluator, Mapping, Message, Output, Rule
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.wire import Call, Result, RouteTable, iso

routes = RouteTable()


# --- rows ------------------------------------------------------------------------------------------------------
def mapping_rows(mapping: list[Mapping] | None) -> list[dict[str, Any]] | None:
    """A mapping as clients read it."""
    if mapping is None:
        return None
    return [
        {"variable": each.variable, "source": each.source, **({"jsonPath": each.json_path} if each.json_path else {})}
        for each in mapping
    ]


def creator(name: str | None) -> dict[str, Any] | None:
    """A user as clients read it."""
    return None if name is None else {"id": name, "name": name}


def _definition_row(evaluator: Evaluator) -> dict[str, Any]:
    definition = evaluator.definition
    if evaluator.kind == "llm_as_judge":
        model = {"provider": definition.provider or "openai", "model": definition.model} if definition.model else None
        return {
            "type": "llm_as_judge",
            "prompt": definition.messages,
            "variables": definition.variables,
            "variableMapping": mapping_rows(definition.mapping),
            "modelConfig": model,
            "outputDefinition": {"dataType": definition.output.data_type, **msgspec.to_builtins(definition.output)},
        }
    # A scorer that only MLflow's own library can run is code to everybody else.
    return {
        "type": "code",
        "sourceCode": definition.source_code or definition.serialized or "",
        "sourceCodeLanguage": definition.language or "PYTHON",
    }


def _version_row(evaluator: Evaluator) -> dict[str, Any]:
    return {
        "id": evaluator.version_id,
        "evaluatorId": evaluator.evaluator_id,
        "version": evaluator.version,
        "createdAt": iso(evaluator.version_created_ns),
        "createdBy": creator(evaluator.version_created_by),
        **_definition_row(evaluator),
    }


def evaluator_row(evaluator: Evaluator, rules: list[Rule]) -> dict[str, Any]:
    """An evaluator as clients read it, with the rules that apply it."""
    used: list[tuple[Rule, Assignment]] = [
        (rule, each) for rule in rules for each in rule.assignments if each.evaluator_id == evaluator.evaluator_id
    ]
    return {
        "id": evaluator.evaluator_id,
        "name": evaluator.name,
        "description": evaluator.description,
        "createdBy": creator(evaluator.created_by),
        "status": "active" if evaluator.paused_ns is None else "paused",
        "pausedAt": iso(evaluator.paused_ns),
        "pausedReason": evaluator.paused_reason,
        "pausedMessage": evaluator.paused_message,
        "evaluationRuleAssignments": [
            {
                "evaluationRuleId": rule.rule_id,
                **({} if each.mapping is None else {"variableMappingOverride": mapping_rows(each.mapping)}),
            }
            for rule, each in used
        ],
        "createdAt": iso(evaluator.created_ns),
        "updatedAt": iso(evaluator.updated_ns),
        "versionId": evaluator.version_id,
        "version": evaluator.version,
        "versionCreatedAt": iso(evaluator.version_created_ns),
        "versionCreatedBy": creator(evaluator.version_created_by),
        **_definition_row(evaluator),
    }


# --- bodies ----------------------------------------------------------------------------------------------------
class ModelChoice(msgspec.Struct, rename="camel", kw_only=True):
    """Which model judges."""

    provider: str
    model: str


class EvaluatorBody(msgspec.Struct, rename="camel", kw_only=True):
    """Body of create and change; only what is sent is changed."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    type: Literal["llm_as_judge", "code"] | msgspec.UnsetType = msgspec.UNSET
    prompt: str | list[Message] | msgspec.UnsetType = msgspec.UNSET
    chosen_model: ModelChoice | msgspec.UnsetType | None = msgspec.field(name="modelConfig", default=msgspec.UNSET)
    variable_mapping: list[Mapping] | msgspec.UnsetType | None = msgspec.UNSET
    output_definition: Output | msgspec.UnsetType = msgspec.UNSET
    source_code: str | msgspec.UnsetType = msgspec.UNSET
    source_code_language: Literal["PYTHON", "TYPESCRIPT"] | msgspec.UnsetType = msgspec.UNSET

    def definition(self, before: Definition) -> Definition | None:
        """``before`` with what was sent; None when nothing of the content was."""
        changes: dict[str, Any] = {}
        if self.prompt is not msgspec.UNSET:
            text = isinstance(self.prompt, str)
            changes["messages"] = [Message(content=self.prompt)] if isinstance(self.prompt, str) else self.prompt
            changes["prompt_is_text"] = text
        if self.chosen_model is not msgspec.UNSET:
            changes["provider"] = self.chosen_model.provider if self.chosen_model else None
            changes["model"] = self.chosen_model.model if self.chosen_model else None
        for name, value in (
            ("mapping", self.variable_mapping), ("output", self.output_definition),
            ("source_code", self.source_code), ("language", self.source_code_language),
        ):  # fmt: skip
            if value is not msgspec.UNSET:
                changes[name] = value
        return msgspec.structs.replace(before, **changes) if changes else None


def _fields(body: EvaluatorBody) -> dict[str, Any]:
    return {k: v for k, v in (("name", body.name), ("description", body.description)) if v is not msgspec.UNSET}


# --- handlers --------------------------------------------------------------------------------------------------
class CursorQuery(msgspec.Struct, rename="camel", kw_only=True):
    """``limit`` (default 50, at most 100) and the id that ended the page before."""

    limit: int = 50
    cursor: str | None = None
    name: str | None = None

    def page(self, ids: list[str]) -> tuple[int, int, dict[str, Any]]:
        """Start and end of the page in a list of ids, and its ``meta``."""
        limit = min(max(self.limit, 1), 100)
        start = ids.index(self.cursor) + 1 if self.cursor in ids else 0
        more = len(ids) > start + limit
        return start, start + limit, {"limit": limit, **({"cursor": ids[start + limit - 1]} if more else {})}


@routes.on("POST", "/v2/evaluators", scope="write")
async def create(call: Call) -> Result:
    """A new evaluator."""
    body = await call.json(EvaluatorBody)
    draft = Evaluator(
        evaluator_id="", name=body.name or "", kind="code" if body.type == "code" else "llm_as_judge",
        description=body.description or None, created_by=call.principal.user_name,
        definition=body.definition(Definition()) or Definition(),
    )  # fmt: skip
    return evaluator_row(await in_thread(call.services.evaluators.create, call.project_id, draft), [])


@routes.on("GET", "/v2/evaluators", scope="read")
async def list_evaluators(call: Call) -> Result:
    """A page, newest first."""
    query = call.query(CursorQuery)

    def read() -> dict[str, Any]:
        known = call.services.evaluators.list(call.project_id)
        if query.name is not None:
            known = [each for each in known if each.name == query.name]
        start, end, meta = query.page([each.evaluator_id for each in known])
        rules = call.services.evaluators.rules(call.project_id)
        return {"data": [evaluator_row(each, rules) for each in known[start:end]], "meta": meta}

    return await in_thread(read)


async def _whole(call: Call, evaluator: Evaluator) -> Result:
    return evaluator_row(evaluator, await in_thread(call.services.evaluators.rules, call.project_id))


@routes.on("GET", "/v2/evaluators/{id}", scope="read")
async def get(call: Call) -> Result:
    """One evaluator in its newest version."""
    return await _whole(call, await in_thread(call.services.evaluators.get, call.project_id, call.path["id"]))


@routes.on("GET", "/v2/evaluators/{id}/versions", scope="read")
async def versions(call: Call) -> Result:
    """All versions, newest first."""
    found = await in_thread(call.services.evaluators.versions, call.project_id, call.path["id"])
    start, end, meta = call.query(CursorQuery).page([each.version_id for each in found])
    return {"data": [_version_row(each) for each in found[start:end]], "meta": meta}


@routes.on("PATCH", "/v2/evaluators/{id}", scope="write")
async def change(call: Call) -> Result:
    """Change name or description; a change of content makes a new version."""
    body = await call.json(EvaluatorBody)

    def write() -> Evaluator:
        evaluators, id = call.services.evaluators, call.path["id"]
        definition = body.definition(evaluators.get(call.project_id, id).definition)
        return evaluators.change(
            call.project_id, id, definition=definition, user=call.principal.user_name, **_fields(body)
        )

    return await _whole(call, await in_thread(write))


@routes.on("DELETE", "/v2/evaluators/{id}", scope="write")
async def delete(call: Call) -> Result:
    """Delete an evaluator, and its assignments to rules; scores it gave stay."""
    await in_thread(call.services.evaluators.delete, call.project_id, call.path["id"])
    return {"id": call.path["id"]}
