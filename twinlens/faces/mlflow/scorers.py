"""Scorers and their online configuration (API 3.0). Langfuse's evaluators and evaluation rules are the same rows.

A scorer that a Langfuse client made belongs to no experiment; it is listed with experiment 0.
"""

from __future__ import annotations

from typing import Any

from twinlens.domain.evaluator import Assignment, Evaluator, Rule
from twinlens.domain.run import DEFAULT_EXPERIMENT_ID
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, present
from twinlens.features.scorer_form import definition_of, serialized_of

rpcs = RpcTable()

_MS = 1_000_000


def scorer_json(evaluator: Evaluator) -> dict[str, Any]:
    """``Scorer`` on the wire."""
    return {
        "experiment_id": _number(evaluator.experiment_id or DEFAULT_EXPERIMENT_ID),
        "scorer_name": evaluator.name,
        "scorer_version": evaluator.version,
        "serialized_scorer": serialized_of(evaluator),
        "creation_time": evaluator.version_created_ns // _MS,
        "scorer_id": evaluator.evaluator_id,
    }


def _number(experiment_id: str) -> int | str:
    return int(experiment_id) if experiment_id.isdecimal() else experiment_id


def _readable(found: list[Evaluator]) -> list[Evaluator]:
    return [each for each in found if serialized_of(each) is not None]


@rpcs.rpc("POST", "3.0", "/mlflow/scorers/register")
def register(call: Call) -> Reply:
    """Add a version to a scorer, or make it."""
    params = call.params
    experiment_id, name = params.required("experiment_id"), params.required("name")
    definition = definition_of(params.required("serialized_scorer"))
    call.services.experiments.get(call.project_id, experiment_id)
    made = call.services.evaluators.register(call.project_id, experiment_id, name, definition, call.user or None)
    return {
        "version": made.version, "scorer_id": made.evaluator_id, "experiment_id": experiment_id, "name": name,
        "serialized_scorer": serialized_of(made), "creation_time": made.version_created_ns // _MS,
    }  # fmt: skip


@rpcs.rpc("GET", "3.0", "/mlflow/scorers/list")
def list_scorers(call: Call) -> Reply:
    """Newest versions in an experiment, in some, or in all."""
    one, several = call.params.text("experiment_id"), call.params.texts("experiment_ids")
    if one and several:
        raise invalid("Cannot specify both 'experiment_id' and 'experiment_ids'.")
    wanted = [one] if one else several or None
    found = call.services.evaluators.of_experiments(call.project_id, wanted)
    rows = [scorer_json(each) for each in _readable(found)]
    return {"scorers": rows} if rows else {}


@rpcs.rpc("GET", "3.0", "/mlflow/scorers/versions")
def versions(call: Call) -> Reply:
    """All versions of a scorer, oldest first."""
    found = _named(call, every_version=True)
    return {"scorers": [scorer_json(each) for each in reversed(found)]}


@rpcs.rpc("GET", "3.0", "/mlflow/scorers/get")
def get(call: Call) -> Reply:
    """One version of a scorer; the newest unless one is named."""
    return {"scorer": scorer_json(_named(call, version=call.params.integer("version"))[0])}


@rpcs.rpc("DELETE", "3.0", "/mlflow/scorers/delete")
def delete(call: Call) -> Reply:
    """Delete one version of a scorer, or all."""
    version = call.params.integer("version")
    found = _named(call, version=version)[0]
    if version is None:
        call.services.evaluators.delete(call.project_id, found.evaluator_id)
        for rule in _online(call, [found.evaluator_id]):
            call.services.evaluators.delete_rule(call.project_id, rule.rule_id)
    else:
        call.services.evaluators.delete_version(call.project_id, found.evaluator_id, version)
    return None


def _named(call: Call, version: int | None = None, *, every_version: bool = False) -> list[Evaluator]:
    experiment_id, name = call.params.required("experiment_id"), call.params.required("name")
    found = call.services.evaluators.named(
        call.project_id, experiment_id, name, version, every_version=every_version
    )  # fmt: skip
    if not _readable(found):
        raise invalid(f"'{name}' is a code evaluator of another client; MLflow's library cannot read it.")
    return found


# --- online scoring ------------------------------------------------------------------------------------------------
def _online(call: Call, scorer_ids: list[str]) -> list[Rule]:
    """Rules on traces that apply one of the scorers."""
    wanted = set(scorer_ids)
    return [
        rule
        for rule in call.services.evaluators.rules(call.project_id)
        if rule.target == "trace" and wanted.intersection(each.evaluator_id for each in rule.assignments)
    ]


def _config_json(rule: Rule) -> dict[str, Any]:
    return present(
        online_scoring_config_id=rule.rule_id, scorer_id=rule.assignments[0].evaluator_id, sample_rate=rule.sampling,
        experiment_id=rule.experiment_id or DEFAULT_EXPERIMENT_ID, filter_string=rule.filter_text,
    )  # fmt: skip


@rpcs.rpc("PUT", "3.0", "/mlflow/scorers/online-config")
def set_online(call: Call) -> Reply:
    """Say which share of an experiment's traces a scorer judges as they arrive; a rate of 0 stops it."""
    params = call.params
    rate, filter_text = params.required_number("sample_rate"), params.text("filter_string")
    if not 0 <= rate <= 1:
        raise invalid(f"Invalid value {rate} for parameter 'sample_rate' supplied. It must be between 0 and 1.")
    scorer = _named(call)[0]
    known = _online(call, [scorer.evaluator_id])
    rule = known[0] if known else Rule(rule_id="", name=scorer.name, target="trace", created_by=call.user or None)
    stored = call.services.evaluators.put_rule(
        call.project_id, rule, enabled=rate > 0, sampling=rate, filter_text=filter_text or None,
        experiment_id=scorer.experiment_id, assignments=[Assignment(evaluator_id=scorer.evaluator_id)],
    )  # fmt: skip
    return {"config": _config_json(stored)}


@rpcs.rpc("GET", "3.0", "/mlflow/scorers/online-configs")
def get_online(call: Call) -> Reply:
    """Online configurations of some scorers."""
    ids = call.params.texts("scorer_ids")
    if not ids:
        raise invalid("Missing value for required parameter 'scorer_ids'.")
    return {"configs": [_config_json(rule) for rule in _online(call, ids)]}
