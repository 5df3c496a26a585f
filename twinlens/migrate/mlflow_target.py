"""An MLflow server as a target, over its REST API.

MLflow gives out its own ids. The original ones are carried as tags (``twinlens.carried.run_id`` …), by which things are
found again: on the way back, and when the migration is repeated. Kinds that MLflow has no place for become files of one
run, the ledger. What can only be done at the end (deleting, links to things that came later) waits for ``close``, in notes
on disk, so that a migration that was killed still does it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec

from twinlens.domain.prompt import LATEST
from twinlens.domain.record import (
    CARRIED,
    KINDS,
    AnyRecord,
    DatasetItemRecord,
    DatasetRecord,
    DatasetRunItemRecord,
    DatasetRunRecord,
    ExperimentRecord,
    LoggedModelRecord,
    MediaRecord,
    MetricsRecord,
    PromptRecord,
    RegisteredModelRecord,
    RunRecord,
    ScoreRecord,
    SpansRecord,
    TraceRecord,
)
from twinlens.domain.run import DEFAULT_EXPERIMENT_ID, Run
from twinlens.domain.trace import Span, TraceSummary
from twinlens.migrate import mlflow_wire as wire
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.http import Http
from twinlens.migrate.mlflow_datasets import DatasetWriter
from twinlens.migrate.mlflow_evaluations import EvaluationWriter
from twinlens.migrate.mlflow_ledger import LedgerWriter, put_file
from twinlens.migrate.mlflow_reader import API, API3, IS_PROMPT, RestReader
from twinlens.migrate.mlflow_source import (
    DELETED,
    FIELDS,
    MODEL_ID,
    PROMPT_EXPERIMENTS,
    RUN_ID,
    VERSIONS_OF,
    MlflowSource,
    mapped,
)
from twinlens.migrate.notes import Notes
from twinlens.migrate.system import Content, Source

_PARENT = "mlflow.parentRunId"
_EXISTS = (400, 404, 409)
#: Fields of a version that the server sets by itself, or does not tell.
_OF_VERSION = ("source", "storage_location", "run_id", "model_id", "run_link", "user_id", "created_ms", "updated_ms")
#: Source of a version without files: MLflow takes no version without one, and none that could be a path of the server.
_NO_FILES = "s3://no-files/none"
#: Set on versions that only take the number of one that was deleted, until they are deleted themselves.
_FILLER = f"{CARRIED}filler"
#: Traces whose assessments are remembered.
_ASSESSED = 5_000


class MlflowTarget:
    """One server (one workspace)."""

    def __init__(self, http: Http, notes: Notes | None = None) -> None:
        self._http = http
        self._reader = RestReader(http)
        self._notes = notes or Notes()
        self._ledger = LedgerWriter(http, self._reader, self._notes)
        self._datasets = DatasetWriter(http, self._reader, self._ledger)
        self._evaluations = EvaluationWriter(http, self._reader, self._ledger, self._notes)
        self.kinds = KINDS
        self._experiments: dict[str, str] = {}
        self._runs: dict[str, str] = {}
        self._models: dict[str, str] = {}
        self._roots: dict[str, str] = {}
        self._loaded: set[str] = set()
        self._loading = threading.Lock()
        self._assessed: OrderedDict[str, set[str]] = OrderedDict()

    def write(self, records: list[AnyRecord]) -> None:
        """See ``Target.write``."""
        kept: list[AnyRecord] = []
        items: list[DatasetItemRecord] = []
        for record in records:
            match record:
                case ExperimentRecord():
                    self._experiment(record)
                case RunRecord():
                    self._run(record.run)
                case MetricsRecord():
                    self._metrics(record)
                case LoggedModelRecord():
                    self._logged_model(record)
                case RegisteredModelRecord():
                    self._registered_model(record)
                case PromptRecord():
                    self._prompt(record)
                case TraceRecord():
                    self._trace(record.trace, record.spans)
                case SpansRecord():
                    self._spans(record.trace_id, record.spans, None)
                case ScoreRecord() if record.score.trace_id:
                    self._score(record)
                case DatasetRecord():
                    self._datasets.dataset(record.dataset, self._experiments)
                case DatasetItemRecord():
                    items.append(record)
                case DatasetRunRecord():
                    self._load_all()
                    self._evaluations.run(record.run, seen=record.run.run_id in self._runs)
                case DatasetRunItemRecord():
                    self._evaluations.item(record.item)
                case _:
                    kept.append(record)
        self._datasets.items(items)
        self._ledger.keep(kept)

    # --- experiments and runs --------------------------------------------------------------------------------------------
    def _experiment(self, record: ExperimentRecord) -> None:
        given = record.experiment
        params = {"experiment_name": given.name}
        known = self._http.get(f"{API}/experiments/get-by-name", params=params, allow=(404,))
        carried = {
            f"{CARRIED}experiment_id": given.experiment_id, f"{CARRIED}created_ms": str(given.created_ms),
            f"{CARRIED}updated_ms": str(given.updated_ms),
        }  # fmt: skip
        if known is None:
            body = {"name": given.name, "tags": wire.pairs_of(given.tags | carried)}
            number: str = self._http.post(f"{API}/experiments/create", body)["experiment_id"]
        else:
            number = known["experiment"]["experiment_id"]
            if known["experiment"].get("lifecycle_stage") == "deleted":
                self._http.post(f"{API}/experiments/restore", {"experiment_id": number})
            for key, value in (given.tags | carried).items():
                body = {"experiment_id": number, "key": key, "value": value}
                self._http.post(f"{API}/experiments/set-experiment-tag", body)
        self._experiments[given.experiment_id] = number
        if given.lifecycle == "deleted":
            self._later("3 delete", f"experiment {number}", (f"{API}/experiments/delete", {"experiment_id": number}))

    def _load(self, number: str) -> None:
        """Learn which runs and models of an experiment are there already."""
        with self._loading:
            if number in self._loaded:
                return
            for runs, _ in self._reader.runs(number, None):
                for said in runs:
                    info = said["info"]
                    origin = str(wire.tags_of(said.get("data", {}).get("tags")).get(RUN_ID, info["run_id"]))
                    self._runs[origin] = info["run_id"]
                    self._roots[origin] = info.get("artifact_uri", "")
            for models, _ in self._reader.models(number, None):
                for said in models:
                    info = said["info"]
                    origin = str(wire.tags_of(info.get("tags")).get(MODEL_ID, info["model_id"]))
                    self._models[origin] = info["model_id"]
                    self._roots[origin] = info.get("artifact_uri", "")
            self._loaded.add(number)

    def _load_all(self) -> None:
        """The same for all experiments: a migration that goes on has not asked for them yet."""
        for number in list(self._experiments.values()):
            self._load(number)

    def _later(self, kind: str, key: str, call: Any) -> None:
        """Note a call for ``close``."""
        self._notes.put(f"later {kind}", [(key, msgspec.json.encode(call))])

    def _number(self, experiment_id: str) -> str:
        number = self._experiments.get(experiment_id)
        if number is None and experiment_id == DEFAULT_EXPERIMENT_ID:  # of systems without experiments
            number = self._experiments[experiment_id] = DEFAULT_EXPERIMENT_ID
        if number is None:
            raise MigrationError(f"there is no experiment {experiment_id} at the target")
        self._load(number)
        return number

    def _run(self, run: Run) -> None:
        number = self._number(run.experiment_id)
        tags = dict(run.tags) | {RUN_ID: run.run_id, f"{CARRIED}user_id": run.user_id}
        if run.deleted_ms is not None:
            tags[DELETED] = str(run.deleted_ms)
        parent = tags.get(_PARENT)
        if parent and parent in self._runs:
            tags[_PARENT] = self._runs[parent]
        tags["mlflow.runName"] = run.name
        here = self._runs.get(run.run_id)
        if here is None:
            body = {
                "experiment_id": number, "start_time": run.start_ms, "run_name": run.name, "user_id": run.user_id,
                "tags": wire.pairs_of(tags),
            }  # fmt: skip
            info = self._http.post(f"{API}/runs/create", body)["run"]["info"]
            here = str(info["run_id"])
            self._runs[run.run_id] = here
            self._roots[run.run_id] = info.get("artifact_uri", "")
        else:
            self._http.post(f"{API}/runs/restore", {"run_id": here}, allow=_EXISTS)
            for part in _parts(wire.pairs_of(tags), 100):
                self._http.post(f"{API}/runs/log-batch", {"run_id": here, "tags": part})
        for part in _parts(wire.pairs_of(run.params), 100):
            self._http.post(f"{API}/runs/log-batch", {"run_id": here, "params": part})
        if run.dataset_inputs:
            body = {"run_id": here, "datasets": [_input_out(i) for i in run.dataset_inputs]}
            self._http.post(f"{API}/runs/log-inputs", body)
        if parent and tags[_PARENT] == parent:
            self._later("1 parent", here, parent)
        for model_id in run.model_inputs:
            self._later("2 input", f"{here}/{model_id}", (here, model_id, None))
        for output in run.model_outputs:
            self._later("2 output", f"{here}/{output.model_id}/{output.step}", (here, output.model_id, output.step))
        end: dict[str, Any] = {"run_id": here, "status": run.status}
        if run.end_ms is not None:
            end["end_time"] = run.end_ms
        self._http.post(f"{API}/runs/update", end)
        if run.lifecycle == "deleted":
            self._later("3 delete", f"run {here}", (f"{API}/runs/delete", {"run_id": here}))

    def _metrics(self, record: MetricsRecord) -> None:
        if record.run_id not in self._runs:
            self._load_all()
        here = self._runs[record.run_id]
        points = [
            {
                "key": record.name, "value": p.value, "timestamp": p.timestamp_ms, "step": p.step,
                **({"model_id": self._models.get(p.model_id, p.model_id)} if p.model_id else {}),
                **({"dataset_name": p.dataset_name, "dataset_digest": p.dataset_digest} if p.dataset_name else {}),
            }
            for p in record.points
        ]  # fmt: skip
        for part in _parts(points, 1000):
            self._http.post(f"{API}/runs/log-batch", {"run_id": here, "metrics": part})

    # --- models and prompts ----------------------------------------------------------------------------------------------
    def _logged_model(self, record: LoggedModelRecord) -> None:
        model = record.model
        number = self._number(model.experiment_id)
        tags = model.tags | {
            MODEL_ID: model.model_id,
            FIELDS: _fields(model, "created_ms", "updated_ms", "status_message"),
        }
        tags.pop(VERSIONS_OF, None)
        here = self._models.get(model.model_id)
        if here is None:
            body: dict[str, Any] = {
                "experiment_id": number, "name": model.name, "params": wire.pairs_of(model.params), "tags": wire.pairs_of(tags),
            }  # fmt: skip
            if model.model_type:
                body["model_type"] = model.model_type
            if model.source_run_id:
                body["source_run_id"] = self._runs.get(model.source_run_id, model.source_run_id)
            info = self._http.post(f"{API}/logged-models", body)["model"]["info"]
            here = str(info["model_id"])
            self._models[model.model_id] = here
            self._roots[model.model_id] = info.get("artifact_uri", "")
        status = {"model_id": here, "status": f"LOGGED_MODEL_{model.status}"}
        if model.status != "PENDING":
            self._http.request("PATCH", f"{API}/logged-models/{here}", json=status)

    def _registered_model(self, record: RegisteredModelRecord) -> None:
        model = record.model
        self._load_all()
        tags = model.tags | {FIELDS: _fields(model, "created_ms", "updated_ms")}
        self._create_registered(model.name, model.description, tags)
        known = self._known_versions(model.name, prompt=False)
        for version in record.versions:
            number = version.version
            self._fill(model.name, known, number, {})
            if number not in known:
                run = self._runs.get(version.run_id, version.run_id) if version.run_id else None
                linked = self._models.get(version.model_id, version.model_id) if version.model_id else None
                body: dict[str, Any] = {
                    "name": model.name, "source": self._source(version.source, version.run_id, version.model_id),
                    "description": version.description,
                    "tags": wire.pairs_of(version.tags | {FIELDS: _fields(version, *_OF_VERSION)}),
                }  # fmt: skip
                if run:
                    body["run_id"] = run
                if linked:
                    body["model_id"] = linked
                made = self._create_version(body)
                if made != number:
                    raise MigrationError(f"model {model.name}: the target made version {made} where {number} was due")
                known.add(made)
            if version.stage != "None":
                body = {
                    "name": model.name, "version": str(number), "stage": version.stage, "archive_existing_versions": False,
                }  # fmt: skip
                self._http.post(f"{API}/model-versions/transition-stage", body)
        self._aliases(model.name, model.aliases)

    def _create_registered(self, name: str, description: str, tags: dict[str, str]) -> None:
        known = self._http.get(f"{API}/registered-models/get", params={"name": name}, allow=(404,))
        if known is None:
            body = {"name": name, "description": description, "tags": wire.pairs_of(tags)}
            self._http.post(f"{API}/registered-models/create", body)
            return
        there = wire.tags_of(known["registered_model"].get("tags"))
        for key, value in tags.items():
            if there.get(key) != value:
                self._http.post(f"{API}/registered-models/set-tag", {"name": name, "key": key, "value": value})

    def _known_versions(self, name: str, *, prompt: bool) -> set[int]:
        """Numbers that are taken; what a killed migration has left to be deleted is deleted."""
        found: set[int] = set()
        for version in self._reader.versions(name, prompt=prompt):
            number = int(version["version"])
            found.add(number)
            if _FILLER in wire.tags_of(version.get("tags")):
                self._delete_version(name, number)
        return found

    def _fill(self, name: str, known: set[int], number: int, tags: dict[str, str]) -> None:
        """Take the numbers below one: those of versions that were deleted stay taken."""
        while max(known, default=0) < number - 1:
            source = "dummy-source" if IS_PROMPT in tags else _NO_FILES
            body = {"name": name, "source": source, "tags": wire.pairs_of({**tags, _FILLER: "true"})}
            known.add(made := self._create_version(body))
            self._delete_version(name, made)

    def _delete_version(self, name: str, number: int) -> None:
        self._http.request("DELETE", f"{API}/model-versions/delete", json={"name": name, "version": str(number)})

    def _create_version(self, body: dict[str, Any]) -> int:
        return int(self._http.post(f"{API}/model-versions/create", body)["model_version"]["version"])

    def _source(self, source: str, run_id: str | None, model_id: str | None) -> str:
        """Where a version's files are at the target: below its logged model or its run."""
        if model_id and model_id in self._models:
            return f"models:/{self._models[model_id]}"
        if run_id and run_id in self._runs:
            rest = source.split("/artifacts/", 1)[1] if "/artifacts/" in source else ""
            if source.startswith("runs:/"):
                rest = source.removeprefix("runs:/").partition("/")[2]
            return f"runs:/{self._runs[run_id]}/{rest or 'model'}"
        return source if "://" in source and not source.startswith("file:") else _NO_FILES

    def _aliases(self, name: str, aliases: dict[str, int]) -> None:
        for alias, number in aliases.items():
            if alias != LATEST:
                body = {"name": name, "alias": alias, "version": str(number)}
                self._http.post(f"{API}/registered-models/alias", body)

    def _prompt(self, record: PromptRecord) -> None:
        prompt = record.prompt
        kept = {
            "tags": prompt.tags, "type": prompt.type, "name": prompt.name, "labels": prompt.labels, "created_ns": prompt.created_ns,
            "updated_ns": prompt.updated_ns, "description": prompt.description,
        }  # fmt: skip
        name = prompt.name.replace("/", "--").replace(":", "--")  # not allowed in a model's name
        tags = prompt.properties | {IS_PROMPT: "true", f"{CARRIED}prompt": _text(kept)}
        if PROMPT_EXPERIMENTS in tags:
            tags[PROMPT_EXPERIMENTS] = mapped(tags[PROMPT_EXPERIMENTS], self._experiments)
        self._create_registered(name, prompt.description, tags)
        known = self._known_versions(name, prompt=True)
        for version in record.versions:
            self._fill(name, known, version.version, {IS_PROMPT: "true", "mlflow.prompt.text": ""})
            if version.version in known:
                continue
            plain = msgspec.to_builtins(version)
            carried = {
                k: plain[k] for k in ("version_id", "name", "config", "tags", "created_by", "created_ns", "updated_ns")
            }
            own = version.version_tags | {
                IS_PROMPT: "true", "_mlflow_prompt_type": version.type, f"{CARRIED}version": _text(carried),
                "mlflow.prompt.text": version.template if isinstance(version.template, str) else _text(version.template),
            }  # fmt: skip
            if version.response_format is not None:
                own["_mlflow_prompt_response_format"] = _text(version.response_format)
            if version.model_config is not None:
                own["_mlflow_prompt_model_config"] = _text(version.model_config)
            body = {
                "name": name, "source": "dummy-source", "description": version.commit_message or "", "tags": wire.pairs_of(own),
            }  # fmt: skip
            known.add(self._create_version(body))
        allowed = {k.replace(".", "-"): v for k, v in prompt.labels.items()}
        self._aliases(name, allowed)

    # --- traces ----------------------------------------------------------------------------------------------------------
    def _trace(self, trace: TraceSummary, spans: list[Span]) -> None:
        number = self._number(trace.experiment_id)
        trace_id = wire.hex_id(trace.trace_id, 32)
        if not trace.span_count and not spans:
            spans = [wire.root_for(trace)]
        self._spans(trace.trace_id, spans, trace, number)
        info = wire.info_out(trace, trace_id, number, self._runs)
        self._http.post(f"{API3}/traces", {"trace": {"trace_info": info}})

    def _spans(self, origin: str, spans: list[Span], trace: TraceSummary | None, number: str | None = None) -> None:
        if not spans:
            return
        trace_id = wire.hex_id(origin, 32)
        if number is None:  # more spans of a trace that is there
            info = self._http.get(f"{API3}/traces/tr-{trace_id}")["trace"]["trace_info"]
            number = str(info["trace_location"]["mlflow_experiment"]["experiment_id"])
        found = [wire.span_out(span, trace_id) for span in spans]
        if trace is not None:
            root = next((s for s in found if not s["parentSpanId"]), found[0])
            root["attributes"].append({"key": wire.TRACE, "value": {"stringValue": wire.carried_trace(trace)}})
        body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "twinlens"}, "spans": found}]}]}
        self._http.request("POST", "/v1/traces", json=body, headers={"x-mlflow-experiment-id": number})

    def _score(self, record: ScoreRecord) -> None:
        score = record.score
        assert score.trace_id is not None
        trace_id = wire.hex_id(score.trace_id, 32)
        if trace_id not in self._assessed:
            info = self._http.get(f"{API3}/traces/tr-{trace_id}")["trace"]["trace_info"]
            found = {wire.score_of(said, score.trace_id).score_id for said in info.get("assessments") or []}
        else:
            found = set[str]()
        with self._loading:
            there = self._assessed.setdefault(trace_id, found)
            if len(self._assessed) > _ASSESSED:
                self._assessed.popitem(last=False)
            if score.score_id in there:
                return
            there.add(score.score_id)
        body = {"assessment": wire.score_out(score, trace_id)}
        self._http.post(f"{API3}/traces/tr-{trace_id}/assessments", body)

    # --- files -----------------------------------------------------------------------------------------------------------
    def store(self, record: Content, chunks: Iterable[bytes]) -> None:
        """See ``Target.store``."""
        if isinstance(record, MediaRecord):
            self._ledger.put(f"media/{record.key}", chunks)
            return
        if record.owner_id not in self._roots:
            self._load_all()
        put_file(self._http, self._roots[record.owner_id], record.path, chunks)

    # --- the end ---------------------------------------------------------------------------------------------------------
    def reader(self) -> Source:
        """See ``Target.reader``."""
        return MlflowSource(self._reader)

    def close(self) -> None:
        """Write the ledger, set links to things that came later, delete what is to be deleted."""
        self._ledger.flush()
        self._evaluations.flush()
        self._load_all()
        for kind in self._notes.kinds("later "):
            for key, value in self._notes.all(kind):
                what = msgspec.json.decode(value)
                if kind == "later 1 parent":
                    if what in self._runs:
                        self._http.post(
                            f"{API}/runs/set-tag", {"run_id": key, "key": _PARENT, "value": self._runs[what]}
                        )
                elif kind == "later 3 delete":
                    path, body = what
                    self._http.post(path, body, allow=_EXISTS)
                else:
                    here, origin, step = what
                    model: dict[str, Any] = {"model_id": self._models.get(origin, origin)}
                    if step is not None:
                        model["step"] = step
                    path = "log-inputs" if kind == "later 2 input" else "outputs"
                    self._http.post(f"{API}/runs/{path}", {"run_id": here, "models": [model]})
            self._notes.drop(kind)


def _fields(thing: Any, *names: str) -> str:
    """Some fields of a thing, for a tag."""
    plain: dict[str, Any] = msgspec.to_builtins(thing)
    return _text({name: plain[name] for name in names if plain.get(name) is not None})


def _input_out(item: Any) -> dict[str, Any]:
    return {"dataset": msgspec.to_builtins(item.dataset), "tags": wire.pairs_of(item.tags)}


def _parts(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
