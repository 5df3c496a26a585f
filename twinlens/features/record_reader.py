"""Everything a project holds as records, kind by kind, page by page, in an order that new data only adds to.

Each kind has one function from (scope, position, limit) to records and the position behind them. A position is a short JSON
value; ``Transfer`` makes it opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.artifact import proxy_path
from twinlens.domain.dataset import DatasetItem, DatasetRunItem
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.media import MediaLink
from twinlens.domain.price import Price
from twinlens.domain.prompt import Prompt
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
    Point,
    PriceRecord,
    PromptRecord,
    RegisteredModelRecord,
    RowRecord,
    RunRecord,
    ScoreConfigRecord,
    ScoreRecord,
    TraceRecord,
    point_value,
)
from twinlens.domain.score import MetricPoint
from twinlens.features.metrics import Metrics
from twinlens.store.catalog import bulk
from twinlens.store.catalog.carried import SEALED, row_tables
from twinlens.store.catalog.comments import CommentTable, comments
from twinlens.store.catalog.dataset_runs import DatasetRunTable, dataset_run_items, dataset_runs
from twinlens.store.catalog.datasets import ITEM_JSON, DatasetTable, dataset_items, datasets, decode_json
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.experiments import ExperimentTable, experiments
from twinlens.store.catalog.logged_models import LoggedModelTable, logged_models
from twinlens.store.catalog.media import MediaTable, media, media_links
from twinlens.store.catalog.prices import PriceRows, prices
from twinlens.store.catalog.prompts import PromptTable, prompts
from twinlens.store.catalog.registry import RegistryTable, model_versions, registered_models
from twinlens.store.catalog.run_search import load
from twinlens.store.catalog.score_configs import ScoreConfigTable, score_configs
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Cmp, Order, Query, all_of

#: Points per record, and spans that travel inside their trace's record.
POINTS, SPANS = 5_000, 1_000
_RUNS = 20  #: whose metrics are read together

Found = tuple[list[AnyRecord], Any]
#: Rows of a page, of tables with rows of up to a megabyte.
_HEAVY = {"skill_files": 40, "skill_pieces": 40}


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What part of a project is meant: all of it, one experiment or one trace. ``administers``: and what only administrators see."""

    project_id: str
    experiment_id: str | None = None
    trace_id: str | None = None
    administers: bool = False


class RecordReader:
    """See the module's text. All methods block."""

    def __init__(self, catalog: Catalog, telemetry: TelemetryStore, metrics: Metrics) -> None:
        self._catalog = catalog
        self._telemetry = telemetry
        self._metrics = metrics
        self.kinds: dict[str, Callable[[Scope, Any, int], Found]] = {
            "price": self._prices, "score_config": self._score_configs, "experiment": self._experiments,
            "run": self._runs, "logged_model": self._logged_models, "metrics": self._points,
            "registered_model": self._registered_models, "prompt": self._prompts, "dataset": self._datasets,
            "dataset_item": self._dataset_items, "dataset_run": self._dataset_runs,
            "dataset_run_item": self._dataset_run_items, "media": self._media, "trace": self._traces,
            "score": self._scores, "comment": self._comments, "row": self._rows,
        }  # fmt: skip

    def count(self, project_id: str, kind: str) -> int:
        """See ``Transfer.count``."""
        if kind == "metrics":
            with self._catalog.read() as connection:
                return bulk.metric_count(connection, project_id)
        if kind not in ("trace", "score"):
            raise InvalidArgument("only trace, score and metrics are counted")
        return self._telemetry.count(f"{kind}s", Query(project_id=project_id))

    # --- small kinds -------------------------------------------------------------------------------------------------
    def _ids(
        self,
        scope: Scope,
        table: sa.Table,
        key: str,
        after: Any,
        limit: int,
        where: sa.ColumnElement[bool] | None = None,
    ) -> list[Any]:
        with self._catalog.read() as connection:
            rows = bulk.rows_after(
                connection, table, scope.project_id, [key], None if after is None else [after], limit, where
            )
        return [row[key] for row in rows]

    def _prices(self, scope: Scope, after: Any, limit: int) -> Found:
        ids = self._ids(scope, prices, "id", after, limit)
        known: dict[str, Price] = {p.id: p for p in PriceRows(self._catalog).list(scope.project_id)} if ids else {}
        return [PriceRecord(price=known[i]) for i in ids if i in known], _last(ids, limit)

    def _score_configs(self, scope: Scope, after: Any, limit: int) -> Found:
        ids = self._ids(scope, score_configs, "config_id", after, limit)
        table = ScoreConfigTable(self._catalog)
        found = [config for i in ids if (config := table.get(scope.project_id, i))]
        return [ScoreConfigRecord(config=config) for config in found], _last(ids, limit)

    def _comments(self, scope: Scope, after: Any, limit: int) -> Found:
        ids = self._ids(scope, comments, "comment_id", after, limit)
        table = CommentTable(self._catalog)
        found = [comment for i in ids if (comment := table.get(scope.project_id, i))]
        return [CommentRecord(comment=comment) for comment in found], _last(ids, limit)

    def _rows(self, scope: Scope, after: Any, limit: int) -> Found:
        tables = row_tables(managed=scope.administers)
        start: list[Any] = after or ["", None]
        behind = next((n for n, table in enumerate(tables) if table.name == start[0]), 0)
        for table in tables[behind:]:
            name = str(table.name)  # SQLAlchemy's is a kind of text that JSON does not take
            keys = [column.name for column in table.primary_key if column.name != "project_id"]
            with self._catalog.read() as connection:
                rows = bulk.rows_after(
                    connection, table, scope.project_id, keys, start[1] if name == start[0] else None,
                    min(limit, _HEAVY.get(name, limit)),
                )  # fmt: skip
            if rows:
                return [_row(table, row) for row in rows], [name, [rows[-1][key] for key in keys]]
        return [], None

    # --- experiments and runs ------------------------------------------------------------------------------------------
    def _experiments(self, scope: Scope, after: Any, limit: int) -> Found:
        only = None if scope.experiment_id is None else experiments.c.experiment_id == int(scope.experiment_id)
        ids = self._ids(scope, experiments, "experiment_id", after, limit, only)
        with self._catalog.read() as connection:
            table = ExperimentTable(connection, scope.project_id)
            found = [experiment for i in ids if (experiment := table.get(i))]
        return [ExperimentRecord(experiment=e) for e in found], _last(ids, limit)

    def _runs(self, scope: Scope, after: Any, limit: int) -> Found:
        number = None if scope.experiment_id is None else int(scope.experiment_id)
        with self._catalog.read() as connection:
            numbers = bulk.runs_after(connection, scope.project_id, number, after or 0, limit)
            found = load(connection, numbers)
        for run in found:
            run.metrics = []
        records = [RunRecord(run=run, artifacts_stay=proxy_path(run.artifact_uri) is None) for run in found]
        return list[AnyRecord](records), _last(numbers, limit)

    def _points(self, scope: Scope, after: Any, limit: int) -> Found:
        """Several runs at once where they have few points, else one; ``limit`` is the number of records, each of many points."""
        number = None if scope.experiment_id is None else int(scope.experiment_id)
        position: tuple[int, str | None, str | None, int] = tuple(after) if after else (0, None, None, 0)
        before, name, place, first = position
        records: list[AnyRecord] = []
        while len(records) < limit:
            with self._catalog.read() as connection:
                numbers = bulk.runs_after(connection, scope.project_id, number, before, _RUNS if name is None else 1)
                runs = load(connection, numbers)
            if not runs:
                return records, None
            if name is None:
                metrics = [(run.run_id, metric.key) for run in runs for metric in run.metrics]
                found = self._metrics.histories(scope.project_id, metrics, POINTS)
                if len(found) < POINTS:
                    for (run_id, key), points in groupby(found, lambda p: (p.run_id, p.key)):
                        records.append(MetricsRecord(run_id=run_id, name=key, points=[_as_point(p) for p in points]))
                    before = numbers[-1]
                    continue
            run = runs[0]
            for key in [metric.key for metric in run.metrics if name is None or metric.key >= name]:
                while True:
                    page = self._metrics.history(scope.project_id, run.run_id, key, limit=POINTS, cursor=place)
                    if page.points:
                        points = [_as_point(p) for p in page.points]
                        records.append(MetricsRecord(run_id=run.run_id, name=key, first=first, points=points))
                    place, first = page.next_cursor, first + len(page.points)
                    if place is None:
                        first = 0
                        break
                    if len(records) >= limit:
                        return records, [before, key, place, first]
            before, name = numbers[0], None
        return records, [before, None, None, 0]

    def _logged_models(self, scope: Scope, after: Any, limit: int) -> Found:
        only = None if scope.experiment_id is None else logged_models.c.experiment_id == scope.experiment_id
        ids = self._ids(scope, logged_models, "model_id", after, limit, only)
        with self._catalog.read() as connection:
            table = LoggedModelTable(connection, scope.project_id)
            found = [model for i in ids if (model := table.get(i, deleted=True))]
        for model in found:
            model.metrics = []
        records = [
            LoggedModelRecord(model=model, artifacts_stay=proxy_path(model.artifact_uri) is None) for model in found
        ]
        return list[AnyRecord](records), _last(ids, limit)

    def _registered_models(self, scope: Scope, after: Any, limit: int) -> Found:
        with self._catalog.read() as connection:
            rows = bulk.rows_after(connection, registered_models, scope.project_id, ["name"], _one(after), limit)
            table = RegistryTable(connection, scope.project_id)
            records: list[AnyRecord] = []
            for row in rows:
                name = row["name"]
                numbers = [
                    r["version"]
                    for r in bulk.rows_after(
                        connection,
                        model_versions,
                        scope.project_id,
                        ["version"],
                        None,
                        1_000_000,
                        model_versions.c.name == name,
                    )
                ]
                model = table.model(name)
                if model is None:
                    continue
                model.latest_versions = []
                versions = [version for number in numbers if (version := table.version(name, number))]
                records.append(
                    RegisteredModelRecord(model=model, versions=versions, last_version=row["last_version"])
                )  # fmt: skip
        return records, _last([row["name"] for row in rows], limit)

    # --- prompts and datasets ------------------------------------------------------------------------------------------
    def _prompts(self, scope: Scope, after: Any, limit: int) -> Found:
        with self._catalog.read() as connection:
            rows = bulk.rows_after(connection, prompts, scope.project_id, ["name"], _one(after), limit)
            table = PromptTable(connection, scope.project_id)
            tags = table.tags([row["name"] for row in rows])
            records: list[AnyRecord] = []
            for row in rows:
                versions = table.versions(row["name"])
                prompt = Prompt(
                    name=row["name"], type=row["type"], versions=[v.version for v in versions],
                    labels=table.labels(row["name"]), tags=tags.get(row["name"], []),
                    properties=msgspec.json.decode(row["properties"]), description=row["description"],
                    created_ns=row["created_ns"], updated_ns=row["updated_ns"],
                )  # fmt: skip
                records.append(PromptRecord(prompt=prompt, versions=versions, last_version=row["last_version"]))
        return records, _last([row["name"] for row in rows], limit)

    def _datasets(self, scope: Scope, after: Any, limit: int) -> Found:
        ids = self._ids(scope, datasets, "dataset_id", after, limit)
        with self._catalog.read() as connection:
            table = DatasetTable(connection, scope.project_id)
            found = [dataset for i in ids if (dataset := table.dataset(dataset_id=i))]
        return [DatasetRecord(dataset=dataset) for dataset in found], _last(ids, limit)

    def _dataset_items(self, scope: Scope, after: Any, limit: int) -> Found:
        keys = ["item_id", "valid_from_ns"]
        with self._catalog.read() as connection:
            rows = bulk.rows_after(connection, dataset_items, scope.project_id, keys, after, limit)
            table = DatasetTable(connection, scope.project_id)
            names = {i: table.dataset(dataset_id=i) for i in {row["dataset_id"] for row in rows}}
        records: list[AnyRecord] = []
        for row in rows:
            end = row.pop("valid_to_ns")
            del row["input_key"]
            dataset = names[row["dataset_id"]]
            decode_json(row, ITEM_JSON)
            item = DatasetItem(**row, dataset_name=dataset.name if dataset else "")
            records.append(DatasetItemRecord(item=item, valid_to_ns=end))
        return records, _last([[r["item_id"], r["valid_from_ns"]] for r in rows], limit)

    def _dataset_runs(self, scope: Scope, after: Any, limit: int) -> Found:
        ids = self._ids(scope, dataset_runs, "run_id", after, limit)
        with self._catalog.read() as connection:
            table = DatasetRunTable(connection, scope.project_id)
            found = [run for i in ids if (run := table.get(i))]
        return [DatasetRunRecord(run=run) for run in found], _last(ids, limit)

    def _dataset_run_items(self, scope: Scope, after: Any, limit: int) -> Found:
        keys = ["run_id", "run_item_id"]
        with self._catalog.read() as connection:
            rows = bulk.rows_after(connection, dataset_run_items, scope.project_id, keys, after, limit)
            table = DatasetRunTable(connection, scope.project_id)
            names = {i: table.get(i) for i in {row["run_id"] for row in rows}}
        records: list[AnyRecord] = []
        for row in rows:
            run = names[row["run_id"]]
            records.append(DatasetRunItemRecord(item=DatasetRunItem(**row, run_name=run.name if run else "")))
        return records, _last([[r["run_id"], r["run_item_id"]] for r in rows], limit)

    def _media(self, scope: Scope, after: Any, limit: int) -> Found:
        ids = self._ids(scope, media, "media_id", after, limit)
        known = MediaTable(self._catalog).get(scope.project_id, ids)
        records: list[AnyRecord] = []
        with self._catalog.read() as connection:
            for media_id in ids:
                keys = ["media_id", "link_hash"]
                rows = bulk.rows_after(
                    connection, media_links, scope.project_id, keys, None, 100_000, media_links.c.media_id == media_id
                )
                links = [MediaLink(**{name: row[name] for name in MediaLink.__struct_fields__}) for row in rows]
                records.append(MediaRecord(media=known[media_id], links=links))
        return records, _last(ids, limit)

    # --- telemetry -----------------------------------------------------------------------------------------------------
    def _traces(self, scope: Scope, after: Any, limit: int) -> Found:
        where = all_of(
            None if scope.experiment_id is None else Cmp("experiment_id", "=", scope.experiment_id),
            None if scope.trace_id is None else Cmp("trace_id", "=", scope.trace_id),
        )
        page = self._telemetry.traces(
            Query(
                project_id=scope.project_id, where=where, order=(Order("start_ns", False),), limit=limit, cursor=after,
                with_io=True,
            )
        )  # fmt: skip
        short = [trace.trace_id for trace in page.rows if trace.span_count <= SPANS]
        spans = self._telemetry.trace_spans(scope.project_id, short) if short else {}
        return [TraceRecord(trace=trace, spans=spans.get(trace.trace_id, [])) for trace in page.rows], page.next_cursor

    def spans(self, project_id: str, trace_id: str, cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
        """A page of a trace's spans by start."""
        query = Query(
            project_id=project_id, where=Cmp("trace_id", "=", trace_id), order=(Order("start_ns", False),), limit=limit,
            cursor=cursor, with_io=True, with_attributes=True,
        )  # fmt: skip
        page = self._telemetry.spans(query)
        return page.rows, page.next_cursor

    def _scores(self, scope: Scope, after: Any, limit: int) -> Found:
        where = all_of(
            None if scope.experiment_id is None else Cmp("experiment_id", "=", scope.experiment_id),
            None if scope.trace_id is None else Cmp("trace_id", "=", scope.trace_id),
        )
        order = (Order("timestamp_ns", False),)
        page = self._telemetry.scores(
            Query(project_id=scope.project_id, where=where, order=order, limit=limit, cursor=after)
        )
        return [ScoreRecord(score=score) for score in page.rows], page.next_cursor


def _row(table: sa.Table, values: dict[str, Any]) -> AnyRecord:
    """A row without its secret."""
    keyless = values.get("masked") == "{}" and values.get("header_names") == "[]"  # of a connection: sealed, but empty
    secret = values.pop(SEALED, None) is not None and not keyless
    return RowRecord(table=str(table.name), values=values, id=bulk.row_id(table, values), secret=secret)


def _one(after: Any) -> list[Any] | None:
    return None if after is None else [after]


def _as_point(p: MetricPoint) -> Point:
    return Point(point_value(p.value), p.timestamp_ms, p.step, p.model_id, p.dataset_name, p.dataset_digest)


def _last(keys: Sequence[Any], limit: int) -> Any:
    """Where the next page starts; None when this one was not full."""
    return keys[-1] if len(keys) == limit else None
