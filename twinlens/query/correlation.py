"""How strongly two conditions on the same things go together: normalised pointwise mutual information (NPMI).

1: they always meet; 0: independent; -1: they never meet. NaN: one of them holds nowhere, so there is nothing to say.
"""

from __future__ import annotations

import math

#: Added to each cell of the 2 × 2 table (Jeffreys' prior): keeps few observations from saying "always" or "never".
PRIOR = 0.5


def npmi(both: int, first: int, second: int, total: int, *, smoothed: bool = False) -> float:
    """NPMI from counts.

    Args:
        both: things for which both conditions hold.
        first, second: things for which each holds.
        total: all things.
        smoothed: with ``PRIOR``.
    """
    neither = total - first - second + both
    if not first or not second or min(both, first - both, second - both, neither) < 0:
        return math.nan
    if both == total:
        return 1.0
    prior = PRIOR if smoothed else 0.0
    joint = both + prior
    if joint == 0:
        return -1.0
    everything = total + 4 * prior
    surprise = -math.log(joint / everything)
    expected = (first + 2 * prior) * (second + 2 * prior)
    return max(-1.0, min(1.0, math.log(joint * everything / expected) / surprise))
