"""Scikit-learn under autologging: a pipeline with signature and input example, and a grid search with a run for each candidate."""

import mlflow
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

mlflow.set_experiment("sklearn")
mlflow.sklearn.autolog(log_input_examples=True, max_tuning_runs=None)
wine = load_wine(as_frame=True)
features: pd.DataFrame = wine.data
train, test, train_target, test_target = train_test_split(features, wine.target, random_state=0)

with mlflow.start_run(run_name="pipeline") as first:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(train, train_target)
    model.score(test, test_target)
with mlflow.start_run(run_name="search") as search:
    GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        {"logisticregression__C": [0.1, 1.0, 10.0]},
        cv=3,
    ).fit(train, train_target)

client = mlflow.MlflowClient()
stored = client.get_run(first.info.run_id)
assert stored.data.metrics["training_accuracy_score"] > 0.95
assert (
    stored.data.metrics["LogisticRegression_score_test"] > 0.9
    if "LogisticRegression_score_test" in stored.data.metrics
    else True
)
assert {dataset.dataset.name for dataset in stored.inputs.dataset_inputs} == {"dataset"}
loaded = mlflow.pyfunc.load_model(f"models:/{stored.outputs.model_outputs[0].model_id}")
assert [column.name for column in loaded.metadata.signature.inputs] == list(features.columns)
assert loaded.input_example is not None
assert list(loaded.predict(test.head(3))) == list(model.predict(test.head(3)))
children = mlflow.search_runs(
    [first.info.experiment_id], f"tags.`mlflow.parentRunId` = '{search.info.run_id}'",
    order_by=["metrics.mean_test_score DESC"], output_format="list",
)  # fmt: skip
assert len(children) == 3
best = client.get_run(search.info.run_id).data
assert best.metrics["best_cv_score"] == children[0].data.metrics["mean_test_score"]
print(
    f"{len(stored.data.metrics)} metrics of the pipeline, {len(children)} candidates, best {best.metrics['best_cv_score']:.3f}"
)
