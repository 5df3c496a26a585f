"""What observing costs the program: start-up, and CPU time of the caller's thread per span. Same work, three SDKs, one server.

Each SDK lives in an environment of its own and sends to one running Twinlens, which speaks all three protocols. Times are CPU times
(a busy neighbour cannot lengthen them), the best of the repeats: start-up against a bare interpreter, spans by ``thread_time``.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
from pathlib import Path

from bench.book import Book
from bench.envs import ENVIRONMENTS, ROOT, ensure
from bench.servers import Twinlens
from bench.suites import Effort

#: Column, environment, what starts the SDK, one span, one generation with text and tokens, what waits for delivery.
PROGRAMS = {
    "Twinlens": (
        "sdk",
        "import os, twinlens\ntwinlens.observe({'observability': {'backends': ['twinlens'], 'twinlens': {'url': os.environ['SINK']}}})",
        "with twinlens.span('step'): pass",
        "with twinlens.generation('answer', model='gpt-4o', input=asked) as call:\n"
        "            call.update(output=said, usage={'input': 100, 'output': 50})",
        "twinlens.flush()",
    ),
    "Langfuse SDK": (
        "langfuse",
        "import os\nfrom langfuse import Langfuse\n"
        "client = Langfuse(public_key='pk', secret_key='sk', base_url=os.environ['SINK'])",
        "with client.start_as_current_observation(name='step'): pass",
        "with client.start_as_current_observation(name='answer', as_type='generation', model='gpt-4o', input=asked) as call:\n"
        "            call.update(output=said, usage_details={'input': 100, 'output': 50})",
        "client.flush()",
    ),
    "MLflow": (
        "mlflow",
        "import os, mlflow\nmlflow.set_tracking_uri(os.environ['SINK'])",
        "with mlflow.start_span('step'): pass",
        "with mlflow.start_span('answer', span_type='CHAT_MODEL') as call:\n"
        "            call.set_inputs(asked)\n            call.set_outputs(said)\n"
        "            call.set_attribute('mlflow.chat.tokenUsage', "
        "{'input_tokens': 100, 'output_tokens': 50, 'total_tokens': 150})",
        "mlflow.flush_trace_async_logging()",
    ),
}
_MEASURE = """
import json, time
asked, said = [{{"role": "user", "content": "Why is the sky blue? " * 10}}], "Because of Rayleigh scattering. " * 10

def steps(count):
    for _ in range(count):
        {span}

def generations(count):
    for _ in range(count):
        {generation}

found = {{}}
for name, work in (("span", steps), ("generation", generations)):
    best = float("inf")
    for _ in range({repeats}):
        begun = time.thread_time()
        work({count})
        best = min(best, (time.thread_time() - begun) / {count} * 1e6)
        {flush}
    found[name] = best
print(json.dumps(found))
"""


def measure(folder: Path, book: Book, effort: Effort) -> None:
    """Fill the three rows, one column per SDK."""
    repeats, count = (10, 300) if effort.repeats > 1 else (3, 100)
    with Twinlens(folder / "data") as server, tempfile.TemporaryDirectory() as spool:
        foreign = ("TWINLENS_", "LANGFUSE_", "MLFLOW_", "OTEL_", "PYTHONDONTWRITEBYTECODE")
        env = {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | {
            "SINK": f"http://127.0.0.1:{server.port}", "TWINLENS_SPOOL": spool, "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "true",
        }  # fmt: skip
        for name, (environment, start, span, generation, flush) in PROGRAMS.items():
            python = str(ensure(environment).python)
            chosen = env | ({"PYTHONPATH": str(ROOT)} if name == "Twinlens" else {})
            bare = min(_cpu_ms(python, "pass", chosen) for _ in range(repeats))
            started = min(_cpu_ms(python, start, chosen) for _ in range(repeats))
            program = start + _MEASURE.format(
                span=span, generation=generation, flush=flush, repeats=repeats, count=count
            )
            done = subprocess.run([python, "-c", program], env=chosen, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            note = f"{ENVIRONMENTS[environment].distribution} {ENVIRONMENTS[environment].version()}"
            book.record("sdk_start", name, started - bare, note=note)
            book.record("sdk_span", name, found["span"])
            book.record("sdk_generation", name, found["generation"])


def _cpu_ms(python: str, program: str, env: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", f"{program}\nimport os; os._exit(0)"], env=env, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3
