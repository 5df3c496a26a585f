"""Experiments and runs through their whole life, with MLflow's client. Prints one line of JSON."""

import json
import sys
import time

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag, ViewType

mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()
name = sys.argv[2]
number = client.create_experiment(name, tags={"team": "a"})
runs = [client.create_run(number, run_name=f"run-{index}", start_time=index + 1) for index in range(5)]
ids = [run.info.run_id for run in runs]
now = int(time.time() * 1000)
client.log_batch(
    ids[0],
    metrics=[Metric("m", value, now + value, value) for value in range(900)],
    params=[Param(f"p{index}", "v") for index in range(50)],
    tags=[RunTag(f"t{index}", "v") for index in range(50)],
)
client.log_batch(ids[0], metrics=[Metric("m", value, now + value, value) for value in range(900)])  # sent again
dataset = Dataset(name="d", digest="1", source_type="code", source="{}")
client.log_inputs(ids[0], [DatasetInput(dataset, [InputTag("mlflow.data.context", "eval")])])
client.log_outputs(ids[0], [LoggedModelOutput("m-" + "0" * 32, 3)])
client.set_terminated(ids[0], "FINISHED", end_time=now)
client.update_run(ids[1], status="FAILED", name="renamed")
client.delete_run(ids[2])


def names(view=ViewType.ACTIVE_ONLY):
    return [run.info.run_name for run in client.search_runs([number], run_view_type=view)]


facts = {"after delete": names(), "deleted": names(ViewType.DELETED_ONLY), "all": len(names(ViewType.ALL))}
client.restore_run(ids[2])
facts["after restore"] = names()
client.set_experiment_tag(number, "k", "v")
client.delete_experiment_tag(number, "team")
client.rename_experiment(number, name + "-renamed")
found = client.get_experiment(number)
facts["experiment"] = [found.name == name + "-renamed", found.tags, found.lifecycle_stage]
client.delete_experiment(number)
facts["deleted experiment"] = [
    client.get_experiment(number).lifecycle_stage,
    client.get_experiment_by_name(name + "-renamed").lifecycle_stage,
    len(names(ViewType.DELETED_ONLY)),
    [
        e.name == name + "-renamed"
        for e in client.search_experiments(ViewType.DELETED_ONLY, filter_string=f"name LIKE '{name}%'")
    ],
]
client.restore_experiment(number)
run = client.get_run(ids[0])
facts["run"] = [
    len(run.data.params), run.data.metrics["m"], run.info.status, run.info.end_time == now,
    [(o.model_id[:3], o.step) for o in run.outputs.model_outputs],
    run.inputs.dataset_inputs[0].tags[0].value,
]  # fmt: skip
facts["history"] = len(client.get_metric_history(ids[0], "m"))
facts["default"] = client.get_experiment("0").name
facts["missing"] = client.get_experiment_by_name("no such thing")
facts["ordered"] = [
    r.info.run_name for r in client.search_runs([number], order_by=["attributes.start_time ASC"], max_results=3)
]
facts["by tag"] = [e.name for e in client.search_experiments(filter_string="tags.k = 'v'")] == [name + "-renamed"]
print(json.dumps(facts))
