"""Whom a comment mentions."""

from __future__ import annotations

from twinlens.features.comments import mentions

PEOPLE = ["Ada Lovelace", "Ada", "bob@example.com"]


def test_names_with_spaces_and_addresses_are_found_whatever_the_case() -> None:
    assert mentions("ask @ada lovelace", PEOPLE) == ["Ada Lovelace", "Ada"]
    assert mentions("(@Ada): see @bob@example.com.", PEOPLE) == ["Ada", "bob@example.com"]


def test_parts_of_words_are_no_mention() -> None:
    assert mentions("mail x@ada, @adamant, Ada", PEOPLE) == []
