"""Flows of daily work with the real client that are more than one call: asynchronous logging, evaluation of a model, serving from the registry.
The heavy ones (boosting, PyTorch, Optuna, ``mlflow models serve``, 1 GB) are ``make examples``."""

from __future__ import annotations

import pytest

from tests.wire.mlflow.peer import MlflowPeer

pytestmark = pytest.mark.peer


def test_asynchronous_logging_loses_nothing(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    mlflow.set_experiment("asynchronous")
    mlflow.config.enable_async_logging()
    with mlflow.start_run() as run:
        for step in range(200):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        waiting = mlflow.log_params({f"p{n}": n for n in range(120)}, synchronous=False)
        mlflow.set_tag("kind", "asynchronous", synchronous=False)
        waiting.wait()
        mlflow.flush_async_logging()
    mlflow.config.enable_async_logging(False)
    history = client.get_metric_history(run.info.run_id, "loss")
    stored = client.get_run(run.info.run_id)
    result = [[p.step for p in history], len(stored.data.params), stored.data.tags["kind"], stored.info.status]
    """)
    assert found == [list(range(200)), 120, "asynchronous", "FINISHED"]


def test_a_model_is_evaluated_registered_and_predicts_from_the_registry(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    import numpy, pandas
    from mlflow.models import infer_signature
    class Double(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input["x"].to_numpy() * (params or {}).get("factor", 2.0)
    table = pandas.DataFrame({"x": numpy.arange(20.0)})
    signature = infer_signature(table, table["x"].to_numpy() * 2, params={"factor": 2.0})
    mlflow.set_experiment("evaluated-model")
    with mlflow.start_run() as run:
        made = mlflow.pyfunc.log_model(
            python_model=Double(), name="double", signature=signature, input_example=table.head(2),
            registered_model_name="double", pip_requirements=["mlflow"])
        judged = mlflow.models.evaluate(
            made.model_uri, table.assign(y=table["x"] * 2 + 1), targets="y", model_type="regressor",
            evaluator_config={"log_explainer": False, "log_model_explainability": False})
    client.set_registered_model_alias("double", "champion", 1)
    loaded = mlflow.pyfunc.load_model("models:/double@champion")
    stored = client.get_run(run.info.run_id)
    try:
        loaded.predict(pandas.DataFrame({"z": [1.0]}))
    except mlflow.MlflowException as error:
        refused = str(error)
    result = {
        "error": judged.metrics["mean_absolute_error"], "kept": stored.data.metrics["mean_absolute_error"],
        "inputs": [d.dataset.name for d in stored.inputs.dataset_inputs], "model": client.get_logged_model(made.model_id).metrics[0].key,
        "predicted": loaded.predict(pandas.DataFrame({"x": [1.0, 4.0]}), params={"factor": 3.0}).tolist(),
        "example": loaded.input_example.to_dict("list"), "params": loaded.metadata.signature.params.to_dict()[0]["name"],
        "refused": refused,
    }
    """)
    assert (found["error"], found["kept"]) == (1.0, 1.0)
    assert found["inputs"] == ["dataset"]
    assert found["model"]
    assert found["predicted"] == [3.0, 12.0]
    assert found["example"] == {"x": [0.0, 1.0]}
    assert found["params"] == "factor"
    assert "missing inputs ['x']" in found["refused"]
