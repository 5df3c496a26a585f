"""The guide's MLflow snippet, unmodified, against a running server; then what people do next with the model.

Every program runs in the ``mlflow`` peer environment (``tests/envs.py``) as a process of its own, as a user's would.
"""

from __future__ import annotations

import json
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.envs import python_of
from tests.servers import LiveServer

pytestmark = pytest.mark.peer

#: "MLFlow Integration" of the guide, word for word.
SNIPPET = """
import mlflow
import mlflow.sklearn

# Track ML experiment
with mlflow.start_run():
    mlflow.log_param("model_type", "random_forest")
    mlflow.log_metric("accuracy", 0.95)
    mlflow.sklearn.log_model(model, "model")
"""

DATA = """
import numpy
X = numpy.arange(40.0).reshape(20, 2)
y = X[:, 0] * 3 + X[:, 1] + 1
"""

LINEAR = DATA + "from sklearn.linear_model import LinearRegression\nmodel = LinearRegression().fit(X, y)\n"
FOREST = DATA + (
    "from sklearn.ensemble import RandomForestRegressor\n"
    "model = RandomForestRegressor(n_estimators=5, random_state=0).fit(X, y)\n"
)

#: Loads the model back by run, registers it, loads it by alias, and reports what it saw.
FOLLOW = """
import json
run = mlflow.last_active_run()
predicted = model.predict(X).tolist()
by_run = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
version = mlflow.register_model(f"runs:/{run.info.run_id}/model", NAME)
client = mlflow.MlflowClient()
client.set_registered_model_alias(NAME, "champion", version.version)
by_alias = mlflow.sklearn.load_model(f"models:/{NAME}@champion")
by_version = mlflow.pyfunc.load_model(f"models:/{NAME}/{version.version}")
print(json.dumps({
    "run_id": run.info.run_id, "params": run.data.params, "metrics": run.data.metrics, "status": run.info.status,
    "same": [by_run.predict(X).tolist() == predicted, by_alias.predict(X).tolist() == predicted,
             by_version.predict(X).tolist() == predicted],
    "version": version.version, "files": sorted(
        f.path for f in client.list_artifacts(run.info.run_id, "model")) or sorted(
        f.path.rsplit("/", 1)[-1] for f in mlflow.artifacts.list_artifacts(version.source)),
    "model_id": version.model_id,
}))
"""


def run(server: LiveServer, folder: Path, program: str) -> dict[str, Any]:
    """Run a program in the peer environment; the JSON of its last line."""
    script = folder / "program.py"
    script.write_text(textwrap.dedent(program))
    done = subprocess.run(
        [str(python_of("mlflow")), str(script)],
        env={
            "PATH": "/usr/bin:/bin", "HOME": str(folder), "MLFLOW_TRACKING_URI": server.url,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "GIT_PYTHON_REFRESH": "quiet", "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        cwd=folder, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-1000:]
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


def check(found: dict[str, Any]) -> None:
    assert found["params"] == {"model_type": "random_forest"}
    assert found["metrics"] == {"accuracy": 0.95}
    assert found["status"] == "FINISHED"
    assert found["same"] == [True, True, True]
    assert found["version"] in (1, "1")
    assert "MLmodel" in {Path(path).name for path in found["files"]}


def test_snippet_with_a_linear_model(live_server: LiveServer, tmp_path: Path) -> None:
    check(run(live_server, tmp_path, LINEAR + SNIPPET + "NAME = 'linear'\n" + FOLLOW))


def test_snippet_with_a_random_forest(live_server: LiveServer, tmp_path: Path) -> None:
    pickled = SNIPPET.replace(
        'log_model(model, "model")', 'log_model(model, "model", serialization_format="cloudpickle")'
    )
    check(run(live_server, tmp_path, FOREST + pickled + "NAME = 'forest'\n" + FOLLOW))


AUTOLOG = (
    DATA
    + """
import json
import mlflow
from sklearn.linear_model import ElasticNet
from sklearn.model_selection import GridSearchCV

mlflow.set_experiment("autolog")
mlflow.sklearn.autolog(max_tuning_runs=None)
with mlflow.start_run() as run:
    ElasticNet(alpha=0.3).fit(X, y)
mlflow.sklearn.autolog(max_tuning_runs=None, log_models=False)
with mlflow.start_run() as search:
    GridSearchCV(ElasticNet(), {"alpha": [0.1, 0.5, 1.0]}, cv=2).fit(X, y)
found = mlflow.get_run(run.info.run_id)
children = mlflow.search_runs(filter_string=f"tags.`mlflow.parentRunId` = '{search.info.run_id}'", output_format="list")
models = mlflow.search_logged_models(output_format="list")
print(json.dumps({
    "alpha": found.data.params["alpha"], "metrics": sorted(found.data.metrics), "estimator": found.data.tags["estimator_name"],
    "inputs": len(found.inputs.dataset_inputs), "outputs": len(found.outputs.model_outputs),
    "children": len(children), "models": len(models), "statuses": sorted({m.status.value for m in models}),
    "files": sorted(f.path for f in mlflow.artifacts.list_artifacts(run_id=search.info.run_id)),
}))
"""
)


def test_sklearn_autolog(live_server: LiveServer, tmp_path: Path) -> None:
    found = run(live_server, tmp_path, AUTOLOG)
    assert found["alpha"] == "0.3"
    assert "training_mean_squared_error" in found["metrics"]
    assert found["estimator"] == "ElasticNet"
    assert found["inputs"] == 1
    assert found["outputs"] == 1
    assert found["children"] == 3
    assert found["models"] >= 1
    assert found["statuses"] == ["READY"]
    assert "cv_results.csv" in found["files"]
