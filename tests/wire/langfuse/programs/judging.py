"""Annotation queues, evaluators and evaluation rules through the generated clients (SDK 4 and 5)."""

import json
import os

from langfuse import Langfuse
from langfuse.api.core.api_error import ApiError
from langfuse.api.evaluation_commons import EvaluatorOutputDefinition_Numeric
from langfuse.api.evaluation_rules import EvaluationRuleEvaluatorAssignmentInput
from langfuse.api.evaluators import CreateEvaluatorRequest_LlmAsJudge, UpdateEvaluatorMetadataRequest

api = Langfuse(tracing_enabled=False).api
name = f"{os.environ['CLIENT']} queue"
user = os.environ["USER_ID"]


def status_of(call):
    try:
        call()
    except ApiError as problem:
        return problem.status_code
    return None


config = api.score_configs.create(name="good", data_type="BOOLEAN")
queues = api.annotation_queues
queue = queues.create_queue(name=name, description="d", score_config_ids=[config.id])
item = queues.create_queue_item(queue.id, object_id="t1", object_type="TRACE")
done = queues.update_queue_item(queue.id, item.id, status="COMPLETED")
assigned = queues.create_queue_assignment(queue.id, user_id=user)
outcome = {
    "queue": [queues.get_queue(queue.id).name == name, name in [q.name for q in queues.list_queues().data]],
    "item": [item.status.value, item.object_type.value, done.status.value, done.completed_at is not None],
    "items": [
        [i.object_id for i in queues.list_queue_items(queue.id, status=s).data] for s in ("PENDING", "COMPLETED")
    ],
    "one": queues.get_queue_item(queue.id, item.id).id == item.id,
    "assigned": assigned.user_id == user,
    "taken back": queues.delete_queue_assignment(queue.id, user_id=user).success,
    "deleted": queues.delete_queue_item(queue.id, item.id).success,
    "absent": [
        status_of(lambda: queues.get_queue_item(queue.id, item.id)),
        status_of(lambda: queues.get_queue("absent")),
    ],
}

evaluators, rules = api.evaluators, api.evaluation_rules
made = evaluators.create(
    request=CreateEvaluatorRequest_LlmAsJudge(
        name=f"{os.environ['CLIENT']} judge",
        prompt="Is {{answer}} good?",
        variable_mapping=[{"variable": "answer", "source": "output"}],
        output_definition=EvaluatorOutputDefinition_Numeric(min_value=0, max_value=1),
    )
)
renamed = evaluators.update(made.id, request=UpdateEvaluatorMetadataRequest(name=made.name + " 2"))
rule = rules.create(
    name="all", enabled=False, evaluator_assignments=[EvaluationRuleEvaluatorAssignmentInput(evaluator_id=made.id)]
)
changed = rules.update(rule.id, sampling=0.5)
outcome |= {
    "evaluator": [renamed.name == made.name + " 2", evaluators.get(made.id).version],
    "versions": [v.version for v in evaluators.list_versions(made.id).data],
    "listed": made.id in [e.id for e in evaluators.list().data],
    "rule": [changed.sampling, changed.enabled, rules.get(rule.id).name, rule.id in [r.id for r in rules.list().data]],
    "gone": [rules.delete(rule.id).id == rule.id, evaluators.delete(made.id).id == made.id],
    "then": [status_of(lambda: rules.get(rule.id)), status_of(lambda: evaluators.get(made.id))],
}
print(json.dumps(outcome))
