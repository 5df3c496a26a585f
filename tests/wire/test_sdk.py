"""The agent SDK in a program of its own, against a running server: what arrives, and what a dead backend does to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer, eventually
from tests.wire.langfuse.clients import api

AGENT = """
import sys, twinlens
twinlens.observe(sys.argv[1])

@twinlens.observe(as_type="tool")
def search(query):
    return ["a fact"]

@twinlens.observe(name="developer", as_type="agent")
def run(goal):
    search(goal)
    with twinlens.generation("answer", model="gpt-4o", input=[{"role": "user", "content": goal}],
                             model_parameters={"temperature": 0.2}) as call:
        call.update(output="because", usage={"prompt_tokens": 100, "completion_tokens": 50})
        call.score("fluency", 0.7)
    twinlens.score("quality", 0.9, whole_trace=True, comment="well put")
    return "because"

with twinlens.propagate(user_id="ada", session_id="s1", tags=["nightly"]):
    print(run("why"))
"""
BLOCK = """
observability:
  enabled: true
  backends:
    - twinlens
    - langfuse
    - mlflow
  twinlens:
    url: "{url}"
  mlflow:
    experiment_name: "{experiment}"
    tracking_uri: "{url}"
    log_artifacts: true
    log_metrics: true
    log_params: true
  langfuse:
    public_key: "your-public-key"
    secret_key: "a-literal-secret"
    host: "{url}"
    project: "superoptix-agents"
"""
_FOREIGN = ("TWINLENS_", "LANGFUSE_", "MLFLOW_", "OTEL_")


def environment(spool: Path, **more: str) -> dict[str, str]:
    """The test's environment with a spool of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    return kept | {"TWINLENS_SPOOL": str(spool), **more}


def agent(program: str, playbook: Path, spool: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run an agent to its end."""
    return subprocess.run(
        [sys.executable, "-c", program, str(playbook)],
        env=environment(spool, **more), capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def push(playbook: Path, spool: Path) -> subprocess.CompletedProcess[str]:
    """``twinlens spool push``."""
    return subprocess.run(
        [sys.executable, "-m", "twinlens", "spool", "push", "--config", str(playbook)],
        env=environment(spool), capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def playbook(folder: Path, url: str, experiment: str) -> Path:
    """The guide's two blocks in one, for three backends."""
    path = folder / "playbook.yaml"
    path.write_text(BLOCK.format(url=url, experiment=experiment))
    return path


def waiting(spool: Path) -> list[Path]:
    """Parcels that were not delivered."""
    return list(spool.glob("*/*.parcel*"))


def run_of(http: httpx.Client, experiment: str) -> dict[str, Any]:
    """The one run of an experiment, with its experiment id."""
    found = http.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": experiment}).json()
    experiment_id = found["experiment"]["experiment_id"]
    [run] = http.post("/api/2.0/mlflow/runs/search", json={"experiment_ids": [experiment_id]}).json()["runs"]
    return run


def check_delivered(server: LiveServer, experiment: str) -> str:
    """One run, one trace with tokens, cost and scores: each exactly once. The trace's id."""
    with server.client() as http, api(server.url) as langfuse:
        run = run_of(http, experiment)
        params = {p["key"]: p["value"] for p in run["data"]["params"]}
        metrics = {m["key"]: m["value"] for m in run["data"]["metrics"]}
        tags = {t["key"]: t["value"] for t in run["data"]["tags"]}
        trace_id = tags["twinlens.trace_id"]
        assert (run["info"]["run_name"], run["info"]["status"]) == ("developer", "FINISHED")
        assert (params["agent"], params["model"], params["temperature"]) == ("developer", "gpt-4o", "0.2")
        assert (metrics["input_tokens"], metrics["output_tokens"], metrics["total_tokens"]) == (100, 50, 150)
        assert (metrics["llm_calls"], metrics["tool_calls"], metrics["spans"]) == (1, 1, 3)
        assert (metrics["quality"], metrics["fluency"]) == (0.9, 0.7)
        assert metrics["cost"] == pytest.approx(0.00075)
        listed = http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run["info"]["run_id"]}).json()
        assert {file["path"] for file in listed["files"]} == {"trace.json", "playbook.yaml"}
        root = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
        kept = http.get(f"/api/2.0/mlflow-artifacts/artifacts/{root}/trace.json").json()
        assert {span["name"] for span in kept["spans"]} == {"developer", "search", "answer"}
        book = http.get(f"/api/2.0/mlflow-artifacts/artifacts/{root}/playbook.yaml").text
        assert "a-literal-secret" not in book
        info = http.get(f"/api/3.0/mlflow/traces/tr-{trace_id}").json()["trace"]["trace_info"]
        assert info["trace_location"]["mlflow_experiment"]["experiment_id"] == run["info"]["experiment_id"]
        linked = {"experiment_ids": [run["info"]["experiment_id"]], "run_id": run["info"]["run_id"]}
        found = http.post(
            "/api/3.0/mlflow/traces/search",
            json={
                "locations": [
                    {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": linked["experiment_ids"][0]}}
                ],
                "filter": f"attributes.run_id = '{linked['run_id']}'",
            },
        ).json()
        assert [t["trace_id"] for t in found["traces"]] == [f"tr-{trace_id}"]

        trace = langfuse.get(f"/traces/{trace_id}").json()
        assert (trace["name"], trace["userId"], trace["sessionId"], trace["tags"]) == (
            "developer",
            "ada",
            "s1",
            ["nightly"],
        )
        assert (trace["input"], trace["output"]) == ({"goal": "why"}, "because")
        assert trace["metadata"]["project"] == "superoptix-agents"
        assert trace["totalCost"] == pytest.approx(0.00075)
        spans = {row["name"]: row for row in trace["observations"]}
        assert len(trace["observations"]) == 3
        assert {name: row["type"] for name, row in spans.items()} == {
            "developer": "AGENT", "search": "TOOL", "answer": "GENERATION",
        }  # fmt: skip
        assert spans["answer"]["usage"]["total"] == 150
        assert spans["answer"]["parentObservationId"] == spans["developer"]["id"]
        scores = {(s["name"], s["value"], s["observationId"]) for s in trace["scores"]}
        assert len(trace["scores"]) == 2
        assert scores == {("quality", 0.9, None), ("fluency", 0.7, spans["answer"]["id"])}
    return trace_id


def test_one_block_reports_to_three_backends(live_server: LiveServer, tmp_path: Path) -> None:
    done = agent(AGENT, playbook(tmp_path, live_server.url, "three"), tmp_path / "spool")
    assert (done.returncode, done.stdout, done.stderr) == (0, "because\n", "")
    pushed = push(
        tmp_path / "playbook.yaml", tmp_path / "spool"
    )  # what a loaded machine did not send within its second
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    check_delivered(live_server, "three")
    for file in (tmp_path / "spool").rglob("*"):
        assert file.is_dir() or b"a-literal-secret" not in file.read_bytes()


def test_backends_in_trouble_change_nothing_and_get_everything_later(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, spool = f"http://127.0.0.1:{port}", tmp_path / "spool"
    for trouble in TROUBLES:
        (tmp_path / trouble).mkdir()
        with odd(port, trouble):
            done = agent(AGENT, playbook(tmp_path / trouble, url, trouble), spool)
        assert (done.returncode, done.stdout) == (0, "because\n"), (trouble, done.stderr)
        assert done.stderr.count("\n") <= 3, (trouble, done.stderr)  # one warning per backend
        assert "a-literal-secret" not in done.stderr
    # Per agent at least three batches of spans, three of scores and one run: nothing was taken as delivered.
    assert len(waiting(spool)) >= 7 * len(TROUBLES)
    with LiveServer(tmp_path / "data", port=port) as server:
        book = tmp_path / TROUBLES[0] / "playbook.yaml"
        for said in (" 0 refused, 0 left", ""):  # the second finds nothing
            pushed = push(book, spool)
            assert pushed.returncode == 0, pushed.stdout + pushed.stderr
            assert pushed.stdout.count(said) >= (3 if said else 0)
        assert not waiting(spool)
        for trouble in TROUBLES:
            check_delivered(server, trouble)


def test_killed_agents_leave_their_spans_to_spool_push(live_server: LiveServer, tmp_path: Path) -> None:
    with deaf() as url:
        book = playbook(tmp_path, url, "killed")
        process = subprocess.Popen(
            [sys.executable, "-c", AGENT + "\nprint('done', flush=True)\nimport time; time.sleep(60)", str(book)],
            env=environment(tmp_path / "spool"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        while process.stdout.readline() != "done\n":
            pass
        eventually(lambda: len(waiting(tmp_path / "spool")) >= 7)
        process.send_signal(signal.SIGKILL)
        process.wait()
    moved = tmp_path / "moved"  # the same parcels, for the server that answers
    for marker in (tmp_path / "spool").glob("*/destination.json"):
        from twinlens.sdk.spool import Spool

        destination = json.loads(marker.read_text())["destination"].replace(url, live_server.url)
        folder = Spool(moved, destination).folder
        folder.parent.mkdir(exist_ok=True)
        marker.parent.rename(folder)
        (folder / "destination.json").write_text(json.dumps({"destination": destination}))
    book = playbook(tmp_path, live_server.url, "killed")
    pushed = push(book, moved)
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    assert not waiting(moved)
    check_delivered(live_server, "killed")


def test_a_hanging_backend_costs_at_most_the_exit_budget(tmp_path: Path) -> None:
    with deaf() as url:
        done = agent(TIMED, playbook(tmp_path, url, "hanging"), tmp_path / "spool")
    assert done.returncode == 3, done.stderr
    ran, closing = (float(line) for line in done.stdout.split())
    assert ran < 9  # generous: a call that waited for an answer would take 10 s
    assert closing < 9
    assert waiting(tmp_path / "spool")


TIMED = """
import atexit, sys, time
closing = []
atexit.register(lambda: print(time.monotonic() - closing[0]))
import twinlens
twinlens.observe(sys.argv[1])
begun = time.monotonic()
for _ in range(50):
    with twinlens.generation("call", model="gpt-4o"):
        pass
print(time.monotonic() - begun)
closing.append(time.monotonic())
sys.exit(3)
"""


#: What a backend may do to an agent, and what it answers then: status, type and body.
ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "fails": (500, "text/plain", b"oops"),
    "refuses": (401, "application/json", b'{"message": "no such key"}'),
    "garbage": (200, "application/json", bytes(range(256))),
}
TROUBLES = ("dead", "deaf", "drips", *ANSWERS)


@contextmanager
def odd(port: int, trouble: str) -> Iterator[None]:
    """Nobody at a port (``dead``), somebody who listens and says nothing (``deaf``) or a byte now and then (``drips``), or one who gives the
    same answer to everything."""
    if trouble == "dead":
        yield
        return
    if trouble == "deaf":
        with deaf(port):
            yield
        return
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            if trouble == "drips":
                for byte in b"HTTP/1.1 200 OK":
                    self.wfile.write(bytes([byte]))
                    if ended.wait(0.2):
                        return
            status, kind, body = ANSWERS[trouble]
            self.send_response(status)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


@contextmanager
def deaf(port: int = 0) -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    held.append(listener.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    for connection in held:
        connection.close()


GUIDE = """
# Track LLM interaction
with langfuse.start_as_current_span(name="llm_call") as span:
    with langfuse.start_as_current_generation(
        name="response_generation",
        model="gpt-4",
        input={"prompt": "Hello world"}
    ) as generation:
        response = llm.generate("Hello world")
        generation.update(output=response)
        langfuse.score_current_span(name="quality", value=0.9)
"""


def test_the_guides_snippet_runs_with_one_changed_import(live_server: LiveServer, tmp_path: Path) -> None:
    program = (
        "from twinlens import Langfuse, langfuse\n"
        "class llm:\n    generate = staticmethod(lambda prompt: prompt + '! A fine day.')\n"
        + GUIDE
        + "assert langfuse.auth_check()\nlangfuse.flush()\nimport twinlens; assert twinlens.flush(30)\nprint(langfuse.get_trace_url(trace_id=span.trace_id))\n"
    )
    keys = {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk", "LANGFUSE_HOST": live_server.url}
    done = agent(program, tmp_path, tmp_path / "spool", **keys)
    assert (done.returncode, done.stderr) == (0, "")
    url = done.stdout.strip()
    with api(live_server.url) as http:
        trace = http.get(f"/traces/{url.rsplit('/', 1)[1]}").json()
    assert httpx.get(url, follow_redirects=False).status_code in (200, 301, 302, 307, 308)
    spans = {row["name"]: row for row in trace["observations"]}
    assert spans["response_generation"]["usageDetails"]["input"] > 0
    assert trace["totalCost"] > 0
    [score] = trace["scores"]
    assert (score["name"], score["value"], score["observationId"]) == (
        "quality",
        0.9,
        spans["response_generation"]["id"],
    )


def test_any_otlp_receiver_gets_spans_and_scores(live_server: LiveServer, tmp_path: Path) -> None:
    book = tmp_path / "otlp.yaml"
    book.write_text(f"observability:\n  backends: [otlp]\n  otlp:\n    endpoint: {live_server.url}/v1/traces\n")
    program = AGENT.replace("developer", "by-otlp") + "\nassert twinlens.flush(20)\n"
    done = agent(program, book, tmp_path / "spool")
    assert (done.returncode, done.stdout, done.stderr) == (0, "because\n", "")
    with api(live_server.url) as http:
        [found] = http.get("/traces", params={"name": "by-otlp"}).json()["data"]
        trace = http.get(f"/traces/{found['id']}").json()
    assert {(s["name"], s["value"]) for s in trace["scores"]} == {("quality", 0.9), ("fluency", 0.7)}


def test_refused_keys_keep_the_spans(start_server: Callable[..., LiveServer], tmp_path: Path) -> None:
    server = start_server(
        TWINLENS_MODE="secured", LANGFUSE_INIT_PROJECT_PUBLIC_KEY="pk-good", LANGFUSE_INIT_PROJECT_SECRET_KEY="sk-good"
    )
    book = tmp_path / "keys.yaml"
    text = f"observability:\n  backends: [twinlens]\n  twinlens:\n    url: {server.url}\n    public_key: pk-good\n"
    book.write_text(text + "    secret_key: sk-wrong\n")
    done = agent(AGENT, book, tmp_path / "spool")
    assert (done.returncode, done.stdout) == (0, "because\n")
    assert waiting(tmp_path / "spool")
    book.write_text(text + "    secret_key: sk-good\n")
    pushed = push(book, tmp_path / "spool")
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    with api(server.url, ("pk-good", "sk-good")) as http:
        assert [t["name"] for t in http.get("/traces").json()["data"]] == ["developer"]
