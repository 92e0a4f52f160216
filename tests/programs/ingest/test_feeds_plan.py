"""Which feeds are asked, and when, after their list, their states or the clock have changed."""

from __future__ import annotations

import time

import pytest

from newsieve.feeds.feed import Feed
from tests.support.feeds_scene import A, B, FeedsScene, doing, later, scene
from tests.support.scripted import assigned


def test_a_list_that_has_changed_decides_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that was taken out is asked no more, a new one at once."""
    made = scene()
    c = "https://c.example/feed"
    made.feeds.items[c] = {"c1": "four"}
    due = later(0.1)
    made.feeds.changes = {"next_at": due}

    def change() -> None:
        changing_to(made, [Feed(A), Feed(c)])
        made.feeds.asked.clear()

    made.run(
        monkeypatch,
        assigned(0, 1),
        made.committed(3),
        doing(change),
        made.committed(4),
        made.until(lambda: later(-0.1) > due),
    )

    assert set(made.feeds.asked) == {A, c}
    assert made.observer.lists == [(2, None)]


def test_a_list_that_names_the_same_feeds_as_before_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The states are not read again for it."""
    made = scene()
    made.run(
        monkeypatch,
        assigned(0, 1),
        made.committed(3),
        doing(lambda: changing_to(made, [Feed(A), Feed(B)])),
        made.until(lambda: bool(made.observer.lists)),
    )

    assert made.store.restored == 1


def test_a_feed_is_not_asked_sooner_because_the_states_are_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even one whose last answer said nothing new, and is not on the topic."""
    made = scene()
    made.feeds.changes = {"next_at": later(0)}

    def rest() -> None:
        made.feeds.changes = {}
        made.feeds.asked.clear()

    made.run(
        monkeypatch,
        assigned(0, 1),
        made.committed(3),
        made.asked(6),
        doing(rest),
        made.until(lambda: {A, B} <= set(made.feeds.asked) and not made.loop._pool.under_way),
        doing(made.feeds.asked.clear),
        doing(lambda: changing_to(made, [Feed(A), Feed(B), Feed(B + "/more")])),
        made.until(lambda: made.store.restored > 1),
        made.until(lambda: B + "/more" in made.feeds.asked),
    )

    assert made.feeds.asked == [B + "/more"]


def test_no_feed_waits_longer_because_a_clock_was_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that was asked while the clock was a year ahead, nor one that waits while it is
    set back."""
    first = scene()
    year = 365 * 86_400.0
    first.feeds.changes = {"checked_at": later(year), "next_at": later(year + 0.05)}
    first.run(monkeypatch, assigned(0, 1), first.asked(4))
    again = FeedsScene(first.feeds, first.topics)
    first.feeds.asked.clear()
    present = time.time

    def set_back() -> None:
        monkeypatch.setattr(time, "time", lambda: present() - year)
        first.feeds.asked.clear()

    again.run(monkeypatch, assigned(0, 1), again.asked(4), doing(set_back), again.asked(4))


def changing_to(made: FeedsScene, feeds: list[Feed]) -> None:
    """Let the next look at the list give these feeds."""
    for feed in feeds:
        made.feeds.items.setdefault(feed.url, {})
    look_again = made.feed_list.look_again

    def changed() -> bool:
        made.feed_list.feeds = feeds
        made.feed_list.look_again = look_again  # type: ignore[method-assign]
        return True

    made.feed_list.look_again = changed  # type: ignore[method-assign]
