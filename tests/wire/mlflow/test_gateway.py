"""The AI gateway's configuration with the unmodified MLflow client."""

from __future__ import annotations

from typing import Any

import pytest

from tests.judge_stub import JudgeStub
from tests.wire.mlflow.peer import ClientError, MlflowPeer

pytestmark = pytest.mark.peer

BEGIN = """
from mlflow.entities import FallbackConfig, FallbackStrategy, GatewayEndpointModelConfig, GatewayEndpointTag
from mlflow.entities import GatewayModelLinkageType as Linkage, RoutingStrategy
from mlflow.entities.gateway_budget_policy import BudgetAction, BudgetDuration, BudgetDurationUnit, BudgetTargetScope, BudgetUnit
from mlflow.entities.gateway_endpoint import GatewayResourceType
from mlflow.entities.gateway_guardrail import GuardrailAction, GuardrailStage
store = mlflow.tracking._tracking_service.utils._get_store()

def made(name, secret_value=None, **more):
    secret = store.create_gateway_secret(name, secret_value or {"api_key": "sk-0123456789"}, provider="openai", **more)
    model = store.create_gateway_model_definition(name + "-model", secret.secret_id, "openai", "gpt-4o-mini")
    return secret, model

def endpoint(name, model, **more):
    first = GatewayEndpointModelConfig(model.model_definition_id, Linkage.PRIMARY)
    return store.create_gateway_endpoint(name, [first], **more)

def vars_of(entity):
    return {key: getattr(value, "value", value) for key, value in vars(entity).items()}
"""


@pytest.fixture(scope="module")
def gateway(mlflow: MlflowPeer) -> MlflowPeer:
    mlflow.run(BEGIN)
    return mlflow


def refused(gateway: MlflowPeer, program: str) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        gateway.run(program)
    return caught.value.code, caught.value.message


def test_secrets_are_kept_and_never_shown(gateway: MlflowPeer) -> None:
    found: dict[str, Any] = gateway.run("""
first = store.create_gateway_secret("prod", {"api_key": "sk-abcdefgh1234"}, provider="openai",
                                    auth_config={"api_base": " https://llm.example/v1 ", "organization": "o-1"})
other = store.create_gateway_secret("short", {"api_key": "sk-1"})
changed = store.update_gateway_secret(first.secret_id, {"api_key": "sk-zyxwvuts9876"})
listed = [s.secret_name for s in store.list_secret_infos()]
openai = [s.secret_name for s in store.list_secret_infos(provider="openai")]
got = store.get_secret_info(secret_id=first.secret_id)
store.delete_gateway_secret(other.secret_id)
result = dict(first=vars_of(first), other=vars_of(other), changed=vars_of(changed), got=vars_of(got), listed=listed, openai=openai,
              left=[s.secret_name for s in store.list_secret_infos()])
""")
    first, changed = found["first"], found["changed"]
    assert first["secret_id"].startswith("s-")
    assert first["masked_values"] == {"api_key": "sk-...1234"}
    assert first["auth_config"] == {"api_base": "https://llm.example/v1", "organization": "o-1"}
    assert found["other"]["masked_values"] == {"api_key": "***"}
    assert (changed["masked_values"], changed["auth_config"]) == ({"api_key": "sk-...9876"}, first["auth_config"])
    assert found["got"] == changed
    assert (found["listed"], found["openai"], found["left"]) == (["prod", "short"], ["prod"], ["prod"])
    taken = refused(gateway, 'store.create_gateway_secret("prod", {"api_key": "sk-12345678"})')
    assert taken == ("RESOURCE_ALREADY_EXISTS", "RESOURCE_ALREADY_EXISTS: Secret with name 'prod' already exists")
    gone = refused(gateway, 'store.delete_gateway_secret("s-none")')
    assert gone == ("RESOURCE_DOES_NOT_EXIST", "RESOURCE_DOES_NOT_EXIST: GatewaySecret not found (secret_id='s-none')")
    for config in (
        {"base_url": "https://x.example"},
        {"api_base": "file:///etc/passwd"},
        {"api_base": "https://u:p@x"},
    ):
        code, _ = refused(
            gateway, f'store.create_gateway_secret("bad", {{"api_key": "sk-12345678"}}, auth_config={config})'
        )
        assert code == "INVALID_PARAMETER_VALUE"


def test_models_belong_to_connections(gateway: MlflowPeer) -> None:
    found: dict[str, Any] = gateway.run("""
secret, model = made("models")
renamed = store.update_gateway_model_definition(model.model_definition_id, name="cheap", model_name="gpt-4.1-nano")
got = store.get_gateway_model_definition(model.model_definition_id)
mine = [m.name for m in store.list_gateway_model_definitions(secret_id=secret.secret_id)]
spare = store.create_gateway_model_definition("spare", secret.secret_id, "openai", "gpt-4o")
store.delete_gateway_model_definition(spare.model_definition_id)
store.delete_gateway_secret(secret.secret_id)
orphan = store.get_gateway_model_definition(model.model_definition_id)
result = dict(model=vars_of(model), renamed=vars_of(renamed), same=vars_of(got) == vars_of(renamed), mine=mine, orphan=vars_of(orphan),
              secret=secret.secret_id)
""")
    assert found["model"]["model_definition_id"].startswith("d-")
    assert (found["model"]["secret_name"], found["model"]["model_name"]) == ("models", "gpt-4o-mini")
    assert (found["renamed"]["name"], found["renamed"]["model_name"], found["same"]) == ("cheap", "gpt-4.1-nano", True)
    assert found["mine"] == ["cheap"]
    assert not found["orphan"]["secret_id"] and not found["orphan"]["secret_name"]
    code, message = refused(gateway, 'store.create_gateway_model_definition("x", "s-none", "openai", "m")')
    assert (code, "GatewaySecret not found" in message) == ("RESOURCE_DOES_NOT_EXIST", True)


def test_endpoints_route_to_models(gateway: MlflowPeer) -> None:
    found: dict[str, Any] = gateway.run("""
secret, model = made("routes")
second = store.create_gateway_model_definition("routes-2", secret.secret_id, "openai", "gpt-4o")
configs = [GatewayEndpointModelConfig(model.model_definition_id, Linkage.PRIMARY, weight=3),
           GatewayEndpointModelConfig(second.model_definition_id, Linkage.FALLBACK, fallback_order=0)]
e = store.create_gateway_endpoint("chat", configs, routing_strategy=RoutingStrategy.REQUEST_BASED_TRAFFIC_SPLIT,
                                  fallback_config=FallbackConfig(FallbackStrategy.SEQUENTIAL, 2))
experiment = mlflow.get_experiment(e.experiment_id)
plain = endpoint("untracked", model, usage_tracking=False)
attached = store.attach_model_to_endpoint(plain.endpoint_id, GatewayEndpointModelConfig(second.model_definition_id, Linkage.PRIMARY))
store.set_gateway_endpoint_tag(plain.endpoint_id, GatewayEndpointTag("team", "geo"))
store.set_gateway_endpoint_tag(plain.endpoint_id, GatewayEndpointTag("gone", "x"))
store.delete_gateway_endpoint_tag(plain.endpoint_id, "gone")
with_two = store.get_gateway_endpoint(name="untracked")
store.detach_model_from_endpoint(plain.endpoint_id, model.model_definition_id)
renamed = store.update_gateway_endpoint(plain.endpoint_id, name="renamed", usage_tracking=True)
binding = store.create_endpoint_binding(e.endpoint_id, GatewayResourceType.SCORER, "scorer-1")
bound = [(b.resource_type.value, b.resource_id) for b in store.list_endpoint_bindings(endpoint_id=e.endpoint_id)]
store.delete_endpoint_binding(e.endpoint_id, GatewayResourceType.SCORER.value, "scorer-1")
result = dict(
    name=e.name, strategy=e.routing_strategy.value, fallback=vars_of(e.fallback_config), attached=attached.linkage_type.value,
    mappings=[(m.model_definition.name, m.weight, m.linkage_type.value, m.fallback_order) for m in e.model_mappings],
    experiment=experiment.name, tags=experiment.tags, plain=(plain.experiment_id, plain.usage_tracking),
    two=[m.model_definition.name for m in with_two.model_mappings], labels=[(t.key, t.value) for t in with_two.tags],
    renamed=(renamed.name, [m.model_definition.name for m in renamed.model_mappings], mlflow.get_experiment(renamed.experiment_id).name),
    bound=bound, unbound=store.list_endpoint_bindings(endpoint_id=e.endpoint_id), id=e.endpoint_id,
    listed=[x.name for x in store.list_gateway_endpoints()], other=store.list_gateway_endpoints(provider="anthropic"))
store.delete_gateway_endpoint(renamed.endpoint_id)
""")
    assert (found["name"], found["strategy"]) == ("chat", "REQUEST_BASED_TRAFFIC_SPLIT")
    assert found["fallback"] == {"strategy": "SEQUENTIAL", "max_attempts": 2}
    assert found["mappings"] == [["routes-model", 3.0, "PRIMARY", None], ["routes-2", 1.0, "FALLBACK", 0]]
    assert found["experiment"] == "gateway/chat"
    assert found["tags"]["mlflow.experiment.isGateway"] == "true"
    assert found["plain"] == [None, False]
    assert (found["two"], found["attached"]) == (["routes-model", "routes-2"], "PRIMARY")
    assert found["labels"] == [["team", "geo"]]
    assert found["renamed"] == ["renamed", ["routes-2"], "gateway/renamed"]
    assert (found["bound"], found["unbound"]) == ([["scorer", "scorer-1"]], [])
    assert (found["listed"], found["other"]) == (["chat", "renamed"], [])
    assert refused(gateway, 'store.get_gateway_endpoint(name="none")')[0] == "RESOURCE_DOES_NOT_EXIST"
    assert refused(gateway, 'endpoint("chat", model)')[0] == "RESOURCE_ALREADY_EXISTS"
    assert refused(gateway, 'endpoint("has space", model)')[0] == "INVALID_PARAMETER_VALUE"
    code, message = refused(gateway, "store.delete_gateway_model_definition(model.model_definition_id)")
    assert (code, "in use by endpoints" in message) == ("INVALID_STATE", True)


def test_budgets(gateway: MlflowPeer) -> None:
    found: dict[str, Any] = gateway.run("""
_, model = made("budgets")
e = endpoint("budgeted", model)
day = BudgetDuration(BudgetDurationUnit.DAYS, 1)
budget = store.create_budget_policy(BudgetUnit.USD, 12.5, day, BudgetTargetScope.ENDPOINT, BudgetAction.REJECT, target_value=e.endpoint_id)
other = store.create_budget_policy(BudgetUnit.USD, 1, BudgetDuration(BudgetDurationUnit.WEEKS, 2), BudgetTargetScope.GLOBAL, BudgetAction.ALERT)
changed = store.update_budget_policy(budget.budget_policy_id, budget_amount=0.0, budget_action=BudgetAction.ALERT)
got = store.get_budget_policy(budget.budget_policy_id)
page = store.list_budget_policies(max_results=1)
rest = store.list_budget_policies(max_results=1, page_token=page.token)
store.delete_budget_policy(other.budget_policy_id)
result = dict(budget=str(vars_of(budget)), changed=(changed.budget_amount, changed.budget_action.value, changed.target_value == e.endpoint_id),
              got=got.duration.unit.value, pages=(len(page), len(rest), rest.token), left=len(store.list_budget_policies()))
""")
    assert found["changed"] == [0.0, "ALERT", True]
    assert (found["got"], found["pages"], found["left"]) == ("DAYS", [1, 1, None], 1)
    make = (
        "store.create_budget_policy(BudgetUnit.USD, 1, day, BudgetTargetScope.{}, BudgetAction.ALERT, target_value={})"
    )
    assert "require server authentication" in refused(gateway, make.format("USER", "'ann'"))[1]
    assert "target_value is required" in refused(gateway, make.format("ENDPOINT", "None"))[1]
    assert refused(gateway, make.format("ENDPOINT", "'e-none'"))[0] == "RESOURCE_DOES_NOT_EXIST"
    assert "can only be set" in refused(gateway, make.format("GLOBAL", "'e'"))[1]
    assert refused(gateway, 'store.get_budget_policy("bp-none")')[0] == "RESOURCE_DOES_NOT_EXIST"


def test_guardrails(gateway: MlflowPeer) -> None:
    found: dict[str, Any] = gateway.run("""
from mlflow.genai.judges import make_judge
experiment_id = mlflow.create_experiment("guarded")
judge = make_judge(name="polite", instructions="Is this polite? {{ inputs }}", model="openai:/gpt-4o-mini", feedback_value_type=bool)
scorer = store.register_scorer(experiment_id, "polite", json.dumps(judge.model_dump()))
_, model = made("guarded")
e = endpoint("guarded", model)
rail = store.create_gateway_guardrail("politeness", scorer.scorer_id, scorer.scorer_version, GuardrailStage.BEFORE, GuardrailAction.VALIDATION)
fix = store.create_gateway_guardrail("fix", scorer.scorer_id, 1, GuardrailStage.AFTER, GuardrailAction.SANITIZATION, e.endpoint_id)
store.add_guardrail_to_endpoint(e.endpoint_id, rail.guardrail_id)
used = store.add_guardrail_to_endpoint(e.endpoint_id, fix.guardrail_id, 2)
store.update_endpoint_guardrail_config(e.endpoint_id, rail.guardrail_id, 1)
order = [c.guardrail.name for c in store.list_endpoint_guardrail_configs(e.endpoint_id)]
store.remove_guardrail_from_endpoint(e.endpoint_id, rail.guardrail_id)
got = store.get_gateway_guardrail(fix.guardrail_id)
names = sorted(g.name for g in store.list_gateway_guardrails())
store.delete_gateway_guardrail(fix.guardrail_id)
result = dict(rail=(rail.name, rail.scorer.scorer_name, rail.stage.value, rail.action.value), order=order, used=used.execution_order,
              rewriter=got.action_endpoint_name, names=names, left=store.list_endpoint_guardrail_configs(e.endpoint_id))
""")
    assert found["rail"] == ["politeness", "polite", "BEFORE", "VALIDATION"]
    assert (found["order"], found["used"], found["rewriter"]) == (["politeness", "fix"], 2, "guarded")
    assert (found["names"], found["left"]) == (["fix", "politeness"], [])
    code, message = refused(
        gateway, 'store.create_gateway_guardrail("x", "none", 1, GuardrailStage.BEFORE, GuardrailAction.VALIDATION)'
    )
    assert (code, "Scorer with ID 'none' not found." in message) == ("RESOURCE_DOES_NOT_EXIST", True)


def test_a_judge_of_the_client_answers_through_an_endpoint(gateway: MlflowPeer) -> None:
    with JudgeStub([("polite", {"result": "yes", "rationale": "kind words"})]) as stub:
        found: dict[str, Any] = gateway.run(
            f"""
from mlflow.genai.judges import make_judge
_, model = made("judging", auth_config={{"api_base": {stub.url!r}}})
e = endpoint("judge-endpoint", model)
judge = make_judge(name="polite", instructions="Is this polite? {{{{{{{{ inputs }}}}}}}}", model="gateway:/judge-endpoint", feedback_value_type=str)
feedback = judge(inputs={{"question": "please"}})
traces = client.search_traces(experiment_ids=[e.experiment_id])
result = dict(value=feedback.value, why=feedback.rationale, kinds=[t.info.trace_metadata["mlflow.gateway.requestType"] for t in traces])
""".replace("{{{{ inputs }}}}", "{{ inputs }}")
        )
    assert (found["value"], found["why"]) == ("yes", "kind words")
    assert found["kinds"] == ["unified/chat"]
    assert stub.keys[-1] == "Bearer sk-0123456789"
