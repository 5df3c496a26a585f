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


def test_comments_and_layout_in_the_block_stay() -> None:
    before = """\
spec:
  # who watches
  observability:
      enabled: true    # in production too

      backends:        # both for now
        - mlflow       # the old one
        - console      # for the log

      # the team's server
      mlflow:
        # one per product
        experiment_name: churn   # do not rename
        tracking_uri: http://old:5001
        log_params: true         # all of them
      sampling:  0.5   # half
  tasks: [one]
"""
    assert (
        rewrite(before, "twinlens")
        == """\
spec:
  # who watches
  observability:
      enabled: true    # in production too

      backends:        # both for now
        - twinlens
        - console      # for the log

      # the team's server
      twinlens:
        url: http://localhost:5001
        # one per product
        experiment_name: churn   # do not rename
        log_params: true         # all of them
      sampling:  0.5   # half
  tasks: [one]
"""
    )
    flow = "observability:\n  # where\n  backends: [mlflow, console]  # two\n  # how\n  mlflow: {experiment_name: e}\n"
    after = rewrite(flow, "langfuse")
    assert after.startswith(
        "observability:\n  # where\n  backends: [langfuse, console]  # two\n  # how\n  langfuse:\n    host:"
    )


@pytest.mark.parametrize("to", ["mlflow", "langfuse", "twinlens"])
def test_twice_is_once(to: str) -> None:
    once = rewrite(PLAYBOOK, to)  # type: ignore[arg-type]
    assert yaml.safe_load(rewrite(once, to)) == yaml.safe_load(once)  # type: ignore[arg-type]


def test_below_spec_and_short_forms() -> None:
    text = "spec:\n  observability:\n    backend: langfuse\n    langfuse: {project: p, host: 'http://h'}\n  other: 1\n"
    found = yaml.safe_load(rewrite(text, "twinlens"))["spec"]
    assert found["observability"] == {
        "backends": ["twinlens"], "twinlens": {"url": "http://localhost:5001", "experiment_name": "p"}
    }  # fmt: skip
    assert found["other"] == 1
    assert yaml.safe_load(rewrite("observability: true\nx: 1\n", "mlflow"))["observability"]["backends"] == ["mlflow"]


@pytest.mark.parametrize("text", ["a: 1\n", "a: [", "", "- 1\n"])
def test_without_a_block(text: str) -> None:
    with pytest.raises(MigrationError):
        rewrite(text, "mlflow")


@pytest.mark.parametrize(
    "block",
    [
        "  backends:\n  - mlflow: {experiment_name: churn, tracking_uri: http://old}\n  - console\n",
        "  backends:\n  - {name: mlflow, experiment_name: churn}\n  - console\n",
        "  backends: {mlflow: {experiment_name: churn}, console: {}}\n",
        "  backend: mlflow\n  experiment_name: churn\n  tracking_uri: http://old\n",
        "  backend: mlflow\n  config: {experiment_name: churn}\n",
    ],
)
def test_options_are_found_where_they_stand(block: str) -> None:
    """In the list of backends, or beside the name of a single one; nothing of the old backend is left."""
    found = yaml.safe_load(rewrite(f"observability:\n{block}  tracing: true\n", "langfuse"))["observability"]
    assert found["langfuse"]["project"] == "churn"
    assert found["backends"][0] == "langfuse"
    assert "mlflow" not in str(found)
    assert set(found) - {"enabled"} == {"backends", "langfuse", "tracing"}
    assert found["backends"][1:] in ([], ["console"])


def test_what_is_no_yaml_is_told_with_its_line() -> None:
    with pytest.raises(MigrationError, match=r"^line 3, column \d+: .*expected a YAML mapping$"):
        rewrite("observability:\n  backends: [mlflow\n  mlflow:\n", "langfuse")
