"""A PyTorch loop: curves by step, checkpoints of one model, the best loaded back from the registry."""

import mlflow
import numpy as np
import torch
from mlflow.models import infer_signature

torch.manual_seed(0)
mlflow.set_experiment("pytorch")
inputs = torch.linspace(-1, 1, 256).unsqueeze(1)
wanted = inputs**3 - inputs / 2
network = torch.nn.Sequential(torch.nn.Linear(1, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
signature = infer_signature(inputs.numpy(), wanted.numpy())

with mlflow.start_run(run_name="cubic") as run:
    mlflow.log_params({"lr": 0.02, "hidden": 16, "torch": torch.__version__})
    for step in range(200):
        loss = torch.nn.functional.mse_loss(network(inputs), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mlflow.log_metric("loss", loss.item(), step=step)
        if step % 100 == 99:
            made = mlflow.pytorch.log_model(
                network,
                name="cubic",
                step=step,
                signature=signature,
                input_example=inputs[:2].numpy(),
                pip_requirements=["torch"],  # what MLflow would find by importing everything again
            )
            mlflow.log_metric("checkpoint_loss", loss.item(), step=step, model_id=made.model_id)
    best = mlflow.search_logged_models(
        experiment_ids=[run.info.experiment_id], output_format="list",
        order_by=[{"field_name": "metrics.checkpoint_loss", "ascending": True}],
    )[0]  # fmt: skip
    version = mlflow.register_model(f"models:/{best.model_id}", "cubic")

client = mlflow.MlflowClient()
history = client.get_metric_history(run.info.run_id, "loss")
assert [point.step for point in history] == list(range(200))
assert history[-1].value < history[0].value / 10
assert len(client.get_run(run.info.run_id).outputs.model_outputs) == 2
loaded = mlflow.pyfunc.load_model(f"models:/cubic/{version.version}")
assert loaded.metadata.signature == signature
again = mlflow.pytorch.load_model(f"models:/{best.model_id}")
given = inputs[:5].numpy()
assert np.allclose(loaded.predict(given), again(inputs[:5]).detach().numpy())
print(f"torch {torch.__version__}: 200 points, 2 checkpoints, loss {history[0].value:.3f} -> {history[-1].value:.5f}")
