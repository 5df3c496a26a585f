"""An MLflow server as a source, over its REST API (also Twinlens, through its MLflow face).

What a migration had carried there comes back as it was: tags and attributes under ``twinlens.carried.`` say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec

from twinlens.domain.logged_model import LoggedModel
from twinlens.domain.prompt import Prompt, PromptVersion
from twinlens.domain.record import (
    CARRIED,
    KINDS,
    AnyRecord,
    ArtifactRecord,
    ExperimentRecord,
    LoggedModelRecord,
    MetricsRecord,
    Point,
    PromptRecord,
    RegisteredModelRecord,
    RunRecord,
    ScoreRecord,
    TraceRecord,
    point_value,
)
from twinlens.domain.registry import ModelVersion, RegisteredModel
from twinlens.domain.run import Experiment
from twinlens.migrate import mlflow_wire as wire
from twinlens.migrate.http import Http
from twinlens.migrate.system import Content, Page

API, API3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
IS_PROMPT = "mlflow.prompt.is_prompt"
RUN_ID, MODEL_ID, LEDGER = f"{CARRIED}run_id", f"{CARRIED}model_id", f"{CARRIED}ledger"
_LEDGER_KINDS = frozenset({
    "price", "score_config", "dataset", "dataset_item", "dataset_run", "dataset_run_item", "comment", "media", "row",
})  # fmt: skip


class MlflowSource:
    """One server (one workspace)."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.kinds = tuple(k for k in KINDS if k not in _LEDGER_KINDS or self._ledger_files.get(k))

    def count(self, kind: str) -> int | None:
        """Small kinds are counted by reading them."""
        if kind in ("metrics", "trace", "score", "artifact"):
            return None
        return sum(len(page.records) for page in self.read(kind))

    def read(self, kind: str, after: Any = None) -> Iterator[Page]:
        """See ``Source.read``."""
        match kind:
            case "experiment":
                yield Page([ExperimentRecord(experiment=e) for e in self._shown])
            case "run":
                yield from self._runs(after)
            case "metrics":
                yield from self._metrics(after)
            case "logged_model":
                yield from self._logged_models(after)
            case "registered_model":
                yield from self._registered_models(after)
            case "prompt":
                yield from self._prompts(after)
            case "trace" | "score":
                yield from self._traces(kind, after)
            case "artifact":
                yield from self._artifacts()
            case _:
                yield from self._ledger(kind)

    # --- experiments and runs --------------------------------------------------------------------------------------------
    @cached_property
    def _experiments(self) -> list[Experiment]:
        body = {"max_results": 1000, "view_type": "ALL"}
        found = [wire.experiment_of(e) for e in self.search("/experiments/search", "experiments", body)]
        return sorted(found, key=lambda e: int(e.experiment_id))

    @cached_property
    def _shown(self) -> list[Experiment]:
        """As they were, when they had been carried here."""
        return [_restored(e) for e in self._experiments]

    def search(self, path: str, name: str, body: dict[str, Any], root: str = API) -> Iterator[Any]:
        """All items of a paged search."""
        for found, _ in self._pages(path, name, body, None, root):
            yield from found

    def _pages(
        self, path: str, name: str, body: dict[str, Any], token: str | None, root: str = API
    ) -> Iterator[tuple[list[Any], str | None]]:
        while True:
            answer = self._http.post(root + path, body | ({"page_token": token} if token else {}))
            token = answer.get("next_page_token") or None
            yield answer.get(name) or [], token
            if token is None:
                return

    def _each_experiment(
        self, after: Any, path: str, name: str, body: Any, root: str = API
    ) -> Iterator[tuple[Experiment, list[Any], Any]]:
        """Pages over all experiments: experiment, items, position. ``body`` makes the request for one."""
        position: tuple[int, str | None] = tuple(after) if after else (0, None)
        place, token = position
        for index, experiment in enumerate(self._experiments):
            if index < place:
                continue
            start = token if index == place else None
            for found, more in self._pages(path, name, body(experiment.experiment_id), start, root):
                yield experiment, found, [index, more] if more else [index + 1, None]

    def _raw_runs(self, after: Any) -> Iterator[tuple[list[Any], Any]]:
        def body(number: str) -> dict[str, Any]:
            return {
                "experiment_ids": [number], "run_view_type": "ALL", "max_results": 200,
                "order_by": ["attributes.start_time ASC"],
            }  # fmt: skip

        for _, found, position in self._each_experiment(after, "/runs/search", "runs", body):
            yield [said for said in found if LEDGER not in wire.tags_of(said.get("data", {}).get("tags"))], position

    @cached_property
    def _origin(self) -> dict[str, str]:
        """Ids that runs and logged models had where they were carried from, by their ids here."""
        found: dict[str, str] = {}
        if not any(f"{CARRIED}experiment_id" in e.tags for e in self._experiments):
            return found
        for runs, _ in self._raw_runs(None):
            for said in runs:
                tags = wire.tags_of(said.get("data", {}).get("tags"))
                if RUN_ID in tags:
                    found[said["info"]["run_id"]] = tags[RUN_ID]
        for _, models, _ in self._raw_models(None):
            for said in models:
                tags = wire.tags_of(said["info"].get("tags"))
                if MODEL_ID in tags:
                    found[said["info"]["model_id"]] = tags[MODEL_ID]
        return found

    @cached_property
    def _here(self) -> dict[str, str]:
        return {origin: here for here, origin in self._origin.items()}

    @cached_property
    def _numbers(self) -> dict[str, str]:
        """Experiment ids as they were, by their ids here."""
        return {a.experiment_id: b.experiment_id for a, b in zip(self._experiments, self._shown, strict=True)}

    def _id(self, here: str) -> str:
        return self._origin.get(here, here)

    def _runs(self, after: Any) -> Iterator[Page]:
        for found, position in self._raw_runs(after):
            records: list[AnyRecord] = []
            for said in found:
                run = wire.run_of(said)
                stay = not run.artifact_uri.startswith("mlflow-artifacts:") and "://" in run.artifact_uri
                records.append(RunRecord(run=run, artifacts_stay=stay and not run.artifact_uri.startswith("file:")))
                run.run_id = self._id(run.run_id)
                run.experiment_id = self._numbers.get(run.experiment_id, run.experiment_id)
                run.model_inputs = [self._id(m) for m in run.model_inputs]
                run.model_outputs = [
                    msgspec.structs.replace(m, model_id=self._id(m.model_id)) for m in run.model_outputs
                ]
                parent = run.tags.get("mlflow.parentRunId")
                if parent:
                    run.tags["mlflow.parentRunId"] = self._id(parent)
                run.user_id = run.tags.pop(f"{CARRIED}user_id", run.user_id)
                run.tags.pop(RUN_ID, None)
            yield Page(records, position)

    def _metrics(self, after: Any) -> Iterator[Page]:
        for found, position in self._raw_runs(after):
            for said in found:
                run_id = said["info"]["run_id"]
                records: list[AnyRecord] = []
                for metric in said.get("data", {}).get("metrics") or []:
                    records.extend(self._history(run_id, metric["key"]))
                if records:
                    yield Page(records, part=True)
            yield Page([], position)

    def _history(self, run_id: str, key: str) -> Iterator[MetricsRecord]:
        params: dict[str, Any] = {"run_id": run_id, "metric_key": key, "max_results": 5000}
        first = 0
        while True:
            answer = self._http.get(f"{API}/metrics/get-history", params=params)
            points = [self._point(run_id, m) for m in answer.get("metrics") or []]
            if points:
                yield MetricsRecord(run_id=self._id(run_id), name=key, first=first, points=points)
            first += len(points)
            if not answer.get("next_page_token"):
                return
            params["page_token"] = answer["next_page_token"]

    def _point(self, run_id: str, said: dict[str, Any]) -> Point:
        at, step = int(said["timestamp"]), int(said.get("step") or 0)
        found = self._model_points.get((run_id, said["key"], at, step), {}) | said
        model_id = found.get("model_id")
        return Point(
            point_value(float(said["value"])), at, step, self._id(model_id) if model_id else None, found.get("dataset_name"),
            found.get("dataset_digest"),
        )  # fmt: skip

    @cached_property
    def _model_points(self) -> dict[tuple[str, str, int, int], dict[str, Any]]:
        """Which points of runs belong to logged models: histories do not tell, the models do."""
        found: dict[tuple[str, str, int, int], dict[str, Any]] = {}
        for _, models, _ in self._raw_models(None):
            for said in models:
                for m in (said.get("data") or {}).get("metrics") or []:
                    key = (m.get("run_id", ""), m["key"], int(m.get("timestamp") or 0), int(m.get("step") or 0))
                    found[key] = m | {"model_id": said["info"]["model_id"]}
        return found

    # --- models and prompts ----------------------------------------------------------------------------------------------
    def _raw_models(self, after: Any) -> Iterator[tuple[Experiment, list[Any], Any]]:
        def body(number: str) -> dict[str, Any]:
            return {"experiment_ids": [number], "max_results": 50}

        yield from self._each_experiment(after, "/logged-models/search", "models", body)

    def _logged_models(self, after: Any) -> Iterator[Page]:
        for experiment, found, position in self._raw_models(after):
            records: list[AnyRecord] = []
            for said in found:
                info, data = said["info"], said.get("data") or {}
                tags = wire.tags_of(info.get("tags"))
                tags.pop(MODEL_ID, None)
                source = info.get("source_run_id") or None
                model = LoggedModel(
                    model_id=self._id(info["model_id"]), experiment_id=self._numbers[experiment.experiment_id],
                    name=info["name"], model_type=info.get("model_type") or None, source_run_id=self._id(source) if source else None,
                    artifact_uri=info.get("artifact_uri", ""), status=info.get("status", "READY").removeprefix("LOGGED_MODEL_"),
                    created_ms=int(info.get("creation_timestamp_ms") or 0), updated_ms=int(info.get("last_updated_timestamp_ms") or 0),
                    params=wire.tags_of(data.get("params")), tags=tags,
                )  # fmt: skip
                records.append(LoggedModelRecord(model=model))
            yield Page(records, position)

    def _registered(self, after: Any, prompts: bool) -> Iterator[tuple[dict[str, Any], list[Any], Any]]:
        """Registered models (or prompts, which are stored as such) with their versions."""
        token = after
        condition = f"tags.`{IS_PROMPT}` = 'true'"
        while True:
            params: dict[str, Any] = {"max_results": 100} | ({"page_token": token} if token else {})
            if prompts:
                params["filter"] = condition
            answer = self._http.get(f"{API}/registered-models/search", params=params)
            token = answer.get("next_page_token") or None
            models: list[Any] = answer.get("registered_models") or []
            for index, model in enumerate(models):
                name = model["name"].replace("'", "''")
                versions = list(self.versions(f"name='{name}'" + (f" AND {condition}" if prompts else "")))
                yield model, versions, token if index == len(models) - 1 else None
            if token is None:
                return

    def versions(self, condition: str) -> Iterator[Any]:
        """Model versions that a filter selects."""
        params: dict[str, Any] = {"filter": condition, "max_results": 1000, "order_by": "version_number ASC"}
        while True:
            answer = self._http.get(f"{API}/model-versions/search", params=params)
            yield from sorted(answer.get("model_versions") or [], key=lambda v: int(v["version"]))
            if not answer.get("next_page_token"):
                return
            params["page_token"] = answer["next_page_token"]

    def _registered_models(self, after: Any) -> Iterator[Page]:
        for said, raw, position in self._registered(after, prompts=False):
            name = said["name"]
            versions: list[ModelVersion] = []
            for v in raw:
                tags = wire.tags_of(v.get("tags"))
                source = tags.pop(f"{CARRIED}source", v.get("source", ""))
                run_id, model_id = v.get("run_id") or None, v.get("model_id") or None
                versions.append(
                    ModelVersion(
                        name=name, version=int(v["version"]), source=source, storage_location=source,
                        run_id=self._id(run_id) if run_id else None, model_id=self._id(model_id) if model_id else None,
                        run_link=v.get("run_link") or None, description=v.get("description", ""),
                        stage=v.get("current_stage", "None"), status=v.get("status", "READY"), user_id=v.get("user_id", ""),
                        created_ms=int(v.get("creation_timestamp") or 0), updated_ms=int(v.get("last_updated_timestamp") or 0),
                        tags=tags,
                    )
                )  # fmt: skip
            model = RegisteredModel(
                name=name, description=said.get("description", ""), created_ms=int(said.get("creation_timestamp") or 0),
                updated_ms=int(said.get("last_updated_timestamp") or 0), tags=wire.tags_of(said.get("tags")),
                aliases={a["alias"]: int(a["version"]) for a in said.get("aliases") or []},
            )  # fmt: skip
            last = max((v.version for v in versions), default=0)
            yield Page(
                [RegisteredModelRecord(model=model, versions=versions, last_version=last)],
                position,
                part=position is None,
            )

    def _prompts(self, after: Any) -> Iterator[Page]:
        for said, raw, position in self._registered(after, prompts=True):
            record = prompt_of(said, raw)
            yield Page([record], position, part=position is None)

    # --- traces ----------------------------------------------------------------------------------------------------------
    def _traces(self, kind: str, after: Any) -> Iterator[Page]:
        def body(number: str) -> dict[str, Any]:
            place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": number}}
            return {"locations": [place], "max_results": 100, "order_by": ["timestamp_ms ASC"]}

        for _, infos, position in self._each_experiment(after, "/traces/search", "traces", body, API3):
            if kind == "score":
                yield Page(list(self._scores(infos)), position)
                continue
            for start in range(0, len(infos), 10):
                part = infos[start : start + 10]
                ids = [("trace_ids", info["trace_id"]) for info in part]
                answer = self._http.get(f"{API3}/traces/batchGet", params=ids)
                yield Page([self._trace(said) for said in answer.get("traces") or []], part=True)
            yield Page([], position)

    def _trace(self, said: dict[str, Any]) -> TraceRecord:
        trace, spans = wire.trace_of(said["trace_info"], said.get("spans") or [])
        trace.experiment_id = self._numbers.get(trace.experiment_id, trace.experiment_id)
        trace.run_ids = [self._id(run_id) for run_id in trace.run_ids]
        if trace.metadata.get("mlflow.sourceRun"):
            trace.metadata["mlflow.sourceRun"] = self._id(trace.metadata["mlflow.sourceRun"])
        spans = [span for span in spans if span.span_id != wire.root_for(trace).span_id]
        return TraceRecord(trace=trace, spans=spans)

    def _scores(self, infos: list[Any]) -> Iterator[ScoreRecord]:
        for info in infos:
            for said in info.get("assessments") or []:
                yield ScoreRecord(score=wire.score_of(said, wire.canonical_trace_id(info["trace_id"])))

    # --- files -----------------------------------------------------------------------------------------------------------
    def _artifacts(self) -> Iterator[Page]:
        for _, models, _ in self._raw_models(None):
            for said in models:
                info = said["info"]
                yield from self._files("logged_model", self._id(info["model_id"]), info.get("artifact_uri", ""))
        for runs, _ in self._raw_runs(None):
            for said in runs:
                info = said["info"]
                yield from self._files("run", self._id(info["run_id"]), info.get("artifact_uri", ""))

    def _files(self, owner: str, owner_id: str, uri: str) -> Iterator[Page]:
        records: list[AnyRecord] = [
            ArtifactRecord(owner=owner, owner_id=owner_id, path=path, size=size) for path, size in self.list(owner, owner_id, uri)
        ]  # fmt: skip
        if records:
            yield Page(records, part=True)

    def list(self, owner: str, owner_id: str, uri: str) -> list[tuple[str, int]]:
        """Paths and sizes of all files of a run or logged model."""
        root = wire.proxied(uri)
        found: list[tuple[str, int]] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            if root is not None:
                params = {"path": f"{root}/{folder}".rstrip("/")}
                answer = self._http.get("/api/2.0/mlflow-artifacts/artifacts", params=params)
            elif owner == "run":
                here = self._here.get(owner_id, owner_id)
                answer = self._http.get(f"{API}/artifacts/list", params={"run_id": here, "path": folder})
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

    @cached_property
    def _roots(self) -> dict[str, str]:
        """Artifact URIs by owner, ids as they were."""
        found: dict[str, str] = {}
        for _, models, _ in self._raw_models(None):
            for said in models:
                found[self._id(said["info"]["model_id"])] = said["info"].get("artifact_uri", "")
        for runs, _ in self._raw_runs(None):
            for said in runs:
                found[self._id(said["info"]["run_id"])] = said["info"].get("artifact_uri", "")
        return found

    def content(self, record: Content) -> Iterator[bytes]:
        """See ``Source.content``."""
        if not isinstance(record, ArtifactRecord):
            run_id, files = self._ledger_run or ("", {})
            del files
            return self._http.stream("/get-artifact", params={"run_id": run_id, "path": f"media/{record.key}"})
        uri = self._roots.get(record.owner_id, "")
        root = wire.proxied(uri)
        if root is not None:
            from urllib.parse import quote

            return self._http.stream(f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{root}/{record.path}')}")
        here = self._here.get(record.owner_id, record.owner_id)
        return self._http.stream("/get-artifact", params={"run_id": here, "path": record.path})

    # --- the ledger: records of kinds MLflow has no place for, as files of one run ---------------------------------------
    @cached_property
    def _ledger_run(self) -> tuple[str, dict[str, int]] | None:
        body: dict[str, Any] = {
            "experiment_ids": ["0"], "filter": f"tags.`{LEDGER}` = 'true'", "max_results": 1, "run_view_type": "ACTIVE_ONLY",
        }  # fmt: skip
        found = self._http.post(f"{API}/runs/search", body).get("runs")
        if not found:
            return None
        info = found[0]["info"]
        return info["run_id"], dict(self.list("run", info["run_id"], info["artifact_uri"]))

    @property
    def _ledger_files(self) -> dict[str, int]:
        if self._ledger_run is None:
            return {}
        return {path.removesuffix(".jsonl"): size or 1 for path, size in self._ledger_run[1].items()}

    def _ledger(self, kind: str) -> Iterator[Page]:
        if self._ledger_run is None:
            return
        decoder = msgspec.json.Decoder(AnyRecord)
        text = b"".join(
            self._http.stream("/get-artifact", params={"run_id": self._ledger_run[0], "path": f"{kind}.jsonl"})
        )
        yield Page([decoder.decode(line) for line in text.splitlines() if line])


def prompt_of(said: dict[str, Any], raw: list[Any]) -> PromptRecord:
    """A registered model with prompt tags as a prompt."""
    tags = wire.tags_of(said.get("tags"))
    carried = tags.pop(f"{CARRIED}prompt", None)
    tags.pop(IS_PROMPT, None)
    labels = {a["alias"]: int(a["version"]) for a in said.get("aliases") or []}
    versions: list[PromptVersion] = []
    for v in raw:
        own = wire.tags_of(v.get("tags"))
        kept = own.pop(f"{CARRIED}version", None)
        own.pop(IS_PROMPT, None)
        text = own.pop("mlflow.prompt.text", "")
        chat = own.pop("_mlflow_prompt_type", "text") == "chat"
        response, model = own.pop("_mlflow_prompt_response_format", None), own.pop("_mlflow_prompt_model_config", None)
        number = int(v["version"])
        created = int(v.get("creation_timestamp") or 0) * 1_000_000
        version = PromptVersion(
            version_id=f"{said['name']}/{number}", name=said["name"], version=number, type="chat" if chat else "text",
            template=msgspec.json.decode(text) if chat else text, commit_message=v.get("description") or None,
            labels=[label for label, at in labels.items() if at == number], created_ns=created,
            updated_ns=int(v.get("last_updated_timestamp") or 0) * 1_000_000, version_tags=own,
            response_format=msgspec.json.decode(response) if response else None,
            model_config=msgspec.json.decode(model) if model else None,
        )  # fmt: skip
        if kept:
            version = msgspec.convert(msgspec.to_builtins(version) | msgspec.json.decode(kept), PromptVersion)
        versions.append(version)
    last = max((v.version for v in versions), default=0)
    labels.setdefault("latest", last)
    prompt = Prompt(
        name=said["name"], type=versions[-1].type if versions else "text", versions=[v.version for v in versions], labels=labels,
        properties={k: v for k, v in tags.items() if not k.startswith("_mlflow_experiment_ids")},
        description=said.get("description", ""), created_ns=int(said.get("creation_timestamp") or 0) * 1_000_000,
        updated_ns=int(said.get("last_updated_timestamp") or 0) * 1_000_000,
    )  # fmt: skip
    if carried:
        prompt = msgspec.convert(msgspec.to_builtins(prompt) | msgspec.json.decode(carried), Prompt)
    return PromptRecord(prompt=prompt, versions=versions, last_version=last)


def _restored(experiment: Experiment) -> Experiment:
    """An experiment as it was where it had been carried from."""
    tags = dict(experiment.tags)
    carried = tags.pop(f"{CARRIED}experiment_id", None)
    created = tags.pop(f"{CARRIED}created_ms", None)
    return msgspec.structs.replace(
        experiment, tags=tags, experiment_id=carried or experiment.experiment_id,
        created_ms=int(created) if created else experiment.created_ms,
    )  # fmt: skip
