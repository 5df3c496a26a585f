"""Langfuse's ``filter`` parameter for lists of prompts → a condition on versions.

Columns and operators are those of SDK 5's reference; shapes and checks are shared with the other filters. All conditions hold for one
version, so a list shows only the versions, labels and configuration that match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.prompt import PromptVersion
from twinlens.query.langfuse_filter import OPERATORS, Item, decode_items, time_value, typed_value

_SEARCH = frozenset({"=", "contains", "does not contain", "starts with", "ends with"})
#: Operators by type, where they are not those of the other filters.
_OPERATORS: Mapping[str, frozenset[str]] = {
    **{name: OPERATORS[name] for name in ("stringOptions", "number", "datetime", "arrayOptions")},
    "string": _SEARCH | {"is not empty"},
    "stringObject": _SEARCH | {"is set", "is not set"},
}
_TEXTS = frozenset({"string", "stringOptions"})
_COLUMNS: Mapping[str, tuple[frozenset[str], Callable[[PromptVersion], Any]]] = {
    "id": (_TEXTS, lambda v: v.version_id),
    "name": (_TEXTS, lambda v: v.name),
    "type": (_TEXTS, lambda v: v.type),
    "version": (frozenset({"number"}), lambda v: v.version),
    "createdAt": (frozenset({"datetime"}), lambda v: v.created_ns),
    "updatedAt": (frozenset({"datetime"}), lambda v: v.updated_ns),
    "labels": (frozenset({"arrayOptions"}), lambda v: v.labels),
    "tags": (frozenset({"arrayOptions"}), lambda v: v.tags),
    "config": (frozenset({"stringObject"}), lambda v: v.config),
}
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b, ">": lambda a, b: a > b, "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b,
}  # fmt: skip
_WILD: Mapping[str, str] = {"%": ".*", "_": "."}


def parse(text: str) -> Callable[[PromptVersion], bool]:
    """What a ``filter`` parameter asks of a version.

    Raises:
        InvalidArgument: not such an array, an unknown column, an operator or value that does not fit its type.
    """
    conditions = [_condition(item) for item in decode_items(text)]
    return lambda version: all(holds(version) for holds in conditions)


def _condition(item: Item) -> Callable[[PromptVersion], bool]:
    if item.column not in _COLUMNS:
        raise InvalidArgument(f"filter: unknown column '{item.column}', known are {', '.join(_COLUMNS)}")
    types, read = _COLUMNS[item.column]
    if item.type not in types:
        raise InvalidArgument(f"filter: '{item.column}' has type {' or '.join(sorted(types))}, got {item.type}")
    if item.operator not in _OPERATORS[item.type]:
        raise InvalidArgument(f"filter: operator '{item.operator}' does not exist for type {item.type}")
    value = typed_value(item)
    if item.type == "stringObject":
        if not item.key:
            raise InvalidArgument("filter: type stringObject needs a key")
        key = item.key
        return lambda version: _keyed(read(version), key, item.operator, value)
    if item.type == "string":
        return lambda version: _text(read(version), item.operator, value)
    if item.type in ("number", "datetime"):
        wanted = time_value(value) if item.type == "datetime" else value
        return lambda version: _COMPARE[item.operator](read(version), wanted)
    if not value:
        raise InvalidArgument(f"filter: the value of '{item.column}' is empty")
    return lambda version: _options(read(version), item.operator, set(value))


def _options(found: str | list[str], operator: str, wanted: set[str]) -> bool:
    has = wanted & ({found} if isinstance(found, str) else set(found))
    return has == wanted if operator == "all of" else bool(has) == (operator == "any of")


def _text(found: str, operator: str, value: str) -> bool:
    """``=`` minds the case, searches do not; ``%`` and ``_`` are wild in them unless a backslash stands before."""
    if operator == "=":
        return found == value
    if operator == "is not empty":
        return found != ""
    parts: list[str] = re.findall(r"\\.|.", value, re.DOTALL)
    pattern = "".join(
        _WILD.get(part) or re.escape(part[-1]) for part in parts
    )  # an escaped one is the last of its pair
    before = "" if operator == "starts with" else ".*"
    after = "" if operator == "ends with" else ".*"
    matches = re.fullmatch(before + pattern + after, found, re.DOTALL | re.IGNORECASE) is not None
    return matches != (operator == "does not contain")


def _keyed(config: Any, key: str, operator: str, value: str) -> bool:
    there = isinstance(config, dict) and key in config
    if operator == "is not set":
        return not there
    if operator == "is set" or value == "":
        return there
    if not there:
        return operator == "does not contain"
    found: Any = config[key]  # pyright: ignore[reportUnknownVariableType]
    return _text(found if isinstance(found, str) else msgspec.json.encode(found).decode(), operator, value)
