"""Phoenix: its REST API (``phoenix+http://host:6006``, one project with ``/name`` behind), and spans exported from it as JSON Lines or
Parquet (its client's data frames, or pages of the API).

A project is an experiment, ``default`` the default one. Annotations become scores, datasets and experiments datasets and dataset runs.
Phoenix keeps microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

import msgspec

from twinlens.domain.dataset import Dataset, DatasetItem, DatasetRun, DatasetRunItem
from twinlens.domain.otlp import RawSpan
from twinlens.domain.record import DatasetItemRecord, DatasetRecord, DatasetRunItemRecord, DatasetRunRecord, ScoreRecord
from twinlens.domain.run import DEFAULT_EXPERIMENT_ID
from twinlens.domain.score import Score
from twinlens.domain.trace import Scope, SpanEvent, TracePatch
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.otlp import keep
from twinlens.migrate.files.reading import bare_name, files_of, parquet, parse, plain, records, stable_id, time_ns
from twinlens.migrate.files.spool import Spool
from twinlens.migrate.http import Http

_PAGE = 200
_KINDS = {"HUMAN": "human", "LLM": "judge", "CODE": "code"}
#: Attributes that are flat in OpenInference; others that hold objects are JSON text there.
_INDEXED = (
    "llm.input_messages", "llm.output_messages", "llm.tools", "retrieval.documents", "reranker.input_documents",
    "reranker.output_documents", "embedding.embeddings",
)  # fmt: skip


def read(root: Path, spool: Spool) -> None:
    """Spans of all files below a folder, or of one file."""
    for path in files_of(root):
        name = bare_name(path)
        if name.endswith(".parquet"):
            rows = parquet(path)
        elif name.endswith((".jsonl", ".ndjson", ".json")):
            rows = _objects(path, spool)
        else:
            continue
        _spans(rows, str(path), DEFAULT_EXPERIMENT_ID, spool)


def _objects(path: Path, spool: Spool) -> Iterator[dict[str, Any]]:
    for said in records(path, spool.note):
        if isinstance(said.get("data"), list):  # a page of the API
            yield from cast("list[dict[str, Any]]", said["data"])
        else:
            yield said


def _spans(rows: Iterator[dict[str, Any]], where: str, experiment: str, spool: Spool) -> list[tuple[str, str]]:
    """Keep spans; their trace and span ids."""
    found: list[tuple[str, str]] = []
    batch: list[RawSpan] = []
    for number, row in enumerate(rows, 1):
        try:
            span = raw_span(row)
        except (KeyError, TypeError, ValueError) as error:
            raise MigrationError(f"{where}, span {number}: {error!r}") from error
        found.append((span.trace_id, span.span_id))
        batch.append(span)
        if len(batch) == _PAGE:
            keep(batch, spool)
            batch = []
    keep(batch, spool)
    if experiment != DEFAULT_EXPERIMENT_ID:
        spool.patches(
            TracePatch(trace_id=trace_id, experiment_id=experiment, authority="client", said_ns=1)
            for trace_id in {trace_id for trace_id, _ in found}
        )
    return found


def raw_span(row: dict[str, Any]) -> RawSpan:
    """A span of the API or of a data frame.

    Raises:
        KeyError, TypeError, ValueError: it is not one.
    """
    attributes: dict[str, Any] = dict(row.get("attributes") or {})
    for key, value in row.items():
        if key.startswith("attributes."):
            attributes[key.removeprefix("attributes.")] = value
    context = row.get("context") or {}
    start = time_ns(row["start_time"])
    if start is None:
        raise ValueError("no start time")
    flat = dict(_flat(attributes))
    flat.setdefault("openinference.span.kind", row.get("span_kind"))
    events: list[Any] = list(row["events"]) if row.get("events") is not None else []
    return RawSpan(
        trace_id=str(context.get("trace_id") or row["context.trace_id"]),
        span_id=str(context.get("span_id") or row["context.span_id"]), parent_id=row.get("parent_id") or None,
        name=str(row.get("name") or ""), otel_kind=1, start_ns=start, end_ns=time_ns(row.get("end_time")),
        attributes={key: value for key, value in flat.items() if value is not None},
        events=[
            SpanEvent(name=e["name"], time_ns=time_ns(e.get("timestamp")) or start, attributes=e.get("attributes") or {})
            for e in events
        ],
        links=[], status=str(row.get("status_code") or "UNSET").lower(), status_message=str(row.get("status_message") or ""),
        trace_state="", resource={}, scope=Scope(name=""),
    )  # fmt: skip


def _flat(attributes: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Attributes as OpenInference writes them on spans."""
    metadata: dict[str, Any] = {}
    for key, value in attributes.items():
        if key.startswith("metadata."):  # the API takes this one apart
            metadata[key.removeprefix("metadata.")] = value
        elif key.startswith(_INDEXED):
            yield from _leaves(key, value)
        elif isinstance(value, float) and math.isnan(value):
            continue  # a data frame's hole
        elif isinstance(value, float) and value.is_integer() and ".token_count" in key:
            yield key, int(value)  # a data frame has no whole numbers with holes
        elif isinstance(value, dict) or (isinstance(value, list) and not _is_plain(cast("list[Any]", value))):
            yield key, msgspec.json.encode(plain(value)).decode()
        else:
            yield key, value
    if metadata:
        yield "metadata", msgspec.json.encode(plain(metadata)).decode()


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            yield from _leaves(f"{key}.{name}", inner)
    elif isinstance(value, list) and not _is_plain(cast("list[Any]", value)):
        for index, inner in enumerate(cast("list[Any]", value)):
            yield from _leaves(f"{key}.{index}", inner)
    elif value is not None:
        yield key, value


def _is_plain(values: list[Any]) -> bool:
    return all(isinstance(value, str | int | float | bool) for value in values)


# --- REST ----------------------------------------------------------------------------------------------------------------
def read_remote(url: str, spool: Spool) -> None:
    """A server, or one project of it."""
    parts = urlsplit(url)
    wanted = unquote(parts.path.strip("/"))
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    http = Http(f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}", token=parts.password or None)
    _Server(http, spool).read(wanted)


class _Server:
    def __init__(self, http: Http, spool: Spool) -> None:
        self._http = http
        self._spool = spool

    def _all(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            answer = self._http.get(f"/v1{path}", params={"limit": _PAGE, "cursor": cursor, **params})
            yield from answer["data"]
            cursor = answer.get("next_cursor")
            if not cursor:
                return

    def read(self, wanted: str) -> None:
        """Everything, or one project."""
        known = False
        for project in self._all("/projects", include_experiment_projects=True):
            if wanted in ("", project["name"]):
                known = True
                self._project(project)
        if not known:
            raise MigrationError(f"there is no project {wanted!r} on this Phoenix")
        if not wanted:
            for dataset in self._all("/datasets"):
                self._dataset(dataset)
        if next(self._all("/prompts"), None) is not None:
            self._spool.note("prompts of Phoenix are not carried")

    def _project(self, project: dict[str, Any]) -> None:
        name = project["name"]
        experiment = DEFAULT_EXPERIMENT_ID if name == "default" else self._spool.experiment(name)
        path = f"/projects/{quote(project['id'], safe='')}"
        found = _spans(self._all(f"{path}/spans"), f"project {name}", experiment, self._spool)
        traces = {span_id: trace_id for trace_id, span_id in found}
        for kind, field, ids in (
            ("span", "span_id", list(traces)), ("trace", "trace_id", sorted(set(traces.values()))),
        ):  # fmt: skip
            for at in range(0, len(ids), 50):
                for said in self._all(f"{path}/{kind}_annotations", **{f"{kind}_ids": ids[at : at + 50]}):
                    thing = said[field]
                    trace_id = traces[thing] if kind == "span" else thing
                    self._annotation(said, trace_id, thing if kind == "span" else None)

    def _annotation(self, said: dict[str, Any], trace_id: str, span_id: str | None) -> None:
        result = said.get("result") or {}
        metadata = dict(said.get("metadata") or {})
        if said.get("identifier"):
            metadata["phoenix.identifier"] = said["identifier"]
        key = stable_id("phoenix", trace_id, span_id, said["name"], said.get("identifier"), said["id"])
        self._spool.put(ScoreRecord(score=_score(key, said, result, trace_id, span_id, metadata)))

    def _dataset(self, said: dict[str, Any]) -> None:
        name = said["name"]
        dataset_id = stable_id("phoenix", "dataset", name)
        at = time_ns(said.get("updated_at")) or 0
        self._spool.put(
            DatasetRecord(
                dataset=Dataset(
                    dataset_id=dataset_id, name=name, description=said.get("description"), metadata=said.get("metadata") or None,
                    created_ns=time_ns(said.get("created_at")) or at, updated_ns=at,
                )
            )
        )  # fmt: skip
        path = f"/datasets/{quote(said['id'], safe='')}"
        examples = self._http.get(f"/v1{path}/examples")["data"]["examples"]
        for example in examples:
            when = (time_ns(example.get("updated_at")) or at) // 1_000_000 * 1_000_000
            item = DatasetItem(
                item_id=stable_id(dataset_id, example["id"]), dataset_id=dataset_id, dataset_name=name, input=example.get("input"),
                expected_output=example.get("output"), metadata=example.get("metadata") or None, valid_from_ns=when, created_ns=when,
                updated_ns=when,
            )  # fmt: skip
            self._spool.put(DatasetItemRecord(item=item))
        names: set[str] = set()
        for experiment in self._all(f"{path}/experiments"):
            title = experiment.get("name") or experiment["id"]
            title = title if title not in names else f"{title} {experiment['id']}"
            names.add(title)
            self._experiment(experiment, title, dataset_id, name)

    def _experiment(self, said: dict[str, Any], title: str, dataset_id: str, dataset: str) -> None:
        at = time_ns(said.get("created_at")) or 0
        run_id = stable_id(dataset_id, said["id"], said.get("created_at"))
        self._spool.put(
            DatasetRunRecord(
                run=DatasetRun(
                    run_id=run_id, dataset_id=dataset_id, dataset_name=dataset, name=title, description=said.get("description"),
                    metadata=said.get("metadata") or None, created_ns=at, updated_ns=time_ns(said.get("updated_at")) or at,
                )
            )
        )  # fmt: skip
        body = b"".join(self._http.stream(f"/v1/experiments/{quote(said['id'], safe='')}/json"))
        for row in parse(body):
            trace_id = row.get("trace_id")
            if not trace_id:
                self._spool.note(f"runs of experiment {title} without a trace are not carried")
                continue
            key = stable_id(run_id, row["example_id"], row.get("repetition_number"))
            when = time_ns(row.get("start_time")) or at
            self._spool.put(
                DatasetRunItemRecord(
                    item=DatasetRunItem(
                        run_item_id=key, run_id=run_id, run_name=title, item_id=stable_id(dataset_id, row["example_id"]),
                        trace_id=trace_id, created_ns=when, updated_ns=when,
                    )
                )
            )  # fmt: skip
            for note in row.get("annotations") or ():
                said_at = {"created_at": note.get("start_time"), **note}
                score = _score(
                    stable_id(key, note["name"]), said_at, note, trace_id, None, dict(note.get("metadata") or {})
                )
                self._spool.put(ScoreRecord(score=score))


def _score(
    score_id: str,
    said: dict[str, Any],
    result: dict[str, Any],
    trace_id: str,
    span_id: str | None,
    metadata: dict[str, Any],
) -> Score:
    at = time_ns(said.get("created_at")) or 0
    value, label = result.get("score"), result.get("label")
    return Score(
        score_id=score_id, name=said["name"], data_type="NUMERIC" if value is not None else "CATEGORICAL", trace_id=trace_id,
        span_id=span_id, value=None if value is None else float(value), string_value=label if value is None else None,
        source=_KINDS.get(str(said.get("annotator_kind")), "api"), comment=result.get("explanation"),
        metadata=metadata | ({"label": label} if value is not None and label is not None else {}), timestamp_ns=at, created_ns=at,
        updated_ns=time_ns(said.get("updated_at")) or at,
    )  # fmt: skip
