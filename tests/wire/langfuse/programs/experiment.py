"""A dataset with three items and an experiment over it; the same spelling in SDK 3.15, 4 and 5."""

import json

from langfuse import Evaluation, get_client

NAME = "folder/questions & answers"
langfuse = get_client()
langfuse.create_dataset(name=NAME, description="d", metadata={"a": 1})
for n in range(3):
    langfuse.create_dataset_item(
        dataset_name=NAME, id=f"item-{n}", input={"n": n}, expected_output=n * 2, metadata={"m": n}
    )
dataset = langfuse.get_dataset(NAME)


def task(*, item, **_):
    return item.input["n"] * 2


def right(*, output, expected_output, **_):
    return Evaluation(name="right", value=float(output == expected_output))


def average(*, item_results, **_):
    values = [e.value for result in item_results for e in result.evaluations]
    return Evaluation(name="average", value=sum(values) / len(values))


result = dataset.run_experiment(
    name="exp", run_name="run / one", task=task, evaluators=[right], run_evaluators=[average], metadata={"model": "m"}
)
langfuse.flush()
print(
    json.dumps(
        {
            "items": [[item.id, item.input, item.expected_output] for item in dataset.items],
            "dataset_id": dataset.id,
            "run_id": getattr(result, "experiment_id", None) or result.dataset_run_id,
            "traces": [item.trace_id for item in result.item_results],
        }
    )
)
