"""The same requests to our server and to a real MLflow server get the same answers, but for listed differences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.mlflow_server import mlflow_server
from tests.servers import LiveServer
from tests.wire.mlflow import models_corpus as models
from tests.wire.mlflow import traces_corpus as traces
from tests.wire.mlflow.tracking_corpus import CORPUS, Step

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server with an empty SQLite store."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


STEPS = [
    *CORPUS, *models.LOGGED_MODELS, *models.REGISTRY, *models.PROMPTS, *models.ARTIFACTS, *models.GRAPHQL, *traces.TRACES,
    *traces.ASSESSMENTS, *traces.OLD_TRACES, *traces.DATASETS, *traces.ENDS,
]  # fmt: skip


class Player:
    """Plays steps against one server, keeping values of answers, and hiding what must differ."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(timeout=60)
        self.kept: dict[str, str] = {}

    def fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda m: self.kept.get(m[1], m[0]), value)
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        return value

    def play(self, step: Step) -> tuple[int, Any]:
        body, path = self.fill(step.body), self.fill(step.path)
        url = self.url + (path[1:] if path.startswith("//") else f"/api/2.0/mlflow{path}")
        if step.verb == "GET":
            answer = self.client.get(url, params=body)
        else:
            answer = self.client.request(step.verb, url, json=body)
        if step.verb == "HEAD" or "json" not in answer.headers.get("content-type", ""):
            return answer.status_code, "no JSON"
        found = answer.json()
        for name, path in step.keep.items():
            value = found
            for part in path.split("."):
                value = value.get(part, {})
            self.kept[name] = value or "absent"
        return answer.status_code, self.hide(found)

    def hide(self, value: Any, key: str = "") -> Any:
        """Without ids, times and generated names, without the order of things that have none."""
        if isinstance(value, dict):
            if "error_code" in value:
                return {"error_code": value["error_code"]}
            # Ours always says that spans are in the store, which saves clients a request for each trace, keeps no marks of its
            # own in the metadata, and tells of linked prompts in the tag that clients write.
            hidden = {
                "workspace",
                "next_page_token",
                "mlflow.trace.spansLocation",
                "mlflow.trace.infoFinalized",
                "mlflow.linkedPrompts",
            }
            if "current_stage" in value:
                hidden.add("model_id")  # MLflow's registry knows a version's logged model, and does not tell
            found = {k: self.hide(v, k) for k, v in value.items() if k not in hidden}
            return {k: v for k, v in found.items() if v not in ("", None, {})}  # the same as absent to every client
        if isinstance(value, list):
            items = [self.hide(item) for item in value]
            if key == "datasetSummaries":
                return sorted(items, key=repr)
            if key in ("tags", "params", "metrics", "request_metadata") and all(
                "timestamp" not in str(i) or key == "metrics" for i in items
            ):
                return sorted(items, key=repr) if not _is_history(value) else items
            return items
        if key in _TIMES or key in _IDS:
            return key
        if isinstance(value, str):
            value = value.replace("mlflow-artifacts:/default/", "mlflow-artifacts:/")
            for name, kept in self.kept.items():
                if len(kept) > 8:
                    value = value.replace(kept, f"<{name}>")
            return value
        return value


def _is_history(value: list[Any]) -> bool:
    return len({item.get("key") for item in value if isinstance(item, dict)}) == 1


def difference(theirs: Any, ours: Any, path: str = "") -> str:
    """The first place where two answers differ."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            if theirs.get(key) != ours.get(key):
                return difference(theirs.get(key), ours.get(key), f"{path}.{key}")
    if isinstance(theirs, list | tuple) and isinstance(ours, list | tuple) and len(theirs) == len(ours):
        for index, (left, right) in enumerate(zip(theirs, ours, strict=True)):
            if left != right:
                return difference(left, right, f"{path}[{index}]")
    return f"{path}: mlflow {str(theirs)[:150]} / twinlens {str(ours)[:150]}"


_TIMES = {
    "creation_time", "last_update_time", "creation_timestamp", "last_updated_timestamp", "creation_timestamp_ms",
    "last_updated_timestamp_ms", "create_time", "created_time", "createTime",
}  # fmt: skip
_IDS = {"assessment_id", "user_id"}

#: Where answers differ on purpose: the beginning of a step, where in its answer, and why.
DIFFERENCES: list[tuple[str, str, str]] = [
    ("POST /experiments/update {'experiment_id': '{e2}', 'new_name': 'dead'}", "[0]",
        "a user's mistake is no 500, upon which clients ask again for minutes"),
    ("POST /runs/create {'run_name': 'nowhere'}", ".error_code", "MLflow's answer is an error of its database"),
    ("POST /runs/update {'run_id': '{r1}', 'status': 'BOGUS'}", "[0]", "MLflow ignores what it cannot read"),
    ("POST /runs/log-metric {'run_id': '{scrap}', 'key': 'other', 'value': True", "[0]", "a truth value is no number"),
    ("POST /runs/log-metric {'run_id': '{scrap}', 'key': 'other', 'value': 1", "[0]", "half a millisecond is no time"),
    ("POST /runs/search {'experiment_ids': ['{e1}'], 'order_by': ['start_time', 'start_time']}", "[0]",
        "a user's mistake is no 500"),
    ("GET /metrics/get-history-bulk-interval {'run_ids': ['{r2}'], 'metric_key': 'loss', 'max_results': 5}",
        "[1].metrics[1].step", "both sample evenly, with the first and last, but round differently"),
    ("POST /logged-models/search {'experiment_ids': ['{e1}'], 'page_token': 'garbage'}", "[0]", "a user's mistake is no 500"),
    ("GET /model-versions/get-download-uri", ".artifact_uri", "ours is resolved already: one request less for clients"),
    ("GET /model-versions/search {'filter': \"name = 'greet' AND", ".aliases", "ours tells the aliases in lists too"),
    ("POST /model-versions/transition-stage {'name': 'clf', 'version': '1', 'stage': 'None'", "[0]", "a user's mistake is no 500"),
    ("POST //api/3.0/mlflow/traces/search {'locations': [{'type': 'MLFLOW_EXPERIMENT', 'mlflow_experiment': {'experiment_id': '{e1}'}}], 'filter': \"name IN", "[0]", "IN works on names too"),
    ("POST //api/3.0/mlflow/traces/metrics {'experiment_ids': ['{e1}'], 'view_type': 'TRACES', 'metric_name': 'latency'", "[0]",
        "a user's mistake is no 500"),
    ("POST //api/3.0/mlflow/traces/search", ".trace_metadata.mlflow.sourceRun", "a trace linked to a run says so"),
    ("PATCH /traces/tr-nope/tags", "[0]", "an unknown trace is 404, whatever is done to it"),
    ("POST /traces {'experiment_id': '{e2}'", ".execution_time_ms", "a trace that has not ended has no duration"),
    ("PATCH /traces/{v2}", ".request_metadata", "ours tells the schema's version in every answer"),
    ("GET /traces", ".request_metadata", "ours tells the schema's version in every answer"),
    ("PATCH //api/3.0/mlflow/datasets/", ".dataset", "ours answers with the dataset, which the protocol has a field for"),
    ("POST //api/3.0/mlflow/datasets/", ".digest", "the digest of nothing is no part of the protocol"),
    ("POST /runs/search", "inputs.model_inputs", "MLflow tells a run's model inputs in runs/get only"),
]  # fmt: skip


def on_purpose(step: str, where: str) -> bool:
    """Whether a difference is a listed one."""
    return any(step.startswith(start) and place in where.split(":")[0] for start, place, _ in DIFFERENCES)


def test_the_same_answers(mlflow_url: str, tmp_path: Path) -> None:
    differing: list[str] = []
    with LiveServer(tmp_path) as server:
        ours, theirs = Player(server.url), Player(mlflow_url)
        for step in STEPS:
            expected, found = theirs.play(step), ours.play(step)
            if expected != found:
                name, where = f"{step.verb} {step.path} {step.body}", difference(expected, found)[:400]
                if not on_purpose(name, where):
                    differing.append(f"{name[:150]}\n  {where}")
    assert differing == [], "\n" + "\n".join(differing)
