"""Copies of one story have sketches that are alike, and different stories have not."""

from __future__ import annotations

import random

from newsieve.store.story_sketch import are_alike, bands, sketch

WORDS = [f"word{number}" for number in range(5_000)]


def text(seed: int, count: int = 300) -> list[str]:
    return random.Random(seed).choices(WORDS, k=count)


def test_a_copy_with_a_new_heading_and_another_end_is_alike() -> None:
    """Agencies' texts are printed under new headings, and cut: they stay one story."""
    missed = 0
    for seed in range(60):
        words = text(seed)
        one = sketch("A heading", " ".join(words))
        other = sketch("Quite another one", " ".join(words[:-15]).upper())
        missed += not (are_alike(one, other) and set(bands(one)) & set(bands(other)))
    assert missed <= 3


def test_different_stories_are_not_alike() -> None:
    """Texts that share a third of their words in a row are different stories."""
    for seed in range(60):
        words = text(seed)
        one = sketch("A heading", " ".join(words))
        other = sketch("A heading", " ".join(words[:100] + text(seed + 1_000, 200)))
        assert not are_alike(one, other)


def test_short_texts_are_alike_only_with_the_same_words() -> None:
    """A handful of words is too little to be called a copy for being similar."""
    one = sketch("Harbour opens", "The new harbour opened today")
    assert are_alike(one, sketch("harbour opens", "the NEW harbour, opened: today!"))
    assert not are_alike(one, sketch("Harbour closes", "The new harbour opened today"))


def test_a_sketch_is_the_same_in_every_process() -> None:
    """Stored sketches are compared with those of later processes."""
    assert sketch("a", " ".join(text(1))).hex()[:32] == "8faa9808d487d805a5dbd60e7445ad03"


def test_texts_without_words_have_a_sketch() -> None:
    """Nothing, marks and ideographs are texts, too."""
    for title, content in ((None, None), ("", "…"), ("港が朝早く目覚めた", None), ("\ud800", "x")):
        assert bands(sketch(title, content))
