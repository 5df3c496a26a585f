"""MLflow's search grammar, read into the typed query model.

A filter is ``clause (AND clause)*`` in MLflow (reference: ``mlflow.utils.search_utils`` of 3.18). Twinlens reads a superset:
``OR``, ``NOT`` and parentheses, which users have asked for since 2021. A clause is ``identifier operator value``, where the
identifier is ``entity.key`` or a bare ``key``; keys may be quoted with backticks or double quotes, text values stand in
single or double quotes (doubled inside), numbers stand bare.

What an entity and key mean depends on what is searched: each target hands a ``Resolve`` that turns one ``Clause`` into an
expression and refuses what it does not know. ``mlflow_filter_runs`` holds those for experiments and runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.store.telemetry.query import And, Expr, Not, Or

#: Deepest nesting of parentheses and NOTs; deeper filters are refused, not recursed into.
MAX_DEPTH = 50
MAX_LENGTH = 100_000

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<single>'(?:[^']|'')*')
    | (?P<double>"(?:[^"]|"")*")
    | (?P<tick>`[^`]*`)
    | (?P<op><=|>=|!=|<>|=|<|>)
    | (?P<punct>[(),])
    | (?P<word>[^\s'"`=!<>(),]+)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z")
_KEYWORDS = {"AND", "OR", "NOT", "IN", "LIKE", "ILIKE", "RLIKE", "IS", "NULL"}


class Clause(msgspec.Struct, frozen=True):
    """One comparison as written.

    ``entity`` is lower case, None for a bare key. ``op`` is one of ``= != < <= > >= LIKE ILIKE RLIKE IN NOT IN IS NULL
    IS NOT NULL``. ``value`` is text (quoted), a number (bare), a list of such for IN, None for IS.
    """

    entity: str | None
    key: str
    op: str
    value: str | int | float | list[str | int | float] | None
    text: str  #: the clause as the user wrote it, for messages


Resolve = Callable[[Clause], Expr]


class SortKey(msgspec.Struct, frozen=True):
    """One ``order_by`` item as written: ``entity.key [ASC|DESC]``."""

    entity: str | None
    key: str
    descending: bool


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    start: int
    end: int

    @property
    def keyword(self) -> str:
        upper = self.text.upper()
        return upper if self.kind == "word" and upper in _KEYWORDS else ""


def _tokens(text: str) -> list[_Token]:
    if len(text) > MAX_LENGTH:
        raise InvalidArgument(f"Invalid filter: longer than {MAX_LENGTH} characters")
    found: list[_Token] = []
    position = 0
    stop = len(text.rstrip())
    while position < stop:
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidArgument(f"Invalid clause(s) in filter string: {text[position:].strip()!r} cannot be read")
        kind = match.lastgroup or ""
        start = match.start(kind)
        # entity.`key`, and with other quotes: the quoted part directly follows the dot
        if kind in ("tick", "double", "single") and found and found[-1].end == start and found[-1].text.endswith("."):
            last = found.pop()
            found.append(_Token("dotted", last.text + match.group(kind)[1:-1], last.start, match.end()))
        else:
            found.append(_Token(kind, match.group(kind), start, match.end()))
        position = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, text: str, resolve: Resolve) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0
        self.resolve = resolve

    def fail(self, token: _Token | None = None) -> InvalidArgument:
        part = self.text[token.start :].strip() if token else self.text.strip()
        return InvalidArgument(f"Invalid clause(s) in filter string: {part!r}")

    def peek(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self) -> _Token:
        token = self.peek()
        if token is None:
            raise self.fail()
        self.at += 1
        return token

    def took(self, keyword: str) -> bool:
        token = self.peek()
        if token and token.keyword == keyword:
            self.at += 1
            return True
        return False

    def whole(self) -> Expr:
        expression = self.any(0)
        rest = self.peek()
        if rest is not None:
            raise self.fail(rest)
        return expression

    def any(self, depth: int) -> Expr:
        if depth > MAX_DEPTH:
            raise InvalidArgument(f"Invalid filter: nested deeper than {MAX_DEPTH}")
        items = [self.all(depth)]
        while self.took("OR"):
            items.append(self.all(depth))
        return items[0] if len(items) == 1 else Or(tuple(items))

    def all(self, depth: int) -> Expr:
        items = [self.one(depth)]
        while self.took("AND"):
            items.append(self.one(depth))
        return items[0] if len(items) == 1 else And(tuple(items))

    def one(self, depth: int) -> Expr:
        if depth > MAX_DEPTH:
            raise InvalidArgument(f"Invalid filter: nested deeper than {MAX_DEPTH}")
        if self.took("NOT"):
            return Not(self.one(depth + 1))
        token = self.peek()
        if token and token.text == "(" and token.kind == "punct":
            self.at += 1
            inner = self.any(depth + 1)
            closing = self.next()
            if closing.text != ")":
                raise self.fail(closing)
            return inner
        return self.resolve(self.clause())

    def clause(self) -> Clause:
        name = self.next()
        entity, key = _identifier(name, self.fail)
        op, value = self.operation()
        return Clause(entity, key, op, value, self.text[name.start : self.tokens[self.at - 1].end])

    def operation(self) -> tuple[str, Any]:
        token = self.next()
        if token.kind == "op":
            return ("!=" if token.text == "<>" else token.text), self.value()
        match token.keyword:
            case "LIKE" | "ILIKE" | "RLIKE" as op:
                return op, self.value()
            case "IN":
                return "IN", self.values()
            case "NOT" if self.took("IN"):
                return "NOT IN", self.values()
            case "IS":
                negated = self.took("NOT")
                if self.took("NULL"):
                    return ("IS NOT NULL" if negated else "IS NULL"), None
                raise self.fail(token)
            case _:
                raise self.fail(token)

    def value(self) -> str | int | float:
        token = self.next()
        if token.kind in ("single", "double"):
            quote = token.text[0]
            return token.text[1:-1].replace(quote * 2, quote)
        if token.kind == "word" and _NUMBER.match(token.text):
            whole = re.fullmatch(r"[+-]?\d{1,18}", token.text)
            return int(token.text) if whole else float(token.text)
        raise self.fail(token)

    def values(self) -> list[str | int | float]:
        opening = self.next()
        if opening.text != "(":
            raise self.fail(opening)
        found: list[str | int | float] = []
        while True:
            found.append(self.value())
            separator = self.next()
            if separator.kind == "punct" and separator.text == ")":
                return found
            if separator.text != ",":
                raise self.fail(separator)


def _identifier(token: _Token, fail: Callable[[_Token | None], InvalidArgument]) -> tuple[str | None, str]:
    """Entity (lower case) and key of an identifier; a bare one has no entity."""
    if token.kind in ("tick", "double"):
        text = token.text[1:-1]
    elif token.kind == "dotted" or (token.kind == "word" and not token.keyword and not _NUMBER.match(token.text)):
        text = token.text
    else:
        raise fail(token)
    entity, dot, key = text.partition(".")
    if not dot:
        if not text.strip():
            raise fail(token)
        return None, text.strip()
    key = key.strip()
    if len(key) > 1 and key[0] == key[-1] and key[0] in "`\"'":
        key = key[1:-1]
    if not entity.strip() or not key:
        raise fail(token)
    return entity.strip().lower(), key


def parse_filter(text: str | None, resolve: Resolve) -> Expr:
    """Read a filter; an empty one selects everything.

    Raises:
        InvalidArgument: the text is no filter, or ``resolve`` refused a clause.
    """
    if not text or not text.strip():
        return And()
    return _Parser(text, resolve).whole()


def parse_order_by(item: str) -> SortKey:
    """Read one ``order_by`` item; ascending unless it ends in ``DESC``.

    Raises:
        InvalidArgument: not an identifier with an optional direction.
    """
    text = item.strip()
    match = re.search(r"\s+(asc|desc)$", text, re.IGNORECASE)
    name = text[: match.start()].rstrip() if match else text
    error = InvalidArgument(
        f"Invalid order_by clause '{item}'. Could not be parsed. Expected form: 'entity.key [ASC|DESC]'"
    )
    found = _tokens(name)
    if len(found) == 2 and match is None and found[1].text.lower() != "name":
        raise InvalidArgument(
            f"Invalid ordering key in order_by clause '{item}'. Expected form: 'entity.key [ASC|DESC]'"
        )
    if len(found) != 1:
        # MLflow accepts one unquoted key with blanks: attribute.run name
        if (
            found
            and all(token.kind == "word" for token in found)
            and " ".join(t.text for t in found[-2:]).lower().endswith("run name")
        ):
            found = [_Token("word", " ".join(token.text for token in found), 0, len(name))]
        else:
            raise error
    entity, key = _identifier(found[0], lambda _token: error)
    return SortKey(entity, key, match is not None and match.group(1).lower() == "desc")
