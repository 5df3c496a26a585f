"""What runs over datasets did for each item, from all three sources of ``features.dataset_experiments``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from twinlens.domain.clock import iso_ms
from twinlens.domain.dataset import DatasetItem, DatasetRun, DatasetRunItem
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.run import Run
from twinlens.domain.trace import Span
from twinlens.features.assessments import value_of
from twinlens.features.datasets import Datasets
from twinlens.features.evaluation_runs import DATASET, ENVIRONMENT, ID, ITEM, NAME, PREFIX, EvaluationRuns, dataset_of
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Cmp, Expr, Order, Query, all_of

ROOT = PREFIX + "item.root_observation_id"
_PAGES = 20
#: The sources of items, in the order in which they are read; cursors behind the first start with their name.
_ORDER = (_TOLD, _LINKED, _EVALUATED) = ("told", "linked", "evaluated")
_PARTS = (f"{_LINKED}:", f"{_EVALUATED}:")


class ExperimentItem(msgspec.Struct, kw_only=True):
    """What a run did for one item: its task span, and what the attributes say beside."""

    span: Span
    experiment_id: str
    experiment_name: str
    item_id: str
    dataset_id: str | None
    item_version: str | None
    expected_output: Any
    item_metadata: dict[str, Any] | None
    experiment_metadata: dict[str, Any] | None
    description: str | None


class _Wanted(NamedTuple):
    """Which items are asked for; None stands for all."""

    start_ns: int
    end_ns: int | None
    ids: list[str] | None
    names: list[str] | None
    item_ids: list[str] | None
    dataset_ids: list[str] | None


class ExperimentItems:
    """All methods block."""

    def __init__(self, datasets: Datasets, telemetry: TelemetryStore, evaluations: EvaluationRuns) -> None:
        self._datasets = datasets
        self._telemetry = telemetry
        self._evaluations = evaluations

    def page(
        self, project_id: str, start_ns: int, end_ns: int | None = None, *, ids: Sequence[str] | None = None,
        names: Sequence[str] | None = None, item_ids: Sequence[str] | None = None,
        dataset_ids: Sequence[str] | None = None, limit: int = 50, cursor: str | None = None,
    ) -> tuple[list[ExperimentItem], str | None]:  # fmt: skip
        """Items of runs and the cursor of the next page: first what span attributes tell of, then what was only
        registered, then MLflow's evaluation runs, each newest first. A page may hold fewer than ``limit``.

        Raises:
            InvalidArgument: not a cursor of ours.
        """
        part, _, rest = cursor.partition(":") if cursor and cursor.startswith(_PARTS) else (_TOLD, "", cursor or "")
        wanted = _Wanted(start_ns, end_ns, _listed(ids), _listed(names), _listed(item_ids), _listed(dataset_ids))
        for each in _ORDER[_ORDER.index(part) :]:
            read = {_TOLD: self._told, _LINKED: self._registered, _EVALUATED: self._every_evaluation}[each]
            found, following = read(project_id, wanted, limit, rest or None)
            if following is not None:
                return found, following if each == _TOLD else f"{each}:{following}"
            if found:
                return found, None if each == _ORDER[-1] else f"{_ORDER[_ORDER.index(each) + 1]}:"
            rest = ""
        return [], None

    def _told(
        self, project_id: str, wanted: _Wanted, limit: int, cursor: str | None
    ) -> tuple[list[ExperimentItem], str | None]:
        """Items that span attributes tell of."""
        where = all_of(
            *of_experiments(), Cmp("start_ns", ">=", wanted.start_ns), Cmp("attribute", "is not null", None, ROOT),
            None if wanted.end_ns is None else Cmp("start_ns", "<", wanted.end_ns),
            attribute_in(ID, wanted.ids), attribute_in(NAME, wanted.names), attribute_in(ITEM, wanted.item_ids),
            attribute_in(DATASET, wanted.dataset_ids),
        )  # fmt: skip
        found: list[ExperimentItem] = []
        for _ in range(_PAGES):
            page = self._telemetry.spans(
                Query(
                    project_id=project_id, where=where, order=(Order("start_ns"),), limit=limit, cursor=cursor,
                    with_io=True, with_attributes=True,
                )
            )  # fmt: skip
            found += [_item(span) for span in page.rows if span.attributes.get(ROOT) == span.span_id]
            cursor = page.next_cursor
            if cursor is None or found:
                break
        return found, cursor

    def _registered(
        self, project_id: str, wanted: _Wanted, limit: int, cursor: str | None
    ) -> tuple[list[ExperimentItem], str | None]:
        """Items that clients registered one by one and whose spans say nothing of the run (SDK 2, JS 3, early SDK 3)."""
        found: list[ExperimentItem] = []
        after = _position(cursor)
        for _ in range(_PAGES):
            links = self._datasets.links_between(
                project_id, wanted.start_ns, wanted.end_ns, run_ids=wanted.ids, names=wanted.names,
                item_ids=wanted.item_ids, dataset_ids=wanted.dataset_ids, limit=limit, after=after,
            )  # fmt: skip
            spans = self._telemetry.trace_spans(project_id, list({link.trace_id for link, _, _ in links}))
            found += [item for link, run, of in links if (item := _linked(link, run, of, spans.get(link.trace_id, [])))]
            if len(links) < limit:
                return found, None
            after = (links[-1][0].created_ns, links[-1][0].run_item_id)
            if found:
                break
        return found, None if after is None else f"{after[0]}:{after[1]}"

    def _every_evaluation(
        self, project_id: str, wanted: _Wanted, limit: int, cursor: str | None
    ) -> tuple[list[ExperimentItem], str | None]:
        """Items of MLflow's evaluation runs, run after run."""
        runs = [
            run
            for run in self._evaluations.find(
                project_id, start_ns=wanted.start_ns, end_ns=wanted.end_ns, ids=wanted.ids
            )
            if (wanted.names is None or run.name in wanted.names)
            and (wanted.dataset_ids is None or dataset_of(run) in wanted.dataset_ids)
        ]
        run_id, _, inner = (cursor or "").partition(":")
        at = next((i for i, run in enumerate(runs) if run.run_id == run_id), 0)
        for place in range(at, len(runs)):
            found, following = self._evaluated(project_id, runs[place], wanted.item_ids, limit, inner or None)
            if following is not None:
                return found, f"{runs[place].run_id}:{following}"
            if found:
                return found, f"{runs[place + 1].run_id}:" if place + 1 < len(runs) else None
            inner = ""
        return [], None

    def _evaluated(
        self, project_id: str, run: Run, item_ids: Sequence[str] | None, limit: int, cursor: str | None
    ) -> tuple[list[ExperimentItem], str | None]:
        """Items of one evaluation run of MLflow, newest first. A trace whose inputs are no item's has its own id as item id."""
        traces, cursor = self._evaluations.traces(project_id, run.run_id, limit=limit, cursor=cursor)
        dataset_id = dataset_of(run)
        matched = {} if dataset_id is None else self._evaluations.item_ids(project_id, dataset_id, traces)
        spans = self._telemetry.trace_spans(project_id, [each.trace_id for each in traces], with_attributes=False)
        scores = self._telemetry.scores_for(project_id, [each.trace_id for each in traces])
        found: list[ExperimentItem] = []
        for trace in traces:
            item_id = matched.get(trace.trace_id, trace.trace_id)
            own = spans.get(trace.trace_id, [])
            root = next((span for span in own if span.span_id == trace.root_span_id), own[0] if own else None)
            if root is None or (item_ids is not None and item_id not in item_ids):
                continue
            expected = {
                score.name: value_of(score)
                for score in scores.get(trace.trace_id, [])
                if score.kind == "expectation" and score.valid
            }
            found.append(
                ExperimentItem(
                    span=root, experiment_id=run.run_id, experiment_name=run.name, item_id=item_id,
                    dataset_id=dataset_id, item_version=None, expected_output=expected or None, item_metadata=None,
                    experiment_metadata=metadata_of(run), description=None,
                )
            )  # fmt: skip
        return found, cursor


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else [*values]


def _position(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    at, _, id = cursor.partition(":")
    try:
        return int(at), id
    except ValueError:
        raise InvalidArgument("cursor: not one of ours") from None


def _linked(
    link: DatasetRunItem, run: DatasetRun, item: DatasetItem | None, spans: list[Span]
) -> ExperimentItem | None:
    """What a registered link says; None where its trace is not there, or tells of the run itself."""
    if any(s.attributes.get(ID) == run.run_id and s.attributes.get(ROOT) == s.span_id for s in spans):
        return None
    named = (s for s in spans if s.span_id == link.observation_id)
    span = next(named, None) or next((s for s in spans if s.parent_id is None), spans[0] if spans else None)
    if span is None:
        return None
    return ExperimentItem(
        span=span, experiment_id=run.run_id, experiment_name=run.name, item_id=link.item_id, dataset_id=run.dataset_id,
        item_version=None if link.dataset_version_ns is None else iso_ms(link.dataset_version_ns),
        expected_output=item and item.expected_output,
        item_metadata=item.metadata if item is not None and isinstance(item.metadata, dict) else None,
        experiment_metadata=run.metadata if isinstance(run.metadata, dict) else None, description=run.description,
    )  # fmt: skip


def metadata_of(run: Run) -> dict[str, Any]:
    """Parameters and the tags that are not MLflow's own."""
    return {**run.params, **{key: value for key, value in run.tags.items() if not key.startswith("mlflow.")}}


def of_experiments() -> tuple[Expr, ...]:
    """Spans that tell of an experiment."""
    return Cmp("environment", "=", ENVIRONMENT), Cmp("attribute", "is not null", None, ID)


def attribute_in(key: str, values: Sequence[str] | None) -> Expr | None:
    """The attribute is one of ``values``; None for any."""
    return None if values is None else Cmp("attribute", "in", [*values], key)


def text_attribute(attributes: dict[str, Any], key: str) -> str | None:
    """A text that is there and not empty."""
    value = attributes.get(key)
    return value if isinstance(value, str) and value else None


def _decoded(attributes: dict[str, Any], key: str) -> Any:
    value = attributes.get(key)
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def object_attribute(attributes: dict[str, Any], key: str) -> dict[str, Any] | None:
    """One JSON text (SDK 5), or dotted keys (SDK 4)."""
    whole = _decoded(attributes, key)
    if isinstance(whole, dict):
        return whole
    dotted = {name[len(key) + 1 :]: _decoded(attributes, name) for name in attributes if name.startswith(key + ".")}
    return dotted or None


def _item(span: Span) -> ExperimentItem:
    attributes = span.attributes
    return ExperimentItem(
        span=span,
        experiment_id=str(attributes.get(ID)),
        experiment_name=str(attributes.get(NAME) or attributes.get(ID)),
        item_id=str(attributes.get(ITEM) or span.span_id),
        dataset_id=text_attribute(attributes, DATASET),
        item_version=text_attribute(attributes, PREFIX + "item.version"),
        expected_output=_decoded(attributes, PREFIX + "item.expected_output"),
        item_metadata=object_attribute(attributes, PREFIX + "item.metadata"),
        experiment_metadata=object_attribute(attributes, PREFIX + "metadata"),
        description=text_attribute(attributes, PREFIX + "description"),
    )
