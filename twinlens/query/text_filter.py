"""The text filter of trace lists: ``user:alice cost>0.01 tag:prod status:error "free text"``.

Grammar (words stand for AND; ``-`` and ``NOT`` negate)::

    or    := and ("OR" and)*
    and   := not (["AND"] not)*
    not   := ("NOT" | "-") not | "(" or ")" | "span" "(" or ")" | term
    term  := field op value ("," value)* | text
    op    := ":" | "=" | "!=" | ">" | ">=" | "<" | "<=" | "~"

``:`` means equal, or matches when the value has ``*``; ``field:*`` means present; several values mean any of them;
``~`` means contains. ``span(…)`` asks for one span that satisfies everything inside; a span field elsewhere asks for some
span each. Errors carry the position and, for names, the nearest known one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.query.text_filter_fields import FLAGS, KEYED, PLAIN, Field, duration_ns, moment_ns, number
from twinlens.store.telemetry.query import And, Cmp, Expr, HasScore, HasSpan, Not, Or

MAX_LENGTH = 4_000
MAX_DEPTH = 50


class FilterError(InvalidArgument):
    """The filter text is wrong at ``position`` (characters from its start)."""

    def __init__(self, message: str, position: int, suggestion: str | None = None) -> None:
        super().__init__(message + (f"; did you mean {suggestion!r}?" if suggestion else ""))
        self.position = position
        self.suggestion = suggestion


class _Token(msgspec.Struct, frozen=True):
    kind: str  # word | string | op | ( | ) | , | - | end
    text: str
    at: int


_LEXER = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<op>!=|>=|<=|[:=<>~])
      | (?P<punct>[(),])
      | (?P<word>[^\s"'(),:=<>~!]+|!)""",
    re.VERBOSE,
)


def parse(text: str) -> Expr:
    """Compile a filter text over traces; the empty text selects everything.

    Raises:
        FilterError: with position and suggestion.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"the filter is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    tokens = _tokens(text)
    if tokens[0].kind == "end":
        return And()
    parser = _Parser(tokens)
    found = parser.any_of(in_span=False)
    parser.expect_end()
    return found


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        found = _LEXER.match(text, at)
        if found is None:
            raise FilterError("this quote is never closed", at)
        kind = found.lastgroup or ""
        body = found[0]
        if kind == "string":
            tokens.append(_Token("string", re.sub(r"\\(.)", r"\1", body[1:-1], flags=re.DOTALL), at))
        elif kind == "punct":
            tokens.append(_Token(body, body, at))
        elif kind == "word" and body.startswith("-") and len(body) > 1 and not _after_op(tokens, at):
            tokens.append(_Token("-", "-", at))
            tokens.append(_Token("word", body[1:], at + 1))
        elif kind != "space":
            tokens.append(_Token("-" if body == "-" else kind, body, at))
        at = found.end()
    tokens.append(_Token("end", "", len(text)))
    return tokens


def _after_op(tokens: list[_Token], at: int) -> bool:
    return bool(tokens) and tokens[-1].kind in ("op", ",") and tokens[-1].at + len(tokens[-1].text) == at


class _Parser:
    """Recursive descent, depth bounded."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def expect_end(self) -> None:
        """Everything has been read."""
        if self._now.kind != "end":
            raise FilterError(f"unexpected {self._now.text!r}", self._now.at)

    def any_of(self, *, in_span: bool) -> Expr:
        """``a OR b``."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError("the filter is nested too deeply", self._now.at)
        items = [self._all_of(in_span)]
        while self._now.kind == "word" and self._now.text == "OR":
            self._take()
            items.append(self._all_of(in_span))
        self._depth -= 1
        return items[0] if len(items) == 1 else Or(tuple(items))

    def _all_of(self, in_span: bool) -> Expr:
        items = [self._negated(in_span)]
        while True:
            if self._now.kind == "word" and self._now.text == "AND":
                self._take()
            elif self._now.kind in ("end", ")") or (self._now.kind == "word" and self._now.text == "OR"):
                return items[0] if len(items) == 1 else And(tuple(items))
            items.append(self._negated(in_span))

    def _negated(self, in_span: bool) -> Expr:
        negative = False
        while self._now.kind == "-" or (self._now.kind == "word" and self._now.text == "NOT"):
            self._take()
            negative = not negative
        found = self._atom(in_span)
        return Not(found) if negative else found

    def _atom(self, in_span: bool) -> Expr:
        token = self._take()
        if token.kind == "(":
            return self._group(token, in_span)
        if token.kind == "string":
            return Cmp("text", "contains", token.text)
        if token.kind == "word" and token.text not in ("AND", "OR"):
            if token.text == "span" and self._now.kind == "(" and self._now.at == token.at + 4 and not in_span:
                return HasSpan(self._group(self._take(), True))
            if self._now.kind == "op" and self._now.at == token.at + len(token.text):
                return self._comparison(token, in_span)
            return Cmp("text", "contains", token.text)
        shown = repr(token.text) if token.text else "the end"
        raise FilterError(f"expected a condition before {shown}", token.at)

    def _group(self, opening: _Token, in_span: bool) -> Expr:
        inner = self.any_of(in_span=in_span)
        if self._now.kind != ")":
            raise FilterError("this parenthesis is never closed", opening.at)
        self._take()
        return inner

    def _comparison(self, word: _Token, in_span: bool) -> Expr:
        op = self._take()
        values = [self._value(op)]
        while self._now.kind == ",":
            self._take()
            values.append(self._value(op))
        if word.text in ("is", "has") and op.text in (":", "="):
            return And(tuple(_flag(v) for v in values)) if len(values) > 1 else _flag(values[0])
        field, key = _field(word, in_span)
        expression = _compare(field, key, op, values)
        return HasSpan(expression) if field.span and not in_span else expression

    def _value(self, op: _Token) -> _Token:
        token = self._now
        if token.kind not in ("word", "string"):
            raise FilterError(f"{op.text!r} needs a value", op.at)
        self._take()
        # A value runs on over operators that touch it (times, URLs, model names): start>2026-01-01T10:00
        end = token.at + len(token.text)
        text = token.text
        while token.kind == "word" and self._now.kind in ("op", "word") and self._now.at == end:
            text += self._now.text
            end += len(self._now.text)
            self._take()
        return _Token(token.kind, text, token.at)


def _field(word: _Token, in_span: bool) -> tuple[Field, str | None]:
    name, dot, key = word.text.partition(".")
    if dot and key and name in KEYED:
        return KEYED[name], key
    found = PLAIN.get(word.text)
    if found is not None:
        if in_span and not found.span:
            found = _SPAN_TWINS.get(found.name, found)
        return found, None
    if word.text in KEYED:
        raise FilterError(f"{word.text!r} needs a key, like {KEYED[word.text].example}", word.at)
    names = [*PLAIN, *(k + "." for k in KEYED)]
    near = difflib.get_close_matches(word.text.lower(), names, n=1, cutoff=0.5)
    raise FilterError(f"there is no field {word.text!r}", word.at, near[0] if near else None)


def _span_twin(name: str, target: str, kind: Any = "text") -> Field:
    return Field(name=name, target=target, kind=kind, help="", example="", span=True)


#: Inside ``span(…)`` these words mean the span's own value.
_SPAN_TWINS = {
    "name": _span_twin("name", "name"),
    "model": _span_twin("model", "model"),
    "status": Field(name="status", target="status", kind="choice", help="", example="", span=True,
                    choices=("ok", "error", "running")),
    "level": _span_twin("level", "level"),
    "cost": _span_twin("cost", "total_cost", "number"),
    "tokens": _span_twin("tokens", "total_tokens", "number"),
    "latency": _span_twin("latency", "latency_ns", "duration"),
    "tag": _span_twin("tag", "tags", "list"),
}  # fmt: skip


def _flag(value: _Token) -> Expr:
    match value.text:
        case "error" | "errors":
            return Cmp("status", "=", "error")
        case "bookmarked":
            return Cmp("bookmarked", "=", True)
        case "running":
            return Cmp("status", "=", "unset")
        case "session":
            return Cmp("session_id", "is not null")
        case "user":
            return Cmp("user_id", "is not null")
        case "score" | "scores":
            return HasScore(And())
        case "cost":
            return Cmp("total_cost", ">", 0.0)
        case _:
            near = difflib.get_close_matches(value.text, FLAGS, n=1, cutoff=0.4)
            raise FilterError(
                f"nothing is known as {value.text!r}; known: {', '.join(FLAGS)}", value.at, near[0] if near else None
            )


def _compare(field: Field, key: str | None, op: _Token, values: list[_Token]) -> Expr:
    if op.text in (":", "=") and len(values) == 1 and values[0].kind == "word" and values[0].text == "*":
        return Cmp(field.target, "is not null", None, key)
    if field.kind in ("number", "duration", "time"):
        return _ordered(field, key, op, values)
    if op.text in (">", ">=", "<", "<="):
        if field.keyed:  # a text family may hold numbers; the engine compares as numbers when the value is one
            return Cmp(field.target, op.text, _read(field, values[0], number), key)  # pyright: ignore[reportArgumentType]
        raise FilterError(f"{field.name!r} has no order: use ':' or '~'", op.at)
    found = [_equal(field, key, op, value) for value in values]
    expression = found[0] if len(found) == 1 else Or(tuple(found))
    return Not(expression) if op.text == "!=" else expression


def _ordered(field: Field, key: str | None, op: _Token, values: list[_Token]) -> Expr:
    reader: Callable[[str], Any] = {"number": number, "duration": duration_ns, "time": moment_ns}[field.kind]
    if op.text == "~":
        raise FilterError(f"{field.name!r} is a {field.kind}: use ':', '>' or '<'", op.at)
    if field.target == "score" and any(v.kind == "string" or not _reads(number, v.text) for v in values):
        texts = tuple(And((Cmp("name", "=", key), Cmp("string_value", "=", v.text))) for v in values)
        found: Expr = HasScore(texts[0] if len(texts) == 1 else Or(texts))
        return Not(found) if op.text == "!=" else found
    read = [_read(field, value, reader) for value in values]
    if len(read) > 1:
        if op.text not in (":", "=", "!="):
            raise FilterError(f"{op.text!r} takes one value", op.at)
        return Cmp(field.target, "not in" if op.text == "!=" else "in", read, key)
    return Cmp(field.target, "=" if op.text == ":" else op.text, read[0], key)  # pyright: ignore[reportArgumentType]


def _equal(field: Field, key: str | None, op: _Token, value: _Token) -> Expr:
    text = value.text
    if field.kind == "boolean":
        if text.lower() not in ("true", "false", "yes", "no"):
            raise FilterError(f"{field.name!r} is true or false", value.at)
        return Cmp(field.target, "=", text.lower() in ("true", "yes"), key)
    if field.kind == "choice":
        fits = [c for c in field.choices if c.lower() == text.lower()]
        if not fits:
            near = difflib.get_close_matches(text, field.choices, n=1, cutoff=0.4)
            raise FilterError(
                f"{field.name!r} is one of {', '.join(field.choices)}", value.at, near[0] if near else None
            )
        return Cmp(field.target, "=", "unset" if fits[0] == "running" else fits[0], key)
    if op.text == "~":
        return _like(field, key, f"*{text}*")
    if value.kind == "word" and "*" in text:
        return _like(field, key, text)
    if field.kind == "list":
        return Cmp(field.target, "any of", [text], key)
    return Cmp(field.target, "=", text, key)


def _like(field: Field, key: str | None, pattern: str) -> Expr:
    body = pattern.strip("*")
    if field.kind != "list" and "*" not in body:
        if pattern.startswith("*") and pattern.endswith("*"):
            return Cmp(field.target, "contains", body, key)
        return Cmp(field.target, "starts with" if pattern.endswith("*") else "ends with", body, key)
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return Cmp(field.target, "ilike", escaped, key)


def _reads(reader: Callable[[str], Any], text: str) -> bool:
    try:
        reader(text)
    except ValueError:
        return False
    return True


def _read(field: Field, value: _Token, reader: Callable[[str], Any]) -> Any:
    try:
        return reader(value.text)
    except ValueError:
        forms = {"number": "a number", "duration": "a duration like 1.5s or 200ms", "time": "a time or -1h"}
        form = forms.get(field.kind, "a number")
        raise FilterError(f"{field.name!r} needs {form}, not {value.text!r}", value.at) from None
