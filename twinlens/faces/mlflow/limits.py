"""Limits of single requests, as MLflow 3.18 has them. Limits of names and values live in ``domain.run_rules``."""

from __future__ import annotations

from twinlens.faces.mlflow.errors import invalid

MAX_METRICS = 1_000
MAX_PARAMS = 100
MAX_TAGS = 100
MAX_ENTITIES = 1_000

RUNS_PAGE, MAX_RUNS_PAGE = 1_000, 50_000
EXPERIMENTS_PAGE, MAX_EXPERIMENTS_PAGE = 1_000, 50_000
MAX_HISTORY = 25_000
MAX_HISTORY_RUNS = 100
MAX_SAMPLE = 2_500
MAX_DATASET_EXPERIMENTS = 20


def check_batch(metrics: int, params: int, tags: int) -> None:
    """Refuse a log-batch request with too many things in it."""
    counts = (
        ("metrics", MAX_METRICS, metrics),
        ("params", MAX_PARAMS, params),
        ("tags", MAX_TAGS, tags),
        ("metrics, params, and tags", MAX_ENTITIES, metrics + params + tags),
    )
    for name, limit, count in counts:
        if count > limit:
            raise invalid(
                f"A batch logging request can contain at most {limit} {name}. Got {count} {name}. "
                f"Please split up {name} across multiple requests and try again."
            )
