"""Evaluate a model, register it, load it by alias, and serve it from the registry with ``mlflow models serve``."""

import json
import socket
import subprocess
import time
import urllib.request

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

mlflow.set_experiment("serving")
wine = load_wine(as_frame=True)
features: pd.DataFrame = wine.data
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, wine.target)
with mlflow.start_run():
    made = mlflow.sklearn.log_model(
        model, name="wine", signature=infer_signature(features, model.predict(features)), input_example=features.head(2),
        registered_model_name="wine",
    )  # fmt: skip
    table = features.assign(target=wine.target)
    result = mlflow.models.evaluate(
        made.model_uri,
        table,
        targets="target",
        model_type="classifier",
        evaluator_config={"log_explainer": False, "log_model_explainability": False},
    )
assert result.metrics["accuracy_score"] > 0.95
assert "confusion_matrix" in result.artifacts
client = mlflow.MlflowClient()
client.set_registered_model_alias("wine", "champion", 1)
loaded = mlflow.pyfunc.load_model("models:/wine@champion")
expected = list(model.predict(features.head(3)))
assert list(loaded.predict(features.head(3))) == expected

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = subprocess.Popen(
    ["mlflow", "models", "serve", "-m", "models:/wine/1", "--env-manager", "local", "--port", str(port)]
)
try:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2):
                break
        except OSError:
            assert server.poll() is None, "the model server ended"
            assert time.monotonic() < deadline, "the model server did not start"
            time.sleep(0.5)
    body = json.dumps({"dataframe_split": features.head(3).to_dict(orient="split")}).encode()
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as reply:
        assert json.load(reply)["predictions"] == expected
finally:
    server.terminate()
    server.wait()
print(f"accuracy {result.metrics['accuracy_score']:.3f}; served from the registry")
