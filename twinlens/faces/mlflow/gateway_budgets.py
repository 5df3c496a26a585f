"""Budgets and guardrails of the AI gateway (API 3.0)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from twinlens.domain.budget import ACTIONS, SCOPES, UNITS, Budget
from twinlens.domain.gateway import Guardrail, GuardrailUse
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.pages import offset_of, token_behind
from twinlens.faces.mlflow.params import Params, missing
from twinlens.faces.mlflow.scorers import scorer_json
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, present

rpcs = RpcTable()

T = TypeVar("T")
_MS = 1_000_000
_BUDGETS, _GUARDRAILS = "/mlflow/gateway/budgets", "/mlflow/gateway/guardrails"
_STAGES, _GUARDRAIL_ACTIONS = ("BEFORE", "AFTER"), ("VALIDATION", "SANITIZATION")


def _chosen(params: Params, name: str, known: Sequence[str], shown: str | None = None) -> str | None:
    """The name of an enum's value, sent as text or as its number."""
    value: Any = params.raw(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= len(known):
        return known[value - 1]
    if value not in known:
        raise invalid(f"Invalid {shown or name}: {value}")
    return str(value)


def _needed(value: T | None, name: str) -> T:
    if value is None:
        raise missing(name)
    return value


# --- budgets -----------------------------------------------------------------------------------------------------
def _budget_json(budget: Budget) -> dict[str, Any]:
    return present(
        budget_policy_id=budget.budget_id, budget_unit=budget.unit, budget_amount=budget.amount,
        duration={"unit": budget.duration_unit, "value": budget.duration_value}, target_scope=budget.scope,
        budget_action=budget.action, created_by=budget.created_by or "", created_at=budget.created_ns // _MS,
        last_updated_by=budget.updated_by or "", last_updated_at=budget.updated_ns // _MS, target_value=budget.target,
    )  # fmt: skip


def _budget_fields(params: Params) -> dict[str, Any]:
    """What the request says of a budget; None for what it does not say."""
    duration = params.object("duration")
    return {
        "unit": _chosen(params, "budget_unit", ("USD",)),
        "amount": params.number("budget_amount"),
        "duration_unit": None if duration is None else _chosen(duration, "unit", UNITS, "duration.unit"),
        "duration_value": None if duration is None else duration.integer("value"),
        "scope": _chosen(params, "target_scope", SCOPES),
        "action": _chosen(params, "budget_action", ACTIONS),
        "target": params.text("target_value"),
    }


@rpcs.rpc("POST", "3.0", _BUDGETS + "/create")
def create_budget(call: Call) -> Reply:
    """A new budget."""
    call.caller.require_administrator()
    params = call.params
    fields = _budget_fields(params)
    for name, sent in (
        ("unit", "budget_unit"), ("amount", "budget_amount"), ("duration_unit", "duration"),
        ("duration_value", "duration"), ("scope", "target_scope"), ("action", "budget_action"),
    ):  # fmt: skip
        _needed(fields[name], sent)
    user = call.user or params.text("created_by") or None
    made = call.services.budgets.create(
        call.project_id, Budget(budget_id="", created_by=user, updated_by=user, **fields)
    )
    return {"budget_policy": _budget_json(made)}


@rpcs.rpc("GET", "3.0", _BUDGETS + "/get")
def get_budget(call: Call) -> Reply:
    """One budget."""
    return {"budget_policy": _budget_json(call.services.budgets.get(call.project_id, call.params.required("budget_policy_id")))}  # fmt: skip


@rpcs.rpc("POST", "3.0", _BUDGETS + "/update")
def update_budget(call: Call) -> Reply:
    """Change what is sent."""
    call.caller.require_administrator()
    params = call.params
    changed = call.services.budgets.update(
        call.project_id, params.required("budget_policy_id"), updated_by=call.user or params.text("updated_by") or None,
        **_budget_fields(params),
    )  # fmt: skip
    return {"budget_policy": _budget_json(changed)}


@rpcs.rpc("DELETE", "3.0", _BUDGETS + "/delete")
def delete_budget(call: Call) -> Reply:
    """Remove a budget."""
    call.caller.require_administrator()
    call.services.budgets.delete(call.project_id, call.params.required("budget_policy_id"))
    return None


@rpcs.rpc("GET", "3.0", _BUDGETS + "/list")
def list_budgets(call: Call) -> Reply:
    """A page of budgets."""
    rows, token = _page(call.params, call.services.budgets.list(call.project_id))
    return present(budget_policies=[_budget_json(each) for each in rows] or None, next_page_token=token)


@rpcs.rpc("GET", "3.0", _BUDGETS + "/windows")
def windows(call: Call) -> Reply:
    """The running window of each budget with what is spent."""
    found = [
        {
            "budget_policy_id": window.budget.budget_id, "window_start_ms": window.start_ns // _MS,
            "window_end_ms": window.end_ns // _MS, "current_spend": window.spent,
        }
        for window in call.services.budgets.windows(call.project_id)
    ]  # fmt: skip
    return present(windows=found or None)


def _page(params: Params, found: list[T]) -> tuple[list[T], str | None]:
    limit, offset = params.max_results(1_000, 50_000), offset_of(params.text("page_token"))
    shown = found[offset : offset + limit]
    return shown, token_behind(offset, len(shown), len(found))


# --- guardrails --------------------------------------------------------------------------------------------------
def _guardrail_json(call: Call, guardrail: Guardrail) -> dict[str, Any]:
    services, rewriter = call.services, None
    if guardrail.action_endpoint_id is not None:
        # MLflow's server answers the endpoint's name in the field that takes its id.
        named = [e.name for e in services.gateway.endpoints(call.project_id) if e.endpoint_id == guardrail.action_endpoint_id]  # fmt: skip
        rewriter = named[0] if named else guardrail.action_endpoint_id
    return present(
        guardrail_id=guardrail.guardrail_id, name=guardrail.name,
        scorer=scorer_json(services.guardrails.scorer(call.project_id, guardrail)), stage=guardrail.stage,
        action=guardrail.action, action_endpoint_id=rewriter, created_by=guardrail.created_by or "",
        created_at=guardrail.created_ns // _MS, last_updated_by=guardrail.updated_by or "",
        last_updated_at=guardrail.updated_ns // _MS,
    )  # fmt: skip


def _use_json(call: Call, found: tuple[GuardrailUse, Guardrail]) -> dict[str, Any]:
    use, guardrail = found
    return present(
        endpoint_id=use.endpoint_id, guardrail_id=use.guardrail_id, execution_order=use.execution_order,
        guardrail=_guardrail_json(call, guardrail), created_by=use.created_by or "", created_at=use.created_ns // _MS,
    )  # fmt: skip


@rpcs.rpc("POST", "3.0", _GUARDRAILS + "/create")
def create_guardrail(call: Call) -> Reply:
    """A new guardrail."""
    params = call.params
    stage, action = _chosen(params, "stage", _STAGES), _chosen(params, "action", _GUARDRAIL_ACTIONS)
    draft = Guardrail(
        guardrail_id="", name=params.required("name"), scorer_id=params.required("scorer_id"),
        scorer_version=params.required_integer("scorer_version"), stage=_needed(stage, "stage"),  # pyright: ignore[reportArgumentType]
        action=_needed(action, "action"),  # pyright: ignore[reportArgumentType]
        action_endpoint_id=params.text("action_endpoint_id") or None, created_by=call.user or None,
        updated_by=call.user or None,
    )  # fmt: skip
    return {"guardrail": _guardrail_json(call, call.services.guardrails.create(call.project_id, draft))}


@rpcs.rpc("GET", "3.0", _GUARDRAILS + "/get")
def get_guardrail(call: Call) -> Reply:
    """One guardrail."""
    found = call.services.guardrails.get(call.project_id, call.params.required("guardrail_id"))
    return {"guardrail": _guardrail_json(call, found)}


@rpcs.rpc("DELETE", "3.0", _GUARDRAILS + "/delete")
def delete_guardrail(call: Call) -> Reply:
    """Remove a guardrail from everywhere."""
    call.services.guardrails.delete(call.project_id, call.params.required("guardrail_id"))
    return None


@rpcs.rpc("GET", "3.0", _GUARDRAILS + "/list")
def list_guardrails(call: Call) -> Reply:
    """A page of guardrails."""
    rows, token = _page(call.params, call.services.guardrails.list(call.project_id))
    return present(guardrails=[_guardrail_json(call, each) for each in rows] or None, next_page_token=token)


@rpcs.rpc("POST", "3.0", _GUARDRAILS + "/add-to-endpoint")
def add_guardrail(call: Call) -> Reply:
    """Let an endpoint use a guardrail."""
    params = call.params
    made = call.services.guardrails.add(
        call.project_id, params.required("endpoint_id"), params.required("guardrail_id"),
        params.integer("execution_order"), call.user or None,
    )  # fmt: skip
    return {"config": _use_json(call, made)}


@rpcs.rpc("DELETE", "3.0", _GUARDRAILS + "/remove-from-endpoint")
def remove_guardrail(call: Call) -> Reply:
    """Take a guardrail from an endpoint."""
    params = call.params
    call.services.guardrails.remove(call.project_id, params.required("endpoint_id"), params.required("guardrail_id"))
    return None


@rpcs.rpc("GET", "3.0", _GUARDRAILS + "/list-for-endpoint")
def guardrails_of(call: Call) -> Reply:
    """What an endpoint uses, in the order of execution."""
    found = call.services.guardrails.of_endpoint(call.project_id, call.params.required("endpoint_id"))
    return present(configs=[_use_json(call, each) for each in found] or None)


@rpcs.rpc("PATCH", "3.0", _GUARDRAILS + "/update-config")
def order_guardrail(call: Call) -> Reply:
    """Change when a guardrail runs at an endpoint."""
    params = call.params
    changed = call.services.guardrails.set_order(
        call.project_id,
        params.required("endpoint_id"),
        params.required("guardrail_id"),
        params.integer("execution_order"),
    )
    return {"config": _use_json(call, changed)}
