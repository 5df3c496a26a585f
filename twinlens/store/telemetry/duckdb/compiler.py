"""``query.py`` expressions to DuckDB SQL with named parameters. User text only ever becomes a bound value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twinlens.domain.errors import InvalidArgument
from twinlens.store.telemetry.duckdb.fields import ALIAS, Field, field
from twinlens.store.telemetry.duckdb.keys import row_key
from twinlens.store.telemetry.query import And, Cmp, Expr, HasScore, HasSpan, Not, Or

_COMPARE = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_NEGATIVE = {"!=", "not in", "not contains", "none of"}


def json_pointer(key: str) -> str:
    """RFC 6901 pointer to a top-level key, whatever characters it has."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


class Compiler:
    """Compiles for one statement; ``params`` collects its values."""

    def __init__(self, project_id: str) -> None:
        self.params: dict[str, Any] = {"project": project_id}

    def bind(self, value: Any) -> str:
        """A placeholder for a value."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"${name}"

    def scope(self, view: str) -> str:
        """The condition that keeps a statement inside its project."""
        return f"{ALIAS[view]}.project = $project"

    def where(self, view: str, expr: Expr) -> str:
        """SQL condition, the project's scope included."""
        condition = self.expr(view, expr)
        return self.scope(view) if condition == "true" else f"{self.scope(view)} AND {condition}"

    def expr(self, view: str, expr: Expr) -> str:
        """SQL condition of an expression."""
        if isinstance(expr, Cmp):
            return self._cmp(view, expr)
        if isinstance(expr, And):
            parts = [p for p in (self.expr(view, e) for e in expr.items) if p != "true"]
            return f"({' AND '.join(parts)})" if parts else "true"
        if isinstance(expr, Or):
            return f"({' OR '.join(self.expr(view, e) for e in expr.items)})" if expr.items else "false"
        if isinstance(expr, Not):
            return f"(({self.expr(view, expr.item)}) IS NOT TRUE)"
        if isinstance(expr, HasSpan):
            if view != "traces":
                raise InvalidArgument("conditions on spans can only be used when querying traces")
            return f"t.tkey IN (SELECT s.tkey FROM spans s WHERE {self.where('spans', expr.where)})"
        return self._has_score(view, expr)

    def value(self, view: str, name: str, key: str | None) -> tuple[str, str]:
        """Expression and type of a single-valued field, for ordering and grouping."""
        found = field(view, name)
        if found.type == "json":
            return self._json(found, name, key), "text"
        if found.type == "score":
            owner = "t.tkey" if view == "traces" else "(s.tkey, s.span_id)"
            scored = "c.tkey" if view == "traces" else "(c.tkey, c.span_id)"
            named = self.bind(_need_key(name, key))
            return (
                f"(SELECT avg(c.value) FROM scores c WHERE {self.scope('scores')} AND c.valid AND c.name = {named} "
                f"AND {scored} = {owner})"
            ), "number"
        if found.type == "trace":
            return (
                f"(SELECT any_value(t.{found.expr}) FROM traces t WHERE {self.scope('traces')} "
                f"AND t.tkey = {ALIAS[view]}.tkey)",
                ("list" if found.expr == "tags" else "text"),
            )
        if found.type == "span":
            return (
                f"(SELECT any_value(s.{found.expr}) FROM spans s WHERE {self.scope('spans')} "
                "AND s.tkey = c.tkey AND s.span_id = c.span_id)",
                field("spans", found.expr).type,
            )
        if found.type == "inherited":
            return (
                f"coalesce(s.{found.expr}, (SELECT any_value(t.{found.expr}) FROM traces t "
                f"WHERE {self.scope('traces')} AND t.tkey = s.tkey))",
                "text",
            )
        if found.type == "count":
            named = self.bind(_need_key(name, key)) if "{key}" in found.expr else ""
            scopes = {view: self.scope(view) for view in ALIAS}
            return f"({found.expr.format(key=named, **scopes)})", "number"
        if found.type in ("search", "by_type"):
            raise InvalidArgument(f"field {name!r} cannot be used to group, order or compare by")
        return found.expr, found.type

    def _json(self, found: Field, name: str, key: str | None) -> str:
        return f"json_extract_string({found.expr}, {self.bind(json_pointer(_need_key(name, key)))})"

    def _has_score(self, view: str, expr: HasScore) -> str:
        inside = f"{self.where('scores', expr.where)} AND c.valid"
        if view == "traces":
            return f"t.tkey IN (SELECT c.tkey FROM scores c WHERE {inside})"
        if view == "spans":
            return f"(s.tkey, s.span_id) IN (SELECT (c.tkey, c.span_id) FROM scores c WHERE {inside})"
        raise InvalidArgument("conditions on scores can only be used when querying traces or spans")

    def _cmp(self, view: str, cmp: Cmp) -> str:
        found = field(view, cmp.field)
        match found.type:
            case "number":
                return self._number(found.expr, cmp)
            case "bool":
                return self._bool(found.expr, cmp)
            case "list":
                return self._list(found.expr, cmp)
            case "search":
                return self._search(found, cmp)
            case "score":
                return self._score(view, cmp)
            case "trace":
                inner = self._cmp("traces", Cmp(found.expr, cmp.op, cmp.value))
                return f"{ALIAS[view]}.tkey IN (SELECT t.tkey FROM traces t WHERE {self.scope('traces')} AND {inner})"
            case "span" | "inherited" | "count" | "by_type":
                expr, kind = self.value(view, cmp.field, cmp.key)
                return self._number(expr, cmp) if kind == "number" else self._text(expr, cmp)
            case "json":
                expr = self._json(found, cmp.field, cmp.key)
                sample = cmp.value[0] if isinstance(cmp.value, list | tuple) and cmp.value else cmp.value
                if isinstance(sample, int | float) and not isinstance(sample, bool):
                    return self._number(f"TRY_CAST({expr} AS DOUBLE)", cmp)
                if isinstance(sample, bool):
                    return self._text(expr, Cmp(cmp.field, cmp.op, "true" if sample else "false"))
                return self._text(expr, cmp)
            case _:
                text = self._text(found.expr, cmp)
                return self._by_key(view, cmp) + text if cmp.field == "trace_id" else text

    def _by_key(self, view: str, cmp: Cmp) -> str:
        """Narrow a search for trace ids by their hashes: comparing numbers is several times faster than texts."""
        if cmp.op not in ("=", "in"):
            return ""
        ids = [v for v in (cmp.value if isinstance(cmp.value, list | tuple) else [cmp.value]) if isinstance(v, str)]
        keys = ",".join(str(row_key(self.params["project"], each)) for each in ids)
        return f"{ALIAS[view]}.tkey IN ({keys}) AND " if keys else ""

    def _null(self, expr: str, cmp: Cmp) -> str | None:
        if cmp.op == "is null":
            return f"{expr} IS NULL"
        if cmp.op == "is not null":
            return f"{expr} IS NOT NULL"
        return None

    def _number(self, expr: str, cmp: Cmp) -> str:
        null = self._null(expr, cmp)
        if null:
            return null
        if cmp.op in ("in", "not in"):
            return self._in(expr, cmp, [_number(cmp, v) for v in _sequence(cmp)])
        if cmp.op not in _COMPARE:
            raise InvalidArgument(f"operator {cmp.op!r} cannot be used on the number {cmp.field!r}")
        return f"{expr} {_COMPARE[cmp.op]} {self.bind(_number(cmp, cmp.value))}"

    def _bool(self, expr: str, cmp: Cmp) -> str:
        null = self._null(expr, cmp)
        if null:
            return null
        if cmp.op not in ("=", "!=") or not isinstance(cmp.value, bool):
            raise InvalidArgument(f"field {cmp.field!r} is a boolean: use = or != with true or false")
        return f"{expr} {_COMPARE[cmp.op]} {self.bind(cmp.value)}"

    def _in(self, expr: str, cmp: Cmp, values: Sequence[Any]) -> str:
        if not values:
            return "false" if cmp.op == "in" else f"{expr} IS NOT NULL"
        bound = ", ".join(self.bind(v) for v in values)
        return f"{expr} {'IN' if cmp.op == 'in' else 'NOT IN'} ({bound})"

    def _text(self, expr: str, cmp: Cmp) -> str:
        null = self._null(expr, cmp)
        if null:
            return null
        op = cmp.op
        if op in ("in", "not in", "any of", "none of"):
            same = Cmp(cmp.field, "in" if op in ("in", "any of") else "not in", cmp.value)
            return self._in(expr, same, [_text(cmp, v) for v in _sequence(cmp)])
        value = _text(cmp, cmp.value)
        if op in _COMPARE:
            return f"{expr} {_COMPARE[op]} {self.bind(value)}"
        if op in ("contains", "not contains"):
            return f"{'NOT ' if op == 'not contains' else ''}contains(lower({expr}), {self.bind(value.lower())})"
        if op == "starts with":
            return f"starts_with({expr}, {self.bind(value)})"
        if op == "ends with":
            return f"ends_with({expr}, {self.bind(value)})"
        if op in ("like", "ilike"):
            return f"{expr} {op.upper()} {self.bind(value)}"
        if op == "regex":
            return f"regexp_matches({expr}, {self.bind(value)})"
        raise InvalidArgument(f"operator {op!r} cannot be used on the text {cmp.field!r}")

    def _list(self, expr: str, cmp: Cmp) -> str:
        op = cmp.op
        if op in ("is null", "is not null"):
            return f"len({expr}) {'=' if op == 'is null' else '>'} 0"
        if op in ("any of", "in", "none of", "not in", "all of"):
            values = self.bind([_text(cmp, v) for v in _sequence(cmp)])
            call = f"list_has_{'all' if op == 'all of' else 'any'}({expr}, {values}::VARCHAR[])"
            return f"NOT {call}" if op in ("none of", "not in") else call
        value = _text(cmp, cmp.value)
        if op in ("=", "!="):
            return f"{'NOT ' if op == '!=' else ''}list_contains({expr}, {self.bind(value)})"
        # text operators hold when one element (a negative one: no element) fits
        inner = self._text("e", Cmp(cmp.field, "contains" if op == "not contains" else op, value))
        return (
            f"{'NOT ' if op == 'not contains' else ''}EXISTS (SELECT 1 FROM (SELECT unnest({expr}) AS e) WHERE {inner})"
        )

    def _search(self, found: Field, cmp: Cmp) -> str:
        if cmp.op in _NEGATIVE:
            positive = Cmp(cmp.field, "contains" if cmp.op == "not contains" else "=", cmp.value)
            return f"({self._search(found, positive)} IS NOT TRUE)"
        return f"({' OR '.join(self._text(part, cmp) for part in found.parts)})"

    def _score(self, view: str, cmp: Cmp) -> str:
        """``score`` with a key: the average of numeric values, or any value of the others."""
        name = self.bind(_need_key(cmp.field, cmp.key))
        row, owner = ("c.tkey", "t.tkey") if view == "traces" else ("(c.tkey, c.span_id)", "(s.tkey, s.span_id)")
        base = f"SELECT {row} FROM scores c WHERE {self.scope('scores')} AND c.valid AND c.name = {name}"
        if view == "traces":
            base += " AND c.tkey IS NOT NULL"
        else:
            base += " AND c.span_id IS NOT NULL"
        if cmp.op in ("is null", "is not null"):
            return f"{owner} {'NOT IN' if cmp.op == 'is null' else 'IN'} ({base})"
        values = list(_sequence(cmp)) if cmp.op in ("in", "not in", "any of", "none of") else [cmp.value]
        if values and all(isinstance(v, int | float) for v in values):
            numeric = Cmp(
                cmp.field, cmp.op, [float(v) for v in values] if cmp.op in ("in", "not in") else float(values[0])
            )
            group = "c.tkey" if view == "traces" else "c.tkey, c.span_id"
            return f"{owner} IN ({base} GROUP BY {group} HAVING {self._number('avg(c.value)', numeric)})"
        return f"{owner} IN ({base} AND {self._text('coalesce(c.string_value, c.json_value)', cmp)})"


def _need_key(name: str, key: str | None) -> str:
    if key is None:
        raise InvalidArgument(f"field {name!r} needs a key")
    return key


def _sequence(cmp: Cmp) -> Sequence[Any]:
    if isinstance(cmp.value, list | tuple | set | frozenset):
        return list(cmp.value)
    raise InvalidArgument(f"operator {cmp.op!r} on {cmp.field!r} needs a list")


def _number(cmp: Cmp, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(f"field {cmp.field!r} is a number, {value!r} is not")
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return float(value)
    return value


def _text(cmp: Cmp, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(f"field {cmp.field!r} is text, {value!r} is not")
    return value
