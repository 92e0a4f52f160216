"""Folding by arrays and folding by strings are one folding."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.filters import folding
from newsieve.filters.bulk_folding import _kinds
from newsieve.filters.folding import fold

INTERESTING = (
    " \n\t\u00a0\u00ad\u200b\u2019\u2011\u0301\u0316\u0345e\u03b1\u1f86\u1100\u1161\u11a8\uac00"
    "\ufb01\u3099か\u09c7\u09be\U0001d15e\ufdfa\U00011099\U000110ba"
)
TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(INTERESTING)), max_size=60
)


@given(TEXTS)
@settings(max_examples=200, deadline=None)  # the first makes the tables
def test_much_is_folded_as_little_is(text: str) -> None:
    """Which of the two takes a text is a matter of time alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "_MANY_BYTES", -1)
        by_arrays = fold(text)

    assert by_arrays == fold(text)


def test_all_of_unicode_is_folded_alike() -> None:
    """Each character behind a letter, so that what composes does."""
    text = "".join(
        f"a{character}"
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) not in ("Cs", "Cn", "Co")
    )
    parts = [text[at : at + 300] for at in range(0, len(text), 300)]

    assert fold(" ".join(parts)) == fold(" ".join(map(fold, parts)))


def test_nothing_beyond_the_table_combines() -> None:
    """A newer Unicode may move it."""
    _, follows = _kinds()

    for point in range(len(follows)):
        if unicodedata.combining(chr(point)):
            assert follows[point], hex(point)
