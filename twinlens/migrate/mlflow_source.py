"""MLflow as a source: a server (also Twinlens, through its MLflow face), a database, or a folder.

What a migration had carried there comes back as it was: tags and attributes under ``twinlens.carried.`` say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeVar

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
from twinlens.migrate import mlflow_datasets as datasets
from twinlens.migrate import mlflow_wire as wire
from twinlens.migrate.mlflow_ledger import LEDGER, Ledger
from twinlens.migrate.mlflow_reader import IS_PROMPT, RUNS, MlflowReader, Part
from twinlens.migrate.system import Content, Page

RUN_ID, MODEL_ID, DELETED = f"{CARRIED}run_id", f"{CARRIED}model_id", f"{CARRIED}deleted_ms"
#: Tags of logged models, registered models and versions with the fields that MLflow sets by itself.
FIELDS = f"{CARRIED}fields"
#: A tag that the server itself sets on logged models.
VERSIONS_OF = "mlflow.modelVersions"
PROMPT_EXPERIMENTS = "_mlflow_experiment_ids"
#: Set on runs that only show a dataset run, which is in the ledger.
SHOWN = f"{CARRIED}shown"
_LEDGER_KINDS = frozenset({"price", "score_config", "dataset_run", "dataset_run_item", "comment", "media", "row"})

_T = TypeVar("_T", LoggedModel, ModelVersion, RegisteredModel)
#: Pages of an experiment from a token on.
Pages = Callable[[str, str | None], Iterator[Part]]


class MlflowSource:
    """One server (one workspace), database or folder."""

    def __init__(self, reader: MlflowReader) -> None:
        self._reader = reader
        self._ledger = Ledger(reader)
        self.kinds = tuple(k for k in KINDS if k not in _LEDGER_KINDS or self._ledger.has(k))

    def count(self, kind: str) -> int | None:
        """Small kinds are counted by reading them."""
        match kind:
            case "artifact":
                return None
            case "metrics":
                return sum(len(said["data"].get("metrics") or []) for runs, _ in self._raw_runs(None) for said in runs)
            case "trace" | "score":
                infos = (
                    info
                    for e in self._experiments
                    for part, _ in self._reader.traces(e.experiment_id, None)
                    for info in part
                )
                return sum(1 if kind == "trace" else len(info.get("assessments") or []) for info in infos)
            case _:
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
            case "dataset":
                yield Page(list[AnyRecord](datasets.datasets_of(self._reader, self._ledger, self._numbers)))
            case "dataset_item":
                yield from datasets.items_of(self._reader, self._ledger)
            case _:
                for records in self._ledger.pages(kind):
                    yield Page(records, part=True)

    # --- experiments and runs --------------------------------------------------------------------------------------------
    @cached_property
    def _experiments(self) -> list[Experiment]:
        found = [wire.experiment_of(e) for e in self._reader.experiments()]
        for experiment in found:
            experiment.artifact_location = ""  # artifacts are carried to where the target keeps its own
        return sorted(found, key=lambda e: int(e.experiment_id))

    @cached_property
    def _shown(self) -> list[Experiment]:
        """As they were, when they had been carried here."""
        return [_restored(e) for e in self._experiments]

    def _each_experiment(self, after: Any, pages: Pages) -> Iterator[tuple[Experiment, list[Any], Any]]:
        """Pages over all experiments: experiment, items, position."""
        position: tuple[int, str | None] = tuple(after) if after else (0, None)
        place, token = position
        for index, experiment in enumerate(self._experiments):
            if index < place:
                continue
            start = token if index == place else None
            for found, more in pages(experiment.experiment_id, start):
                yield experiment, found, [index, more] if more else [index + 1, None]

    def _raw_runs(self, after: Any) -> Iterator[tuple[list[Any], Any]]:
        for _, found, position in self._each_experiment(after, self._reader.runs):
            yield [said for said in found if not _ours(said)], position

    @cached_property
    def _shown_runs(self) -> set[str]:
        """Runs that only show dataset runs."""
        return {said["info"]["run_id"] for runs, _ in self._reader.runs("0", None) for said in runs if _ours(said)}

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
                run.artifact_uri = ""  # the files are carried: they will be at the target's place
                records.append(RunRecord(run=run))
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
                deleted = run.tags.pop(DELETED, None)
                run.deleted_ms = int(deleted) if deleted and run.lifecycle == "deleted" else None
                run.tags.pop(RUN_ID, None)
            yield Page(records, position)

    def _metrics(self, after: Any) -> Iterator[Page]:
        for found, position in self._raw_runs(after):
            logged: dict[str, list[str]] = {}
            for said in found:
                for metric in said.get("data", {}).get("metrics") or []:
                    logged.setdefault(metric["key"], []).append(said["info"]["run_id"])
            for key, run_ids in logged.items():
                for first in range(0, len(run_ids), RUNS):
                    yield Page(list[AnyRecord](self._histories(run_ids[first : first + RUNS], key)), part=True)
            yield Page([], position)

    def _histories(self, run_ids: list[str], key: str) -> Iterator[MetricsRecord]:
        firsts: dict[str, int] = {}
        for run_id, found in self._reader.histories(run_ids, key):
            points = [self._point(run_id, m) for m in found]
            if points:
                first = firsts.get(run_id, 0)
                firsts[run_id] = first + len(points)
                yield MetricsRecord(run_id=self._id(run_id), name=key, first=first, points=points)

    def _point(self, run_id: str, said: dict[str, Any]) -> Point:
        at, step = int(said["timestamp"]), int(said.get("step") or 0)
        found = self._model_points.get((run_id, said["key"], at, step), {}) | said
        model_id = found.get("model_id")
        return Point(
            point_value(wire.value_of(said["value"])), at, step, self._id(model_id) if model_id else None, found.get("dataset_name"),
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
        yield from self._each_experiment(after, self._reader.models)

    def _logged_models(self, after: Any) -> Iterator[Page]:
        for experiment, found, position in self._raw_models(after):
            records: list[AnyRecord] = []
            for said in found:
                info, data = said["info"], said.get("data") or {}
                tags = wire.tags_of(info.get("tags"))
                tags.pop(MODEL_ID, None)
                fields = tags.pop(FIELDS, None)
                source = info.get("source_run_id") or None
                model = LoggedModel(
                    model_id=self._id(info["model_id"]), experiment_id=self._numbers[experiment.experiment_id],
                    name=info["name"], model_type=info.get("model_type") or None, source_run_id=self._id(source) if source else None,
                    status=info.get("status", "READY").removeprefix("LOGGED_MODEL_"),
                    created_ms=int(info.get("creation_timestamp_ms") or 0), updated_ms=int(info.get("last_updated_timestamp_ms") or 0),
                    params=wire.tags_of(data.get("params")), tags=tags,
                )  # fmt: skip
                records.append(LoggedModelRecord(model=_with(model, fields)))
            yield Page(records, position)

    def _registered(self, after: Any, prompts: bool) -> Iterator[tuple[dict[str, Any], list[Any], Any]]:
        """Registered models (or prompts, which are stored as such) with their versions."""
        for models, token in self._reader.registered(after, prompts=prompts):
            for index, model in enumerate(models):
                versions = list(self._reader.versions(model["name"], prompt=prompts))
                yield model, versions, token if index == len(models) - 1 else None

    def _registered_models(self, after: Any) -> Iterator[Page]:
        for said, raw, position in self._registered(after, prompts=False):
            name = said["name"]
            versions: list[ModelVersion] = []
            for v in raw:
                tags = wire.tags_of(v.get("tags"))
                fields = tags.pop(FIELDS, None)
                source = v.get("source", "")
                run_id, model_id = v.get("run_id") or None, v.get("model_id") or None
                version = ModelVersion(
                    name=name, version=int(v["version"]), source=source, storage_location=source,
                    run_id=self._id(run_id) if run_id else None, model_id=self._id(model_id) if model_id else None,
                    run_link=v.get("run_link") or None, description=v.get("description", ""),
                    stage=v.get("current_stage", "None"), status=v.get("status", "READY"), user_id=v.get("user_id", ""),
                    created_ms=int(v.get("creation_timestamp") or 0), updated_ms=int(v.get("last_updated_timestamp") or 0),
                    tags=tags,
                )  # fmt: skip
                versions.append(_with(version, fields))
            tags = wire.tags_of(said.get("tags"))
            fields = tags.pop(FIELDS, None)
            model = RegisteredModel(
                name=name, description=said.get("description", ""), created_ms=int(said.get("creation_timestamp") or 0),
                updated_ms=int(said.get("last_updated_timestamp") or 0), tags=tags,
                aliases={a["alias"]: int(a["version"]) for a in said.get("aliases") or []},
            )  # fmt: skip
            model = _with(model, fields)
            last = max((v.version for v in versions), default=0)
            yield Page(
                [RegisteredModelRecord(model=model, versions=versions, last_version=last)],
                position,
                part=position is None,
            )

    def _prompts(self, after: Any) -> Iterator[Page]:
        for said, raw, position in self._registered(after, prompts=True):
            record = prompt_of(said, raw)
            used = record.prompt.properties.get(PROMPT_EXPERIMENTS)
            if used:
                record.prompt.properties[PROMPT_EXPERIMENTS] = mapped(used, self._numbers)
            yield Page([record], position, part=position is None)

    # --- traces ----------------------------------------------------------------------------------------------------------
    def _traces(self, kind: str, after: Any) -> Iterator[Page]:
        for _, infos, position in self._each_experiment(after, self._reader.traces):
            if kind == "score":
                yield Page(list(self._scores(infos)), position)
                continue
            for found in self._reader.whole([info["trace_id"] for info in infos]):
                yield Page([self._trace(said) for said in found], part=True)
            yield Page([], position)
        if kind == "score":  # those of sessions and dataset runs
            for records in self._ledger.pages(kind):
                yield Page(records, part=True)

    def _trace(self, said: dict[str, Any]) -> TraceRecord:
        trace, spans = wire.trace_of(said["trace_info"], said.get("spans") or [])
        trace.experiment_id = self._numbers.get(trace.experiment_id, trace.experiment_id)
        trace.run_ids = [self._id(run_id) for run_id in trace.run_ids if run_id not in self._shown_runs]
        source = trace.metadata.get("mlflow.sourceRun")
        if source in self._shown_runs:
            del trace.metadata["mlflow.sourceRun"]
        elif source:
            trace.metadata["mlflow.sourceRun"] = self._id(source)
        spans = [span for span in spans if span.span_id != wire.root_for(trace).span_id]
        return TraceRecord(trace=trace, spans=spans)

    def _scores(self, infos: list[Any]) -> Iterator[ScoreRecord]:
        for info in infos:
            for said in info.get("assessments") or []:
                yield ScoreRecord(score=wire.score_of(said, wire.canonical_trace_id(info["trace_id"])))

    # --- files -----------------------------------------------------------------------------------------------------------
    def _owners(self) -> Iterator[tuple[str, str, str, str]]:
        """What owns files: ``logged_model`` or ``run``, its id as it was, its id here, its artifact URI."""
        for _, models, _ in self._raw_models(None):
            for said in models:
                info = said["info"]
                yield "logged_model", self._id(info["model_id"]), info["model_id"], info.get("artifact_uri", "")
        for runs, _ in self._raw_runs(None):
            for said in runs:
                info = said["info"]
                yield "run", self._id(info["run_id"]), info["run_id"], info.get("artifact_uri", "")

    def _artifacts(self) -> Iterator[Page]:
        for owner, origin, here, uri in self._owners():
            records: list[AnyRecord] = [
                ArtifactRecord(owner=owner, owner_id=origin, path=path, size=size)
                for path, size in self._reader.files(owner, here, uri)
            ]
            if records:
                yield Page(records, part=True)

    @cached_property
    def _roots(self) -> dict[str, tuple[str, str]]:
        """Ids here and artifact URIs, by ids as they were."""
        return {origin: (here, uri) for _, origin, here, uri in self._owners()}

    def content(self, record: Content) -> Iterator[bytes]:
        """See ``Source.content``."""
        if not isinstance(record, ArtifactRecord):
            return self._ledger.open(f"media/{record.key}")
        here, uri = self._roots.get(record.owner_id, (record.owner_id, ""))
        return self._reader.open(record.owner, here, uri, record.path)


def _ours(said: dict[str, Any]) -> bool:
    """Whether a run is the ledger or only shows something."""
    return bool({LEDGER, SHOWN} & wire.tags_of(said.get("data", {}).get("tags")).keys())


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
        properties=tags,
        description=said.get("description", ""), created_ns=int(said.get("creation_timestamp") or 0) * 1_000_000,
        updated_ns=int(said.get("last_updated_timestamp") or 0) * 1_000_000,
    )  # fmt: skip
    if carried:
        prompt = msgspec.convert(msgspec.to_builtins(prompt) | msgspec.json.decode(carried), Prompt)
    return PromptRecord(prompt=prompt, versions=versions, last_version=last)


def mapped(ids: str, numbers: dict[str, str]) -> str:
    """``,1,2,`` (the experiments of a prompt) with other ids."""
    return ",".join(numbers.get(each, each) for each in ids.split(","))


def _with(thing: _T, fields: str | None) -> _T:
    """With fields as they were where it had been carried from."""
    if not fields:
        return thing
    return msgspec.convert(msgspec.to_builtins(thing) | msgspec.json.decode(fields), type(thing))


def _restored(experiment: Experiment) -> Experiment:
    """An experiment as it was where it had been carried from."""
    tags = dict(experiment.tags)
    carried = tags.pop(f"{CARRIED}experiment_id", None)
    created, updated = tags.pop(f"{CARRIED}created_ms", None), tags.pop(f"{CARRIED}updated_ms", None)
    return msgspec.structs.replace(
        experiment, tags=tags, experiment_id=carried or experiment.experiment_id,
        created_ms=int(created) if created else experiment.created_ms,
        updated_ms=int(updated) if updated else experiment.updated_ms,
    )  # fmt: skip
