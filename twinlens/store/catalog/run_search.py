"""Searching runs by attributes, params, tags, metrics and data sets.

How a search is run (``docs/adr/0003-run-search.md`` has the measurements):

* If one of the conditions that must hold is selective (at most ``SMALL`` runs, found by a bounded look into its index),
  those runs are the candidates, and everything else is checked on them.
* Else, an order by a metric, param or tag walks that key's index in order and stops when the page is full. Runs without
  the key come last, so the search has up to three phases: values, NaN, missing.
* Else the walk goes through the experiment's runs, newest first.

Pages continue by keyset: the cursor holds the sort values of the last row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.run import LatestMetric, ModelOutput, Run, RunPage, View
from twinlens.store.catalog.comparison import compare
from twinlens.store.catalog.experiments import chunks
from twinlens.store.catalog.keyset import decode_cursor, encode_cursor
from twinlens.store.catalog.runs import (
    HEAD,
    input_of,
    latest_metrics,
    run_datasets,
    run_inputs,
    run_models,
    run_of,
    run_params,
    run_tags,
    runs,
)
from twinlens.store.telemetry.query import And, Cmp, Expr, Not, Or, Order

#: A condition that at most this many runs satisfy is worth starting from.
SMALL = 1_000

_ATTRIBUTES = frozenset({"run_id", "name", "status", "artifact_uri", "user_id", "start_ms", "end_ms"})
_DATASETS = {"dataset_name": run_datasets.c.name, "dataset_digest": run_datasets.c.digest}
_KEYED = {"metric": latest_metrics, "param": run_params, "tag": run_tags}
_MAX = 1.7976931348623157e308  # stands for infinity in cursors, which are JSON


class Sort(NamedTuple):
    """One sort expression, never NULL, and its direction."""

    expression: sa.ColumnElement[Any]
    descending: bool


class RunSearch:
    """One search over one connection, within one project."""

    def __init__(
        self, connection: sa.Connection, project_id: str, experiment_ids: Sequence[int], where: Expr,
        orders: Sequence[Order], view: View = "active",
    ) -> None:  # fmt: skip
        self._c = connection
        self._project = project_id
        self._experiments = list(experiment_ids)
        self._where = where
        self._orders = list(orders)
        self._view = view

    # --- the page ----------------------------------------------------------------------------------------------

    def page(self, limit: int, cursor: str | None = None) -> RunPage:
        """Up to ``limit`` whole runs in order, and the cursor of the next page."""
        numbers, after = self.numbers(limit, cursor)
        return RunPage(runs=load(self._c, numbers), next_cursor=after)

    def numbers(self, limit: int, cursor: str | None = None) -> tuple[list[int], str | None]:
        """The page as numbers of runs."""
        if not self._experiments:
            return [], None
        signature = [self._project, self._experiments, repr(self._where), repr(self._orders), self._view]
        start, behind = 0, None
        if cursor:
            start, *behind = decode_cursor(cursor, signature, self._width())
        candidates = self._candidates()
        phases = self._phases() if candidates is None else [None]
        rows: list[tuple[int, Any]] = []
        for phase, rank in enumerate(phases):
            if phase < start or len(rows) > limit:
                continue
            query, sorts = self._query(rank, candidates)
            if behind is not None and phase == start:
                query = query.where(_behind(sorts, behind[-len(sorts) :]))
            columns = [sort.expression.label(f"_sort{i}") for i, sort in enumerate(sorts)]
            ordered = query.add_columns(*columns).order_by(
                *(s.expression.desc() if s.descending else s.expression.asc() for s in sorts)
            )
            rows += [(phase, row) for row in self._c.execute(ordered.limit(limit + 1 - len(rows)))]
        after = None
        if len(rows) > limit:
            phase, last = rows[limit - 1]
            values = [_jsonable(value) for value in last[1:]]
            padding: list[Any] = [None] * (self._width() - 1 - len(values))
            after = encode_cursor([phase, *padding, *values], signature)
        return [row[0] for _, row in rows[:limit]], after

    def _width(self) -> int:
        """Values in a cursor: the phase, two per order, start and id."""
        return 1 + 2 * len(self._orders) + 2

    def _phases(self) -> list[int | None]:
        """Ranks of the first sort key to walk one after the other: 0 values, 1 NaN, 2 missing."""
        first = self._orders[0].field if self._orders else None
        if first == "metric":
            return [0, 1, 2]
        return [0, 2] if first in _KEYED else [None]

    def _query(self, rank: int | None, candidates: list[int] | None) -> tuple[sa.Select[Any], list[Sort]]:
        """The statement of one phase (or of the whole search), and what it is sorted by."""
        source: Any = runs
        sorts: list[Sort] = []
        conditions: list[sa.ColumnElement[bool]] = []
        anchor = runs.c.run_no  # what conditions on keys hang on
        driven = False
        for index, order in enumerate(self._orders):
            if order.field not in _KEYED:
                sorts += self._attribute_sorts(order)
                continue
            table = _KEYED[order.field].alias(f"sort{index}")
            here = sa.and_(table.c.run_no == runs.c.run_no, table.c.key == order.key)
            if index == 0 and rank is not None:
                if rank == 2:
                    conditions.append(~sa.exists().where(here))
                    continue
                # correlated with the walked index itself, so that only runs that pass are fetched: half the time
                driven, anchor = True, table.c.run_no
                source = table.join(runs, runs.c.run_no == table.c.run_no)
                conditions += [*self._scope(table), table.c.key == order.key]
                if rank == 0:
                    conditions.append(table.c.value.is_not(None))
                    if order.field != "metric":
                        sorts.append(Sort(table.c.head, order.descending))
                    sorts.append(Sort(table.c.value, order.descending))
                else:
                    conditions.append(table.c.value.is_(None))
                continue
            source = source.outerjoin(table, here)
            sorts += _keyed_sorts(order, table)
        sorts += [Sort(runs.c.start_ms, True), Sort(runs.c.run_id, False)]
        if candidates is not None:
            conditions.append(runs.c.run_no.in_(candidates))
        if not driven:
            conditions += self._scope(runs)
        if self._view != "all":
            conditions.append(runs.c.lifecycle == self._view)
        conditions.append(self._holds(self._where, anchor))
        return sa.select(runs.c.run_no).select_from(source).where(*conditions), _distinct(sorts)

    def _scope(self, table: Any) -> list[sa.ColumnElement[bool]]:
        """Only this project's experiments that were asked for."""
        one = len(self._experiments) == 1
        which = table.c.experiment_id == self._experiments[0] if one else table.c.experiment_id.in_(self._experiments)
        return [table.c.project_id == self._project, which]

    @staticmethod
    def _attribute_sorts(order: Order) -> list[Sort]:
        column = runs.c[order.field]
        if order.field != "end_ms":
            return [Sort(column, order.descending)]
        return [
            Sort(sa.case((column.is_(None), 1), else_=0), False),
            Sort(sa.func.coalesce(column, 0), order.descending),
        ]

    # --- conditions --------------------------------------------------------------------------------------------

    def _holds(self, where: Expr, anchor: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        match where:
            case And(items):
                return sa.and_(sa.true(), *(self._holds(item, anchor) for item in items))
            case Or(items):
                return sa.or_(sa.false(), *(self._holds(item, anchor) for item in items))
            case Not(item):
                return sa.not_(self._holds(item, anchor))
            case Cmp() if where.field in _ATTRIBUTES:
                column = runs.c[where.field]
                known = compare(column, where)
                return sa.and_(column.is_not(None), known) if where.field == "end_ms" else known
            case Cmp() if where.field in _KEYED:
                return self._has(where, anchor)
            case Cmp() if where.field in _DATASETS or where.field == "dataset_context":
                return self._has_dataset(where, anchor)
            case _:
                raise InvalidArgument(f"runs cannot be filtered by {where!r}")

    def _has(self, where: Cmp, anchor: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """The run has the key with such a value; NaN satisfies ``!=`` only."""
        table = _KEYED[where.field]
        present = sa.exists().where(table.c.run_no == anchor, table.c.key == where.key)
        if where.op == "is null":
            return ~present
        if where.op == "is not null":
            return present
        return present.where(_fits(table, where))

    def _has_dataset(self, where: Cmp, anchor: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        mine = sa.exists().where(run_inputs.c.run_no == anchor)
        if where.field == "dataset_context":
            return mine.where(compare(run_inputs.c.context, where))
        return mine.where(run_datasets.c.dataset_no == run_inputs.c.dataset_no, compare(_DATASETS[where.field], where))

    # --- candidates --------------------------------------------------------------------------------------------

    def _candidates(self) -> list[int] | None:
        """The runs that the most selective necessary condition leaves, if they are few."""
        best: list[int] | None = None
        for condition in self._where.items if isinstance(self._where, And) else (self._where,):
            if not isinstance(condition, Cmp):
                continue
            query = self._probe(condition)
            if query is None:
                continue
            bound = SMALL if best is None else len(best)
            if self._c.execute(query.limit(1).offset(bound)).first() is None:  # steps over the index, returns no rows
                best = [int(number) for number in self._c.execute(query).scalars().all()]
            if best is not None and len(best) < 50:
                break
        return best

    def _probe(self, where: Cmp) -> sa.Select[Any] | None:
        """A statement for the runs that satisfy one condition, if an index answers it."""
        if where.field == "run_id" and where.op in ("=", "in"):
            return sa.select(runs.c.run_no).where(*self._scope(runs), compare(runs.c.run_id, where))
        ordered = where.field == "metric" and where.op in ("=", "<", "<=", ">", ">=")
        if ordered or (where.field in ("param", "tag") and where.op == "="):
            table = _KEYED[where.field]
            fits = _fits(table, where)
            if where.field != "metric":
                fits = sa.and_(table.c.head == str(where.value)[:HEAD], fits)
            return sa.select(table.c.run_no).where(*self._scope(table), table.c.key == where.key, fits)
        return None


def _fits(table: sa.Table, where: Cmp) -> sa.ColumnElement[bool]:
    holds = compare(table.c.value, where)
    if where.field == "metric" and where.op == "!=":
        return sa.or_(table.c.value.is_(None), holds)
    return holds


def _keyed_sorts(order: Order, table: Any) -> list[Sort]:
    """Values first, then NaN, then runs without the key, whatever the direction."""
    if order.field == "metric":
        rank = sa.case((table.c.run_no.is_(None), 2), (table.c.value.is_(None), 1), else_=0)
        return [Sort(rank, False), Sort(sa.func.coalesce(table.c.value, 0.0), order.descending)]
    rank = sa.case((table.c.run_no.is_(None), 2), else_=0)
    return [Sort(rank, False), Sort(sa.func.coalesce(table.c.value, ""), order.descending)]


def _distinct(sorts: list[Sort]) -> list[Sort]:
    """Without repetitions of a column that has already decided (``start_ms`` ordered by and as tie-break)."""
    seen: set[str] = set()
    kept: list[Sort] = []
    for sort in sorts:
        name = str(sort.expression)
        if name not in seen:
            seen.add(name)
            kept.append(sort)
    return kept


def _behind(sorts: Sequence[Sort], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Rows after the row with these sort values. The leading bound lets the engine seek into an index."""
    branches: list[sa.ColumnElement[bool]] = []
    for index, sort in enumerate(sorts):
        equal = [sorts[i].expression == values[i] for i in range(index)]
        beyond = sort.expression < values[index] if sort.descending else sort.expression > values[index]
        branches.append(sa.and_(*equal, beyond))
    first = sorts[0]
    bound = first.expression <= values[0] if first.descending else first.expression >= values[0]
    return sa.and_(bound, sa.or_(*branches))


def _jsonable(value: Any) -> Any:
    return math.copysign(_MAX, value) if isinstance(value, float) and math.isinf(value) else value


def load(connection: sa.Connection, numbers: Sequence[int]) -> list[Run]:
    """Whole runs by number, in the order given: six statements whatever their number.

    Rows are fetched all at once: one by one, a page of 100 runs with 20 metrics takes twice as long.
    """
    found: dict[int, Run] = {}
    for part in chunks(numbers):
        for row in connection.execute(sa.select(runs).where(runs.c.run_no.in_(part))).all():
            found[row.run_no] = run_of(row)
        _load_texts(connection, found, part)
        m = latest_metrics.c
        columns = (m.run_no, m.key, m.value, m.timestamp_ms, m.step, m.model_id, m.dataset_name, m.dataset_digest)
        metrics = sa.select(*columns).where(m.run_no.in_(part)).order_by(m.run_no, m.key)
        for run_no, key, value, *rest in connection.execute(metrics).all():
            found[run_no].metrics.append(LatestMetric(key, math.nan if value is None else value, *rest))
        inputs = sa.select(run_inputs, run_datasets).join_from(run_inputs, run_datasets)
        for row in connection.execute(inputs.where(run_inputs.c.run_no.in_(part)).order_by(run_inputs.c.dataset_no)):
            found[row.run_no].dataset_inputs.append(input_of(row))
        models = sa.select(run_models).where(run_models.c.run_no.in_(part))
        for row in connection.execute(models.order_by(run_models.c.step, run_models.c.model_id)):
            if row.direction == "input":
                found[row.run_no].model_inputs.append(row.model_id)
            else:
                found[row.run_no].model_outputs.append(ModelOutput(row.model_id, row.step))
    return [found[number] for number in numbers if number in found]


def _load_texts(connection: sa.Connection, found: dict[int, Run], part: Sequence[int]) -> None:
    for table, field in ((run_params, "params"), (run_tags, "tags")):
        t = table.c
        query = sa.select(t.run_no, t.key, t.value).where(t.run_no.in_(part)).order_by(t.run_no, t.key)
        for run_no, key, value in connection.execute(query).all():
            getattr(found[run_no], field)[key] = value


def keys(
    connection: sa.Connection, project_id: str, experiment_id: int, kind: str, limit: int, after: str = ""
) -> list[str]:
    """Names of metrics, params or tags that runs of an experiment have, in order.

    Hops from name to name through the index, so the cost is that of the names and not of the runs.
    """
    table = _KEYED[kind]
    mine = sa.and_(table.c.project_id == project_id, table.c.experiment_id == experiment_id)
    hop = sa.select(sa.func.min(table.c.key).label("key")).where(mine, table.c.key > after).cte("hop", recursive=True)
    following = sa.select(sa.func.min(table.c.key)).where(mine, table.c.key > hop.c.key).scalar_subquery()
    hop = hop.union_all(sa.select(following).where(hop.c.key.is_not(None)))
    found = connection.execute(sa.select(hop.c.key).where(hop.c.key.is_not(None)).limit(limit))
    return [str(row[0]) for row in found]
