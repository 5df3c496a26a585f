"""What a dialect table is made of, and the readers that turn one attribute value into a canonical one.

A rule says: *this attribute of this dialect fills that canonical field, read this way*. Rules of one dialect are ordered; the
first that yields a value wins. Between dialects ``precedence`` decides. A rule's name is ``<dialect>:<attribute>``, and a
span keeps the names of the rules that filled it.

Canonical fields are the ones of ``domain.trace.Span`` plus

* ``metadata``, ``model_parameters``, ``tags``, ``trace.metadata``, ``trace.tag_values``: collected from every rule that yields;
* ``usage.<key>``, ``cost.<key>``: single numbers (``usage``/``cost``: a whole object);
* ``trace.<field>``: said about the trace, see ``domain.trace.TracePatch``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from twinlens.domain.clock import parse_iso
from twinlens.domain.json_body import mended
from twinlens.domain.trace import Scope

#: Turns an attribute's value into a canonical one; None means "nothing here, try the next rule".
Reader = Callable[[Any], Any]


@dataclass(frozen=True)
class Source:
    """What is the same for all spans of one instrumentation: its scope and the SDK that carries it."""

    scope: Scope
    sdk_language: str = ""
    sdk_name: str = ""

    @property
    def version(self) -> tuple[int, ...]:
        """The scope's version as numbers; ``(3, 3, 1)``."""
        return tuple(int(n) for n in re.findall(r"\d+", self.scope.version)[:3])


@dataclass(frozen=True)
class Rule:
    """One row of a dialect table.

    ``key`` names an attribute; ``prefix.*`` (or ``prefix:*``) names all attributes below a prefix, ``prefix.N.*`` those whose
    next part is a number. For collecting fields a family gives one
    entry per attribute, named by what follows the prefix; for ``input`` and ``output`` the reader gets the family as a
    nested value. ``when`` limits the rule to some instrumentations, ``where`` to spans whose other attribute has one of
    these values (not for collecting fields).
    """

    field: str
    key: str
    read: Reader
    when: Callable[[Source], bool] | None = None
    where: tuple[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Dialect:
    """One convention: how to recognise it and what its attributes mean."""

    name: str
    rules: tuple[Rule, ...]
    scopes: tuple[str, ...] = ()  #: instrumentation scopes that always speak it (prefixes)
    marks: tuple[str, ...] = ()  #: attributes that give it away; families allowed
    weak_marks: tuple[str, ...] = ()  #: prefixes that count when no other dialect is recognised
    first_token_events: tuple[str, ...] = ()  #: span events that mark the first token of a streamed answer
    title: str = ""
    source: str = ""  #: where the convention is written down


# --- readers ---------------------------------------------------------------------------------------------------------

_decode = msgspec.json.decode
_encode = msgspec.json.Encoder().encode
_raw = msgspec.json.Decoder(msgspec.Raw).decode


def text(value: Any) -> str | None:
    """A non-empty string; numbers and booleans as text."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else None


def unquoted(value: Any) -> str | None:
    """A string that may be JSON-encoded once more (MLflow stores every attribute as JSON)."""
    if isinstance(value, str) and value[:1] == '"':
        inner = decoded(value)
        return inner if isinstance(inner, str) and inner else None
    return None if value == "null" else text(value)


def decoded(value: Any) -> Any:
    """JSON text as its value; anything else as it is."""
    if isinstance(value, str) and value:
        try:
            return _decode(value)
        except (msgspec.DecodeError, ValueError, RecursionError):
            again = _mended(value)
            return value if again is None else _decode(again)
    return value


def _mended(value: str) -> str | None:
    """JSON text that is JSON only to its sender (``domain.json_body``) as all know it; None for what is none at all."""
    if not ("\\u" in value or "NaN" in value or "Infinity" in value):
        return None
    try:
        again = mended(value.encode()).decode()
        _raw(again)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return again


def structured(value: Any) -> Any:
    """JSON text of a map or a list as its value; anything else as it is: the text ``4`` stays text."""
    return decoded(value) if isinstance(value, str) and value.lstrip()[:1] in ("{", "[") else value


def as_object(value: Any) -> dict[str, Any] | None:
    """A map, also as JSON text."""
    found = decoded(value)
    return found if isinstance(found, dict) and found else None


def json_text(value: Any) -> str | None:
    """A value as JSON text: JSON stays as it is, other strings become JSON strings. Empty strings are nothing."""
    if isinstance(value, str):
        if not value:
            return None
        first = value[0]
        # most texts are prose: only what can be JSON is checked
        if first in '{["' or first in "-0123456789tfn" or first in " \n\t\r":
            try:
                _raw(value)
                return value
            except (msgspec.DecodeError, ValueError, RecursionError):
                if (again := _mended(value)) is not None:
                    return again
        return _encode(value).decode()
    return None if value is None else _encode(value).decode()


def plain_text(value: Any) -> str | None:
    """A string as a JSON string, whatever it looks like; other values as JSON."""
    return None if value is None or value == "" else _encode(value).decode()


def not_null_json(value: Any) -> str | None:
    """``json_text`` where JSON ``null`` means nothing (MLflow writes it for absent inputs)."""
    found = json_text(value)
    return None if found == "null" else found


def boolean(value: Any) -> bool | None:
    """A boolean, also as text."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def whole(value: Any) -> int | None:
    """A whole number, also as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value) else None


def iso_time(value: Any) -> int | None:
    """An ISO-8601 time, possibly JSON-quoted, as nanoseconds."""
    found = unquoted(value)
    if found is None:
        return None
    try:
        return parse_iso(found)
    except ValueError:
        return None


def strings(value: Any) -> list[str] | None:
    """A list of strings: an array, a JSON array, or comma-separated text."""
    found = decoded(value)
    if isinstance(found, str):
        found = found.split(",")
    if not isinstance(found, list):
        return None
    return [s for s in (str(x).strip() for x in found if isinstance(x, (str, int, float))) if s] or None


def one_of(names: Mapping[str, str]) -> Reader:
    """Translate by table; unknown words yield nothing."""

    def read(value: Any) -> str | None:
        return names.get(value) if isinstance(value, str) else None

    return read


def constant(result: str) -> Reader:
    """The presence of the attribute is what counts."""
    return lambda value: None if value is None or value == "" else result


def nested(family: Mapping[str, Any]) -> Any:
    """Build lists and maps from flattened names: ``{"0.role": "user", "0.content": "hi"}`` → ``[{"role": …}]``.

    Numbers become list positions in ascending order (gaps close), so no name can make a huge list.
    """
    tree: dict[str, Any] = {}
    for name, value in family.items():
        node = tree
        *path, last = name.split(".")
        for part in path:
            below = node.get(part)
            if not isinstance(below, dict):
                below = node[part] = {}
            node = below
        if not isinstance(node.get(last), dict):
            node[last] = value
    return _lists(tree)


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(k.isdecimal() for k in node):
        return [_lists(node[k]) for k in sorted(node, key=int)]
    return {k: _lists(v) for k, v in node.items()}
