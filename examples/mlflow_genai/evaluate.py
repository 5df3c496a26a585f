"""``mlflow.genai.evaluate``: an agent on a data set made from its own traces, judged by code and by a model."""

import mlflow
from mlflow.entities import Feedback
from mlflow.genai import datasets
from mlflow.genai.judges import make_judge
from mlflow.genai.scorers import scorer
from openai import OpenAI

experiment = mlflow.set_experiment("evaluation").experiment_id
mlflow.openai.autolog()
client = OpenAI()


@mlflow.trace(span_type="AGENT")
def physicist(question: str) -> str:
    asked = [{"role": "user", "content": question}]
    return client.chat.completions.create(model="gpt-4o-mini", messages=asked).choices[0].message.content


@scorer
def brief(outputs: str) -> bool:
    return len(outputs.split()) == 1


@scorer
def tokens(trace: mlflow.entities.Trace) -> Feedback:
    used = trace.info.token_usage["total_tokens"]
    return Feedback(name="tokens", value=used, rationale=f"{len(trace.data.spans)} spans")


for question in ("Why is the sky blue?", "Why is grass green?"):
    physicist(question)
mlflow.flush_trace_async_logging()
for trace in mlflow.search_traces(locations=[experiment], return_type="list"):
    mlflow.log_expectation(trace_id=trace.info.trace_id, name="expected_response", value="Because.")
frame = mlflow.search_traces(locations=[experiment])
dataset = datasets.create_dataset(name="questions", experiment_id=experiment).merge_records(frame)
assert len(dataset.to_df()) == 2
again = datasets.get_dataset(dataset_id=dataset.dataset_id)
assert {row["inputs"]["question"] for row in again.to_df().to_dict("records")} == {
    "Why is the sky blue?",
    "Why is grass green?",
}

polite = make_judge(
    name="polite", instructions="Is {{ outputs }} polite?", model="openai:/gpt-4o-mini", feedback_value_type=bool
)
done = mlflow.genai.evaluate(data=again, predict_fn=physicist, scorers=[brief, tokens, polite])
assert done.metrics == {"brief/mean": 1.0, "tokens/mean": 168.0, "polite/mean": 1.0}, done.metrics
judged = mlflow.search_traces(run_id=done.run_id, return_type="list")
assert len(judged) == 2
for trace in judged:
    found = {assessment.name: assessment for assessment in trace.info.assessments}
    assert set(found) >= {"brief", "tokens", "polite"}, set(found)
    assert found["polite"].source.source_type == "LLM_JUDGE"
    assert found["brief"].source.source_type == "CODE"
    assert trace.info.token_usage["total_tokens"] == 168
(run,) = mlflow.search_runs([experiment], "tags.`mlflow.runType` = 'genai_evaluate'", output_format="list")
assert run.inputs.dataset_inputs[0].dataset.name == "questions"
print(f"2 questions, {len(done.metrics)} scorers, {done.metrics}")
