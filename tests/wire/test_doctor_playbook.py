"""``twinlens doctor playbook.yaml``, as a person runs it: explanations, reachability, traps."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.servers import LiveServer, run_command
from twinlens.cli import traps
from twinlens.sdk.block import read

BLOCK = """\
metadata: {{name: developer}}
spec:
  language_model: {{provider: ollama, model: llama3, api_base: "http://h"}}
  observability:
    enabled: true
    backends: [twinlens, mlflow, langfuse, otlp, jsonl]
    twinlens: {{url: "{url}"}}
    mlflow:
      experiment_name: "developer_agent"
      tracking_uri: "{url}"
      log_level: DEBUG
      log_parms: true
    langfuse:
      public_key: "your-public-key"
      secret_key: "a-literal-secret"
      host: "{url}"
      project: "superoptix-agents"
    otlp: {{endpoint: "{url}"}}
"""


def doctor(path: Path, **env: str) -> tuple[int, str]:
    """Exit status and report."""
    done = run_command("doctor", str(path), env=env)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_good_playbook_is_explained_and_reached(live_server: LiveServer, tmp_path: Path) -> None:
    book = tmp_path / "playbook.yaml"
    book.write_text(BLOCK.format(url=live_server.url))
    status, said = doctor(book, MLFLOW_TRACKING_URI="http://elsewhere")
    assert status == 0, said
    for line in (
        "ok   line 9, mlflow.experiment_name = developer_agent: names the experiment",
        "ok   line 11, mlflow.log_level = DEBUG: sets the level of older adapters (accepted, changes nothing here)",
        "warn line 12, spec.observability.mlflow.log_parms: unknown key 'log_parms', did you mean 'log_params'?",
        "ok   line 15, langfuse.secret_key = ***",
        "warn line 15, langfuse.secret_key is written out",
        "secret_key: ${LANGFUSE_SECRET_KEY}",
        f"ok   twinlens {live_server.url} answers",
        f"ok   mlflow {live_server.url} answers",
        "ok   experiment 'developer_agent' is made with the first run",
        f"ok   langfuse {live_server.url} takes these keys",
        "warn langfuse.project is 'superoptix-agents', but the keys decide the project",
        f"ok   otlp {live_server.url} answered 200",
        "ok   jsonl needs no server",
        "twinlens run and the hook: ",
        "warn MLFLOW_TRACKING_URI is http://elsewhere, the playbook says",
    ):
        assert line in said, f"{line!r} is not in:\n{said}"
    assert "a-literal-secret" not in said


def test_what_is_broken_is_told_with_a_fix(tmp_path: Path) -> None:
    book = tmp_path / "playbook.yaml"
    book.write_text("observability: [\n")
    status, said = doctor(book)
    assert status == 1
    assert "playbook.yaml, line 2, column 1" in said and "the agent runs on" in said
    book.write_text("spec: {}\n")
    assert "has no observability: block" in doctor(book)[1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    book.write_text(
        f"observability:\n  backends: [mlflow, langfuse]\n  mlflow: {{tracking_uri: '{dead}'}}\n  langfuse: {{host: '{dead}'}}\n"
    )
    status, said = doctor(book)
    assert status == 1
    assert f"bad  mlflow {dead} cannot be used" in said and "agents keep their spans in the spool" in said
    assert "bad  langfuse: needs public_key and secret_key" in said


@pytest.mark.parametrize(
    ("check", "installed", "spec", "env", "word"),
    [
        ("_skops", {"mlflow": (3, 17), "skops": (0, 16)}, {}, {}, "cloudpickle"),
        ("_skops", {"mlflow": (3, 13), "skops": (0, 16)}, {}, {}, ""),
        ("_langfuse_major", {"langfuse": (5, 0)}, {}, {}, "from twinlens import"),
        ("_langfuse_major", {"langfuse": (3, 15)}, {}, {}, ""),
        ("_dspy_ollama", {"dspy": (3, 4)}, {"language_model": {"provider": "ollama"}}, {}, "3.3.1"),
        ("_dspy_ollama", {"dspy": (3, 4)}, {"language_model": {"provider": "openai"}}, {}, ""),
        ("_api_base", {}, {"language_model": {"provider": "openai", "api_base": "http://h"}}, {}, "OPENAI_BASE_URL"),
        ("_api_base", {}, {"language_model": {"provider": "openai", "api_base": "http://h"}},
         {"OPENAI_BASE_URL": "http://h"}, ""),
        ("_phoenix", {}, {"phoenix": {"enabled": True}}, {}, "otlp"),
        ("_phoenix", {}, {"phoenix": {"enabled": False}}, {}, ""),
        ("_logfire", {"logfire": (5, 2)}, {"logfire": {"enabled": True}}, {}, "twice"),
        ("_openai_v2", {"opentelemetry-instrumentation-openai-v2": (2, 4), "opentelemetry-util-genai": (1, 3)}, {}, {}, "genai-openai"),
        ("_no_tokens", {"openinference-instrumentation-dspy": (0, 1)}, {}, {}, "no tokens"),
        ("_masked", {"superoptix": (0, 3), "langfuse": (5, 0)}, {}, {}, "CAPTURE_CONTENT"),
        ("_observe_mlflow", {"superoptix": (0, 3)}, {}, {}, "two unrelated runs"),
        ("_price_map", {"litellm": (1, 106), "mlflow": (3, 17)}, {}, {}, "COST_MAP"),
        ("_price_map", {"litellm": (1, 106), "mlflow": (3, 17)}, {}, {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}, ""),
        ("_usage_posts", {"superoptix": (0, 3)}, {}, {}, "SUPEROPTIX_TELEMETRY"),
        ("_usage_posts", {"superoptix": (0, 3)}, {}, {"SUPEROPTIX_TELEMETRY": "false"}, ""),
        ("_cache", {"dspy": (3, 4)}, {}, {}, "cache"),
    ],
)  # fmt: skip
def test_traps(
    check: str, installed: dict[str, tuple[int, int]], spec: dict[str, Any], env: dict[str, str], word: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("OPENAI_BASE_URL", "LITELLM_LOCAL_MODEL_COST_MAP", "SUPEROPTIX_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(traps.Scene, "version", lambda _, name: installed.get(name))
    block = read({"spec": {**spec, "observability": {"backends": ["mlflow"]}}}, {})
    found = getattr(traps, check)(traps.Scene(block, spec))
    assert (found is not None) == bool(word)
    assert found is None or word in f"{found.what} {found.fix}"
