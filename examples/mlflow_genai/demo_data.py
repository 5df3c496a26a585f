"""``mlflow demo --tracking-uri``: MLflow's own tour of its GenAI features, written into a running server."""

import os
import subprocess
import sys

import mlflow
from mlflow.genai import review_queues

URL = os.environ["MLFLOW_TRACKING_URI"]
command = [sys.executable, "-W", "ignore", "-m", "mlflow", "demo", "--no-browser", "--tracking-uri", URL]
done = subprocess.run(command, capture_output=True, text=True, timeout=600)
assert done.returncode == 0, done.stdout + done.stderr
(generated,) = [line for line in done.stdout.splitlines() if "Generated:" in line]
assert {"prompts", "traces", "evaluation", "judges", "issues", "review_queues"} <= set(
    generated.split(":")[1].replace(",", " ").split()
), generated
(experiment,) = mlflow.search_experiments(filter_string="name LIKE '%Demo%'")
traces = mlflow.search_traces(locations=[experiment.experiment_id], return_type="list", max_results=500)
runs = mlflow.search_runs(experiment_ids=[experiment.experiment_id], output_format="list")
prompts = mlflow.genai.search_prompts(max_results=100)
queues = review_queues.list_review_queues(experiment_id=experiment.experiment_id)
judged = sum(bool(trace.info.assessments) for trace in traces)
assert min(len(traces), len(runs), len(prompts), len(queues), judged) > 0
print(
    f"{len(traces)} traces, {judged} of them judged, {len(runs)} runs, {len(prompts)} prompts, {len(queues)} review queues"
)
