"""Sealed secrets open with the right key at the right place only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.domain.errors import InvalidState
from twinlens.store.secrets import Sealer


@given(st.text(), st.text(max_size=20))
def test_what_was_sealed_opens(secret: str, place: str) -> None:
    assert Sealer("key").open(Sealer("key").seal(secret, place), place) == secret


def test_nothing_shows_and_nothing_repeats() -> None:
    first, second = (Sealer("key").seal("sk-1234567890", "webhook/1") for _ in range(2))
    assert "1234567890" not in first
    assert first != second


@pytest.mark.parametrize(
    ("key", "place", "damage"),
    [("other", "webhook/1", ""), ("key", "webhook/2", ""), ("key", "webhook/1", "A"), ("key", "webhook/1", "v2.")],
)
def test_other_key_place_or_text_is_refused(key: str, place: str, damage: str) -> None:
    sealed = Sealer("key").seal("sk-1234567890", "webhook/1")
    with pytest.raises(InvalidState, match="enter the secret again"):
        Sealer(key).open(damage + sealed if damage else sealed, place)
