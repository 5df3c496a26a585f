"""The rest of the agent API against a running server: run logging, prompts, datasets, A/B tests, feedback, threads."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import api
from tests.wire.test_sdk import environment, run_of


def program(text: str, server: LiveServer, folder: Path, experiment: str = "") -> str:
    """Run a program that uses the SDK; what it printed."""
    named = f", experiment_name: {experiment}" if experiment else ""
    (folder / "book.yaml").write_text(
        f"observability:\n  backends: [twinlens]\n  twinlens: {{url: '{server.url}'{named}}}\n  mask: [email]\n"
        "  ab_testing: {variants: [{name: calm, config: {temperature: 0}}, {name: bold}]}\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import twinlens\n" + text + "\nassert twinlens.flush(30)\n"],
        env=environment(folder / "spool", TWINLENS_CONFIG=str(folder / "book.yaml")), cwd=folder, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_a_program_logs_is_in_the_run_and_the_trace(live_server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("by hand")
    program(
        "with twinlens.agent('logger') as agent:\n"
        "    twinlens.log_param('style', 'terse, says ada@example.org')\n"
        "    twinlens.log_metric('accuracy', 0.5)\n"
        "    for step in range(3): twinlens.log_metric('loss', 1 / (step + 1), step=step)\n"
        "    twinlens.log_artifact('notes.txt')\n"
        "    twinlens.log_artifact({'a': [1]}, 'data/a.json')\n"
        "assert twinlens.flush(30)\n"  # the run is over and made; what comes now goes to it
        "twinlens.log_param('verdict', 'kept', trace_id=agent.trace_id)\n"
        "twinlens.log_metric('loss', 0.25, step=3, trace_id=agent.trace_id)\n"
        "twinlens.log_artifact(b'later', 'late.txt', trace_id=agent.trace_id)\n",
        live_server, tmp_path, "logging",
    )  # fmt: skip
    with live_server.client() as http, api(live_server.url) as langfuse:
        run = run_of(http, "logging")
        run_id = run["info"]["run_id"]
        params = {p["key"]: p["value"] for p in run["data"]["params"]}
        metrics = {m["key"]: m["value"] for m in run["data"]["metrics"]}
        assert params["style"] == "terse, says ***"
        assert params["verdict"] == "kept"
        assert (metrics["accuracy"], metrics["loss"]) == (0.5, 0.25)
        history = http.get(
            "/api/2.0/mlflow/metrics/get-history", params={"run_id": run_id, "metric_key": "loss"}
        ).json()
        assert [m["step"] for m in history["metrics"]] == [0, 1, 2, 3]
        root = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
        kept = http.get(f"/api/2.0/mlflow-artifacts/artifacts/{root}/data/a.json")
        assert kept.json() == {"a": [1]}
        assert http.get(f"/api/2.0/mlflow-artifacts/artifacts/{root}/notes.txt").text == "by hand"
        assert http.get(f"/api/2.0/mlflow-artifacts/artifacts/{root}/late.txt").text == "later"
        [tag] = [t["value"] for t in run["data"]["tags"] if t["key"] == "twinlens.trace_id"]
        assert langfuse.get(f"/traces/{tag}").json()["metadata"]["accuracy"] == 0.5


def test_prompts_are_kept_refreshed_and_replaced_by_a_fallback(live_server: LiveServer, tmp_path: Path) -> None:
    said = program(
        "made = twinlens.create_prompt('greet', 'Hello {{name}}, {{what}}!', labels=['production'], config={'t': 1})\n"
        "found = twinlens.get_prompt('greet')\n"
        "print(found == made, found.version, found.variables, found.compile(name='Ada'))\n"
        "print(twinlens.get_prompt('greet') is found)\n"
        "with twinlens.generation('g', model='gpt-4o', prompt=found): pass\n"
        "print(twinlens.get_prompt('absent', fallback='plain {{x}}').compile(x=1))\n"
        "try: twinlens.get_prompt('absent')\n"
        "except Exception as error: print(type(error).__name__, error.status)\n"
        "from twinlens.sdk import prompts\n"
        "class Away:\n"
        "    def call(self, *_): raise prompts.ServerError('away')\n"
        "prompts.server = Away()\n"
        "print(twinlens.get_prompt('greet', cache_ttl_seconds=0) is found)\n",
        live_server, tmp_path,
    )  # fmt: skip
    assert said.splitlines() == [
        "True 1 ['name', 'what'] Hello Ada, {{what}}!", "True", "plain 1", "ServerError 404", "True",
    ]  # fmt: skip
    with api(live_server.url) as http:
        [row] = http.get("/observations", params={"name": "g"}).json()["data"]
        assert (row["promptName"], row["promptVersion"]) == ("greet", 1)


def test_an_experiment_runs_a_dataset_and_scores_it(live_server: LiveServer, tmp_path: Path) -> None:
    said = program(
        "twinlens.create_dataset('sums', description='addition')\n"
        "for n in range(3): twinlens.add_item('sums', {'a': n, 'b': n}, 2 * n, item_id=f'sum-{n}')\n"
        "def exact(*, output, expected_output, **_): return float(output == expected_output)\n"
        "def task(item):\n"
        "    if item.input['a'] == 2: raise ValueError('too hard')\n"
        "    with twinlens.generation('add', model='gpt-4o'): return item.input['a'] + item.input['b'] + (item.input['a'] == 1)\n"
        "done = twinlens.get_dataset('sums').run_experiment('first try', task, evaluators=[exact], max_concurrency=2)\n"
        "print(done.mean('exact'), sorted(type(o.error).__name__ for o in done.outcomes), len({o.trace_id for o in done.outcomes}))\n",
        live_server, tmp_path,
    )  # fmt: skip
    assert said == "0.5 ['NoneType', 'NoneType', 'ValueError'] 3\n"
    with api(live_server.url) as http:
        run = http.get("/datasets/sums/runs/first%20try").json()
        linked = {row["datasetItemId"]: row["traceId"] for row in run["datasetRunItems"]}
        assert set(linked) == {"sum-0", "sum-1", "sum-2"}
        trace = http.get(f"/traces/{linked['sum-0']}").json()
        assert [(s["name"], s["value"]) for s in trace["scores"]] == [("exact", 1.0)]
        assert {row["name"] for row in trace["observations"]} == {"first try", "add"}


def test_variants_stick_to_their_unit_and_traces_say_so(live_server: LiveServer, tmp_path: Path) -> None:
    text = (
        "with twinlens.agent('tester'):\n"
        "    mine = twinlens.assign('tone', 'ada')\n"
        "    print(mine.name, mine.config)\n"
        "names = [twinlens.assign('split', str(n), {'a': 3, 'b': 1}).name for n in range(4000)]\n"
        "print(names.count('a') / 4000, ''.join(names[:20]))\n"
    )
    said = program(text, live_server, tmp_path)
    assert program(text, live_server, tmp_path) == said  # another process, the same answer
    tone, split = said.splitlines()
    assert tone == "bold {}"
    share, first = split.split()
    assert 0.72 < float(share) < 0.78
    points = [int.from_bytes(hashlib.sha256(f"split:{n}".encode()).digest()[:8], "big") / 2**64 for n in range(20)]
    assert first == "".join("a" if point < 0.75 else "b" for point in points)  # the documented rule
    with api(live_server.url) as http:
        found, _ = http.get("/traces", params={"name": "tester"}).json()["data"]
        assert found["metadata"]["abtest.tone"] == "bold"
        assert found["metadata"]["abtest.tone.unit"] == "ada"


def test_feedback_comes_later_and_names_its_author(live_server: LiveServer, tmp_path: Path) -> None:
    trace_id = program(
        "with twinlens.agent('asked') as span: print(span.trace_id)", live_server, tmp_path, "asked"
    ).strip()
    said = f"twinlens.feedback(False, trace_id='{trace_id}', comment='wrong', user_id='ada')"
    program(said, live_server, tmp_path, "asked")
    with live_server.client() as http, api(live_server.url) as langfuse:
        [score] = langfuse.get(f"/traces/{trace_id}").json()["scores"]
        assert (score["name"], score["dataType"], score["value"], score["comment"]) == (
            "user-feedback",
            "BOOLEAN",
            0,
            "wrong",
        )
        info = http.get(f"/api/3.0/mlflow/traces/tr-{trace_id}").json()["trace"]["trace_info"]
        [assessment] = info["assessments"]
        assert assessment["feedback"]["value"] is False
        metrics = {m["key"]: m["value"] for m in run_of(http, "asked")["data"]["metrics"]}
        assert metrics["user-feedback"] == 0


SPREAD = """
import asyncio, contextvars
from concurrent.futures import ThreadPoolExecutor
from twinlens import Langfuse, langfuse

@twinlens.observe
def work(n): return n * 2

@twinlens.observe
async def later(n):
    await asyncio.sleep(0)
    return n

@twinlens.observe
async def stream():
    for part in ("a", "b"):
        yield part

async def main():
    with twinlens.agent("spread") as agent, twinlens.propagate(user_id="u"):
        await asyncio.gather(later(1), later(2))
        [part async for part in stream()]
        await asyncio.to_thread(work, 3)
        with ThreadPoolExecutor() as pool:
            context = contextvars.copy_context()
            assert pool.submit(context.run, work, 4).result() == 8
        return agent

agent = asyncio.run(main())
with langfuse.start_as_current_span(name="remote", trace_context={"trace_id": agent.trace_id, "parent_span_id": agent.id}):
    langfuse.update_current_trace(tags=["continued"])
print(agent.trace_id)
"""


def test_one_trace_across_tasks_threads_streams_and_processes(live_server: LiveServer, tmp_path: Path) -> None:
    trace_id = program(SPREAD, live_server, tmp_path).strip()
    with api(live_server.url) as http:
        trace: dict[str, Any] = http.get(f"/traces/{trace_id}").json()
    names = sorted(row["name"] for row in trace["observations"])
    assert names == ["later", "later", "remote", "spread", "stream", "work", "work"]
    [root] = [row["id"] for row in trace["observations"] if row["name"] == "spread"]
    assert {row["parentObservationId"] for row in trace["observations"]} == {None, root}
    assert (trace["userId"], trace["tags"]) == ("u", ["continued"])
    assert next(row["output"] for row in trace["observations"] if row["name"] == "stream") == "ab"


def test_asking_without_a_server_says_so() -> None:
    from twinlens.sdk.errors import ServerError
    from twinlens.sdk.remote import PublicApi

    with pytest.raises(ServerError, match="no twinlens or langfuse backend"):
        PublicApi().call("GET", "/v2/prompts/x")


def test_a_recorded_superoptix_run_is_one_trace_with_tokens_and_cost(live_server: LiveServer) -> None:
    """What ``python -m examples.superoptix --record`` saw, sent again."""
    [recorded] = json.loads((Path(__file__).parents[1] / "fixtures" / "otlp" / "superoptix.json").read_text())
    with live_server.client() as http, api(live_server.url) as langfuse:
        assert http.post("/v1/traces", json=recorded["body"]).status_code == 200
        [found] = langfuse.get("/traces", params={"name": "developer"}).json()["data"]
        trace = langfuse.get(f"/traces/{found['id']}").json()
        info = http.get(f"/api/3.0/mlflow/traces/tr-{found['id']}").json()["trace"]["trace_info"]
    types = {row["name"]: row["type"] for row in trace["observations"]}
    assert types == {
        "developer": "AGENT", "DeveloperModule": "CHAIN", "ChainOfThought": "CHAIN", "Predict": "CHAIN",
        "chat gpt-4o-mini": "GENERATION",
    }  # fmt: skip
    assert trace["totalCost"] > 0
    usage = json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"])
    assert (usage["input_tokens"], usage["output_tokens"]) == (123, 45)
