"""``/v2/evaluation-rules``: what is judged by which evaluators as it arrives."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.evaluator import Assignment, Mapping, Rule
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.evaluators import CursorQuery, creator, mapping_rows
from twinlens.faces.langfuse.wire import Call, Result, RouteTable, iso

routes = RouteTable()


def rule_row(rule: Rule) -> dict[str, Any]:
    """A rule as clients read it."""
    return {
        "id": rule.rule_id,
        "name": rule.name,
        "createdBy": creator(rule.created_by),
        "enabled": rule.enabled,
        "sampling": rule.sampling,
        "filter": rule.filter,
        "evaluatorAssignments": [
            {"evaluatorId": each.evaluator_id, "variableMapping": mapping_rows(each.mapping)}
            for each in rule.assignments
        ],
        "createdAt": iso(rule.created_ns),
        "updatedAt": iso(rule.updated_ns),
    }


class AssignmentBody(msgspec.Struct, rename="camel", kw_only=True):
    """An evaluator to apply."""

    evaluator_id: str
    variable_mapping: list[Mapping] | None = None


class RuleBody(msgspec.Struct, rename="camel", kw_only=True):
    """Body of create and change; only what is sent is changed."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    sampling: float | msgspec.UnsetType = msgspec.UNSET
    filter: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    evaluator_assignments: list[AssignmentBody] | msgspec.UnsetType = msgspec.UNSET

    def changes(self) -> dict[str, Any]:
        """Fields of a rule that were sent."""
        found: dict[str, Any] = {
            name: value
            for name, value in (("name", self.name), ("enabled", self.enabled), ("sampling", self.sampling))
            if value is not msgspec.UNSET
        }
        if self.filter is not msgspec.UNSET:
            found |= {"filter": self.filter, "target": "observation"}
        if self.evaluator_assignments is not msgspec.UNSET:
            found["assignments"] = [
                Assignment(evaluator_id=each.evaluator_id, mapping=each.variable_mapping)
                for each in self.evaluator_assignments
            ]
        return found


@routes.on("POST", "/v2/evaluation-rules", scope="write")
async def create(call: Call) -> Result:
    """A new rule; it applies to what arrives from now on."""
    body = await call.json(RuleBody)
    rule = Rule(rule_id="", name="", created_by=call.principal.user_name)
    put = call.services.evaluators.put_rule
    return rule_row(await in_thread(lambda: put(call.project_id, rule, **body.changes())))


@routes.on("GET", "/v2/evaluation-rules", scope="read")
async def list_rules(call: Call) -> Result:
    """A page, newest first."""
    known = await in_thread(call.services.evaluators.rules, call.project_id)
    start, end, meta = call.query(CursorQuery).page([rule.rule_id for rule in known])
    return {"data": [rule_row(rule) for rule in known[start:end]], "meta": meta}


@routes.on("GET", "/v2/evaluation-rules/{id}", scope="read")
async def get(call: Call) -> Result:
    """One rule."""
    return rule_row(await in_thread(call.services.evaluators.rule, call.project_id, call.path["id"]))


@routes.on("PATCH", "/v2/evaluation-rules/{id}", scope="write")
async def change(call: Call) -> Result:
    """Change what is sent."""
    body = await call.json(RuleBody)

    def write() -> Rule:
        evaluators = call.services.evaluators
        rule = evaluators.rule(call.project_id, call.path["id"])
        return evaluators.put_rule(call.project_id, rule, **body.changes())

    return rule_row(await in_thread(write))


@routes.on("DELETE", "/v2/evaluation-rules/{id}", scope="write")
async def delete(call: Call) -> Result:
    """Delete a rule; evaluators stay."""
    await in_thread(call.services.evaluators.delete_rule, call.project_id, call.path["id"])
    return {"id": call.path["id"]}
