"""What is a text: anything that can be read."""

from __future__ import annotations

import time

import pytest

from newsieve.filters.readable import has_text

NOTHING = [
    "", " \n\t", "\u00a0", "\u200b\u200b\n\n\ufeff", "\u00ad", "\u200f\n\n\u2066\u2069", "\u2800",
    "\u3164\u115f\u1160\uffa0", "\ufe0f", "\u034f", "\U000e0041", "\0\n\n\0\1", "\u0301\u0316",
    "<p></p>", "<br/><br/>", "<BR>", "&nbsp;", "&nbsp;\n\n<br/><br/>", "<p>&nbsp;</p>",
    "&#160;&#x200B;&zwnj;&shy;&#8203", "<p>\u200b&#8203;</p>",
    "<!-- wp:paragraph --><p></p><!-- /wp:paragraph -->", "<!-- a > b -->", "<!-- never ended",
    '<div><img src="https://cdn.example/a.jpg" alt="a > b"/></div>', "<div class='wp'></div>",
    "<script>var a = 1 < 2;</script>", "<style>p > b {}</STYLE>", "<!DOCTYPE html><html></html>",
]  # fmt: skip
SOMETHING = [
    "a", "7", ".", "-", "\u00e9", "\u0628", "\u4e2d", "\U0001f680", "\u200ba", "a < b", "<3",
    "< 3", "<", "<p", "&", "&;", "&amp;", "&lt;p&gt;", "&nbspfoo", "<p>x</p>", "<p>&#97;</p>",
    "<!-- c -->x", "<script>a</script>x", "<br/>\u0301\u0316!", "[Removed]", "<a title='x>",
]  # fmt: skip
HOSTILE = [
    "\u200b" * 1_000_000, "\u0301" * 500_000, "<p>" * 500_000, "<!--" * 500_000,
    "<!-- > " * 300_000, "<script>" * 200_000, "<script></script" * 100_000, '<a "' * 300_000,
    "&nbsp;" * 300_000, "&#160;" * 200_000, "&" * 1_000_000, "<" * 1_000_000,
]  # fmt: skip


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_to_read_is_no_text(text: str) -> None:
    """Neither for people nor for a student."""
    assert not has_text(text)


@pytest.mark.parametrize("text", SOMETHING)
def test_a_single_visible_character_is_a_text(text: str) -> None:
    """Whatever stands around it."""
    assert has_text(text)


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text[:8]) for text in HOSTILE])
def test_megabytes_of_nothing_cost_little(text: str) -> None:
    """Linear in the text."""
    started = time.process_time()
    has_text(text)

    assert time.process_time() - started < 1.5
