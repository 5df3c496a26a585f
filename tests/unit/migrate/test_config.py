"""Rewriting the ``observability:`` block."""

from __future__ import annotations

import pytest
import yaml

from twinlens.migrate.config import rewrite
from twinlens.migrate.errors import MigrationError

PLAYBOOK = """\
# the agent
name: developer  # stays

observability:
  enabled: true
  backends:
    - mlflow
    - console
  mlflow:
    experiment_name: churn
    tracking_uri: http://old:5001
    log_params: true

# what follows stays
tasks: [one]
"""


def test_only_the_block_changes() -> None:
    after = rewrite(PLAYBOOK, "langfuse")
    found = yaml.safe_load(after)
    assert found["observability"]["backends"] == ["langfuse", "console"]
    assert found["observability"]["langfuse"]["project"] == "churn"
    assert "mlflow" not in found["observability"]
    assert after.startswith("# the agent\nname: developer  # stays\n\nobservability:\n")
    assert after.endswith("\n# what follows stays\ntasks: [one]\n")


@pytest.mark.parametrize("to", ["mlflow", "langfuse", "twinlens"])
def test_twice_is_once(to: str) -> None:
    once = rewrite(PLAYBOOK, to)  # type: ignore[arg-type]
    assert yaml.safe_load(rewrite(once, to)) == yaml.safe_load(once)  # type: ignore[arg-type]


def test_below_spec_and_short_forms() -> None:
    text = "spec:\n  observability:\n    backend: langfuse\n    langfuse: {project: p, host: 'http://h'}\n  other: 1\n"
    found = yaml.safe_load(rewrite(text, "twinlens"))["spec"]
    assert found["observability"] == {
        "enabled": True, "backends": ["twinlens"], "twinlens": {"url": "http://localhost:5001", "experiment_name": "p"}
    }  # fmt: skip
    assert found["other"] == 1
    assert yaml.safe_load(rewrite("observability: true\nx: 1\n", "mlflow"))["observability"]["backends"] == ["mlflow"]


@pytest.mark.parametrize("text", ["a: 1\n", "a: [", "", "- 1\n"])
def test_without_a_block(text: str) -> None:
    with pytest.raises(MigrationError):
        rewrite(text, "mlflow")
