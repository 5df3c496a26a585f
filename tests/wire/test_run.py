"""``twinlens run`` and the start-up hook: unmodified programs, observed; their behaviour unchanged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.envs import python_of
from tests.stub_llm import stub_llm

pytestmark = pytest.mark.peer

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "opentelemetry-instrumentation-genai-openai"
BOOK = "observability:\n  backends: [jsonl]\n  jsonl: {path: out.jsonl}\n"
#: An agent that knows nothing of us.
AGENT = """
import asyncio, openai
client, later = openai.OpenAI(), openai.AsyncOpenAI()
asked = [{"role": "user", "content": "why?"}]
print(client.chat.completions.create(model="gpt-4o-mini", messages=asked, temperature=0.2).choices[0].message.content)
chunks = client.chat.completions.create(
    model="gpt-4o-mini", messages=asked, stream=True, stream_options={"include_usage": True})
print("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
async def ask():
    return (await later.chat.completions.create(model="gpt-4o-mini", messages=asked)).choices[0].message.content
print(asyncio.run(ask()))
print(client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=asked).parse().model)
try:
    openai.OpenAI(base_url="http://127.0.0.1:9/v1", max_retries=0).embeddings.create(model="e", input="x")
except openai.APIConnectionError:
    print("refused")
"""
SAID = "Because.\nBecause.\nBecause.\ngpt-4o-mini\nrefused\n"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """A model provider."""
    with stub_llm() as url:
        yield url


def environment(provider: str, folder: Path) -> dict[str, str]:
    """What an agent's shell would hold."""
    foreign = ("TWINLENS_", "LANGFUSE_", "MLFLOW_", "OTEL_", "OPENAI_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    more = {"OPENAI_BASE_URL": provider, "OPENAI_API_KEY": "sk-none", "TWINLENS_SPOOL": str(folder / "spool")}
    return kept | more | {"PYTHONPATH": str(ROOT)}


def start(
    python: str, folder: Path, *arguments: str, env: dict[str, str], **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a folder."""
    return subprocess.run([python, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60, **more)


def spans(folder: Path) -> list[dict[str, Any]]:
    """What was recorded."""
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def check(found: list[dict[str, Any]]) -> None:
    """Every call once, with its tokens and text; the failed one with its error."""
    calls = [row["attributes"] for row in found if row["name"].startswith("chat")]
    assert len(calls) == 4
    assert [(c["gen_ai.usage.input_tokens"], c["gen_ai.usage.output_tokens"]) for c in calls] == [(123, 45)] * 4
    assert all("Because." in str(call) and "why?" in str(call) for call in calls)
    [failed] = [row for row in found if not row["name"].startswith("chat")]
    assert (failed["name"], failed["status"]) == ("embeddings e", "ERROR")


@pytest.mark.parametrize("skip", [(), ("--skip", PACKAGE)], ids=["package", "builtin"])
def test_an_unmodified_agent_is_observed(skip: tuple[str, ...], provider: str, tmp_path: Path) -> None:
    (tmp_path / "playbook.yaml").write_text(BOOK)
    (tmp_path / "agent.py").write_text(AGENT)
    python = python_of("openai")
    done = start(
        python, tmp_path, "-m", "twinlens", "run", *skip, "--", python, "agent.py", env=environment(provider, tmp_path)
    )
    assert (done.returncode, done.stdout) == (0, SAID), done.stderr
    [line] = done.stderr.splitlines()
    by = "built in" if skip else PACKAGE
    assert line == f"twinlens: playbook {tmp_path / 'playbook.yaml'}; observing OpenAI ({by})"
    check(spans(tmp_path))
    scopes = {row["attributes"].get("langfuse.observation.type") for row in spans(tmp_path)}
    assert (None in scopes) == (not skip)


def test_the_hook_does_it_without_a_changed_command(provider: str, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = str(tmp_path / "env" / "bin" / "python")
    [site] = (tmp_path / "env" / "lib").glob("*/site-packages")
    [borrowed] = Path(python_of("openai")).parent.parent.glob("lib/*/site-packages")
    (site / "borrowed.pth").write_text(f"{borrowed}\n{ROOT}\n")
    env = environment(provider, tmp_path)
    del env["PYTHONPATH"]
    (tmp_path / "agent.py").write_text(AGENT)
    put = start(python, tmp_path, "-m", "twinlens", "hook", "install", env=env)
    assert put.stdout.startswith("installed "), put.stderr
    watched = "import sys; print([type(f).__module__ for f in sys.meta_path if 'twinlens' in type(f).__module__], "
    heavy = watched + "[m for m in sys.modules if m.startswith(('opentelemetry', 'yaml', 'twinlens.sdk.runtime'))])"
    assert start(python, tmp_path, "-c", heavy, env=env).stdout == "[] []\n"  # no playbook: nothing is watched
    (tmp_path / "playbook.yaml").write_text(BOOK)
    ready = "['twinlens.sdk.instrument.hook'] []\n"  # programs without agents load nothing
    assert start(python, tmp_path, "-c", heavy, env=env).stdout == ready
    done = start(python, tmp_path, "agent.py", env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, SAID, "")
    check(spans(tmp_path))
    assert start(python, tmp_path, "-m", "twinlens", "hook", "remove", env=env).returncode == 0
    assert start(python, tmp_path, "-c", heavy, env=env).stdout == "[] []\n"


def test_status_input_output_and_signals_are_the_commands_own(tmp_path: Path) -> None:
    env = environment("http://127.0.0.1:9/v1", tmp_path)
    run = ["-m", "twinlens", "run", "--quiet", "--"]
    echo = "import sys; print(sys.stdin.read()[::-1], sys.argv[1:]); sys.exit(7)"
    done = start(sys.executable, tmp_path, *run, sys.executable, "-c", echo, "--config", "-x", env=env, input="abc")
    assert (done.returncode, done.stdout, done.stderr) == (7, "cba ['--config', '-x']\n", "")
    wait = "import signal, time; print('ready', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, *run, sys.executable, "-c", wait], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM
    process.stdout.close()
    absent = start(sys.executable, tmp_path, *run, "no-such-command", env=env)
    assert (absent.returncode, absent.stderr) == (127, "error: no-such-command: command not found\n")


def test_another_environment_without_us_runs_on_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("print('their own start-up')\n")
    bare = tmp_path / "env"
    venv.create(bare, with_pip=False)
    env = environment("http://127.0.0.1:9/v1", tmp_path)
    twice = "import subprocess, sys; print('agent', flush=True); subprocess.run([sys.executable, '-c', 'print(1)'])"
    command = [str(bare / "bin" / "python"), "-c", twice]
    program = (
        f"import os, sys; os.environ['PYTHONPATH'] = {str(tmp_path / 'site')!r}; from twinlens.cli import main; main()"
    )
    done = start(sys.executable, tmp_path, "-c", program, "run", "--quiet", "--", *command, env=env)
    assert done.stdout == "their own start-up\nagent\ntheir own start-up\n1\n"
    assert done.stderr.count("\n") == 1
    assert "has no twinlens" in done.stderr and "-m pip install twinlens" in done.stderr
