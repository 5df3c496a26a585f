"""``mlflow.genai.optimize_prompts`` with an optimizer of our own: it runs in this process; the server keeps prompts, run and traces."""

import mlflow
from mlflow.genai.optimize import BasePromptOptimizer, PromptOptimizerOutput
from mlflow.genai.scorers import scorer

CANDIDATES = ("Say {{ word }}", "Shout {{ word }}", "Whisper {{ word }}")


class BestOf(BasePromptOptimizer):
    """Tries every candidate and keeps the best."""

    def optimize(self, eval_fn, train_data, target_prompts, enable_tracking=True):
        (name,) = target_prompts
        scores = {
            text: sum(record.score for record in eval_fn({name: text}, train_data)) / len(train_data)
            for text in CANDIDATES
        }
        best = max(scores, key=lambda text: scores[text])
        return PromptOptimizerOutput({name: best}, scores[CANDIDATES[0]], scores[best])


@scorer
def same(outputs, expectations) -> bool:
    return outputs == expectations["expected_response"]


mlflow.set_experiment("optimized")
prompt = mlflow.genai.register_prompt("speech", CANDIDATES[0])


def predict(word: str) -> str:
    text = mlflow.genai.load_prompt(f"prompts:/speech/{prompt.version}").format(word=word)
    return word.upper() if text.startswith("Shout") else word


result = mlflow.genai.optimize_prompts(
    predict_fn=predict,
    train_data=[{"inputs": {"word": w}, "expectations": {"expected_response": w.upper()}} for w in ("yes", "no")],
    prompt_uris=[prompt.uri],
    optimizer=BestOf(),
    scorers=[same],
)
assert (result.initial_eval_score, result.final_eval_score) == (0.0, 1.0), result
(made,) = result.optimized_prompts
assert (made.version, made.template) == (2, CANDIDATES[1]), made
assert mlflow.genai.load_prompt("prompts:/speech/2").template == CANDIDATES[1]
(run,) = mlflow.search_runs(experiment_names=["optimized"], output_format="list")
assert run.info.status == "FINISHED", run.info.status
assert run.data.metrics["final_eval_score"] == 1.0, run.data.metrics
print(f"prompt 2 scores 1.0 after 0.0; run with {len(run.data.params)} params")
