"""Token counts in client shapes become disjoint keys whose sum is the total."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.ingest.usage import amount, cost_from_mapping, disjoint, from_mapping, from_slots, tokens

OPENAI = {
    "prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 10, "accepted_prediction_tokens": 2, "rejected_prediction_tokens": 0},
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "count"),
    [(5, 5), (5.0, 5), ("5", 5), (" 7 ", 7), (0, 0), (-1, None), (True, None), (None, None), ("x", None),
     (float("nan"), None), (float("inf"), None), ("NaN", None), (1 << 60, None), ([], None), ("-3", None)],
)  # fmt: skip
def test_tokens(value: Any, count: int | None) -> None:
    assert tokens(value) == count


def test_amount_refuses_what_is_no_money() -> None:
    assert [amount(x) for x in (0.5, "0.5", 0, -0.1, float("nan"), True, None)] == [
        0.5,
        0.5,
        0.0,
        None,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (OPENAI, {"input": 56, "output": 20, "input_cached_tokens": 64, "output_reasoning_tokens": 10, "total": 150}),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": None, "completion_tokens_details": {"reasoning_tokens": None}},
            {"input": 9, "output": 1, "total": 10},
        ),
        (
            {"input_tokens": 9, "output_tokens": "4", "total_tokens": 13, "output_tokens_details": {"reasoning_tokens": 3},
             "input_tokens_details": {"cached_tokens": 8, "text_tokens": 1}},
            {"input": 1, "output": 1, "output_reasoning_tokens": 3, "input_cached_tokens": 8, "total": 13},
        ),
        # LangChain's usage_metadata
        (
            {"input_tokens": 9, "output_tokens": 4, "input_token_details": {"cache_read": 5, "cache_creation": 1}},
            {"input": 3, "output": 4, "input_cached_tokens": 5, "input_cache_creation": 1, "total": 13},
        ),
        # Anthropic's own report: the parts stand beside the input
        (
            {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0},
            {"input": 9, "output": 4, "input_cached_tokens": 100, "total": 113},
        ),
        # Langfuse's own keys stay as they are
        ({"input": 10, "output": 5, "cache_read_input_tokens": 3}, {"input": 10, "output": 5, "cache_read_input_tokens": 3, "total": 18}),
        ({"input": 10, "output": 5, "custom": 1, "bad": -1, "worse": "x"}, {"input": 10, "output": 5, "custom": 1, "total": 16}),
        ({"input": 10, "output": 5, "total": 20}, {"input": 10, "output": 5, "total": 20}),
        # inclusive sides under Langfuse's keys: the total gives them away
        ({"input": 10, "output": 5, "input_cached_tokens": 4, "total": 15}, {"input": 6, "output": 5, "input_cached_tokens": 4, "total": 15}),
        ({"promptTokens": 10, "completionTokens": 5, "totalTokens": 15}, {"input": 10, "output": 5, "total": 15}),
        ({"total": 7}, {"total": 7}),
        ({"total_tokens": 7}, {"total": 7}),
        ({}, {}),
        ({"unit": "TOKENS"}, {}),
    ],
)  # fmt: skip
def test_from_mapping(reported: dict[str, Any], expected: dict[str, int]) -> None:
    assert from_mapping(reported) == expected


def test_mlflow_parts_are_included_in_the_input() -> None:
    reported = {
        "input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050, "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 200, "cache_creation_input_tokens_above_1hr": 150,
    }  # fmt: skip
    assert from_mapping(reported, flat_included=True) == {
        "input": 200, "output": 50, "input_cached_tokens": 600, "input_cache_creation": 50, "input_cache_creation_1h": 150,
        "total": 1050,
    }  # fmt: skip


def test_parts_larger_than_their_side_cannot_be_inside_it() -> None:
    assert disjoint({"input": 9, "input_cached_tokens": 100, "output": 1}) == {
        "input": 9, "input_cached_tokens": 100, "output": 1, "total": 110,
    }  # fmt: skip


sides = st.integers(0, 10**6)


@given(
    sides,
    sides,
    st.dictionaries(
        st.sampled_from(
            [
                "input_cached_tokens",
                "input_cache_creation",
                "input_audio_tokens",
                "output_reasoning_tokens",
                "output_audio_tokens",
            ]
        ),
        sides,
    ),
    st.booleans(),
)
def test_disjoint_keys_sum_to_the_total(given_input: int, given_output: int, parts: dict[str, int], said: bool) -> None:
    inside = all(
        sum(n for k, n in parts.items() if k.startswith(side)) <= whole
        for side, whole in (("input", given_input), ("output", given_output))
    )
    slots = {"input": given_input, "output": given_output, **parts}
    if said:
        slots["total"] = given_input + given_output
    found = from_slots(dict(slots))
    total = found.pop("total")
    assert sum(found.values()) == total
    if inside:
        assert total == given_input + given_output
    assert all(n >= 0 for n in found.values())


json_like = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    lambda v: (
        st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens", "text_tokens", "x"]), v, max_size=3)
        | st.lists(v, max_size=2)
    ),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *OPENAI,
                "input",
                "output",
                "total",
                "input_tokens",
                "output_tokens",
                "cache_read_input_tokens",
                "promptTokens",
                "y",
            ]
        ),
        json_like,
    ),
    st.booleans(),
)
def test_whatever_clients_send_gives_counts(reported: dict[str, Any], included: bool) -> None:
    found = from_mapping(reported, flat_included=included)
    assert all(isinstance(n, int) and n >= 0 for n in found.values())
    assert not found or "total" in found
    cost = cost_from_mapping(reported)
    assert all(usd >= 0 for usd in cost.values())


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"input": 0.1, "output": 0.2}, {"input": 0.1, "output": 0.2, "total": 0.30000000000000004}),
        ({"input": -1, "output": "NaN", "total": 0.5}, {"total": 0.5}),
        ({"input_cost": 1, "output_cost": "2", "total_cost": 3.5}, {"input": 1.0, "output": 2.0, "total": 3.5}),
        ({}, {}),
    ],
)
def test_cost_from_mapping(reported: dict[str, Any], expected: dict[str, float]) -> None:
    assert cost_from_mapping(reported) == expected
