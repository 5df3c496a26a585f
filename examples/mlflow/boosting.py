"""XGBoost and LightGBM under autologging: curves, parameters, models with signature and input example."""

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import xgboost
from sklearn.datasets import load_iris

mlflow.set_experiment("boosting")
mlflow.xgboost.autolog(log_input_examples=True)
mlflow.lightgbm.autolog(log_input_examples=True)
iris = load_iris(as_frame=True)
features: pd.DataFrame = iris.data.rename(columns=lambda name: name.replace(" (cm)", "").replace(" ", "_"))

with mlflow.start_run(run_name="xgboost") as first:
    data = xgboost.DMatrix(features, label=iris.target)
    xgboost.train(
        {"objective": "multi:softprob", "num_class": 3}, data, 20, evals=[(data, "train")], verbose_eval=False
    )
with mlflow.start_run(run_name="lightgbm") as second:
    training = lightgbm.Dataset(features, iris.target)
    lightgbm.train(
        {"objective": "multiclass", "num_class": 3, "verbose": -1},
        training,
        20,
        valid_sets=[training],
        valid_names=["train"],
    )

client = mlflow.MlflowClient()
for run, curve in ((first, "train-mlogloss"), (second, "train-multi_logloss")):
    history = client.get_metric_history(run.info.run_id, curve)
    assert [point.step for point in history] == list(range(20)), history
    assert history[-1].value < history[0].value
    stored = client.get_run(run.info.run_id)
    assert stored.data.params["num_class"] == "3"
    assert stored.inputs.dataset_inputs
    model_id = stored.outputs.model_outputs[0].model_id
    model = mlflow.pyfunc.load_model(f"models:/{model_id}")
    assert model.metadata.signature is not None
    assert np.asarray(model.predict(features.head(3))).shape == (3, 3)
print("two models, 40 points of two curves")
