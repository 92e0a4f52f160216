"""The window of stories knows the latest ones of each group, and forgets what is old."""

from __future__ import annotations

import random

import pytest

from newsieve.filters.story_sketch import sketch
from newsieve.oracle.story_window import Story, StoryGroup, StoryWindow

CONFIG = ("gemini", "oracle", "prompt", "schema", None, None)
GROUP = StoryGroup(CONFIG, "student", "low", "monitor")
NOON = "2026-11-22T12:00:00.000Z"


def bins(seed: int) -> bytes:
    words = (f"w{number}" for number in random.Random(seed).choices(range(5_000), k=100))
    return sketch(" ".join(words))


def story(seed: int, requested_at: str | None = NOON, group: StoryGroup = GROUP) -> Story:
    return Story(group, f"a{seed}", bins(seed), requested_at)


def test_a_copy_finds_the_first_of_its_story() -> None:
    """And nothing where there is no copy."""
    window = StoryWindow()
    for seed in range(20):
        window.put(story(seed))

    found = window.first_of(story(7))
    assert found is not None and found.article_id == "a7"
    assert window.first_of(story(99)) is None


@pytest.mark.parametrize("field", ["config", "student", "stratum", "purpose"])
def test_what_monitors_keep_apart_is_kept_apart(field: str) -> None:
    """A story is asked about once for each filter, student, stratum and purpose."""
    window = StoryWindow()
    window.put(story(1))

    other = GROUP._replace(**{field: (*CONFIG[:5], 0.5) if field == "config" else "other"})
    assert window.first_of(story(1, group=other)) is None
    window.put(story(1, group=other))
    assert window.first_of(story(1, group=other)) is not None


@pytest.mark.parametrize(
    ("requested_at", "stories"),
    [
        ("2026-11-29T12:00:00.000Z", 1),
        ("2026-11-29T12:00:01.000Z", 2),
        ("2026-11-15T12:00:00.000Z", 1),
        ("2026-11-15T11:59:59.000Z", 2),
        ("2026-11-22T12:00:00", 2),
        ("long ago", 2),
        (None, 2),
    ],
)
def test_what_was_asked_about_a_week_apart_is_another_story(
    requested_at: str | None, stories: int
) -> None:
    """Before and after: a replay asks about old requests. What is no time is never within it."""
    window = StoryWindow()
    window.put(story(1))

    is_copy = window.first_of(story(1, requested_at)) is not None
    assert stories == (1 if is_copy else 2)


def test_a_full_window_forgets_the_oldest_stories() -> None:
    """One that is put again keeps its place, with what is new about it."""
    window = StoryWindow(4)
    for seed in (1, 2, 3, 4, 3, 5, 6):
        window.put(story(seed))
    window.put(story(4, "2026-11-23T12:00:00.000Z"))

    kept = [seed for seed in range(1, 7) if window.first_of(story(seed)) is not None]
    assert kept == [3, 4, 5, 6]
    found = window.first_of(story(4))
    assert found is not None and found.requested_at == "2026-11-23T12:00:00.000Z"


def test_of_several_copies_the_latest_stands_for_the_story() -> None:
    """After a change of the oracle's version there are two, of which the newer one counts."""
    window = StoryWindow()
    window.put(story(1)._replace(article_id="new", requested_at="2026-11-23T12:00:00.000Z"))
    window.put(story(1)._replace(article_id="old"))

    found = window.first_of(story(1))
    assert found is not None and found.article_id == "new"
