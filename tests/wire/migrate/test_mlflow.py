"""MLflow → Twinlens → another MLflow, with real servers at both ends and data that MLflow's client made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.servers import LiveServer
from tests.wire.migrate.programs_mlflow import EVERYTHING
from tests.wire.migrate.real_mlflow import mlflow_servers
from tests.wire.mlflow.peer import MlflowPeer
from twinlens.cli.migrate import run

pytestmark = [pytest.mark.peer, pytest.mark.slow]

#: How MLflow's own client sees it all; ids that MLflow gives out itself are left out.
LOOK = """
import os, tempfile
experiment = client.get_experiment_by_name("churn")
found = {"experiment tags": {k: v for k, v in experiment.tags.items() if not k.startswith("twinlens.")}}
runs = client.search_runs([experiment.experiment_id], run_view_type=3)
ids = {r.info.run_id: r.info.run_name for r in runs}
found["runs"] = sorted(
    [r.info.run_name, r.info.status, r.info.lifecycle_stage, r.info.start_time, r.info.end_time, r.data.params,
     {k: str(v) for k, v in r.data.metrics.items()}, ids.get(r.data.tags.get("mlflow.parentRunId"), ""), r.data.tags.get("stage", ""),
     [[d.dataset.name, d.dataset.digest, [t.value for t in d.tags]] for d in r.inputs.dataset_inputs], len(r.outputs.model_outputs)]
    for r in runs)
parent = next(r for r in runs if r.info.run_name == "parent")
found["history"] = [[m.step, m.value, m.timestamp] for m in client.get_metric_history(parent.info.run_id, "loss")]
folder = mlflow.artifacts.download_artifacts(run_id=parent.info.run_id, artifact_path="files", dst_path=tempfile.mkdtemp())
found["files"] = sorted([os.path.relpath(os.path.join(at, n), folder), os.path.getsize(os.path.join(at, n))] for at, _, names in os.walk(folder) for n in names)
[model] = mlflow.search_logged_models([experiment.experiment_id], output_format="list")
found["model"] = [model.name, model.params, model.model_type, str(model.status), ids[model.source_run_id],
    {m.key: m.value for m in model.metrics or []}]
found["champion"] = [client.get_model_version_by_alias("classifier", "champion").version, client.get_registered_model("classifier").tags,
    sorted([v.version, v.description, ids.get(v.run_id)] for v in client.search_model_versions("name='classifier'"))]
found["prompt"] = [mlflow.genai.load_prompt("prompts:/greet@production").template, mlflow.genai.load_prompt("prompts:/greet/2").commit_message]
traces = mlflow.search_traces(locations=[experiment.experiment_id], return_type="list")
found["traces"] = sorted(
    [t.info.trace_id, str(t.info.state), t.info.request_time, t.info.execution_duration, t.info.tags.get("colour", ""),
     t.info.trace_metadata.get("mlflow.trace.user", ""), ids.get(t.info.trace_metadata.get("mlflow.sourceRun"), ""), t.info.token_usage,
     [[s.name, s.span_id, s.parent_id, s.span_type, s.inputs, s.outputs, s.start_time_ns, s.end_time_ns, str(s.status.status_code)] for s in t.data.spans],
     sorted([a.name, str(a.value), a.rationale or "", a.span_id or "", a.source.source_type] for a in t.info.assessments)]
    for t in traces)
result = json.loads(json.dumps(found, default=str))
"""


def test_round_trip(live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with mlflow_servers(tmp_path, 2) as (first, second):
        with MlflowPeer(first, tmp_path) as peer:
            peer.run(EVERYTHING)
            before: dict[str, Any] = peer.run(LOOK)
        ours = f"twinlens+{live_server.url}/default"
        run(f"mlflow+{first}", ours)  # each of these compares both sides and raises when they differ
        run(ours, f"mlflow+{second}")
        (folder := tmp_path / "second").mkdir()
        with MlflowPeer(second, folder) as peer:
            after = peer.run(LOOK)
            for part, seen in before.items():
                assert after[part] == seen, part
            run(ours, f"mlflow+{second}")
            run(f"mlflow+{first}", f"mlflow+{second}", checkpoint=tmp_path / "direct.db")  # finds what came through us
            assert peer.run(LOOK) == after
        run(f"mlflow+{second}", ours, checkpoint=tmp_path / "back.db")
    with live_server.client() as http:
        counts = {
            kind: len(http.get(f"/api/twinlens/v1/projects/default/records/{kind}").json()["records"])
            for kind in ("experiment", "run", "logged_model", "registered_model", "prompt", "trace", "score")
        }
    assert counts == {
        "experiment": 2, "run": 5, "logged_model": 1, "registered_model": 1, "prompt": 1, "trace": 2, "score": 4
    }  # fmt: skip
