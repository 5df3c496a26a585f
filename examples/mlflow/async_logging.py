"""Asynchronous logging and system metrics."""

import time

import mlflow

mlflow.config.enable_async_logging()
mlflow.set_system_metrics_sampling_interval(0.2)
mlflow.set_system_metrics_samples_before_logging(1)
experiment = mlflow.set_experiment("async").experiment_id
client = mlflow.MlflowClient()
with mlflow.start_run(log_system_metrics=True) as run:
    for step in range(2_000):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_params({f"p{index}": index for index in range(150)})
    mlflow.flush_async_logging()
    deadline = time.monotonic() + 60
    while "system/cpu_utilization_percentage" not in client.get_run(run.info.run_id).data.metrics:
        assert time.monotonic() < deadline, "no system metrics"
        time.sleep(0.1)
assert len(client.get_metric_history(run.info.run_id, "loss")) == 2_000
stored = client.get_run(run.info.run_id)
assert len(stored.data.params) == 150
print(f"2000 points, 150 params, {sum(key.startswith('system/') for key in stored.data.metrics)} system metrics")
