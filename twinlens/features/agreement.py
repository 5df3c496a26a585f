"""How far people agree who judged the same things.

A *unit* is one thing judged: value by rater. Units that fewer than two raters judged say nothing and are left out.

* percent agreement: share of equal pairs among all pairs of ratings of one unit.
* Cohen's kappa (J. Cohen, "A coefficient of agreement for nominal scales", 1960): two raters, ``(po - pe) / (1 - pe)``, where
  ``po`` is the observed agreement and ``pe`` the one expected from both raters' own frequencies.
* Krippendorff's alpha (K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011): any number of raters, ratings
  may be missing; ``1 - Do / De`` over pairs, with the difference function of nominal (equal or not) or interval data (squared
  distance).
* Pearson's correlation: two raters, numbers.

A measure is None where it is not defined: too few units, or everybody always gave the same value, so that chance is all there is.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import msgspec

Unit = dict[str, float | str]


class Agreement(msgspec.Struct, kw_only=True):
    """Agreement on one question. ``kappa`` and ``correlation`` only where exactly two raters overlap."""

    raters: int
    units: int  #: judged by two people or more
    percent: float | None = None
    kappa: float | None = None
    alpha: float | None = None
    correlation: float | None = None


def agreement(units: Sequence[Unit], *, numeric: bool) -> Agreement:
    """All measures that apply to the units of one question.

    Args:
        units: value by rater, one dict for each thing judged.
        numeric: the values are numbers and near ones agree more than far ones; else they are names.
    """
    shared = [unit for unit in units if len(unit) > 1]
    raters = sorted({rater for unit in shared for rater in unit})
    found = Agreement(raters=len({rater for unit in units for rater in unit}), units=len(shared))
    if not shared:
        return found
    found.alpha = krippendorff_alpha(shared, interval=numeric)
    pairs = [(a, b) for unit in shared for a, b in combinations(unit.values(), 2)]
    found.percent = sum(a == b for a, b in pairs) / len(pairs)
    if len(raters) == 2:
        rated = [(unit[raters[0]], unit[raters[1]]) for unit in shared]
        if numeric:
            found.correlation = correlation([(float(a), float(b)) for a, b in rated])
        else:
            found.kappa = cohen_kappa(rated)
    return found


def cohen_kappa(pairs: Sequence[tuple[float | str, float | str]]) -> float | None:
    """Kappa of two raters who both rated every unit."""
    total = len(pairs)
    if not total:
        return None
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    observed = sum(a == b for a, b in pairs) / total
    expected = sum(first[value] * second[value] for value in first) / total**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def krippendorff_alpha(units: Sequence[Unit], *, interval: bool) -> float | None:
    """Alpha over units with two ratings or more."""

    def distance(a: float | str, b: float | str) -> float:
        return (float(a) - float(b)) ** 2 if interval else float(a != b)

    totals: Counter[float | str] = Counter()
    observed = 0.0
    for unit in units:
        counts = Counter(unit.values())
        if counts.total() < 2:
            continue
        totals.update(counts)
        apart = sum(counts[a] * counts[b] * distance(a, b) for a, b in combinations(counts, 2))
        observed += 2 * apart / (counts.total() - 1)
    ratings = totals.total()
    expected = 2 * sum(totals[a] * totals[b] * distance(a, b) for a, b in combinations(totals, 2))
    return None if not expected else 1 - (ratings - 1) * observed / expected


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Pearson's r; None for fewer than two pairs or a rater without variation."""
    try:
        return statistics.correlation([a for a, _ in pairs], [b for _, b in pairs])
    except statistics.StatisticsError:
        return None
