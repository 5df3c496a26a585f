"""A hyperparameter search: one parent run, a nested run for each trial, the best found again by search."""

import mlflow
import optuna
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

optuna.logging.set_verbosity(optuna.logging.WARNING)
experiment = mlflow.set_experiment("search").experiment_id
features, target = load_wine(return_X_y=True)


def objective(trial: optuna.Trial) -> float:
    with mlflow.start_run(run_name=f"trial-{trial.number}", nested=True):
        chosen = {
            "max_depth": trial.suggest_int("max_depth", 1, 6),
            "n_estimators": trial.suggest_int("n_estimators", 5, 20),
        }
        mlflow.log_params(chosen)
        score = float(cross_val_score(RandomForestClassifier(random_state=0, **chosen), features, target, cv=3).mean())
        mlflow.log_metric("score", score)
        return score


with mlflow.start_run(run_name="search") as parent:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1))
    study.optimize(objective, n_trials=8)
    mlflow.log_metric("best", study.best_value)

best = mlflow.search_runs(
    [experiment],
    f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'",
    order_by=["metrics.score DESC"],
    output_format="list",
)
assert len(best) == 8
assert best[0].data.metrics["score"] == study.best_value
assert {key: int(value) for key, value in best[0].data.params.items()} == study.best_params or best[1].data.metrics[
    "score"
] == study.best_value
print(f"8 trials, best {study.best_value:.3f}")
