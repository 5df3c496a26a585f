"""Training runs through MLflow's REST API: parameters, curves, a model card as artifact."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field
from typing import Any

from twinlens.demo.rest import Rest, now_ms

EXPERIMENT = "demand-forecast"


@dataclass
class Training:
    """One run that is trained step by step."""

    rest: Rest
    run_id: str
    artifact_uri: str
    params: dict[str, Any]
    steps: int
    noise: random.Random
    step: int = 0
    start_ms: int = 0
    step_ms: int = 500
    last: dict[str, float] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """All steps are done."""
        return self.step >= self.steps

    def advance(self, count: int = 1, *, in_the_past: bool = False) -> None:
        """Log the metrics of some more steps in one batch."""
        points: list[dict[str, Any]] = []
        for _ in range(min(count, self.steps - self.step)):
            self.last = self._metrics()
            moment = self.start_ms + self.step * self.step_ms if in_the_past else now_ms()
            points += [{"key": k, "value": v, "timestamp": moment, "step": self.step} for k, v in self.last.items()]
            self.step += 1
        if points:
            self.rest.mlflow("runs/log-batch", run_id=self.run_id, metrics=points[:1000])

    def finish(self, end_ms: int | None = None) -> None:
        """Upload the model card and end the run."""
        rows = "\n".join(f"| {key} | {value:.4f} |" for key, value in sorted(self.last.items()))
        card = (
            f"# Demand forecast\n\nGradient boosting, {self.steps} rounds.\n\n| metric | value |\n|---|---|\n{rows}\n"
        )
        self._upload("model-card.md", card.encode(), "text/markdown")
        self._upload("params.json", json.dumps(self.params, indent=2).encode(), "application/json")
        self.rest.mlflow("runs/update", run_id=self.run_id, status="FINISHED", end_time=end_ms or now_ms())

    def _upload(self, name: str, body: bytes, kind: str) -> None:
        root = self.artifact_uri.removeprefix("mlflow-artifacts:").strip("/")
        self.rest.call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{root}/{name}", body, kind=kind)

    def _metrics(self) -> dict[str, float]:
        rate, depth = self.params["learning_rate"], self.params["max_depth"]
        t = self.step / self.steps
        fit = 0.85 * math.exp(-t * 40 * rate) + 0.09 + 0.4 / (10 + depth * 3)
        overfit = max(0.0, t - 0.55) * 0.03 * depth * rate * 10
        wobble = self.noise.gauss(0, 0.006)
        return {
            "loss/train": round(max(0.01, fit * 0.92 + wobble / 2), 5),
            "loss/valid": round(max(0.01, fit + overfit + wobble), 5),
            "mape": round(100 * max(0.02, (fit + overfit) * 0.35 + wobble / 3), 4),
            "lr": round(rate * (0.5 * (1 + math.cos(math.pi * t))), 6),
            "gpu/util": round(78 + 12 * math.sin(self.step / 7) + self.noise.gauss(0, 3), 2),
        }


class TrainingRuns:
    """Starts runs of one experiment."""

    def __init__(self, rest: Rest, seed: int = 11) -> None:
        self._rest = rest
        self._random = random.Random(seed)  # noqa: S311 - sample data
        self._experiment = rest.experiment(EXPERIMENT)
        self._count = 0

    def start(self, *, start_ms: int | None = None, steps: int = 120) -> Training:
        """A new run with its own parameters."""
        rng = self._random
        self._count += 1
        params = {
            "model": rng.choice(["xgboost", "lightgbm"]),
            "learning_rate": rng.choice([0.03, 0.05, 0.1, 0.2]),
            "max_depth": rng.choice([4, 6, 8, 10]),
            "subsample": rng.choice([0.7, 0.8, 1.0]),
            "features": "calendar+weather" if rng.random() < 0.5 else "calendar",
            "seed": rng.randrange(1000),
        }
        begun = start_ms or now_ms()
        run = self._rest.mlflow(
            "runs/create",
            experiment_id=self._experiment,
            start_time=begun,
            run_name=f"{params['model']}-lr{params['learning_rate']}-d{params['max_depth']}",
            tags=[
                {"key": "mlflow.user", "value": "demo"},
                {"key": "mlflow.source.name", "value": "train.py"},
                {"key": "mlflow.note.content", "value": "Weekly demand per bicycle model, 24 months of sales."},
            ],
        )["run"]
        run_id = run["info"]["run_id"]
        logged = [{"key": key, "value": str(value)} for key, value in params.items()]
        self._rest.mlflow("runs/log-batch", run_id=run_id, params=logged)
        noise = random.Random(rng.random())  # noqa: S311
        uri = run["info"]["artifact_uri"]
        return Training(self._rest, run_id, uri, params, steps, noise, start_ms=begun)
