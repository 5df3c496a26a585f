"""Searching runs by attributes, params, tags, metrics and data sets.

How a search is run (``docs/adr/0006-run-search.md`` has the measurements):

* A bounded look into the index of each condition that must hold tells how selective it is.
* If few runs can be left, their numbers are fetched from the indexes of the most selective conditions and intersected; what
  these indexes do not answer is checked on the candidates.
* Else an order by a metric, param or tag walks that key's index in order and stops when the page is full. Runs without
  the key come last, so the search has up to three phases: values, NaN, missing.
* Else the walk goes through the experiment's runs, newest first.

Pages continue by keyset: the cursor holds the sort values of the last row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.run import LatestMetric, ModelOutput, Run, RunPage, View
from twinlens.store.catalog.comparison import compare
from twinlens.store.catalog.experiments import chunks, experiments
from twinlens.store.catalog.keyset import decode_cursor, encode_cursor
from twinlens.store.catalog.runs import (
    DATASET_COLUMNS,
    HEAD,
    RUN_COLUMNS,
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

#: Index entries looked at to judge one condition; a condition with more is not used to find candidates.
BOUND = 50_000
#: Costs in microseconds, measured: a step of a walk, taking a run's number from an index, and a look-up by primary key.
_STEP, _TAKE, _LOOK = 0.4, 0.4, 2.2
#: How a metric can be compared so that its index answers: all but ``!=``, which NaN satisfies too.
_RANGES = frozenset({"=", "<", "<=", ">", ">=", "in"})

_ATTRIBUTES = frozenset({"run_id", "name", "status", "artifact_uri", "user_id", "start_ms", "end_ms"})
_DATASETS = {"dataset_name": run_datasets.c.name, "dataset_digest": run_datasets.c.digest}
_KEYED = {"metric": latest_metrics, "param": run_params, "tag": run_tags}
_WHOLE = -1  # the one phase of a search that sorts all it finds


class Sort(NamedTuple):
    """One sort expression, never NULL, and its direction."""

    expression: sa.ColumnElement[Any]
    descending: bool


class _Probe(NamedTuple):
    """Conditions that one index answers, the statement for the runs that satisfy them, and how many these are."""

    conditions: list[Expr]
    statement: sa.Select[Any]
    size: int = 0


class RunSearch:
    """One search over one connection, within one project."""

    def __init__(
        self, connection: sa.Connection, project_id: str, experiment_ids: Sequence[int], where: Expr,
        orders: Sequence[Order], view: View = "active",
    ) -> None:  # fmt: skip
        self._c = connection
        self._project = project_id
        self._experiments = list(experiment_ids)
        self._where = self._rest = where
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
        start, *behind = decode_cursor(cursor, signature, self._width()) if cursor else (None,)
        self._rest = self._where
        # A search goes on the way it began, because the way decides what is in the cursor.
        candidates = self._candidates(limit) if start in (None, _WHOLE) else None
        phases = self._phases() if start != _WHOLE and candidates is None else [_WHOLE]
        bound = None if candidates is None else {"numbers": numbers_value(self._c.dialect.name, candidates)}
        rows: list[tuple[int, Any]] = []
        for phase in phases[phases.index(start) :] if start is not None else phases:
            query, sorts = self._query(phase, candidates)
            if phase == start:
                query = query.where(_behind(sorts, [_from_json(value) for value in behind[-len(sorts) :]]))
            columns = [sort.expression.label(f"_sort{i}") for i, sort in enumerate(sorts)]
            ordered = query.add_columns(*columns).order_by(
                *(s.expression.desc() if s.descending else s.expression.asc() for s in sorts)
            )
            rows += [(phase, row) for row in fetch(self._c, ordered.limit(limit + 1 - len(rows)), bound)]
            if len(rows) > limit:
                break
        after = None
        if len(rows) > limit:
            phase, last = rows[limit - 1]
            values = [_to_json(value) for value in last[1:]]
            padding: list[Any] = [None] * (self._width() - 1 - len(values))
            after = encode_cursor([phase, *padding, *values], signature)
        return [row[0] for _, row in rows[:limit]], after

    def _width(self) -> int:
        """Values in a cursor: the phase, two per order, start and id."""
        return 1 + 2 * len(self._orders) + 2

    def _phases(self) -> list[int]:
        """Ranks of the first sort key to walk one after the other: 0 values, 1 NaN, 2 missing."""
        first = self._orders[0].field if self._orders else None
        if first == "metric":
            return [0, 1, 2]
        return [0, 2] if first in _KEYED else [_WHOLE]

    def _query(self, phase: int, candidates: list[int] | None) -> tuple[sa.Select[Any], list[Sort]]:
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
            if index == 0 and phase != _WHOLE:
                if phase == 2:
                    conditions.append(~sa.exists().where(here))
                    continue
                # correlated with the walked index itself, so that only runs that pass are fetched: half the time
                driven, anchor = True, table.c.run_no
                source = table.join(runs, runs.c.run_no == table.c.run_no)
                conditions += [*self._scope(table), table.c.key == order.key]
                if phase == 0:
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
            # Adding 0 keeps SQLite from walking the experiment's index instead of the candidates.
            conditions.append(among(self._c.dialect.name, runs.c.run_no))
            conditions.append((runs.c.experiment_id + 0).in_(self._experiments))
        elif not driven:
            conditions += self._scope(runs)
        if self._view != "all":
            conditions.append(runs.c.lifecycle == self._view)
        conditions.append(self._holds(self._rest, anchor))
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

    def _candidates(self, limit: int) -> list[int] | None:
        """Numbers of the runs that selective conditions leave, or None when walking an order is cheaper.

        Afterwards ``_rest`` holds what must still be checked on each run, the rarest first.
        """
        probes = self._probes()
        if not probes:
            return None
        total = max(1, self._total())
        probes = sorted((self._counted(probe, total) for probe in probes), key=lambda probe: probe.size)
        shares = [min(1.0, probe.size / total) for probe in probes]
        known = [condition for probe in probes for condition in probe.conditions]
        others = [item for item in self._necessary() if not any(item is condition for condition in known)]
        self._rest = And((*known, *others))
        walked = min(total, limit / max(math.prod(shares), 1e-9))
        walk = walked * (_STEP + _checks(shares, len(others)))
        taken, way = 0.0, 0
        cheapest = walk
        for used, probe in enumerate(probes, 1):
            if probe.size >= BOUND:
                break
            taken += probe.size * _TAKE
            left = total * math.prod(shares[:used])
            cost = taken + left * (_checks(shares[used:], len(others)) + _LOOK * (1 + len(self._orders)))
            if cost < cheapest:
                cheapest, way = cost, used
        if not way:
            return None
        found: set[int] | None = None
        for probe in probes[:way]:
            numbers = {row[0] for row in fetch(self._c, probe.statement)}
            found = numbers if found is None else found & numbers
            known = known[len(probe.conditions) :]
            if len(found) < 100:
                break
        self._rest = And((*known, *others))
        return sorted(found or ())

    def _counted(self, probe: _Probe, total: int) -> _Probe:
        counted = probe.statement.with_only_columns(sa.func.count())
        if total > 2 * BOUND:  # counting without a limit costs less than half per entry
            counted = sa.select(sa.func.count()).select_from(probe.statement.limit(BOUND).subquery())
        return probe._replace(size=int(self._c.execute(counted).scalar() or 0))

    def _necessary(self) -> tuple[Expr, ...]:
        """The conditions that must all hold."""
        return tuple(self._where.items) if isinstance(self._where, And) else (self._where,)

    def _total(self) -> int:
        """Active runs in the experiments."""
        t = experiments
        query = sa.select(sa.func.sum(t.c.run_count)).where(
            t.c.project_id == self._project, t.c.experiment_id.in_(self._experiments)
        )
        return int(self._c.execute(query).scalar() or 0)

    def _probes(self) -> list[_Probe]:
        """The necessary conditions that an index answers. Bounds of the same metric make one statement."""
        ranges: dict[str, list[Cmp]] = {}
        found: list[_Probe] = []
        for where in self._necessary():
            if not isinstance(where, Cmp):
                continue
            if where.field == "run_id" and where.op in ("=", "in"):
                mine = runs.c.project_id == self._project
                found.append(_Probe([where], sa.select(runs.c.run_no).where(mine, compare(runs.c.run_id, where))))
            elif where.field == "metric" and where.op in _RANGES:
                ranges.setdefault(where.key or "", []).append(where)
            elif where.field in ("param", "tag") and where.op == "=":
                table = _KEYED[where.field]
                here = [*self._scope(table), table.c.key == where.key, table.c.head == str(where.value)[:HEAD]]
                if len(str(where.value)) >= HEAD:
                    here.append(table.c.value == where.value)
                found.append(_Probe([where], sa.select(table.c.run_no).where(*here)))
        m = latest_metrics
        for key, bounds in ranges.items():
            fits = [compare(m.c.value, bound) for bound in bounds]
            found.append(_Probe([*bounds], sa.select(m.c.run_no).where(*self._scope(m), m.c.key == key, *fits)))
        return found


def _checks(shares: Sequence[float], others: int) -> float:
    """Microseconds to check a run's conditions one after the other: the next one only if those before it hold."""
    passed, cost = 1.0, 0.0
    for share in [*shares, *[1.0] * others]:
        cost += passed * _LOOK
        passed *= share
    return cost


def _fits(table: sa.Table, where: Cmp) -> sa.ColumnElement[bool]:
    holds = compare(table.c.value, where)
    if where.field == "metric" and where.op == "!=":
        return sa.or_(table.c.value.is_(None), holds)
    return holds


def among(dialect: str, column: sa.ColumnElement[Any], name: str = "numbers") -> sa.ColumnElement[bool]:
    """``column`` is one of many numbers, which travel as one bound value (see ``numbers_value``)."""
    if dialect == "sqlite":
        each = sa.func.json_each(sa.bindparam(name, type_=sa.Text)).table_valued("value")
        return column.in_(sa.select(each.c.value))
    from sqlalchemy.dialects.postgresql import ARRAY  # here: a start on SQLite need not wait for it

    return column == sa.any_(sa.bindparam(name, type_=ARRAY(sa.BigInteger)))


def numbers_value(dialect: str, numbers: Sequence[int]) -> Any:
    """The bound value for ``among``."""
    return msgspec.json.encode(numbers).decode() if dialect == "sqlite" else list(numbers)


def fetch(
    connection: sa.Connection, statement: sa.Select[*tuple[Any, ...]], values: dict[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """All rows as the driver's own tuples: a third of the time of SQLAlchemy's rows, for columns that need no
    conversion."""
    result = connection.execute(statement, values or {})
    cursor: Any = result.cursor
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    result.close()
    return rows


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


def _to_json(value: Any) -> Any:
    """A sort value in a cursor: JSON has no infinities, so they travel as ``[1]`` and ``[-1]``."""
    return [int(math.copysign(1, value))] if isinstance(value, float) and math.isinf(value) else value


def _from_json(value: Any) -> Any:
    return math.inf * value[0] if isinstance(value, list) and value in ([1], [-1]) else value


_texts = msgspec.json.Decoder(dict[str, str]).decode


class _Loads(NamedTuple):
    """The statements that load runs by number, built once: building them costs as much as running them."""

    runs: sa.Select[*tuple[Any, ...]]
    params: sa.Select[*tuple[Any, ...]]
    tags: sa.Select[*tuple[Any, ...]]
    metrics: sa.Select[*tuple[Any, ...]]
    inputs: sa.Select[*tuple[Any, ...]]
    models: sa.Select[*tuple[Any, ...]]


@cache
def _loads(dialect: str) -> _Loads:
    def texts(table: sa.Table) -> sa.Select[*tuple[Any, ...]]:
        """One JSON object per run: handing out a row costs more than a key in it."""
        t = table.c
        if dialect == "sqlite":  # reads by primary key, hence in the order of the keys
            joined: Any = sa.func.json_group_object(t.key, t.value)
        else:
            from sqlalchemy.dialects.postgresql import aggregate_order_by  # here: as in ``among``

            joined = sa.cast(sa.func.json_object_agg(t.key, aggregate_order_by(t.value, t.key)), sa.Text)
        return sa.select(t.run_no, joined).where(among(dialect, t.run_no)).group_by(t.run_no)

    m, i, d, o = latest_metrics.c, run_inputs.c, run_datasets.c, run_models.c
    return _Loads(
        sa.select(runs.c.run_no, *(runs.c[name] for name in RUN_COLUMNS)).where(among(dialect, runs.c.run_no)),
        texts(run_params),
        texts(run_tags),
        sa.select(m.run_no, m.key, m.value, m.timestamp_ms, m.step)
        .where(among(dialect, m.run_no))
        .order_by(m.run_no, m.key),
        sa.select(i.run_no, i.tags, *(d[name] for name in DATASET_COLUMNS))
        .join_from(run_inputs, run_datasets)
        .where(among(dialect, i.run_no))
        .order_by(i.run_no, i.dataset_no),
        sa.select(o.run_no, o.direction, o.model_id, o.step)
        .where(among(dialect, o.run_no))
        .order_by(o.run_no, o.step, o.model_id),
    )


def load(connection: sa.Connection, numbers: Sequence[int]) -> list[Run]:
    """Whole runs by number, in the order given: six statements whatever their number."""
    found: dict[int, Run] = {}
    dialect = connection.dialect.name
    loads = _loads(dialect)
    for part in chunks(numbers):
        bound = {"numbers": numbers_value(dialect, part)}
        for run_no, *columns in fetch(connection, loads.runs, bound):
            found[run_no] = run_of(columns)
        for run_no, params in fetch(connection, loads.params, bound):
            found[run_no].params = _texts(params)
        for run_no, tags in fetch(connection, loads.tags, bound):
            found[run_no].tags = _texts(tags)
        metrics = {number: run.metrics for number, run in found.items()}
        for run_no, key, value, timestamp_ms, step in fetch(connection, loads.metrics, bound):
            metrics[run_no].append(LatestMetric(key, math.nan if value is None else value, timestamp_ms, step))
        for run_no, tags, *columns in fetch(connection, loads.inputs, bound):
            found[run_no].dataset_inputs.append(input_of(tags, columns))
        for run_no, direction, model_id, step in fetch(connection, loads.models, bound):
            if direction == "input":
                found[run_no].model_inputs.append(model_id)
            else:
                found[run_no].model_outputs.append(ModelOutput(model_id, step))
    return [found[number] for number in numbers if number in found]


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
