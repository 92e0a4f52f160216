"""Folding: one spelling for what reads the same, and nothing else changed."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.filters.folding import TO_FOLD, fold, fold_character, partly_folded

# What matters here is seldom in a text of hypothesis.
INTERESTING = " \n\t\r\u00a0\u00ad\u200b\u2019\u2011\u0301\u0316e\u1100\u1161\u11a8\ufb01\u3099か"
TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(INTERESTING)))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("plain text, as it is.", "plain text, as it is."),
        ("a\u00adb\u200bc\u2060d\ufeffe\u202ef\u0000g", "abcdefg"),
        ("a \n\n\t b\u2028c\u3000d", "a b c d"),
        ("\u2018a\u2019 \u201cb\u201d \u00abc\u00bb \u201ed\u201f \u00b4", '\'a\' "b" "c" "d" \''),
        ("a\u2010b\u2011c\u2013d\u2212e\u2014f", "a-b-c-d-e\u2014f"),
        ("\uff29\uff30\uff2f \ufb01 \u2026 \u2122", "IPO fi ... TM"),
        ("e\u0301 e\u200b\u0301", "\u00e9 \u00e9"),
        ("\ufdfa", "\ufdfa"),
        ("\u0391\u0300", "\u1fba"),
    ],
)
def test_a_text_is_folded_to_one_spelling(text: str, folded: str) -> None:
    """NFKC, without invisible characters, with one kind of blank, quote and hyphen. A ligature of
    many letters stays, so that no text grows without bound."""
    assert fold(text) == folded


@given(TEXTS)
def test_folding_twice_changes_nothing(text: str) -> None:
    """A fold is its own fold."""
    assert fold(fold(text)) == fold(text)


@given(TEXTS)
def test_a_text_without_what_is_to_fold_is_its_own_fold(text: str) -> None:
    """So that a set of rules need not fold it; and what is folded for little is never wrong."""
    partly = partly_folded(text)

    assert fold(partly) == fold(text)
    if re.search(TO_FOLD, partly) is None:
        assert partly == fold(text)


def test_all_characters_that_are_said_to_be_usual_are_their_own_fold() -> None:
    """Alone, and beside others: none composes with the one before it."""
    everything = [chr(code) for code in range(sys.maxunicode + 1)]
    usual = [character for character in everything if re.search(TO_FOLD, character) is None]
    second = {
        chr(int(parts.split()[1], 16))
        for parts in map(unicodedata.decomposition, everything)
        if not parts.startswith("<") and " " in parts
    }

    assert len(usual) > 40_000
    assert [character for character in usual if fold_character(character) != character] == []
    assert not second.intersection(usual)
    assert not any(map(unicodedata.combining, usual))


def test_marks_in_a_row_are_limited() -> None:
    """As in Unicode's stream-safe format: to put them in order costs the square of their number."""
    assert len(fold("a" + "\u0316\u0301" * 1_000)) <= 31
    assert fold("a\u0301\u0316" * 40) == unicodedata.normalize("NFC", "a\u0301\u0316" * 40)
