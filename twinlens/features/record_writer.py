"""Puts records into a project. See ``twinlens.features.transfer`` for the promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.artifact import proxy_path
from twinlens.domain.clock import now_ns
from twinlens.domain.dataset import input_key
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.ids import check_id
from twinlens.domain.record import (
    AnyRecord,
    CommentRecord,
    DatasetItemRecord,
    DatasetRecord,
    DatasetRunItemRecord,
    DatasetRunRecord,
    ExperimentRecord,
    LoggedModelRecord,
    MediaRecord,
    MetricsRecord,
    PriceRecord,
    PromptRecord,
    RegisteredModelRecord,
    RowRecord,
    RunRecord,
    ScoreConfigRecord,
    ScoreRecord,
    SpansRecord,
    TraceRecord,
)
from twinlens.domain.registry import ModelVersion
from twinlens.domain.run import DEFAULT_EXPERIMENT_ID, Experiment, LatestMetric, ModelOutput, Run
from twinlens.domain.run_rules import check_experiment_name, check_metrics, check_params, check_tags, experiment_number
from twinlens.domain.trace import TracePatch, TraceSummary
from twinlens.features.artifacts import Artifacts
from twinlens.features.experiments import Experiments, append_path
from twinlens.features.metrics import Metrics
from twinlens.features.prices import Prices
from twinlens.features.prompt_composition import dependencies_of
from twinlens.features.row_records import put_row_record
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Ingest
from twinlens.store.catalog import bulk
from twinlens.store.catalog.comments import comments
from twinlens.store.catalog.dataset_runs import dataset_run_items, dataset_runs
from twinlens.store.catalog.datasets import ITEM_JSON, DatasetTable, dataset_items, encode_json
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.experiments import ExperimentTable
from twinlens.store.catalog.logged_models import LoggedModelTable
from twinlens.store.catalog.media import MediaTable
from twinlens.store.catalog.prompts import PromptTable, prompt_versions
from twinlens.store.catalog.registry import RegistryTable
from twinlens.store.catalog.runs import RunTable, run_tags
from twinlens.store.catalog.score_configs import ScoreConfigTable


class Written(msgspec.Struct, kw_only=True):
    """What became of some records. ``experiments``: the id here of each experiment that came with another id."""

    records: int = 0
    experiments: dict[str, str] = {}


class RecordWriter:
    """See the module's text. All methods block."""

    def __init__(
        self,
        catalog: Catalog,
        experiments: Experiments,
        metrics: Metrics,
        artifacts: Artifacts,
        prices: Prices,
        ingest: Ingest,
    ) -> None:
        self._catalog = catalog
        self._experiments = experiments
        self._metrics = metrics
        self._artifacts = artifacts
        self._prices = prices
        self._ingest = ingest
        self._put: dict[type, Callable[[sa.Connection, str, Any], None]] = {
            RunRecord: self._run, LoggedModelRecord: self._logged_model,
            RegisteredModelRecord: self._registered_model, PromptRecord: self._prompt, DatasetRecord: self._dataset,
            DatasetItemRecord: self._dataset_item, DatasetRunRecord: self._dataset_run,
            DatasetRunItemRecord: self._dataset_run_item, CommentRecord: self._comment, RowRecord: put_row_record,
            MetricsRecord: self._points,
        }  # fmt: skip

    def write(self, project_id: str, records: Sequence[AnyRecord], *, derive: bool) -> Written:
        """See ``Transfer.write``. Neighbours of one kind share a transaction."""
        written = Written(records=len(records), experiments={})
        for kind, group in groupby(records, type):
            found: list[Any] = list(group)
            if kind in (TraceRecord, SpansRecord):
                self._traces(project_id, found, derive)
            elif kind is ScoreRecord:
                scores = [record.score for record in found]
                for score in scores:
                    check_id(score.score_id, "score id")
                self._ingest.submit_sync(Batch(project_id=project_id, scores=scores, bytes=200 * len(scores)))
            elif kind is ExperimentRecord:
                for record in found:
                    number = self._experiment(project_id, record.experiment)
                    if number != record.experiment.experiment_id:
                        written.experiments[record.experiment.experiment_id] = number
            elif kind is PriceRecord:
                for record in found:
                    self._prices.put(project_id, record.price)
            elif kind is ScoreConfigRecord:
                for record in found:
                    self._score_config(project_id, record)
            elif kind is MediaRecord:
                for record in found:
                    self._media(project_id, record)
            elif kind in self._put:
                self._experiments.ensure_default(project_id)
                with self._catalog.write() as connection:
                    for record in found:
                        self._put[kind](connection, project_id, record)
                for record in found if kind is MetricsRecord else ():
                    self._metrics.announce(project_id, record.run_id, _points(record))
            else:
                raise InvalidArgument(f"records of kind {kind.__name__} are not written this way")
        return written

    # --- experiments and runs ------------------------------------------------------------------------------------------
    def _experiment(self, project_id: str, given: Experiment) -> str:
        """The id here: of the experiment of that name, else the given one if it is free, else a new one."""
        check_experiment_name(given.name)
        number = experiment_number(given.experiment_id)
        with self._experiments.write(project_id) as (connection, table):
            known = table.get(0) if given.experiment_id == DEFAULT_EXPERIMENT_ID else table.named(given.name)
            if known is None:
                bulk.keep_ahead(connection, "experiment", number)
                if table.get(number) is not None:
                    number = bulk.take(connection, "experiment")
                location = given.artifact_location
                if not location or proxy_path(location) is not None:
                    location = self._artifacts.location(project_id, str(number))
                known = msgspec.structs.replace(given, experiment_id=str(number), artifact_location=location)
                table.add(known)
            else:
                number = int(known.experiment_id)
                table.put_tags(number, given.tags)
                if known.updated_ms <= given.updated_ms or given.created_ms < known.created_ms:
                    values: dict[str, Any] = {"created_ms": given.created_ms, "updated_ms": given.updated_ms}
                    if number:
                        values["lifecycle"] = given.lifecycle
                    table.set(number, **values)
        return str(number)

    def _location(self, connection: sa.Connection, project_id: str, experiment_id: str) -> str:
        found = ExperimentTable(connection, project_id).get(experiment_number(experiment_id))
        if found is None:
            raise InvalidArgument(f"there is no experiment {experiment_id} here: write experiments before runs")
        return found.artifact_location

    def _run(self, connection: sa.Connection, project_id: str, record: RunRecord) -> None:
        run: Run = record.run
        check_id(run.run_id, "run id")
        table = RunTable(connection, project_id)
        key = table.find(run.run_id)
        check_tags(list(run.tags.items()))
        if key is None:
            if not record.artifacts_stay:
                location = self._location(connection, project_id, run.experiment_id)
                run.artifact_uri = append_path(location, f"{run.run_id}/artifacts")
            key = table.add(run)
        else:
            table.put_texts(run_tags, key, run.tags)
            table.set(
                key,
                name=run.name,
                status=run.status,
                start_ms=run.start_ms or 0,
                end_ms=run.end_ms,
                user_id=run.user_id,
            )
        table.put_params(key, check_params(list(run.params.items())))
        table.put_inputs(key, run.dataset_inputs)
        table.put_models(key, "input", [ModelOutput(model_id) for model_id in run.model_inputs])
        table.put_models(key, "output", run.model_outputs)
        if key.lifecycle != run.lifecycle or run.lifecycle == "deleted":
            table.set_lifecycle([key], run.lifecycle, run.deleted_ms)

    def _points(self, connection: sa.Connection, project_id: str, record: MetricsRecord) -> None:
        key = RunTable(connection, project_id).find(record.run_id)
        if key is None:
            raise InvalidArgument(f"there is no run {record.run_id} here: write runs before their metrics")
        points = _points(record)
        check_metrics(points)
        self._metrics.put(connection, project_id, record.run_id, key, points)

    def _logged_model(self, connection: sa.Connection, project_id: str, record: LoggedModelRecord) -> None:
        model = record.model
        check_id(model.model_id, "model id")
        table = LoggedModelTable(connection, project_id)
        if not record.artifacts_stay:
            location = self._location(connection, project_id, model.experiment_id)
            model.artifact_uri = append_path(location, f"models/{model.model_id}/artifacts")
        known = table.get(model.model_id, deleted=True)
        if known is None:
            table.add(model)
            return
        table.put_tags(model.model_id, model.tags)
        if known.updated_ms <= model.updated_ms:
            table.set(
                model.model_id, status=model.status, status_message=model.status_message, lifecycle=model.lifecycle,
                updated_ms=model.updated_ms,
            )  # fmt: skip

    # --- registry, prompts ---------------------------------------------------------------------------------------------
    def _registered_model(self, connection: sa.Connection, project_id: str, record: RegisteredModelRecord) -> None:
        model, table = record.model, RegistryTable(connection, project_id)
        table.add_model(model.name, model.description, {}, model.created_ms)
        for key, value in model.tags.items():
            table.put_model_tag(model.name, key, value)
        last = table.newest_version(model.name) or 0
        for version in record.versions:
            last = max(last, version.version)
            if table.version(model.name, version.version) is None:
                table.add_version(self._located(connection, project_id, version))
            else:
                for key, value in version.tags.items():
                    table.put_version_tag(model.name, version.version, key, value)
                table.set_version(
                    model.name, version.version, stage=version.stage, description=version.description,
                    updated_ms=version.updated_ms,
                )  # fmt: skip
        for alias, number in model.aliases.items():
            table.put_alias(model.name, alias, number)
        table.set_model(
            model.name, description=model.description, last_version=max(last, record.last_version),
            updated_ms=model.updated_ms,
        )  # fmt: skip

    def _located(self, connection: sa.Connection, project_id: str, version: ModelVersion) -> ModelVersion:
        """The version with proxied addresses as they are here: below its logged model or its run."""
        root = None
        if version.model_id and (model := LoggedModelTable(connection, project_id).get(version.model_id, deleted=True)):
            root = model.artifact_uri
        elif version.run_id and (run := RunTable(connection, project_id).head(version.run_id)):
            root = run.artifact_uri
        if root is None:
            return version

        def moved(uri: str) -> str:
            path = proxy_path(uri)
            if path is None or "/artifacts" not in path:
                return uri
            rest = path.split("/artifacts", 1)[1].strip("/")
            return append_path(root, rest) if rest else root

        return msgspec.structs.replace(
            version, source=moved(version.source), storage_location=moved(version.storage_location)
        )  # fmt: skip

    def _prompt(self, connection: sa.Connection, project_id: str, record: PromptRecord) -> None:
        prompt, table = record.prompt, PromptTable(connection, project_id)
        head = table.head(prompt.name)
        if head is None:
            table.create(prompt.name, prompt.type, prompt.created_ns)
        known = set(table.numbers(prompt.name))
        for version in record.versions:
            if version.version in known:
                table.set_version(
                    prompt.name, version.version, version_tags=version.version_tags, updated_ns=version.updated_ns
                )
                continue
            taken = sa.select(prompt_versions.c.version).where(
                prompt_versions.c.project_id == project_id, prompt_versions.c.version_id == version.version_id
            )
            if connection.execute(taken).first() is not None:
                raise InvalidArgument(f"prompt version id {version.version_id} is taken by another prompt")
            table.add_version(version, dependencies_of(version.template))
        table.set_tags(prompt.name, prompt.tags)
        for label, number in prompt.labels.items():
            table.put_label(prompt.name, label, number)
        last = max([record.last_version, *known, *(v.version for v in record.versions)], default=0)
        table.set_head(
            prompt.name, description=prompt.description, properties=prompt.properties, updated_ns=prompt.updated_ns,
            created_ns=prompt.created_ns, last_version=last,
        )  # fmt: skip

    # --- datasets and small kinds --------------------------------------------------------------------------------------
    def _dataset(self, connection: sa.Connection, project_id: str, record: DatasetRecord) -> None:
        given, table = record.dataset, DatasetTable(connection, project_id)
        known = table.dataset(name=given.name)
        if known is None:
            known = table.dataset(dataset_id=given.dataset_id)
            table.put_dataset(given, new=known is None)
        elif known.updated_ns <= given.updated_ns:
            table.put_dataset(msgspec.structs.replace(given, dataset_id=known.dataset_id), new=False)
        used = given.experiment_ids + (known.experiment_ids if known else [])
        table.set_experiments((known or given).dataset_id, used)

    def _dataset_id(self, connection: sa.Connection, project_id: str, name: str, dataset_id: str) -> str:
        """The id here of a dataset of another place: by name."""
        table = DatasetTable(connection, project_id)
        found = table.dataset(name=name) if name else table.dataset(dataset_id=dataset_id)
        if found is None:
            raise InvalidArgument(f"there is no dataset {name or dataset_id} here: write datasets before their items")
        return found.dataset_id

    def _dataset_item(self, connection: sa.Connection, project_id: str, record: DatasetItemRecord) -> None:
        item = record.item
        values = msgspec.structs.asdict(item)
        values["dataset_id"] = self._dataset_id(connection, project_id, item.dataset_name, item.dataset_id)
        encode_json(values, ITEM_JSON)
        values |= {"valid_to_ns": record.valid_to_ns, "input_key": input_key(item.input)}
        bulk.put_row(connection, dataset_items, project_id, values)
        if record.valid_to_ns is None:
            DatasetTable(connection, project_id).settle_item(item.item_id)

    def _dataset_run(self, connection: sa.Connection, project_id: str, record: DatasetRunRecord) -> None:
        values = encode_json(msgspec.structs.asdict(record.run), ("metadata",))
        values["dataset_id"] = self._dataset_id(
            connection, project_id, record.run.dataset_name, record.run.dataset_id
        )  # fmt: skip
        bulk.put_row(connection, dataset_runs, project_id, values)

    def _dataset_run_item(self, connection: sa.Connection, project_id: str, record: DatasetRunItemRecord) -> None:
        bulk.put_row(connection, dataset_run_items, project_id, msgspec.structs.asdict(record.item))

    def _score_config(self, project_id: str, record: ScoreConfigRecord) -> None:
        record.config.check()
        table = ScoreConfigTable(self._catalog)
        if table.get(project_id, record.config.config_id) is None:
            table.add(project_id, record.config)
        else:
            table.replace(project_id, record.config)

    def _comment(self, connection: sa.Connection, project_id: str, record: CommentRecord) -> None:
        record.comment.check()
        bulk.put_row(connection, comments, project_id, msgspec.structs.asdict(record.comment))

    def _media(self, project_id: str, record: MediaRecord) -> None:
        table = MediaTable(self._catalog)
        waiting = msgspec.structs.replace(record.media, uploaded_ns=None)
        for link in record.links:
            table.announce(project_id, waiting, link)

    # --- telemetry -----------------------------------------------------------------------------------------------------
    def _traces(self, project_id: str, records: Sequence[TraceRecord | SpansRecord], derive: bool) -> None:
        traces = [record.trace for record in records if isinstance(record, TraceRecord)]
        spans = [span for record in records for span in record.spans]
        for span in spans:
            check_id(span.span_id, "span id")
        for trace in traces:
            check_id(trace.trace_id, "trace id")
        if not derive:
            self._ingest.restore_sync(project_id, traces, spans)
            return
        for span in spans:
            span.created_ns = span.updated_ns = 0
        patches = [patch_of(trace) for trace in traces]
        self._prices.enrich(project_id, spans, patches)
        size = sum(len(span.input or "") + len(span.output or "") + 500 for span in spans)
        for part in _parts(spans, 2_000):
            self._ingest.submit_sync(
                Batch(project_id=project_id, spans=part, patches=patches, bytes=min(size, 100_000_000))
            )
            patches = []


def patch_of(trace: TraceSummary) -> TracePatch:
    """What a summary from another product says about its trace, as its client's word.

    Fields that spans fill by themselves (name, times, status, input …) are only said when the source said them.
    """
    said = trace.client_fields
    values: dict[str, Any] = {
        name: getattr(trace, name)
        for name in (
            "name", "user_id", "session_id", "environment", "release", "version", "client_request_id", "status", "start_ns",
            "end_ns", "input", "output", "input_preview", "output_preview", "public", "bookmarked", "usage", "cost",
        )
        if name in said
    }  # fmt: skip
    return TracePatch(
        trace_id=trace.trace_id, experiment_id=trace.experiment_id, tags=trace.tags or None, tag_values=dict(trace.tag_values),
        metadata=trace.metadata or None, run_ids=trace.run_ids or None, prompts=trace.prompts or None,
        authority="final" if trace.final else "client", said_ns=trace.updated_ns or now_ns(), **values,
    )  # fmt: skip


def _points(record: MetricsRecord) -> list[LatestMetric]:
    return [
        LatestMetric(record.name, p.number, p.timestamp_ms, p.step, p.model_id, p.dataset_name, p.dataset_digest)
        for p in record.points
    ]


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    """Pieces of a list; one empty piece for an empty list."""
    for start in range(0, max(1, len(items)), size):
        yield items[start : start + size]
