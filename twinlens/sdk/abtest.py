"""A/B tests: the same unit always gets the same variant, in every process and without a server; traces say which."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace

from twinlens.sdk import runtime
from twinlens.sdk.observation import trace_attributes


@dataclass(frozen=True, slots=True)
class Variant:
    """What a unit was given. ``config`` is the variant's own, as the playbook writes it."""

    name: str
    config: dict[str, Any] = field(default_factory=dict[str, Any])


def assign(
    test: str, unit: str, variants: Sequence[str] | Mapping[str, float] | None = None, *, expose: bool = True
) -> Variant:
    """Choose the variant of a unit.

    The first 8 bytes of SHA-256 over ``test:unit``, as a fraction of 2^64, fall into one of the shares laid end to end in the
    order of the variants. So a unit keeps its variant for as long as names, order and shares stay the same.

    Args:
        test: name of the test.
        unit: who or what is assigned: a user, a session, a document.
        variants: names (equal shares) or name -> share; by default those of ``ab_testing:`` in the playbook.
        expose: record on the current trace that the unit has now met its variant.

    Raises:
        ValueError: there are no variants, or shares that are negative or all zero.
    """
    configs: dict[str, dict[str, Any]] = {}
    if variants is None:
        configs = runtime.current().block.variants
        shares = dict.fromkeys(configs, 1.0)
    elif isinstance(variants, Mapping):
        shares = {str(name): float(share) for name, share in variants.items()}
    else:
        shares = dict.fromkeys(map(str, variants), 1.0)
    total = sum(shares.values())
    if total <= 0 or any(share < 0 for share in shares.values()):
        raise ValueError("variants must be names, or names with shares above 0")
    point = int.from_bytes(hashlib.sha256(f"{test}:{unit}".encode()).digest()[:8], "big") / 2**64 * total
    chosen = [name for name, share in shares.items() if share > 0][-1]
    for name, share in shares.items():
        if point < share:
            chosen = name
            break
        point -= share
    if expose:
        record(test, unit, chosen)
    return Variant(chosen, configs.get(chosen, {}))


def record(test: str, unit: str, variant: str) -> None:
    """Write an exposure on the current span: metadata ``abtest.<test>`` of its trace, and who it was."""
    span = trace.get_current_span()
    if span.is_recording():
        said = {f"abtest.{test}": variant, f"abtest.{test}.unit": str(unit)}
        span.set_attributes(trace_attributes(metadata=said) | {f"twinlens.abtest.{test}": variant})
