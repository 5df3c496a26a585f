"""A training program as people write it, with MLflow's fluent API. Prints what it reads back as one line of JSON."""

import json
import os
import sys

import mlflow
import pandas as pd
from mlflow import MlflowClient

mlflow.set_tracking_uri(sys.argv[1])
name = sys.argv[2]
experiment = mlflow.set_experiment(name)
again = mlflow.set_experiment(name)

with mlflow.start_run(run_name="parent", tags={"team": "vision"}, description="A **run**.") as parent:
    mlflow.log_param("lr", 0.1)
    mlflow.log_params({"depth": 3, "note": ""})
    for step in range(20):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"acc": 0.9, "broken": float("nan"), "up": float("inf")}, step=3)
    mlflow.set_tags({"a": "1", "b": "2"})
    mlflow.delete_tag("b")
    data = mlflow.data.from_pandas(pd.DataFrame({"x": [1.0, 2.0]}), name="points")
    mlflow.log_input(data, context="train")
    with mlflow.start_run(run_name="child", nested=True) as child:
        mlflow.log_metric("loss", 7.0)
    mlflow.log_metric("async", 1.5, synchronous=False).wait()
with mlflow.start_run(run_id=parent.info.run_id):
    mlflow.log_metric("resumed", 1.0)

client = MlflowClient()
run = client.get_run(parent.info.run_id)
found = mlflow.search_runs([experiment.experiment_id], "metrics.loss < 1 and params.lr = '0.1'", output_format="list")
either = mlflow.search_runs(
    [experiment.experiment_id],
    "metrics.loss > 5 or tags.team = 'vision'",
    order_by=["metrics.loss DESC"],
    output_format="list",
)
pages = client.search_runs([experiment.experiment_id], max_results=1)
rest = client.search_runs([experiment.experiment_id], max_results=1, page_token=pages.token)
errors = {}
for title, call in {
    "param": lambda: client.log_param(run.info.run_id, "lr", "0.2"),
    "run": lambda: client.get_run("nope"),
    "name": lambda: client.create_experiment(name),
    "filter": lambda: client.search_runs([experiment.experiment_id], "foo"),
    "key": lambda: client.log_metric(run.info.run_id, "../bad", 1.0),
}.items():
    try:
        call()
    except mlflow.MlflowException as error:
        errors[title] = error.error_code
frame = mlflow.search_runs([experiment.experiment_id])
print(
    json.dumps(
        {
            "same experiment": again.experiment_id == experiment.experiment_id,
            "status": run.info.status,
            "name": run.info.run_name,
            "user": run.info.user_id == run.data.tags["mlflow.user"] != "",
            "description": run.data.tags["mlflow.note.content"],
            "params": run.data.params,
            "metrics": {k: str(v) for k, v in run.data.metrics.items()},
            "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
            "datasets": [(d.dataset.name, {t.key: t.value for t in d.tags}) for d in run.inputs.dataset_inputs],
            "parent of child": client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == run.info.run_id,
            "history": [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "loss")],
            "found": [r.info.run_name for r in found],
            "either": [r.info.run_name for r in either],
            "pages": [len(pages), len(rest), rest.token],
            "columns": sorted(c for c in frame.columns if c.startswith(("metrics.", "params."))),
            "errors": errors,
            "experiment": experiment.experiment_id,
            "run": run.info.run_id,
            "pid": os.getpid() > 0,
        }
    )
)
