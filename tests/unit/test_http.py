"""Bodies: decompression within limits, nesting, and what becomes of errors."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.domain.errors import Busy, InvalidArgument, NotFound, StoreUnavailable, TooLarge
from twinlens.faces.http import check_nesting, decode_json, decompress, problem

TEXT = b"hello " * 1_000


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (gzip.compress(TEXT[:10], mtime=0) + gzip.compress(TEXT[10:], mtime=0), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (zlib.compress(TEXT)[2:-4], "deflate"),
    ],
    ids=["gzip", "gzip of two members", "deflate", "deflate without header"],  # gzip holds the time: no stable id
)
def test_decompress(raw: bytes, encoding: str) -> None:
    assert decompress(raw, encoding, 10_000) == TEXT
    with pytest.raises(TooLarge):
        decompress(raw, encoding, len(TEXT) - 1)
    with pytest.raises(InvalidArgument):
        decompress(raw[:-9] if encoding == "gzip" else raw[: len(raw) // 2], encoding, 10_000)
    with pytest.raises(InvalidArgument):
        decompress(b"\x00garbage", encoding, 10_000)


def test_bombs_cost_no_memory() -> None:
    bomb = zlib.compress(b"\0" * 100_000_000)
    tracemalloc.start()
    with pytest.raises(TooLarge):
        decompress(bomb, "deflate", 1_000_000)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


_VALUES = st.recursive(
    st.none() | st.text(alphabet='[]{}"\\a'),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[]{}"\\b', max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(_VALUES, st.integers(1, 8))
def test_nesting_is_counted_exactly(value: object, limit: int) -> None:
    raw = json.dumps(value).encode()
    if _depth(value) <= limit:
        check_nesting(raw, limit)
    else:
        with pytest.raises(InvalidArgument):
            check_nesting(raw, limit)


@pytest.mark.parametrize(
    "raw", [b"[" * 5_000_000, b'"' * 1_000_000 + b"[" * 200, b'{"a":"\\"' * 300_000, b"[]" * 1_000_000]
)
def test_nesting_of_hostile_bodies_is_judged_in_linear_time(raw: bytes) -> None:
    """A quadratic scan of these would take hours."""
    with contextlib.suppress(InvalidArgument):
        check_nesting(raw, 100)


def test_decode_json_says_what_is_wrong() -> None:
    assert decode_json(b'{"a":[1]}', dict) == {"a": [1]}
    for raw in (b"", b"{", b"\xff", b"[" * 200 + b"]" * 200, b"[1]"):
        with pytest.raises(InvalidArgument):
            decode_json(raw, dict)


def test_problem_reads_errors() -> None:
    assert problem(NotFound("gone"))[:3] == (404, "gone", {})
    assert problem(Busy("full", 0.2))[0:3:2] == (429, {"Retry-After": "1"})
    assert problem(StoreUnavailable("no", 4.2))[0:3:2] == (503, {"Retry-After": "5"})
    assert problem(OSError(errno.ENOSPC, "No space left on device")).status == 503
    found = problem(RuntimeError("secret detail"))
    assert found.status == 500
    assert "secret" not in found.message
