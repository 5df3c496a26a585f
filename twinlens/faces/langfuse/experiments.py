"""``/experiments`` and ``/experiment-items``: runs over datasets as SDK 5 knows them."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.score import Score
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse import rows
from twinlens.faces.langfuse.errors import BadRequest, issue
from twinlens.faces.langfuse.traces import chosen_groups
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable, iso, time_of
from twinlens.features.dataset_experiments import Experiment
from twinlens.features.experiment_items import ExperimentItem
from twinlens.store.telemetry.query import Cmp, Query, all_of

routes = RouteTable()

EXPERIMENT_GROUPS = frozenset({"core", "metadata", "scores"})
ITEM_GROUPS = frozenset({"core", "io", "metadata", "experiment_metadata", "item_metadata", "scores"})
MAX_SCORES = 50


class ExperimentsQuery(PageQuery, rename="camel", kw_only=True):
    """Parameters both lists share."""

    from_start_time: str | None = None
    to_start_time: str | None = None
    fields: str | None = None
    score_limit: int = MAX_SCORES
    cursor: str | None = None
    id: str | None = None
    name: str | None = None
    dataset_id: str | None = None
    experiment_id: str | None = None
    experiment_name: str | None = None
    experiment_item_id: str | None = None

    def range(self) -> tuple[int, int | None]:
        """The time range; its start is required so that the cost stays bounded.

        Raises:
            BadRequest: no start.
        """
        start = time_of(self.from_start_time, "fromStartTime")
        if start is None:
            raise BadRequest(issue("Required", "fromStartTime", code="invalid_type"))
        return start, time_of(self.to_start_time, "toStartTime")

    def scores(self) -> int:
        """How many nested scores."""
        return min(max(self.score_limit, 1), MAX_SCORES)


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _after(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    try:
        end, id = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=="), type=tuple[int, str])
    except (binascii.Error, msgspec.DecodeError, ValueError):
        raise InvalidArgument("cursor: not one of ours") from None
    return -end, id


def _cursor(experiment: Experiment) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((experiment.end_ns, experiment.id))).decode().rstrip("=")


def _scores(call: Call, where: Any, limit: int) -> list[dict[str, Any]]:
    query = Query(project_id=call.project_id, where=all_of(where, Cmp("valid", "=", True)), limit=limit)
    found: list[Score] = call.services.telemetry.scores(query).rows
    groups = frozenset({"core", "details", "subject"})
    return [rows.score_v3(score, call.project_id, groups) for score in found]


@routes.on("GET", "/experiments", scope="read")
async def list_experiments(call: Call) -> Result:
    """Runs by latest activity."""
    query = call.query(ExperimentsQuery)
    limit, _ = query.window()
    start, end = query.range()
    groups = chosen_groups(query.fields, EXPERIMENT_GROUPS, frozenset({"core"}))
    after = _after(query.cursor)

    def row(experiment: Experiment) -> dict[str, Any]:
        call.services.dataset_experiments.describe(call.project_id, experiment)
        found: dict[str, Any] = {
            "id": experiment.id,
            "name": experiment.name,
            "description": experiment.description,
            "startTime": iso(experiment.start_ns),
            "endTime": iso(experiment.end_ns),
            "itemCount": experiment.item_count,
            "datasetId": experiment.dataset_id,
        }
        if "metadata" in groups:
            found["metadata"] = experiment.metadata or {}
        if "scores" in groups:
            found["scores"] = _scores(call, Cmp("dataset_run_id", "=", experiment.id), query.scores())
        return found

    def read() -> dict[str, Any]:
        known = call.services.dataset_experiments.list(
            call.project_id, start, end, ids=_list(query.id), names=_list(query.name),
            dataset_ids=_list(query.dataset_id),
        )  # fmt: skip
        rest = [e for e in known if after is None or (-e.end_ns, e.id) > after]
        page = rest[:limit]
        meta = {"limit": limit, **({"cursor": _cursor(page[-1])} if len(rest) > limit else {})}
        return {"data": [row(experiment) for experiment in page], "meta": meta}

    return await in_thread(read)


def _item_row(item: ExperimentItem, groups: frozenset[str]) -> dict[str, Any]:
    span = item.span
    found: dict[str, Any] = {
        "id": span.span_id,
        "traceId": span.trace_id,
        "startTime": iso(span.start_ns),
        "endTime": iso(span.end_ns),
        "level": span.level,
        "environment": span.environment or "default",
        "experimentId": item.experiment_id,
        "experimentName": item.experiment_name,
        "experimentItemId": item.item_id,
        "experimentDatasetId": item.dataset_id,
        "experimentItemVersion": item.item_version,
    }
    if "io" in groups:
        found |= {
            "input": rows.text(span.input),
            "output": rows.text(span.output),
            "expectedOutput": item.expected_output,
        }
    if "metadata" in groups:
        found["metadata"] = span.metadata
    if "item_metadata" in groups or "metadata" in groups:
        found["experimentItemMetadata"] = item.item_metadata or {}
    if "experiment_metadata" in groups or "metadata" in groups:
        found |= {
            "experimentMetadata": item.experiment_metadata or {},
            "experimentDescription": item.description,
        }
    return found


@routes.on("GET", "/experiment-items", scope="read")
async def list_items(call: Call) -> Result:
    """What runs did for each item, newest first."""
    query = call.query(ExperimentsQuery)
    limit, _ = query.window()
    start, end = query.range()
    groups = chosen_groups(query.fields, ITEM_GROUPS, frozenset({"core"}))

    def read() -> dict[str, Any]:
        items, cursor = call.services.dataset_experiments.items.page(
            call.project_id, start, end, ids=_list(query.experiment_id), names=_list(query.experiment_name),
            item_ids=_list(query.experiment_item_id), dataset_ids=_list(query.dataset_id), limit=limit,
            cursor=query.cursor,
        )  # fmt: skip
        data = [_item_row(item, groups) for item in items]
        if "scores" in groups:
            for found in data:
                found["scores"] = _scores(call, Cmp("trace_id", "=", found["traceId"]), query.scores())
        return {"data": data, "meta": {"limit": limit, **({"cursor": cursor} if cursor else {})}}

    return await in_thread(read)
