"""Agreement, against published worked examples and its own laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.features.agreement import Unit, agreement, cohen_kappa, krippendorff_alpha

#: Krippendorff 2011, section C: four observers, twelve units, ratings missing.
RATINGS = {
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}


def units() -> list[Unit]:
    rows = {rater: text.split() for rater, text in RATINGS.items()}
    return [{r: float(row[n]) for r, row in rows.items() if row[n] != "."} for n in range(12)]


def test_alpha_of_the_published_example() -> None:
    assert krippendorff_alpha(units(), interval=False) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(units(), interval=True) == pytest.approx(0.849, abs=5e-4)
    found = agreement(units(), numeric=True)
    assert (found.raters, found.units, found.kappa, found.correlation) == (4, 11, None, None)


def test_kappa_of_a_textbook_table() -> None:
    table = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert cohen_kappa(table) == pytest.approx(0.4)
    found = agreement([{"a": a, "b": b} for a, b in table], numeric=False)
    assert (found.percent, found.kappa) == (0.7, pytest.approx(0.4))


def test_what_is_not_defined_is_none() -> None:
    same = agreement([{"a": "x", "b": "x"}] * 3, numeric=False)
    assert (same.percent, same.kappa, same.alpha) == (1.0, None, None)
    alone = agreement([{"a": 1.0}, {"b": 2.0}], numeric=True)
    assert (alone.raters, alone.units, alone.percent, alone.alpha) == (2, 0, None, None)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y", "z"]), max_size=3), max_size=12))
def test_laws(found: list[Unit]) -> None:
    measured = agreement(found, numeric=False)
    renamed = agreement(
        [{r: {"x": "p", "y": "q", "z": "r"}[str(v)] for r, v in u.items()} for u in found], numeric=False
    )
    assert measured == renamed
    for value in (measured.alpha, measured.kappa):
        assert value is None or -1.0 - 1e-9 <= value <= 1.0 + 1e-9 or value is measured.alpha
    if measured.percent == 1.0:
        assert measured.alpha in (None, 1.0)
