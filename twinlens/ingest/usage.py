"""Token counts and costs in the shapes clients send them, as canonical disjoint keys.

Most reports are *inclusive*: ``input`` counts cached tokens too, ``output`` counts reasoning. Stored keys are *disjoint*, so
that each can have its own price and their sum is the total (reference: Langfuse's usage details, OpenAI's
``*_tokens_details``, OTel ``gen_ai.usage.*``, all of which include the parts in the totals).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_SIDES = frozenset({"input", "output", "total"})
#: Counts above this are nonsense and would not fit the store.
MAX_TOKENS = 1 << 53

#: Nested detail objects of OpenAI's two spellings, and the side they detail.
_DETAILS = {
    "prompt_tokens_details": "input", "completion_tokens_details": "output",
    "input_tokens_details": "input", "output_tokens_details": "output",
    "input_token_details": "input", "output_token_details": "output",
}  # fmt: skip
_OPENAI_TOTALS = {
    "prompt_tokens": "input", "input_tokens": "input", "completion_tokens": "output", "output_tokens": "output",
    "total_tokens": "total",
}  # fmt: skip
#: Langfuse 2's first usage object.
_LEGACY_TOTALS = {"promptTokens": "input", "completionTokens": "output", "totalTokens": "total"}
#: Flat names of parts beside inclusive totals, as Anthropic, LangChain and MLflow spell them.
_FLAT_PARTS = {
    "cache_read_input_tokens": "input_cached_tokens",
    "cached_input_tokens": "input_cached_tokens",
    "cache_creation_input_tokens": "input_cache_creation",
    "cache_creation_input_tokens_above_1hr": "input_cache_creation_1h",
    "reasoning_tokens": "output_reasoning_tokens",
    "reasoning_output_tokens": "output_reasoning_tokens",
}
_DETAIL_NAMES = {"cache_read": "input_cached_tokens", "cache_creation": "input_cache_creation"}


def tokens(value: Any) -> int | None:
    """A token count, also as float or text; None for anything that is not one (negative, NaN, boolean)."""
    if type(value) is int:
        return value if 0 <= value <= MAX_TOKENS else None
    number = amount(value)
    return round(number) if number is not None and number <= MAX_TOKENS else None


def amount(value: Any) -> float | None:
    """A finite number that is not negative, also as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            return None
    if isinstance(value, int):
        return float(value) if 0 <= value <= MAX_TOKENS else None
    return value if isinstance(value, float) and math.isfinite(value) and value >= 0 else None


def disjoint(inclusive: dict[str, int]) -> dict[str, int]:
    """Split inclusive ``input``/``output`` so that no token is counted in two keys; changes and returns its argument.

    Keys that begin with ``input_`` or ``output_`` are parts of that side. Parts that together exceed their side cannot be included in it (some senders report Anthropic's raw numbers): then the
    side is left alone. A missing total becomes the sum. A client's total is kept unless it is smaller than the sum.
    """
    total = inclusive.pop("total", None)
    if not inclusive.keys() <= _SIDES:
        for side in ("input", "output"):
            whole = inclusive.get(side)
            if whole:
                parts = sum(
                    count for key, count in inclusive.items() if _FLAT_PARTS.get(key, key).startswith(side + "_")
                )
                if parts <= whole:
                    inclusive[side] = whole - parts
    known = sum(inclusive.values())
    if total is None or (known and total < known):
        total = known
    if inclusive or total:
        inclusive["total"] = total
    return inclusive


def from_mapping(reported: Mapping[str, Any], *, flat_included: bool = False) -> dict[str, int]:
    """Usage from a JSON object: OpenAI's chat or responses shape, MLflow's, Langfuse's own keys or its legacy ones.

    Keys of Langfuse's free form are kept as they are (clients read them back), with ``total`` added.

    Args:
        reported: what the client sent.
        flat_included: whether flat parts such as ``cache_read_input_tokens`` are contained in ``input_tokens`` (MLflow) or
            stand beside it (Anthropic's own report, which Langfuse users pass on).
    """
    names = _LEGACY_TOTALS if any(k in reported for k in _LEGACY_TOTALS) else _OPENAI_TOTALS
    if any(k in reported for k in names) and not ("input" in reported or "output" in reported):
        found = _inclusive(reported, names)
        if not flat_included and any(k in reported for k in _FLAT_PARTS if k.startswith("cache")):
            total = found.pop("total", None)
            found["total"] = max(total or 0, sum(found.values()))
            return found
        return disjoint(found)
    free: dict[str, int] = {}
    for key, value in reported.items():
        count = tokens(value)
        if count is not None:
            free[key] = count
    if free and "total" not in free:
        free["total"] = sum(free.values())
    elif any(free[k] for k in free.keys() - _SIDES) and free["total"] == free.get("input", 0) + free.get("output", 0):
        return disjoint(free)  # some clients send inclusive sides with their parts (LiteLLM; Langfuse issue 12306)
    return free


def _inclusive(reported: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, value in reported.items():
        if key in _DETAILS:
            if isinstance(value, Mapping):
                side = _DETAILS[key]
                for detail, inner in value.items():
                    count = tokens(inner)
                    if count:
                        found[_detail_name(side, str(detail))] = count
            continue
        count = tokens(value)
        if count is None:
            continue
        target = names.get(key) or _FLAT_PARTS.get(key)
        if target is None:
            found[key] = count
        elif target in _SIDES or count:
            found[target] = count
    one_hour = found.get("input_cache_creation_1h")
    if one_hour and found.get("input_cache_creation", 0) >= one_hour:  # MLflow: the one-hour part is within the whole
        found["input_cache_creation"] -= one_hour
    return _fold(found)


def _detail_name(side: str, detail: str) -> str:
    """``cached_tokens`` of the input side is ``input_cached_tokens``; text tokens are what remains on the side."""
    return _DETAIL_NAMES.get(detail) or f"{side}_{detail}"


def _fold(found: dict[str, int]) -> dict[str, int]:
    """Text tokens are the remainder of a side and predictions are part of the output; neither has a class of its own."""
    for key in ("input_text_tokens", "output_text_tokens"):
        found.pop(key, None)
    for key in ("output_accepted_prediction_tokens", "output_rejected_prediction_tokens"):
        found.pop(key, None)
    return found


def from_slots(slots: dict[str, int]) -> dict[str, int]:
    """Usage from single attributes whose canonical target is known; zero parts are dropped.

    ``input_uncached`` is an input that leaves out its cached parts, as Anthropic counts.
    """
    uncached = slots.pop("input_uncached", None)
    if uncached is not None:
        parts = sum(count for key, count in slots.items() if key.startswith("input_"))
        slots["input"] = uncached + parts
    return disjoint({k: v for k, v in slots.items() if v or k in _SIDES})


def cost_from_mapping(reported: Mapping[str, Any]) -> dict[str, float]:
    """Cost in USD from a client's JSON object; ``total`` is the client's, else the sum.

    Negative and non-finite values are dropped. Reference: Langfuse ``cost_details``; MLflow ``mlflow.llm.cost``.
    """
    found: dict[str, float] = {}
    for key, value in reported.items():
        number = amount(value)
        if number is not None:
            found[_COST_NAMES.get(key, key)] = number
    return with_total(found)


_COST_NAMES = {
    "input_cost": "input", "output_cost": "output", "total_cost": "total",
    "inputCost": "input", "outputCost": "output", "totalCost": "total",
    "prompt": "input", "completion": "output",
}  # fmt: skip


def with_total(cost: dict[str, float]) -> dict[str, float]:
    """Add the total to a cost dict; changes and returns its argument."""
    if cost and "total" not in cost:
        cost["total"] = sum(cost.values())
    return cost


#: Spellings of usage keys that mean the same class; the first is canonical.
_ALIASES: tuple[tuple[str, ...], ...] = (
    ("input", "input_tokens", "prompt_tokens", "input_text_tokens", "input_text"),
    ("output", "output_tokens", "completion_tokens", "output_text_tokens", "output_text"),
    ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "cached_tokens", "cache_read"),
    ("input_cache_creation", "cache_creation_input_tokens", "input_cache_write", "cache_creation", "cache_write"),
    ("input_cache_creation_5m", "input_cache_creation_5m_tokens", "cache_creation_5m_input_tokens", "ephemeral_5m_input_tokens"),
    ("input_cache_creation_1h", "input_cache_creation_1h_tokens", "cache_creation_1h_input_tokens", "ephemeral_1h_input_tokens"),
    ("input_audio_tokens", "input_audio"), ("input_image_tokens", "input_image"), ("input_video_tokens", "input_video"),
    ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens", "reasoning"),
    ("output_audio_tokens", "output_audio"), ("output_image_tokens", "output_image"),
    ("web_searches", "web_search_requests", "web_search"),
)  # fmt: skip
CANONICAL = {alias: names[0] for names in _ALIASES for alias in names}
SPELLINGS = {names[0]: names for names in _ALIASES}
