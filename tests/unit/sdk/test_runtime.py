"""How the SDK lives in a process: start, foreign OpenTelemetry set-ups, forks, broken playbooks, the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twinlens.sdk.delivery import Courier
from twinlens.sdk.pipeline import Pipeline
from twinlens.sdk.score import Score
from twinlens.sdk.spool import Spool
from twinlens.sdk.wire import Unreachable

from .test_delivery import Scripted

START = """
import sys, twinlens
observe = lambda: twinlens.observe({"observability": {"backends": ["jsonl"], "jsonl": {"path": sys.argv[1]}}})
"""


def run(program: str, path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A program with ``observe()`` at hand that writes to ``path``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TWINLENS_", "LANGFUSE_", "MLFLOW_", "OTEL_"))}
    done = subprocess.run(
        [sys.executable, "-c", START + program, str(path)], env=kept | env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done


def names(path: Path) -> list[str]:
    """Names of the spans written."""
    return sorted(row["name"] for row in rows(path))


def rows(path: Path) -> list[dict[str, Any]]:
    """Lines written."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_importing_twinlens_loads_nothing(tmp_path: Path) -> None:
    run("assert not {'opentelemetry', 'yaml', 'rich', 'google.protobuf'} & set(sys.modules)", tmp_path / "x")


def test_configuring_leaves_protobuf_and_http_to_the_export_thread(tmp_path: Path) -> None:
    block = (
        "{'observability': {'backends': ['mlflow', 'langfuse'], 'langfuse': {'public_key': 'a', 'secret_key': 'b'}}}"
    )
    run(
        f"twinlens.observe({block})\nassert not {{'google.protobuf', 'ssl', 'dataclasses', 'pathlib', 'random', 'urllib.parse', 'http.client'}} & set(sys.modules)",
        tmp_path / "x",
    )


def test_it_joins_a_provider_that_is_there(tmp_path: Path) -> None:
    run(
        "from opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.resources import Resource\n"
        "theirs = TracerProvider(resource=Resource({'service.name': 'theirs'}))\ntrace.set_tracer_provider(theirs)\n"
        "observe()\nassert trace.get_tracer_provider() is theirs\n"
        "with twinlens.span('ours'):\n    trace.get_tracer('lib').start_span('library').end()\n",
        tmp_path / "out",
    )
    assert names(tmp_path / "out") == ["library", "ours"]
    assert rows(tmp_path / "out")[0]["resource"] == {"service.name": "theirs"}


def test_it_leaves_a_provider_of_another_kind_alone(tmp_path: Path) -> None:
    run(
        "from opentelemetry import trace\ntheirs = trace.NoOpTracerProvider()\ntrace.set_tracer_provider(theirs)\n"
        "observe()\nassert trace.get_tracer_provider() is theirs\nwith twinlens.span('ours'): pass\n",
        tmp_path / "out",
    )
    assert names(tmp_path / "out") == ["ours"]


def test_libraries_get_a_provider_when_there_is_none(tmp_path: Path) -> None:
    run(
        "observe()\nfrom opentelemetry import trace\ntrace.get_tracer('lib').start_span('library').end()",
        tmp_path / "out",
    )
    assert names(tmp_path / "out") == ["library"]


def test_forked_children_send_their_own_spans_and_no_others(tmp_path: Path) -> None:
    run(
        "import multiprocessing, os\nobserve()\n"
        "def child():\n    with twinlens.span('child'): pass\n"
        "with twinlens.span('before'): pass\n"
        "p = multiprocessing.get_context('fork').Process(target=child)\np.start()\np.join()\n"
        "pid = os.fork()\nif not pid:\n    child()\n    sys.exit(0)\nos.waitpid(pid, 0)\n",
        tmp_path / "out",
    )
    assert names(tmp_path / "out") == ["before", "child", "child"]


def test_a_broken_playbook_is_one_warning(tmp_path: Path) -> None:
    book = tmp_path / "book.yaml"
    book.write_text("observability: [\n")
    done = run(f"twinlens.observe({str(book)!r})\nwith twinlens.span('x'): pass\nprint('ran')", tmp_path / "out")
    assert done.stdout == "ran\n"
    assert done.stderr.count("\n") == 1
    assert "book.yaml, line 2" in done.stderr


def test_the_playbook_can_be_named_by_the_environment(tmp_path: Path) -> None:
    book = tmp_path / "book.yaml"
    book.write_text(f"observability:\n  backends: [jsonl, console]\n  jsonl:\n    path: {tmp_path / 'out'}\n")
    done = run("with twinlens.tool('x'): twinlens.score('s', 1)", tmp_path / "none", TWINLENS_CONFIG=str(book))
    assert [row["type"] for row in rows(tmp_path / "out")] == ["span", "score"]
    assert "tool x " in done.stderr and "score s=1" in done.stderr


def test_nothing_configured_does_nothing(tmp_path: Path) -> None:
    done = run("@twinlens.observe()\ndef f(): return 1\nprint(f(), twinlens.flush())", tmp_path / "out")
    assert (done.stdout, done.stderr) == ("1 True\n", "")


def test_a_backend_known_to_be_dead_is_not_waited_for(tmp_path: Path) -> None:
    class Slow(Scripted):
        def parcels(self, batch: Any) -> Any:
            yield {"n": 1}, b""

    backend = Slow(*[Unreachable("away")] * 9)
    courier = Courier(backend, Spool(tmp_path, backend.destination))
    pipeline = Pipeline([backend], [courier])
    pipeline.put(Score("s", 1, "0" * 31 + "1"))
    assert not pipeline.flush(5)
    assert courier.down
    pipeline.put(Score("s", 1, "0" * 31 + "1"))
    begun = time.monotonic()
    pipeline.close(120.0)
    assert time.monotonic() - begun < 60, "it was waited for to the end"
    assert len(courier.spool.names()) == 2


def test_a_full_queue_drops_and_counts(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("twinlens.sdk.pipeline.QUEUE", 3)
    pipeline = Pipeline([], [])
    pipeline._start = lambda: None  # type: ignore[method-assign]
    for _ in range(5):
        pipeline.put(Score("s", 1, "0" * 32))
    assert pipeline.dropped == 2
