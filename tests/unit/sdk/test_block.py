"""The shapes of the ``observability:`` block: the guide's two, and those found in the wild."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twinlens.sdk.block import Block, BlockError, read

GUIDE_MLFLOW = """\
observability:
  enabled: true
  backends:
    - mlflow
  mlflow:
    experiment_name: "developer_agent"
    tracking_uri: "http://localhost:5001"
    log_artifacts: true
    log_metrics: true
    log_params: true
"""
GUIDE_LANGFUSE = """\
observability:
  enabled: true
  backends:
    - langfuse
  langfuse:
    public_key: "your-public-key"
    secret_key: "your-secret-key"
    host: "http://localhost:3000"
    project: "superoptix-agents"
"""


def of(value: Any, **environ: str) -> Block:
    """The block understood."""
    return read({"observability": value}, environ)


def test_the_guides_mlflow_block(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    path.write_text(GUIDE_MLFLOW)
    block = read(path, {})
    assert (block.enabled, block.found, block.remarks) == (True, True, [])
    [mlflow] = block.backends
    assert mlflow.name == "mlflow"
    assert mlflow.options == {
        "experiment_name": "developer_agent", "tracking_uri": "http://localhost:5001", "log_artifacts": True,
        "log_metrics": True, "log_params": True,
    }  # fmt: skip


def test_the_guides_langfuse_block(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    path.write_text(GUIDE_LANGFUSE)
    block = read(path, {})
    assert block.remarks == []
    [langfuse] = block.backends
    assert langfuse.options == {
        "public_key": "your-public-key", "secret_key": "your-secret-key", "host": "http://localhost:3000",
        "project": "superoptix-agents",
    }  # fmt: skip


def test_the_block_may_stand_under_spec_and_names_the_agent() -> None:
    block = read({"metadata": {"name": "developer"}, "spec": {"observability": {"backends": ["console"]}}}, {})
    assert [b.name for b in block.backends] == ["console"]
    assert block.service_name == "developer"


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ({"backends": ["mlflow", "langfuse"]}, ["mlflow", "langfuse"]),
        ({"backends": "mlflow, langfuse"}, ["mlflow", "langfuse"]),
        ({"backend": "mlflow"}, ["mlflow"]),
        ({"backends": {"mlflow": {"experiment_name": "a"}, "langfuse": False}}, ["mlflow"]),
        ({"backends": [{"name": "jsonl", "path": "x"}]}, ["jsonl"]),
        ({"backends": [{"jsonl": {"path": "x"}}]}, ["jsonl"]),
        ({"mlflow": {"experiment_name": "a"}}, ["mlflow"]),
        ({"enable_mlflow": True, "enable_langfuse": False}, ["mlflow"]),
        ({"backends": ["console", "console"]}, ["console"]),
        ({}, []),
    ],
)
def test_backends_in_every_shape(shape: dict[str, Any], names: list[str]) -> None:
    block = of(shape)
    assert [b.name for b in block.backends] == names
    assert block.remarks == []


def test_options_beside_a_single_backend() -> None:
    [backend] = of({"backend": "mlflow", "config": {"tracking_uri": "http://h"}}).backends
    assert backend.options == {"tracking_uri": "http://h"}


@pytest.mark.parametrize(
    ("shape", "enabled"),
    [
        (True, True), (False, False), ({"enabled": "no"}, False), ({"tracing": False}, False),
        ({"tracing": {"enabled": True, "level": "detailed"}, "metrics": True, "logging": {"a": 1}}, True),
    ],
)  # fmt: skip
def test_switches_are_bool_or_map(shape: Any, enabled: bool) -> None:
    assert of(shape).enabled is enabled


#: Shapes of sibling guides, of the extended schema and of shipped playbooks. All are legal; none may be told off.
WILD: list[dict[str, Any]] = [
    {
        "backend": "mlflow", "tracking_uri": "http://h", "mlflow": {
            "tags": {"tier": "oracles"}, "metadata": {"region": "eu"}, "custom_metrics": [{"name": "x", "type": "number"}],
            "batch_processing": {"enabled": True, "batch_size": 100}, "debug": True, "log_level": "DEBUG",
        },
    },
    {
        "backends": ["langfuse"], "langfuse": {
            "tags": {"tier": "oracles"}, "custom_attributes": [], "feedback": {"enabled": True, "score_range": [1, 5]},
            "ab_testing": {"enabled": True, "variants": [{"name": "a", "config": {"temperature": 0.1}}]},
            "cost_optimization": {"enabled": True}, "load_balancing": {"enabled": True}, "debug": True, "verbose": True,
            "test_mode": False, "flush_interval": 5, "log_level": "DEBUG",
        }, "trace_export": {"format": "langfuse", "batch_size": 50},
    },
    {
        "enabled": True, "debug": {"debug_mode": True}, "dashboard": {"port": 8501}, "performance": {"alerts": {}},
        "tracing": {"enabled": True, "trace_memory": True, "filters": {}, "sampling": {"enabled": False, "rate": 1.0}},
        "export": {"enabled": True, "formats": ["json"]},
    },
    {"tracing": True, "logging": True, "metrics": True},
    {"tracing": {"enabled": True, "level": "detailed"}, "monitoring": {"alerts": [{"error_rate_threshold": 0.1}]}},
    {"metrics": {"track_latency": True}, "debugging": {"log_level": "INFO"}, "track_tool_latency": True},
    {"debug_mode": False, "trace_memory": True, "enable_breakpoints": False, "step_mode": False, "break_on_error": True,
     "break_on_memory": False, "enable_mlflow": False},
]  # fmt: skip


@pytest.mark.parametrize("shape", WILD)
def test_shapes_found_in_the_wild_are_legal(shape: dict[str, Any]) -> None:
    block = of(shape)
    assert [str(remark) for remark in block.remarks] == []
    assert block.enabled


def test_unknown_keys_name_the_nearest_known_one(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    path.write_text(GUIDE_MLFLOW.replace("experiment_name", "experiment_nam").replace("enabled", "enable"))
    remarks = [str(remark) for remark in read(path, {}).remarks]
    assert len(remarks) == 2
    assert "line 2" in remarks[0] and "did you mean 'enabled'" in remarks[0]
    assert "line 6" in remarks[1] and "did you mean 'experiment_name'" in remarks[1]


def test_unknown_backends_and_unlisted_options_are_told() -> None:
    block = of({"backends": ["mlfow"], "langfuse": {"host": "h"}})
    assert block.backends == []
    told = " ".join(str(remark) for remark in block.remarks)
    assert "did you mean 'mlflow'" in told
    assert "not listed in backends" in told


def test_values_come_from_the_environment() -> None:
    shape = {
        "backends": ["langfuse"],
        "langfuse": {"secret_key": "${SECRET}", "host": "${HOST:-http://h}", "project": "${NO}"},
    }
    block = of(shape, SECRET="s")
    assert block.backends[0].options["secret_key"] == "s"
    assert block.backends[0].options["host"] == "http://h"
    assert [remark.path for remark in block.remarks] == ["observability.langfuse.project"]


@pytest.mark.parametrize(
    ("shape", "rate"), [(0.25, 0.25), ({"enabled": True, "rate": 0.5}, 0.5), ({"enabled": False, "rate": 0.5}, 1.0)]
)
def test_sampling(shape: Any, rate: float) -> None:
    assert of({"sampling": shape}).sample_rate == rate
    assert of({"tracing": {"sampling": shape}}).sample_rate == rate


@pytest.mark.parametrize("wrong", [2, "often"])
def test_a_wrong_sampling_rate_keeps_everything(wrong: Any) -> None:
    block = of({"sampling": wrong})
    assert block.sample_rate == 1.0
    assert len(block.remarks) == 1


def test_a_broken_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    path.write_text("observability:\n  backends: [mlflow\n  x: 1\n")
    with pytest.raises(BlockError, match=r"playbook.yaml, line 3, column \d+: .*expected a YAML mapping"):
        read(path, {})
    path.write_text("- a\n")
    with pytest.raises(BlockError, match="found list"):
        read(path, {})
    with pytest.raises(BlockError, match="cannot be read"):
        read(tmp_path / "absent.yaml", {})


def test_no_source_is_an_empty_block(tmp_path: Path) -> None:
    assert read(None, {}).found is False
    path = tmp_path / "p.yaml"
    path.write_text(GUIDE_MLFLOW)
    assert read(None, {"TWINLENS_CONFIG": str(path)}).found is True


@pytest.mark.parametrize("wrong", [5, True, {"a": 1}, "text", ["a"], None])
def test_what_does_not_fit_is_told_not_raised(wrong: Any) -> None:
    """A single pattern is a list of one, never its letters."""
    block = of({"backends": ["otlp"], "otlp": wrong, "mask": wrong, "spool": wrong})
    assert block.mask == {"5": ["5"], "text": ["text"], "['a']": ["a"]}.get(str(wrong), [])
    told = {remark.path for remark in block.remarks}
    assert ("observability.spool" in told) is not (wrong is None or isinstance(wrong, dict))
