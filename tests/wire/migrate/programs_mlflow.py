"""What the real MLflow client writes before a migration: one of everything."""

#: Evaluation datasets, which a file store has not.
DATASETS = """
from mlflow.genai.datasets import create_dataset
golden = create_dataset(name="golden", experiment_id=[experiment.experiment_id], tags={"use": "nightly", "level": "hard"})
golden.merge_records([
    {"inputs": {"question": "why"}, "expectations": {"answer": "yhw"}, "tags": {"from": "ann"}},
    {"inputs": {"question": "how", "deep": {"a": [1, 2]}}, "expectations": {"answer": "woh", "min": 0.5}},
])
golden.merge_records([first])
mixed = create_dataset(name="mixed", experiment_id=[experiment.experiment_id])
mixed.merge_records([{"inputs": {"n": math.nan}, "outputs": {"o": 1}}, {"inputs": {"n": 1}, "outputs": ["a"]}])
"""
EVERYTHING = """
import math, os, pathlib, tempfile, time
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
mlflow.set_experiment("churn")
experiment = client.get_experiment_by_name("churn")
client.set_experiment_tag(experiment.experiment_id, "team", "growth")
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "notes.txt").write_text("plain words")
(folder / "deep").mkdir()
(folder / "deep" / "bytes.bin").write_bytes(bytes(range(256)) * 40)
(folder / "empty").write_bytes(b"")
with mlflow.start_run(run_name="parent") as parent:
    mlflow.log_params({"rate": "0.1", "depth": 3})
    mlflow.set_tag("stage", "trial")
    for step in range(12):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("odd", math.nan, step=1)
    mlflow.log_metric("huge", math.inf, step=2)
    mlflow.log_artifacts(str(folder), "files")
    with mlflow.start_run(run_name="child", nested=True) as child:
        mlflow.log_metric("auc", 0.75)
        model = mlflow.initialize_logged_model(name="net", params={"layers": "2"}, tags={"kind": "dense"}, model_type="cls")
        pathlib.Path(folder / "MLmodel").write_text("flavors: {}")
        client.log_model_artifact(model.model_id, str(folder / "MLmodel"))
        mlflow.finalize_logged_model(model.model_id, "READY")
        mlflow.log_metric("f1", 0.5, step=3, model_id=model.model_id)
    data = Dataset(name="rows", digest="abc", source_type="local", source="{}")
    client.log_inputs(parent.info.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
failed = client.create_run(experiment.experiment_id, run_name="failed")
client.set_terminated(failed.info.run_id, "FAILED")
gone = client.create_run(experiment.experiment_id, run_name="gone")
client.delete_run(gone.info.run_id)

client.create_registered_model("classifier", tags={"owner": "ann"}, description="who leaves")
client.create_model_version("classifier", f"models:/{model.model_id}", run_id=child.info.run_id, model_id=model.model_id)
client.create_model_version("classifier", f"runs:/{parent.info.run_id}/files", run_id=parent.info.run_id, description="second", tags={"a": "b"})
client.set_registered_model_alias("classifier", "champion", 2)

client.create_registered_model("gaps")  # of which the first version is gone
for _ in range(2):
    client.create_model_version("gaps", f"runs:/{parent.info.run_id}/files", run_id=parent.info.run_id)
client.delete_model_version("gaps", "1")

mlflow.genai.register_prompt("greet", "Hello {{name}}", commit_message="first", tags={"lang": "en"})
mlflow.genai.register_prompt("greet", [{"role": "user", "content": "Hi {{name}}"}] if False else "Hi {{name}}", commit_message="second")
mlflow.genai.set_prompt_alias("greet", "production", 1)

with mlflow.start_run(run_name="traced") as traced:
    @mlflow.trace(span_type="LLM", name="call")
    def call(question):
        mlflow.get_current_active_span().set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 123, "output_tokens": 45, "total_tokens": 168})
        return {"answer": question[::-1]}

    @mlflow.trace(span_type="AGENT", name="agent")
    def agent(question):
        mlflow.update_current_trace(tags={"colour": "blue"}, metadata={"mlflow.trace.user": "ann", "mlflow.trace.session": "s-1"})
        return call(question)

    agent("why")
    @mlflow.trace(name="broken")
    def broken():
        raise ValueError("no")
    try:
        broken()
    except ValueError:
        pass
mlflow.flush_trace_async_logging()
traces = mlflow.search_traces(locations=[experiment.experiment_id], return_type="list")
first = next(t for t in traces if t.info.tags.get("colour") == "blue")
mlflow.log_feedback(trace_id=first.info.trace_id, name="helpful", value=0.8, rationale="clear",
                    source=mlflow.entities.AssessmentSource("LLM_JUDGE", "judge-1"))
mlflow.log_feedback(trace_id=first.info.trace_id, name="ok", value=True, span_id=first.data.spans[0].span_id)
mlflow.log_feedback(trace_id=first.info.trace_id, name="parts", value={"a": 1})
mlflow.log_expectation(trace_id=first.info.trace_id, name="expected", value="yhw")
@DATASETS@result = {"experiment": experiment.experiment_id, "parent": parent.info.run_id, "child": child.info.run_id,
          "trace": first.info.trace_id, "model": model.model_id, "traces": len(traces)}
""".replace("@DATASETS@", DATASETS)
