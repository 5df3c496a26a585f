"""What MLflow holds, as the JSON of its REST API: from a server here, from its database and its folders in the neighbours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Protocol
from urllib.parse import quote

from twinlens.migrate.files.reading import json_of
from twinlens.migrate.http import Http
from twinlens.migrate.mlflow_wire import proxied

API, API3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
IS_PROMPT = "mlflow.prompt.is_prompt"
#: Runs of one call for histories, and how many points a server gives at once.
RUNS, _POINTS = 100, 25_000
#: Traces of one part of ``whole``.
WHOLE = 10
#: Items of a page, and the token of the next one.
Part = tuple[list[Any], str | None]


class MlflowReader(Protocol):
    """Where ``MlflowSource`` reads. Lists are in an order that does not change while data is added; calls from several threads are fine."""

    def experiments(self) -> Iterator[dict[str, Any]]:
        """All experiments, deleted ones too."""
        ...

    def runs(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """Runs of an experiment, deleted ones too, oldest first."""
        ...

    def histories(self, run_ids: list[str], key: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """All points of a metric of some runs (at most ``RUNS``): run id and points, perhaps in several parts."""
        ...

    def models(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """Logged models of an experiment."""
        ...

    def registered(self, token: str | None, *, prompts: bool) -> Iterator[Part]:
        """Registered models, or the prompts among them."""
        ...

    def versions(self, name: str, *, prompt: bool) -> Iterator[dict[str, Any]]:
        """Versions of a registered model or prompt by number."""
        ...

    def traces(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """``TraceInfo`` of an experiment's traces, oldest first."""
        ...

    def whole(self, trace_ids: list[str]) -> Iterator[list[dict[str, Any]]]:
        """``trace_info`` and ``spans`` of some traces, in parts that keep their order."""
        ...

    def datasets(self) -> Iterator[dict[str, Any]]:
        """Evaluation datasets."""
        ...

    def records(self, dataset_id: str) -> Iterator[list[dict[str, Any]]]:
        """Records of an evaluation dataset, oldest first."""
        ...

    def files(self, owner: str, owner_id: str, uri: str) -> list[tuple[str, int]]:
        """Paths and sizes of all files of a run or logged model (``owner``) whose artifacts are at ``uri``."""
        ...

    def open(self, owner: str, owner_id: str, uri: str, path: str) -> Iterator[bytes]:
        """The bytes of one of them."""
        ...


class RestReader:
    """A server (one workspace), over REST."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def _pages(self, path: str, name: str, body: dict[str, Any], token: str | None) -> Iterator[Part]:
        while True:
            answer = self._http.post(path, body | ({"page_token": token} if token else {}))
            token = answer.get("next_page_token") or None
            yield answer.get(name) or [], token
            if token is None:
                return

    def experiments(self) -> Iterator[dict[str, Any]]:
        """See ``MlflowReader``."""
        body = {"max_results": 1000, "view_type": "ALL"}
        for found, _ in self._pages(f"{API}/experiments/search", "experiments", body, None):
            yield from found

    def runs(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """See ``MlflowReader``."""
        body: dict[str, Any] = {
            "experiment_ids": [experiment_id], "run_view_type": "ALL", "max_results": 200,
            "order_by": ["attributes.start_time ASC"],
        }  # fmt: skip
        models, _ = next(self.models(experiment_id, None))
        for found, more in self._pages(f"{API}/runs/search", "runs", body, token):
            if models:  # a search does not tell which models a run has read
                found = list(self._http.each(self._run, (said["info"]["run_id"] for said in found)))
            yield found, more

    def _run(self, run_id: str) -> dict[str, Any]:
        return self._http.get(f"{API}/runs/get", params={"run_id": run_id})["run"]

    def histories(self, run_ids: list[str], key: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """See ``MlflowReader``. One call for many runs, which MLflow's own page uses; run by run where that is cut off."""
        params: dict[str, Any] = {"run_id": run_ids, "metric_key": key, "max_results": _POINTS}
        path = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
        answer = self._http.request("GET", path, params=params, allow=(404,))
        found: list[dict[str, Any]] = []
        if answer.status_code < 400:  # with NaN and Infinity as Python writes them, which are no JSON
            found = json.loads(answer.content).get("metrics") or []
        if 0 < len(found) < _POINTS:
            for run_id, points in groupby(found, lambda point: str(point["run_id"])):
                yield run_id, list(points)
            return
        for run_id in run_ids:
            for points in self._history(run_id, key):
                yield run_id, points

    def _history(self, run_id: str, key: str) -> Iterator[list[dict[str, Any]]]:
        params: dict[str, Any] = {"run_id": run_id, "metric_key": key, "max_results": 5000}
        while True:
            answer = self._http.get(f"{API}/metrics/get-history", params=params)
            yield answer.get("metrics") or []
            if not answer.get("next_page_token"):
                return
            params["page_token"] = answer["next_page_token"]

    def models(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """See ``MlflowReader``."""
        body: dict[str, Any] = {"experiment_ids": [experiment_id], "max_results": 50}
        return self._pages(f"{API}/logged-models/search", "models", body, token)

    def registered(self, token: str | None, *, prompts: bool) -> Iterator[Part]:
        """See ``MlflowReader``."""
        while True:
            params: dict[str, Any] = {"max_results": 100} | ({"page_token": token} if token else {})
            if prompts:
                params["filter"] = f"tags.`{IS_PROMPT}` = 'true'"
            answer = self._http.get(f"{API}/registered-models/search", params=params)
            token = answer.get("next_page_token") or None
            yield answer.get("registered_models") or [], token
            if token is None:
                return

    def versions(self, name: str, *, prompt: bool) -> Iterator[dict[str, Any]]:
        """See ``MlflowReader``."""
        quoted = name.replace("'", "''")
        condition = f"name='{quoted}'" + (f" AND tags.`{IS_PROMPT}` = 'true'" if prompt else "")
        params: dict[str, Any] = {"filter": condition, "max_results": 1000, "order_by": "version_number ASC"}
        while True:
            answer = self._http.get(f"{API}/model-versions/search", params=params)
            yield from sorted(answer.get("model_versions") or [], key=lambda v: int(v["version"]))
            if not answer.get("next_page_token"):
                return
            params["page_token"] = answer["next_page_token"]

    def traces(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """See ``MlflowReader``."""
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
        body: dict[str, Any] = {"locations": [place], "max_results": 100, "order_by": ["timestamp_ms ASC"]}
        return self._pages(f"{API3}/traces/search", "traces", body, token)

    def whole(self, trace_ids: list[str]) -> Iterator[list[dict[str, Any]]]:
        """See ``MlflowReader``."""
        parts = [trace_ids[first : first + WHOLE] for first in range(0, len(trace_ids), WHOLE)]
        return self._http.each(self._whole, parts)

    def _whole(self, trace_ids: list[str]) -> list[dict[str, Any]]:
        answer = self._http.get(f"{API3}/traces/batchGet", params=[("trace_ids", each) for each in trace_ids])
        return answer.get("traces") or []

    def datasets(self) -> Iterator[dict[str, Any]]:
        """See ``MlflowReader``. A server older than 3.3 has none."""
        token: str | None = None
        while True:
            body: dict[str, Any] = {"max_results": 1000, "order_by": ["created_time ASC"]}
            answer = self._http.post(
                f"{API3}/datasets/search", body | ({"page_token": token} if token else {}), allow=(404, 405)
            )
            yield from (answer or {}).get("datasets") or []
            token = (answer or {}).get("next_page_token")
            if not token:
                return

    def records(self, dataset_id: str) -> Iterator[list[dict[str, Any]]]:
        """See ``MlflowReader``. They travel as JSON text inside the JSON."""
        params: dict[str, Any] = {"max_results": 1000}
        while True:
            answer = self._http.get(f"{API3}/datasets/{quote(dataset_id, safe='')}/records", params=params)
            yield json_of(answer.get("records") or "[]")
            if not answer.get("next_page_token"):
                return
            params["page_token"] = answer["next_page_token"]

    # --- files -----------------------------------------------------------------------------------------------------------
    def files(self, owner: str, owner_id: str, uri: str) -> list[tuple[str, int]]:
        """See ``MlflowReader``. Files of a logged model that the server does not proxy cannot be listed."""
        root = proxied(uri)
        found: list[tuple[str, int]] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            if root is not None:
                params = {"path": f"{root}/{folder}".rstrip("/")}
                answer = self._http.get("/api/2.0/mlflow-artifacts/artifacts", params=params)
            elif owner == "run":
                answer = self._http.get(f"{API}/artifacts/list", params={"run_id": owner_id, "path": folder})
            else:
                return []
            for file in answer.get("files") or []:
                name = file["path"].rsplit("/", 1)[-1]
                path = f"{folder}/{name}" if folder else name
                if file.get("is_dir"):
                    folders.append(path)
                else:
                    found.append((path, int(file.get("file_size") or 0)))
        return sorted(found)

    def open(self, owner: str, owner_id: str, uri: str, path: str) -> Iterator[bytes]:
        """See ``MlflowReader``."""
        root = proxied(uri)
        if root is not None:
            return self._http.stream(f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{root}/{path}')}")
        return self._http.stream("/get-artifact", params={"run_id": owner_id, "path": path})
