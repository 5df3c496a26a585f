"""Grouped queries, frequent values and the usage rollup."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.usage import HOUR_NS, UsageSum
from twinlens.store.telemetry.duckdb.compiler import Compiler
from twinlens.store.telemetry.duckdb.fields import ALIAS, DEFAULT_ORDER, alias_of, field
from twinlens.store.telemetry.duckdb.overlay import concerns, tables_in
from twinlens.store.telemetry.query import Aggregate, And, Expr, Measure

if TYPE_CHECKING:
    from twinlens.store.telemetry.duckdb.engine import Engine

_PERCENTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
#: Sums over spans skip wrappers and twins, or a call would be paid twice.
_COUNTED_ONCE = frozenset({
    "input_tokens", "output_tokens", "total_tokens", "input_cost", "output_cost", "total_cost",
    "usage_by_type", "cost_by_type",
})  # fmt: skip
_MOST_GROUPS = 100_000
_GROUPS = "(SELECT count(*) FROM grouped)"
DAY_NS = 24 * HOUR_NS
_ROLLUP_BY = {
    "hour_ns": "hour_ns", "day_ns": f"hour_ns // {DAY_NS} * {DAY_NS}", "environment": "environment", "kind": "kind",
    "name": "name", "model": "model", "provider": "provider", "user_id": "user_id", "prompt_name": "prompt_name",
    "prompt_version": "prompt_version",
}  # fmt: skip
_SUMS = UsageSum.__struct_fields__


class Aggregates:
    """Reads on any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def aggregate(self, query: Aggregate) -> list[dict[str, Any]]:
        """See ``TelemetryStore.aggregate``."""
        compiler = Compiler(query.project_id)
        view = query.view
        alias_of(view)
        names: list[str] = []
        selected: list[str] = []
        if query.time_bucket_s is not None:
            if query.time_bucket_s <= 0:
                raise InvalidArgument("the time bucket must be at least one second")
            size = query.time_bucket_s * 1_000_000_000
            names.append("time")
            selected.append(f"{ALIAS[view]}.{DEFAULT_ORDER[view]} // {size} * {size}")
        for dimension in query.dimensions:
            expr, kind = compiler.value(view, dimension.field, dimension.key)
            names.append(dimension.name)
            selected.append(f"unnest({expr})" if kind == "list" else expr)
        groups = len(names)
        histograms = [m for m in query.measures if m.aggregation == "histogram"]
        for measure in query.measures:
            names.append(measure.name)
            selected.append(self._measure(compiler, query, measure))
        if len(set(names)) != len(names):
            raise InvalidArgument("names of measures and dimensions must differ")
        where = compiler.where(view, query.where)
        rows = self._rows(compiler, view, query.where, lambda of: self._sql(of, query, names, selected, groups, where))
        found = [dict(zip(names, row, strict=True)) for row in rows]
        for measure in histograms:
            for row in found:
                row[measure.name] = _histogram(row[measure.name], measure.bins)
        return found

    def _rows(self, compiler: Compiler, view: str, asked: Expr, sql: Callable[[str], str]) -> list[tuple[Any, ...]]:
        """Rows of a statement over the tables and what is pending; ``sql`` makes it, given what it reads from. ``asked`` is the
        condition that it was made of."""
        project = compiler.params["project"]
        plain = sql(f"{view} {ALIAS[view]}")
        with self._engine.read_over(project) as (connection, pending):
            if not concerns(pending, view, asked, others=tables_in(plain) > 1):
                return connection.execute(plain, compiler.params).fetchall()
            if (both := pending.beside(view, plain)) is not None:
                source, params, pending_rows = both
                assert pending_rows.num_rows  # found by its name in the statement
                return connection.execute(sql(source), {**compiler.params, **params}).fetchall()
        with self._engine.read() as connection:
            return connection.execute(plain, compiler.params).fetchall()

    def _sql(
        self, source: str, query: Aggregate, names: list[str], selected: list[str], groups: int, where: str
    ) -> str:
        alias = ALIAS[query.view]
        columns = ", ".join(f"{expr} AS g{i}" for i, expr in enumerate(selected[:groups]))
        measures = ", ".join(f"{expr} AS g{i}" for i, expr in enumerate(selected[groups:], groups) if expr != _GROUPS)
        order = [
            f"g{self._position(names, o.field)} {'DESC' if o.descending else 'ASC'} NULLS LAST" for o in query.order
        ]
        order += [f"g{i}" for i in range(groups)]
        limit = min(max(query.limit, 0), _MOST_GROUPS)
        tail = f" ORDER BY {', '.join(order)} LIMIT {limit}" if groups else ""
        lists = any("unnest(" in expr for expr in selected[:groups])
        if lists:  # a list dimension counts its row once per element
            keys = ", ".join(f"g{i}" for i in range(groups))
            grouped = (
                f"SELECT {', '.join(part for part in (keys, measures) if part)} FROM "
                f"(SELECT {alias}.*, {columns} FROM {source} WHERE {where}) {alias} GROUP BY ALL"
            )
        else:
            both = ", ".join(part for part in (columns, measures) if part)
            group = f" GROUP BY {', '.join(str(i + 1) for i in range(groups))}" if groups else ""
            grouped = f"SELECT {both} FROM {source} WHERE {where}{group}"
        if _GROUPS not in selected:
            return f"{grouped}{tail}"
        shown = ", ".join(_GROUPS if expr == _GROUPS else f"g{i}" for i, expr in enumerate(selected))
        return f"WITH grouped AS MATERIALIZED ({grouped}) SELECT {shown} FROM grouped{tail}"

    def _position(self, names: list[str], name: str) -> int:
        if name not in names:
            raise InvalidArgument(f"cannot order by {name!r}: it is neither a dimension nor a measure of this query")
        return names.index(name)

    def _value(self, compiler: Compiler, query: Aggregate, measure: Measure, name: str) -> tuple[str, str]:
        """Expression and type of what is aggregated. An amount by type is that of the type which the row is grouped by."""
        found = field(query.view, name)
        if found.type != "by_type":
            return compiler.value(query.view, name, measure.key)
        types, total = found.parts
        groups = (
            ["", *(d.field for d in query.dimensions)] if query.time_bucket_s else [d.field for d in query.dimensions]
        )
        if types not in groups:
            return compiler.value(query.view, total, None)
        key = f"replace(replace(g{groups.index(types)}, '~', '~0'), '/', '~1')"
        return f"TRY_CAST(json_extract_string(s.{found.expr}, '/' || {key}) AS DOUBLE)", "number"

    def _measure(self, compiler: Compiler, query: Aggregate, measure: Measure) -> str:
        kind, view = measure.aggregation, query.view
        if kind == "count":
            return "count(*)"
        if kind == "groups":
            if not query.dimensions:
                raise InvalidArgument("groups can only be counted where there are dimensions")
            return _GROUPS
        if measure.field is None:
            raise InvalidArgument(f"aggregation {kind!r} needs a field")
        expr, type_ = self._value(compiler, query, measure, measure.field)
        if kind == "uniq":
            return f"count(DISTINCT {expr})"
        if type_ == "text" and field(view, measure.field).type == "json":
            expr, type_ = f"TRY_CAST({expr} AS DOUBLE)", "number"
        if type_ == "bool":
            expr, type_ = f"{expr}::INTEGER", "number"
        if type_ != "number":
            raise InvalidArgument(f"aggregation {kind!r} needs a number, {measure.field!r} is not")
        if view == "spans" and measure.field in _COUNTED_ONCE:
            expr = f"CASE WHEN s.counted THEN {expr} END"
        if kind == "quantile":
            return f"quantile_cont({expr}, {min(max(measure.at, 0.0), 1.0)!r})"
        if kind in _PERCENTILES:
            return f"quantile_cont({expr}, {_PERCENTILES[kind]})"
        if kind == "histogram":
            return f"list({expr}) FILTER ({expr} IS NOT NULL AND isfinite(({expr})::DOUBLE))"
        if kind == "sum":
            return f"coalesce(sum({expr}), 0)::DOUBLE" if "cost" in measure.field else f"coalesce(sum({expr}), 0)"
        return f"{kind}({expr})"

    def values(self, project_id: str, view: str, name: str, key: str | None, limit: int) -> list[tuple[Any, int]]:
        """See ``TelemetryStore.values``."""
        compiler = Compiler(project_id)
        found = field(view, name)
        if found.type == "json" and key is None:
            expr = f"unnest(json_keys({found.expr}))"
        else:
            expr, kind = compiler.value(view, name, key)
            expr = f"unnest({expr})" if kind == "list" else expr
        where = compiler.scope(view)
        rows = self._rows(
            compiler, view, And(),
            lambda of: f"SELECT v, count(*) AS n FROM (SELECT {expr} AS v FROM {of} WHERE {where}) WHERE v IS NOT NULL GROUP BY v "
            f"ORDER BY n DESC, v LIMIT {max(0, limit)}",
        )  # fmt: skip
        return [(row[0], row[1]) for row in rows]

    def rollup(
        self, project_id: str, since_ns: int, until_ns: int, by: Sequence[str], where: Mapping[str, Any]
    ) -> list[tuple[dict[str, Any], UsageSum]]:
        """See ``TelemetryStore.rollup``."""
        for name in (*by, *where):
            if name not in _ROLLUP_BY:
                raise InvalidArgument(f"unknown field {name!r} of the usage rollup; known are {', '.join(_ROLLUP_BY)}")
        compiler = Compiler(project_id)
        conditions = [f"{_ROLLUP_BY[name]} = {compiler.bind(value)}" for name, value in where.items()]
        selected = [f"{_ROLLUP_BY[name]} AS k{i}" for i, name in enumerate(by)] + [f"sum({s}) AS {s}" for s in _SUMS]
        group = f"GROUP BY {', '.join(f'k{i}' for i in range(len(by)))}" if by else ""
        order = f"ORDER BY {', '.join(f'k{i}' for i in range(len(by)))}" if by else ""
        with self._engine.read() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(selected)} FROM usage WHERE project = $project "
                f"AND hour_ns >= {compiler.bind(since_ns // HOUR_NS * HOUR_NS)} AND hour_ns < {compiler.bind(until_ns)} "
                f"{''.join(f'AND {c} ' for c in conditions)}{group} HAVING sum(spans) <> 0 {order}",
                compiler.params,
            ).fetchall()
        return [(dict(zip(by, row, strict=False)), _sums(row[len(by) :])) for row in rows]


def _sums(row: Sequence[Any]) -> UsageSum:
    spans, errors, input_tokens, output_tokens, total_tokens, input_cost, output_cost, total_cost = row
    return UsageSum(
        spans=int(spans), errors=int(errors), input_tokens=int(input_tokens), output_tokens=int(output_tokens),
        total_tokens=int(total_tokens), input_cost=float(input_cost), output_cost=float(output_cost),
        total_cost=float(total_cost),
    )  # fmt: skip


def _histogram(values: list[float] | None, bins: int) -> list[list[float]]:
    """``[[lower, upper, n], …]`` with ``bins`` equal bins between the extremes."""
    if not values:
        return []
    low, high = float(min(values)), float(max(values))
    if low == high:
        return [[low, high, len(values)]]
    bins = max(1, min(bins, 1000))
    width = (high - low) / bins
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / width), bins - 1)] += 1
    return [[low + i * width, low + (i + 1) * width, n] for i, n in enumerate(counts)]
