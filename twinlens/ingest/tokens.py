"""Token counts for model spans that report none: counted from the text, and marked ``estimated``.

With the extra ``tokens`` installed (``bpe-openai``, whose wheel holds OpenAI's vocabularies) the count is exact for OpenAI
models; without it, and for vendors who publish no tokenizer, an estimate is used that was fitted to ``o200k_base``. Its
error per kind of text is measured by ``tests/unit/ingest/test_tokens.py`` and shown in ``docs/conventions.md``. Nothing is
ever downloaded.
"""

from __future__ import annotations

import re
import threading
from collections import Counter as Lengths
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

Counter = Callable[[str], int]

#: Texts longer than this are counted up to here and scaled, so that a huge payload costs no more than this.
MAX_COUNTED = 400_000
#: What OpenAI's chat format adds per message, and per reply (OpenAI cookbook, "How to count tokens").
PER_MESSAGE = 3
PER_REPLY = 3
_CL100K = re.compile(r"^(?:gpt-4(?!o|\.1|\.5)|gpt-3\.5|text-embedding-|davinci-002|babbage-002)")

#: What masking functions and libraries leave behind. A text made of nothing else is masked.
_MARKER = re.compile(
    r"\s*(?:[<\[({_*]{0,4}\s*(?:redacted|masked|filtered|hidden|scrubbed|removed|withheld|confidential|private|sanitized)"
    r"(?:[ _-](?:by|due|for|content|pii|text|input|output|value|data)\b[^<>\[\](){}]{0,80})?\s*[>\])}_*]{0,4}"
    r"|[*•█x]{3,}|\[\.\.\.\]|<\.\.\.>)[\s.]*",
    re.IGNORECASE,
)
#: Keys of messages whose strings are no text of the conversation.
_NOT_TEXT = frozenset({"role", "type", "id", "tool_call_id", "call_id", "finish_reason", "index", "object", "created",
                       "model", "mime_type", "media_type", "modality", "encoding", "format"})  # fmt: skip


def is_masked(text: str) -> bool:
    """Whether a text is nothing but a redaction marker."""
    return len(text) <= 120 and _MARKER.fullmatch(text) is not None


def count(text: str, model: str = "", tokenizer: str | None = None) -> int:
    """Tokens of a plain text for a model (see the module's text for how exact that is)."""
    if not text:
        return 0
    counter = _counter(
        "cl100k_base" if tokenizer != "claude" and _CL100K.match(model.rsplit("/", 1)[-1]) else "o200k_base"
    )
    if len(text) <= MAX_COUNTED:
        return counter(text)
    return round(counter(text[:MAX_COUNTED]) * len(text) / MAX_COUNTED)


class Content(msgspec.Struct):
    """What a payload holds for counting."""

    texts: list[str]
    messages: int  #: chat messages found
    masked: int  #: texts that are redaction markers

    @property
    def withheld(self) -> bool:
        """There is nothing to count: no text, or only markers."""
        return not any(self.texts)


def content(payload: str | None) -> Content:
    """The texts of an input or output (JSON text), without roles, ids and binary data."""
    found = Content(texts=[], messages=0, masked=0)
    if payload is None or payload in ("null", '""', "[]", "{}"):
        return found
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        value = payload
    for text in _texts(value, found, 0):
        if is_masked(text):
            found.masked += 1
        else:
            found.texts.append(text)
    return found


def _texts(value: Any, found: Content, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if value and not value.startswith(("data:", "@@@langfuseMedia:")):
            yield value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)
    elif depth > 40:
        return
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, found, depth + 1)
    elif isinstance(value, dict):
        if "role" in value:
            found.messages += 1
        binary = value.get("type") in ("blob", "image", "audio", "input_audio", "file", "image_url", "base64")
        for key, item in value.items():
            if key not in _NOT_TEXT and not (binary and key in ("data", "content", "url", "image_url", "input_audio")):
                yield from _texts(item, found, depth + 1)


def count_content(found: Content, model: str = "", tokenizer: str | None = None, *, reply: bool = False) -> int:
    """Tokens of a payload, with what the chat format adds (not for replies)."""
    tokens = sum(count(text, model, tokenizer) for text in found.texts)
    if found.messages and not reply:
        tokens += found.messages * PER_MESSAGE + PER_REPLY
    return tokens


_lock = threading.Lock()


@lru_cache(maxsize=4)
def _exact(encoding: str) -> Counter | None:
    try:
        from bpe_openai import _bindings as backend  # pyright: ignore
    except ImportError:
        return None
    return backend.tokenizer_for_encoding(encoding).count  # type: ignore[no-any-return]


def _counter(encoding: str) -> Counter:
    with _lock:
        return _exact(encoding) or estimate


# --- the estimate ----------------------------------------------------------------------------------------------------
# A linear model over what a byte-pair tokenizer splits first (words, digits, punctuation, line ends, scripts), fitted by
# non-negative least squares to o200k_base over 2,000 texts: source code, documentation, JSON, HTML, prose in 20 languages.

_WORD = re.compile(r"[A-Za-z]+")
_DIGITS = re.compile(r"[0-9]+")
_HUMP = re.compile(r"[a-z][A-Z]")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]+")
_SPACE = re.compile(r"\s{2,}|\n")
#: Tokens per word by its length; longer words cost ``_LONG`` per letter.
_BY_LENGTH = [0.0] + [0.71] * 4 + [1.25] * 3 + [1.59] * 3 + [1.63] * 4
_LONG = 0.11
_PER_HUMP, _PER_DIGITS, _PER_PUNCTUATION, _PER_MARK, _PER_SPACE = 0.87, 1.51, 0.63, 0.08, 1.31
#: Other scripts: characters, tokens per character, tokens per run of characters.
_SCRIPTS: tuple[tuple[re.Pattern[str], float, float], ...] = tuple(
    (re.compile(f"[{characters}]+"), per_character, per_run)
    for characters, per_character, per_run in (
        ("\u00c0-\u00ff", 0.0, 0.6),  # Western European letters, on top of the word around them
        ("\u0100-\u024f", 1.34, 0.0),  # Central European letters
        ("\u1e00-\u1eff", 0.0, 0.0),  # Vietnamese letters: already in the words around them
        ("\u0370-\u03ff", 0.38, 0.24),  # Greek
        ("\u0400-\u052f", 0.3, 0.15),  # Cyrillic
        ("\u0530-\u058f\u10a0-\u10ff", 0.51, 0.0),  # Armenian, Georgian
        ("\u0590-\u05ff", 0.41, 0.85),  # Hebrew
        ("\u0600-\u06ff\u0750-\u077f", 0.37, 0.0),  # Arabic, Persian
        ("\u0900-\u0dff", 0.4, 0.0),  # Indic
        ("\u0e00-\u0eff", 0.53, 0.0),  # Thai, Lao
        ("\u3040-\u30ff", 0.75, 0.0),  # Kana
        ("\u3400-\u9fff\uf900-\ufaff", 0.7, 0.0),  # Han
        ("\uac00-\ud7af\u1100-\u11ff", 0.62, 0.0),  # Hangul
        ("\u2000-\u2bff\u3000-\u303f\uff00-\uffef\U0001f000-\U0001faff", 1.0, 0.0),  # symbols, wide punctuation, emoji
    )
)


def estimate(text: str) -> int:
    """Tokens of a text without a vocabulary; at least 1 for a text that is not empty."""
    if not text:
        return 0
    lengths = Lengths(map(len, _WORD.findall(text)))
    total = sum(n * (_BY_LENGTH[size] if size < len(_BY_LENGTH) else _LONG * size) for size, n in lengths.items())
    total += _PER_HUMP * len(_HUMP.findall(text))
    total += _PER_DIGITS * sum((len(run) + 2) // 3 for run in _DIGITS.findall(text))
    marks = _PUNCTUATION.findall(text)
    total += _PER_PUNCTUATION * len(marks) + _PER_MARK * sum(map(len, marks))
    total += _PER_SPACE * len(_SPACE.findall(text))
    if not text.isascii():
        for pattern, per_character, per_run in _SCRIPTS:
            runs = pattern.findall(text)
            if runs:
                total += per_run * len(runs) + per_character * sum(map(len, runs))
    return max(1, round(total))
