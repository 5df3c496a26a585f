"""A Lightning module under autologging: epochs, parameters, the model."""

import warnings

import lightning
import mlflow
import torch

warnings.simplefilter("ignore")
lightning.seed_everything(0, verbose=False)
mlflow.set_experiment("lightning")
mlflow.pytorch.autolog()
inputs = torch.linspace(-1, 1, 128).unsqueeze(1)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, 2 * inputs + 1), batch_size=32)


class Line(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        given, wanted = batch
        loss = torch.nn.functional.mse_loss(self.layer(given), wanted)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


trainer = lightning.Trainer(
    max_epochs=5, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
)  # fmt: skip
with mlflow.start_run() as run:
    trainer.fit(Line(), loader)

client = mlflow.MlflowClient()
stored = client.get_run(run.info.run_id)
history = client.get_metric_history(run.info.run_id, "train_loss")
assert len(history) == 5, history
assert history[-1].value < history[0].value
assert stored.data.params["epochs"] == "5"
assert stored.data.params["optimizer_name"] == "SGD"
model = mlflow.pytorch.load_model(f"models:/{stored.outputs.model_outputs[0].model_id}")
assert abs(model.layer.weight.item() - 2) < 1
print(f"lightning {lightning.__version__}: 5 epochs, loss {history[0].value:.3f} -> {history[-1].value:.3f}")
