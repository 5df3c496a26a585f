"""To, from and through real MLflow servers, on data that the clients of MLflow and Langfuse made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.mlflow_server import mlflow_server
from tests.servers import LiveServer, clean_environment
from tests.wire.langfuse.clients import api
from tests.wire.migrate.conftest import Filled
from tests.wire.migrate.programs_mlflow import EVERYTHING
from tests.wire.migrate.test_archive import everything
from tests.wire.mlflow.peer import MlflowPeer
from twinlens.cli.migrate import run
from twinlens.domain.record import AnyRecord
from twinlens.migrate.essence import key_of
from twinlens.migrate.http import Http
from twinlens.migrate.mlflow_reader import RestReader
from twinlens.migrate.mlflow_source import MlflowSource

pytestmark = [pytest.mark.peer, pytest.mark.slow]

#: Evaluation datasets in it, which a file store has not.
LOOK_DATASETS = """
from mlflow.genai.datasets import search_datasets
[golden] = [d for d in search_datasets() if d.name == "golden"]
found["golden"] = [{k: v for k, v in golden.tags.items() if not k.startswith("twinlens.")}, sorted(
    [json.dumps(r["inputs"], sort_keys=True), r["expectations"], r["source_type"], r["tags"].get("from")]
    for r in golden.to_df().to_dict("records"))]
"""
#: How MLflow's own client sees it all; ids that MLflow gives out itself are left out.
LOOK = """
import os, tempfile
experiment = client.get_experiment_by_name("churn")
found = {"experiment tags": {k: v for k, v in experiment.tags.items() if not k.startswith("twinlens.")}}
runs = client.search_runs([experiment.experiment_id], run_view_type=3)
ids = {r.info.run_id: r.info.run_name for r in runs}
found["runs"] = sorted(
    [r.info.run_name, r.info.status, r.info.lifecycle_stage, r.info.start_time, r.info.end_time, dict(sorted(r.data.params.items())),
     {k: "inf" if v > 1e308 else str(v) for k, v in sorted(r.data.metrics.items())}, ids.get(r.data.tags.get("mlflow.parentRunId"), ""), r.data.tags.get("stage", ""),
     [[d.dataset.name, d.dataset.digest, [t.value for t in d.tags]] for d in r.inputs.dataset_inputs], len(r.outputs.model_outputs)]
    for r in runs)
parent = next(r for r in runs if r.info.run_name == "parent")
found["history"] = [[m.step, m.value, m.timestamp] for m in client.get_metric_history(parent.info.run_id, "loss")]
folder = mlflow.artifacts.download_artifacts(run_id=parent.info.run_id, artifact_path="files", dst_path=tempfile.mkdtemp())
found["files"] = sorted([os.path.relpath(os.path.join(at, n), folder), os.path.getsize(os.path.join(at, n))] for at, _, names in os.walk(folder) for n in names)
[model] = mlflow.search_logged_models([experiment.experiment_id], output_format="list")
found["model"] = [model.name, model.params, model.model_type, str(model.status), ids[model.source_run_id],
    {m.key: m.value for m in model.metrics or []}]
found["champion"] = [int(client.get_model_version_by_alias("classifier", "champion").version), {k: v for k, v in client.get_registered_model("classifier").tags.items() if not k.startswith("twinlens.")},
    sorted([int(v.version), v.description or "", ids.get(v.run_id)] for v in client.search_model_versions("name='classifier'"))]
found["prompt"] = [mlflow.genai.load_prompt("prompts:/greet@production").template, mlflow.genai.load_prompt("prompts:/greet/2").commit_message]
@DATASETS@traces = mlflow.search_traces(locations=[experiment.experiment_id], return_type="list")
found["traces"] = sorted(
    [t.info.trace_id, str(t.info.state), t.info.request_time, t.info.execution_duration, t.info.tags.get("colour", ""),
     t.info.trace_metadata.get("mlflow.trace.user", ""), ids.get(t.info.trace_metadata.get("mlflow.sourceRun"), ""), t.info.token_usage,
     [[s.name, s.span_id, s.parent_id, s.span_type, s.inputs, s.outputs, s.start_time_ns, s.end_time_ns, str(s.status.status_code)] for s in t.data.spans],
     sorted([a.name, str(a.value).replace("1.0", "1"), a.rationale or "", a.span_id or "", a.source.source_type] for a in t.info.assessments)]
    for t in traces)
result = json.loads(json.dumps(found, default=str))
""".replace("@DATASETS@", LOOK_DATASETS)


class Ends(msgspec.Struct):
    """A server with what its client wrote, an empty one, and what the client sees at the first."""

    first: str
    second: str
    parent: str  #: id of a run at the first
    seen: dict[str, Any]


@pytest.fixture(scope="module")
def ends(real_mlflow: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    with mlflow_server(tmp_path_factory.mktemp("second")) as second:
        with MlflowPeer(real_mlflow, tmp_path_factory.mktemp("peer")) as peer:
            parent = peer.run(EVERYTHING)["parent"]
            seen: dict[str, Any] = peer.run(LOOK)
        yield Ends(real_mlflow, second, parent, seen)


def look(url: str, folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    with MlflowPeer(url, folder) as peer:
        return peer.run(LOOK)


def counts(url: str) -> dict[str, int]:
    """How many records of each kind there are; compared things, not files."""
    source = MlflowSource(RestReader(Http(url)))
    return {kind: sum(len(page.records) for page in source.read(kind)) for kind in source.kinds}


def test_round_trips(
    ends: Ends, start_server: Callable[..., LiveServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow → Twinlens → MLflow, then MLflow → Langfuse → the same MLflow, which has all of it: nothing is doubled."""
    monkeypatch.chdir(tmp_path)
    ours, middle = start_server(), start_server()
    there, last = f"mlflow+{ends.first}", f"mlflow+{ends.second}"
    run(there, f"twinlens+{ours.url}/default")  # each of these compares both sides and raises when they differ
    run(f"twinlens+{ours.url}/default", last)
    after = look(ends.second, tmp_path / "second")
    for part, seen in ends.seen.items():
        assert after[part] == seen, part
    arrived = counts(ends.second)
    run(f"twinlens+{ours.url}/default", last)
    langfuse = f"langfuse+http://pk-lf-1:sk-lf-1@{middle.url.removeprefix('http://')}"
    run(there, langfuse)
    with api(middle.url) as http:  # people see runs there, with their metrics as scores
        shown = http.get(f"/traces/twinlens.carried.run.{ends.parent}").json()
        assert shown["metadata"]["params"] == {"rate": "0.1", "depth": "3"}
        assert {s["name"]: s["value"] for s in shown["scores"]}["loss"] == 1 / 12
    run(langfuse, last)
    run(there, last)
    assert counts(ends.second) == arrived == counts(ends.first)
    assert look(ends.second, tmp_path / "second") == after
    here = everything(ours.url)
    run(last, f"twinlens+{ours.url}/default")
    assert {kind: len(records) for kind, records in everything(ours.url).items()} == {
        kind: len(records) for kind, records in here.items()
    }


#: How MLflow's client sees what came from Langfuse.
LOOK_LANGFUSE = """
from mlflow.genai.datasets import search_datasets
[questions] = [d for d in search_datasets() if d.name == "questions"]
[tried] = client.search_runs(["0"], "attributes.run_name = 'first try'")
traces = mlflow.search_traces(locations=["0"], return_type="list")
result = {
    "prompt": mlflow.genai.load_prompt("prompts:/lf--chat@production").template,
    "records": sorted([json.dumps(r["inputs"], sort_keys=True), r["expectations"]] for r in questions.to_df().to_dict("records")),
    "run": [tried.data.metrics, tried.inputs.dataset_inputs[0].dataset.name, tried.data.tags["k"],
            len(mlflow.search_traces(locations=["0"], run_id=tried.info.run_id, return_type="list"))],
    "answer": next([t.info.trace_metadata["mlflow.trace.user"], sorted(a.name for a in t.info.assessments), t.info.tags["blue"],
                    sorted(s.name for s in t.data.spans)] for t in traces if t.info.tags.get("mlflow.traceName") == "answer"),
    "tokens": sorted(t.info.token_usage["total_tokens"] for t in traces if t.info.token_usage),
}
"""
#: What each server says by itself, or what only a protocol's own words say.
_OWN = ("created_ns", "updated_ns", "client_fields", "state", "source", "run_count", "last_run_ms")


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bare(each) for key, each in value.items() if key not in _OWN}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def contents(url: str) -> dict[str, dict[str, Any]]:
    """Everything a project holds, by kind and name."""
    return {
        kind: {key_of(msgspec.convert(record, AnyRecord)): _bare(record) for record in records}
        for kind, records in everything(url).items()
        if not kind.endswith(" bytes")
    }


def test_langfuse_to_mlflow(
    langfuse_filled: Filled, ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traces, scores, datasets, prompts and dataset runs are there for MLflow's client; doing it again doubles nothing."""
    monkeypatch.chdir(tmp_path)
    langfuse = f"langfuse+http://pk-lf-1:sk-lf-1@{langfuse_filled.url.removeprefix('http://')}"
    found: list[dict[str, int]] = []
    for _ in range(2):
        run(langfuse, f"mlflow+{ends.second}")
        found.append(counts(ends.second))
        with MlflowPeer(ends.second, tmp_path) as peer:
            assert peer.run(LOOK_LANGFUSE) == {
                "prompt": [{"role": "system", "content": "be {{mood}}"}],
                "records": [['{"input": "plain"}', None], ['{"q": 1}', {"a": 3}]],
                "run": [{"correct/mean": 1.0}, "questions", "1", 2],
                "answer": ["alice", ["passed", "quality", "verdict"], "true", ["cache-miss", "inner", "outer"]],
                "tokens": [15, 150, 150],
            }
    assert found[0] == found[1]


def test_killed_midway_and_back(
    langfuse_filled: Filled,
    ends: Ends,
    start_server: Callable[..., LiveServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A migration that was killed goes on with what its target had to remember; all comes back as it was."""
    monkeypatch.chdir(tmp_path)
    there, here = f"twinlens+{langfuse_filled.url}/default", f"mlflow+{ends.first}"
    before = counts(ends.first)
    command = [sys.executable, "-m", "twinlens", "migrate", there, here, "--workers", "1", "--rate", "25"]
    slow = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    source = MlflowSource(RestReader(Http(ends.first)))
    while slow.poll() is None and source.count("trace") == before["trace"]:
        pass
    os.kill(slow.pid, signal.SIGKILL)
    slow.communicate()
    assert slow.returncode == -signal.SIGKILL
    assert "price" not in counts(ends.first)  # it was carried, to the ledger, which is written at the end
    run(there, here)
    arrived = counts(ends.first)
    run(there, here, checkpoint=tmp_path / "again.db")
    assert counts(ends.first) == arrived
    back = start_server()
    run(here, f"twinlens+{back.url}/default")
    found = contents(back.url)
    for kind, records in contents(langfuse_filled.url).items():
        assert {key: found[kind].get(key) for key in records} == records, kind
