"""Previews (twinlens.domain.preview)."""

from __future__ import annotations

import json

import pytest

from twinlens.domain.preview import PREVIEW, preview

LONG = "x" * 1000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        (LONG, "x" * PREVIEW),
        ({"a": 1}, '{"a": 1}'),
        ([{"role": "system", "content": LONG}, {"role": "user", "content": "why?"}, {"role": "assistant", "content": "so"}], "why?"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url"}]}], "model": "m"}, "look"),
        ([{"role": "user", "parts": [{"type": "text", "content": "hello there, who are you?"}]}], "hello there, who are you?"),
        ({"role": "assistant", "content": "the answer to the question was long enough"}, "the answer to the question was long enough"),
        ({"choices": [{"message": {"role": "assistant", "content": "from a response object"}}]}, "from a response object"),
        ([], None),
        ({}, None),
        (None, None),
        ("", None),
    ],
)  # fmt: skip
def test_preview(value: object, expected: str | None) -> None:
    assert preview(json.dumps(value)) == expected


def test_broken_json_is_shown_as_it_is() -> None:
    assert preview("[not json" + "!" * 80) == "[not json" + "!" * 80
    assert preview(None) is None
