"""Bodies that parse only where they were written."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from twinlens.domain.json_body import mended
from twinlens.ingest.dialects.rule import decoded, json_text

PARTS = [*'aN"\\u/', "d83d", "NaN", "\ud83d", "\ude00", "😀", "\\ud83d"]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=8).map("".join)
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.floats() | st.integers(), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)  # fmt: skip


def whole(value: Any) -> Any:
    """What is left of a value where half characters and numbers that are none cannot be said."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [whole(one) for one in value]
    return {whole(k): whole(v) for k, v in value.items()} if isinstance(value, dict) else value


@given(VALUES)
def test_what_can_be_said_is_kept(value: Any) -> None:
    text = json.dumps(value)
    again = mended(text.encode())
    assert json.loads(again) == whole(value)
    if "\\ud" not in text and "NaN" not in text and "Infinity" not in text:
        assert again == text.encode()


def test_json_inside_an_attribute_is_read_all_the_same() -> None:
    assert json_text('{"a":"x\\ud83d","b":NaN}') == '{"a":"x\\ufffd","b":null}'
    assert decoded('{"a":"x\\ud83d","b":NaN}') == {"a": "x�", "b": None}
    assert json_text('{"a": NaN, broken') == json.dumps('{"a": NaN, broken')
