"""Compiles the dialect tables for one set of attribute names.

Spans of one call site carry the same attribute names again and again. So the tables are consulted once per distinct set of
names (and instrumentation), and the outcome, a *plan*, lists exactly the attributes to read for each field, best rule first.
Running a plan touches nothing else, whatever the number of dialects and rules.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twinlens.ingest.dialects import DIALECTS, PRECEDENCE
from twinlens.ingest.dialects.rule import Dialect, Rule, Source

#: One way to fill a field: rule name, attribute (None: the reader takes all attributes), reader.
Candidate = tuple[str, str | None, Callable[[Any], Any]]
#: A field and its candidates, best first.
Step = tuple[str, tuple[Candidate, ...]]
#: One entry of a collected map: name in the map (None: the value is itself a map), rule name, attribute, reader.
Entry = tuple[str | None, str, str, Callable[[Any], Any]]

#: Collected maps, and fields handled apart because they combine with others.
COLLECTED = ("metadata", "model_parameters", "trace.metadata", "trace.tag_values")
_FAMILY_FIELDS = ("input", "output")
MAX_PLANS = 4_096


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read for one set of attribute names."""

    dialect: str
    direct: tuple[Step, ...]  #: fields of Span
    special: tuple[Step, ...]  #: system, first_token_*, prompt_version_text
    usage: tuple[Step, ...]
    cost: tuple[Step, ...]
    trace: tuple[Step, ...]
    collected: tuple[tuple[str, tuple[Entry, ...]], ...]
    names: dict[str, str]  #: field -> rule when every first candidate yields


class _Row:
    """A rule with its dialect and place."""

    __slots__ = ("dialect", "name", "rank", "rule")

    def __init__(self, dialect: Dialect, rule: Rule, place: int) -> None:
        self.dialect = dialect
        self.rule = rule
        self.name = f"{dialect.name}:{rule.key}"
        self.rank = (_precedence(rule.field, dialect.name, self.name), place)


def _precedence(field: str, dialect: str, name: str) -> tuple[int, int]:
    order = PRECEDENCE.get(field, ())
    usual = next(i for i, d in enumerate(DIALECTS) if d.name == dialect)
    if name in order:
        return order.index(name), usual
    return (order.index(dialect) if dialect in order else len(order)), usual


def family_prefix(pattern: str) -> str:
    """``a.b.`` for ``a.b.*`` and ``a.b.N.*``."""
    return pattern.removesuffix("*").removesuffix("N.")


def in_family(pattern: str, key: str) -> bool:
    """Whether an attribute belongs to ``prefix.*`` or ``prefix.N.*``."""
    prefix = family_prefix(pattern)
    if not key.startswith(prefix):
        return False
    return not pattern.endswith(".N.*") or key[len(prefix) :].split(".", 1)[0].isdecimal()


_ROWS = [
    _Row(dialect, rule, place)
    for place, (dialect, rule) in enumerate((d, r) for d in DIALECTS for r in d.rules)
]  # fmt: skip
_EXACT: dict[str, list[_Row]] = defaultdict(list)
_FAMILIES: dict[str, list[_Row]] = defaultdict(list)
for _row in _ROWS:
    if _row.rule.key.endswith((".*", ":*")):
        _FAMILIES[family_prefix(_row.rule.key)].append(_row)
    else:
        _EXACT[_row.rule.key].append(_row)

_MARKS: dict[str, int] = {}
_MARK_PREFIXES: list[tuple[str, int]] = []
for _index, _dialect in reversed(list(enumerate(DIALECTS))):
    for _mark in _dialect.marks:
        if _mark.endswith((".*", ":*")):
            _MARK_PREFIXES.append((_mark, _index))
        else:
            _MARKS[_mark] = _index
#: Span events that mark the first token.
FIRST_TOKEN_EVENTS = frozenset(name for d in DIALECTS for name in d.first_token_events)


def _first_word(name: str) -> str:
    return re.split("[.:]", name, maxsplit=1)[0]


#: Prefixes of families by their first word, so that most names are ruled out by one look-up.
_FAMILY_WORDS = {_first_word(prefix) for prefix in _FAMILIES}


class Planner:
    """Plans of one instrumentation."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._plans: dict[tuple[str, ...], Plan] = {}
        name = source.scope.name
        self._scope_dialect = next(
            (i for i, d in enumerate(DIALECTS) if any(_is_scope(name, s) for s in d.scopes)), len(DIALECTS)
        )

    def plan(self, attributes: Mapping[str, Any]) -> Plan:
        """The plan for spans with these attribute names."""
        keys = tuple(attributes)
        found = self._plans.get(keys)
        if found is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            found = self._plans[keys] = self._compile(keys)
        return found

    def _compile(self, keys: tuple[str, ...]) -> Plan:
        steps: dict[str, list[tuple[Any, Candidate]]] = defaultdict(list)
        entries: dict[str, list[tuple[Any, Entry]]] = defaultdict(list)
        families: dict[int, tuple[_Row, dict[str, str]]] = {}
        exact_used: set[str] = set()
        for key in keys:
            for row in _EXACT.get(key, ()):
                if row.rule.when is None or row.rule.when(self.source):
                    if row.rule.field in COLLECTED:
                        entries[row.rule.field].append((row.rank, (None, row.name, key, row.rule.read)))
                    elif row.rule.field.startswith("model_parameters."):
                        target = row.rule.field.removeprefix("model_parameters.")
                        entries["model_parameters"].append((row.rank, (target, row.name, key, row.rule.read)))
                    elif row.rule.where is None:
                        steps[row.rule.field].append((row.rank, (row.name, key, row.rule.read)))
                        exact_used.add(key)
                    elif row.rule.where[0] in keys:
                        steps[row.rule.field].append((row.rank, (row.name, None, _reader_where(row.rule))))
                        exact_used.add(key)
        for key in keys:
            if _first_word(key) not in _FAMILY_WORDS:
                continue
            for prefix, rows in _FAMILIES.items():
                if not key.startswith(prefix):
                    continue
                below = key[len(prefix) :]
                for row in rows:
                    if not in_family(row.rule.key, key) or not (row.rule.when is None or row.rule.when(self.source)):
                        continue
                    if row.rule.field in COLLECTED:
                        if key not in exact_used:  # an attribute with a meaning of its own is not metadata too
                            entries[row.rule.field].append((row.rank, (below, row.name, key, row.rule.read)))
                    else:
                        families.setdefault(id(row), (row, {}))[1][below] = key
        for row, members in families.values():
            steps[row.rule.field].append((row.rank, (row.name, None, _family_reader(row.rule.read, members))))
        return self._assemble(keys, steps, entries)

    def _assemble(
        self,
        keys: tuple[str, ...],
        steps: Mapping[str, list[tuple[Any, Candidate]]],
        entries: Mapping[str, list[tuple[Any, Entry]]],
    ) -> Plan:
        groups: dict[str, list[Step]] = {"direct": [], "special": [], "usage": [], "cost": [], "trace": []}
        names: dict[str, str] = {}
        for field, ranked in steps.items():
            candidates = tuple(c for _, c in sorted(ranked, key=lambda x: x[0]))
            groups[_group(field)].append((field.removeprefix("trace."), candidates))
            names[COMBINED.get(field, field)] = candidates[0][0]
        collected: list[tuple[str, tuple[Entry, ...]]] = []
        for field, listed in entries.items():
            # worst first, so that the best rule's entry stays when two have the same name
            ordered = tuple(e for _, e in sorted(listed, key=lambda x: x[0], reverse=True))
            collected.append((field, ordered))
            names[field] = ordered[-1][1]
        return Plan(
            dialect=self._dialect(keys),
            direct=tuple(groups["direct"]),
            special=tuple(groups["special"]),
            usage=_whole_first(groups["usage"], "usage"),
            cost=_whole_first(groups["cost"], "cost"),
            trace=tuple(groups["trace"]),
            collected=tuple(collected),
            names=names,
        )

    def _dialect(self, keys: tuple[str, ...]) -> str:
        best = self._scope_dialect
        for key in keys:
            found = _MARKS.get(key)
            if found is not None and found < best:
                best = found
            for prefix, index in _MARK_PREFIXES:
                if index < best and in_family(prefix, key):
                    best = index
        if best >= len(DIALECTS) - 1:  # nothing, or only plain names
            weak = (i for i, d in enumerate(DIALECTS) if d.weak_marks and any(k.startswith(d.weak_marks) for k in keys))
            best = next(weak, best)
        return DIALECTS[best].name if best < len(DIALECTS) else ""


#: Fields that combine with others, and the span field under which their rule is kept.
COMBINED = {
    "system": "system",
    "first_token_s": "completion_start_ns",
    "first_token_ms": "completion_start_ns",
    "prompt_version_text": "prompt_version",
}


def _group(field: str) -> str:
    head = field.split(".", 1)[0]
    if head in ("usage", "cost", "trace"):
        return head
    return "special" if field in COMBINED else "direct"


def _whole_first(steps: list[Step], whole: str) -> tuple[Step, ...]:
    """A whole object comes before single numbers; those lose their ``usage.`` prefix."""
    return tuple(sorted(((f if f == whole else f.split(".", 1)[1], c) for f, c in steps), key=lambda s: s[0] != whole))


def _family_reader(read: Callable[[Any], Any], members: dict[str, str]) -> Callable[[Any], Any]:
    pairs = tuple(members.items())

    def gather(attributes: Mapping[str, Any]) -> Any:
        return read({below: attributes[key] for below, key in pairs})

    return gather


def _reader_where(rule: Rule) -> Callable[[Any], Any]:
    """Reads the rule's attribute where the other one has a wanted value."""
    assert rule.where is not None
    key, read, (other, wanted) = rule.key, rule.read, rule.where

    def look(attributes: Mapping[str, Any]) -> Any:
        return read(attributes[key]) if attributes[other] in wanted else None

    return look


def _is_scope(name: str, pattern: str) -> bool:
    """``pattern`` ending in a dot is a prefix; else the whole name, or a name below it."""
    return name == pattern or name.startswith(pattern if pattern.endswith(".") else pattern + ".")


def rows() -> list[tuple[str, str, Rule]]:
    """Every rule as (dialect, name, rule), in table order: for documentation and tests."""
    return [(r.dialect.name, r.name, r.rule) for r in _ROWS]


_planners: dict[tuple[str, str, str, str], Planner] = {}
MAX_PLANNERS = 1_024


def planner_for(source: Source) -> Planner:
    """The shared planner of an instrumentation (bounded; scope names come from clients)."""
    key = (source.scope.name, source.scope.version, source.sdk_language, source.sdk_name)
    found = _planners.get(key)
    if found is None:
        if len(_planners) >= MAX_PLANNERS:
            _planners.clear()
        found = _planners[key] = Planner(source)
    return found
